"""Voices: recordings checked, speakers cloned or trained, text spoken, made speech told from recordings.

Each verb that computes is an order for a worker; here everything is refused that can be told without hearing anything.
"""

import shutil
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from likeness import durable
from likeness.config.names import NAME_FORM, is_name
from likeness.config.voice import ENGINES, LEAST_CONSENT, RECORD, Consent, VoiceRecord
from likeness.errors import Conflict, InputError, NotFound
from likeness.service.numbers import hardware
from likeness.service.workers import Order

SOUNDS = (".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3")
WRITES = (".wav", ".flac", ".ogg", ".mp3")
MOST_TEXT = 10_000  # characters spoken at once
CONSENT = (
    "say who is heard and that they agree, for example: "
    '--consent "I am the speaker, Ada Byron, and agree to this clone"'
)


@dataclass(frozen=True)
class Check:
    """`paths`: recordings, or folders of them. `fix` writes mended copies, of a single recording to `output`.

    `keep_going`: a single recording that cannot be read is a finding, as one of several is, and no error."""

    paths: tuple[Path, ...]
    purpose: Literal["instant", "trained"] = "instant"
    fix: bool = False
    output: Path | None = None
    encoder: Path | None = None
    keep_going: bool = False


@dataclass(frozen=True)
class Clone:
    """`shelf`: the folder that holds the voices."""

    paths: tuple[Path, ...]
    name: str
    consent: str
    shelf: Path
    engine: str = "espeak"
    language: str = "en-us"
    base: str | None = None
    script: Path | None = None
    device: str = "auto"
    replace: bool = False


@dataclass(frozen=True)
class Say:
    """`voice`: a name on the shelf, or the folder of a voice (an epoch of a trained one is such a folder)."""

    voice: str
    text: str
    output: Path
    shelf: Path
    seed: int = 0
    speed: float = 1.0
    strength: float = 1.0
    mark: bool = True
    device: str = "auto"


def check_order(asked: Check) -> Order:
    """Raises InputError where there is nothing to check."""
    paths = [p for path in asked.paths for p in recordings_in(path)]
    if asked.output and (len(paths) != 1 or asked.output.suffix.lower() not in WRITES):
        raise InputError(
            f"--output: takes one recording and a name that ends in {', '.join(WRITES)}. Fix: leave it out"
        )
    if asked.encoder and not asked.encoder.exists():
        raise NotFound(f"--encoder: {asked.encoder} is not there. Fix: give a file or folder")
    return Order("voice-check", {
        "paths": [str(p.resolve()) for p in paths],
        "purpose": asked.purpose,
        "fix": asked.fix,
        "output": str(asked.output.resolve()) if asked.output else None,
        "encoder": str(asked.encoder.resolve()) if asked.encoder else None,
        "keep_going": asked.keep_going,
    })  # fmt: skip


def clone_order(asked: Clone) -> Order:
    """Raises InputError where something is missing: consent above all."""
    consent = consent_of(asked.consent)
    _check_name(asked.name)
    if asked.engine not in ENGINES:
        raise InputError(f"--engine: there is no '{asked.engine}'. Fix: one of {', '.join(ENGINES)}")
    if asked.engine == "pocket" and not asked.base:
        raise InputError("--base: Pocket TTS needs its weights. Fix: --base eustlb/pocket-tts, or a folder with them")
    if asked.engine == "script" and (asked.script is None or not asked.script.is_file()):
        raise InputError("--script: which script? Fix: give the path of one that speaks the protocol")
    place = asked.shelf / asked.name
    if place.exists() and not (asked.replace and (place / RECORD).is_file()):
        raise Conflict(f"--name: {place} is there already. Fix: choose another name, or --replace the voice")
    paths = [p for path in asked.paths for p in recordings_in(path)]
    return Order("voice-clone", {
        "paths": [str(p.resolve()) for p in paths],
        "name": asked.name,
        "output": str(place.resolve()),
        "engine": asked.engine,
        "language": asked.language,
        "base": absolute(asked.base),
        "script": str(asked.script.resolve()) if asked.script else None,
        "device": hardware(asked.device, "auto").device,
        "consent": consent.model_dump(),
        "replace": asked.replace,
    })  # fmt: skip


def say_order(asked: Say) -> Order:
    """Raises InputError where there is no such voice, or nothing to say."""
    voice = find_voice(asked.voice, asked.shelf)
    text = asked.text.strip()
    if not text:
        raise InputError("text: is empty. Fix: give some words")
    if len(text) > MOST_TEXT:
        raise InputError(f"text: {len(text)} characters, more than {MOST_TEXT}. Fix: say it in parts")
    if asked.output.suffix.lower() not in WRITES:
        raise InputError(f"--output: {asked.output.name} has no known ending. Fix: one of {', '.join(WRITES)}")
    if asked.output.is_dir():
        raise InputError(f"--output: {asked.output} is a folder. Fix: give the name of a file")
    if not 0.5 <= asked.speed <= 2:
        raise InputError(f"--speed: {asked.speed:g} should be between 0.5 and 2. Fix: 1 is the speaker's own")
    if not 0 <= asked.strength <= 1.5:
        raise InputError(f"--strength: {asked.strength:g} should be between 0 and 1.5. Fix: 1 is as the speaker is")
    if not 0 <= asked.seed < 2**63:
        raise InputError("--seed: should be a whole number from 0 on. Fix: give such a number")
    return Order("voice-say", {
        "voice": str(voice.resolve()),
        "text": text,
        "output": str(asked.output.resolve()),
        "seed": asked.seed,
        "speed": asked.speed,
        "strength": asked.strength,
        "mark": asked.mark,
        "device": hardware(asked.device, "auto").device,
    })  # fmt: skip


def verify_order(path: Path) -> Order:
    """Whether a sound file is made speech."""
    if not path.is_file():
        raise NotFound(f"{path}: no such file. Fix: give the path of a sound file")
    return Order("voice-verify", {"path": str(path.resolve())})


def recordings_in(path: Path) -> list[Path]:
    """The path itself, or the sound files of a folder. Raises InputError where there are none."""
    if not path.exists():
        raise NotFound(f"{path}: no such file. Fix: give the path of a recording, or of a folder with some")
    if not path.is_dir():
        return [path]
    found = sorted(p for p in path.iterdir() if p.suffix.lower() in SOUNDS and not p.name.startswith("."))
    if not found:
        raise InputError(f"{path}: holds no recordings ({', '.join(SOUNDS)}). Fix: give another folder")
    return found


# Voices that are there


def voices_in(shelf: Path) -> list[tuple[Path, VoiceRecord]]:
    """All voices of a shelf by name; what cannot be read as one is left out."""
    found: list[tuple[Path, VoiceRecord]] = []
    for file in sorted(shelf.glob(f"*/{RECORD}")):
        with suppress(InputError):
            found.append((file.parent, read_record(file.parent)))
    return found


def read_record(folder: Path) -> VoiceRecord:
    """Raises NotFound where `folder` holds no voice."""
    try:
        return VoiceRecord.model_validate_json((folder / RECORD).read_bytes())
    except (OSError, ValidationError) as e:
        raise NotFound(f"{folder}: holds no voice. Fix: make one with `likeness voice clone`") from e


def find_voice(voice: str, shelf: Path) -> Path:
    """The folder of a voice: one of the shelf by name, or a folder; of a trained run, the epoch that was suggested,
    else the last."""
    for place in (shelf / voice, Path(voice)):
        if (place / RECORD).is_file():
            return place
    run = Path(voice)
    if (run / "run.json").is_file():
        epochs = sorted((run / "checkpoints").glob(f"epoch-*/{RECORD}"))
        if not epochs:
            raise NotFound(f"{voice}: no epoch is finished yet. Fix: go on with the training (--resume)")
        suggested = run / "checkpoints" / f"epoch-{_suggested(run) or 0:03d}"
        return suggested if (suggested / RECORD).is_file() else epochs[-1].parent
    known = ", ".join(folder.name for folder, _ in voices_in(shelf)) or "none yet"
    raise NotFound(f"voice: there is no '{voice}' in {shelf}. Fix: make it with `likeness voice clone`; known: {known}")


def _suggested(run: Path) -> int | None:
    from likeness.report.voice import read_voice_run

    said = read_voice_run(run).verdict
    return said.suggested if said else None


def keep(voice: Path, name: str, shelf: Path) -> Path:
    """Put an epoch of a trained voice (its folder, or that of the run) on the shelf under a name."""
    _check_name(name)
    source, place = find_voice(str(voice), shelf), shelf / name
    if place.exists():
        raise Conflict(f"--name: {place} is there already. Fix: choose another name")
    record = read_record(source).model_copy(update={"name": name})

    def fill(partial: Path) -> None:
        for file in source.iterdir():
            if file.is_file() and file.name != RECORD:
                shutil.copyfile(file, partial / file.name)
        durable.write_text(partial / RECORD, record.model_dump_json(indent=2))

    durable.write_folder(place, fill)
    return place


def _check_name(name: str) -> None:
    if not is_name(name):
        raise InputError(f"--name: '{name}' cannot be a name. Fix: {NAME_FORM}")


def consent_of(statement: str) -> Consent:
    """Raises InputError where nothing is stated."""
    stated = " ".join(statement.split())
    if len(stated) < LEAST_CONSENT:
        raise InputError(f"--consent: a voice is cloned only with a statement of consent. Fix: {CONSENT}")
    if len(stated) > 2000:
        raise InputError("--consent: more than 2000 characters. Fix: state it more briefly")
    return Consent(statement=stated, recorded=now())


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def absolute(base: str | None) -> str | None:
    """A folder by its whole path; the name of a hub repository as it is."""
    return str(Path(base).resolve()) if base and Path(base).exists() else base
