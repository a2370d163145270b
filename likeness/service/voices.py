"""Voices: recordings checked, speakers cloned or trained, text spoken, made speech told from recordings.

Each verb that computes is an order for a worker; here everything is refused that can be told without hearing anything.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from likeness import __version__, durable
from likeness.config.hardware import HardwareConfig
from likeness.config.voice import ENGINES, LEAST_CONSENT, RECORD, Consent, VoiceRecord, VoiceRunConfig
from likeness.errors import Conflict, InputError, NotFound
from likeness.service.numbers import hardware
from likeness.service.workers import Order, Worker

SOUNDS = (".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3")
WRITES = (".wav", ".flac", ".ogg", ".mp3")
MOST_TEXT = 10_000  # characters spoken at once
CONSENT = (
    "say who is heard and that they agree, for example: "
    '--consent "I am the speaker, Ada Byron, and agree to this clone"'
)
# Settings that may differ when a run goes on: they do not change what has been learned so far.
_FREE_ON_RESUME = ("hardware", "measuring")
_PRECISIONS = ("auto", "fp32")


@dataclass(frozen=True)
class Check:
    """`paths`: recordings, or folders of them. `fix` writes mended copies, of a single recording to `output`."""

    paths: tuple[Path, ...]
    purpose: Literal["instant", "trained"] = "instant"
    fix: bool = False
    output: Path | None = None
    encoder: Path | None = None


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
    })  # fmt: skip


def clone_order(asked: Clone) -> Order:
    """Raises InputError where something is missing: consent above all."""
    consent = _consent(asked.consent)
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
        "base": _absolute(asked.base),
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
    if not name or len(name) > 100 or name.startswith(".") or not all(c.isalnum() or c in "._-" for c in name):
        raise InputError(f"--name: '{name}' cannot be a name. Fix: letters, digits, '.', '_' and '-'")
    if not name.isascii():
        raise InputError(f"--name: '{name}' cannot be a name. Fix: letters from a to z")


def _consent(statement: str) -> Consent:
    """Raises InputError where nothing is stated."""
    stated = " ".join(statement.split())
    if len(stated) < LEAST_CONSENT:
        raise InputError(f"--consent: a voice is cloned only with a statement of consent. Fix: {CONSENT}")
    if len(stated) > 2000:
        raise InputError("--consent: more than 2000 characters. Fix: state it more briefly")
    return Consent(statement=stated, recorded=_now())


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _absolute(base: str | None) -> str | None:
    """A folder by its whole path; the name of a hub repository as it is."""
    return str(Path(base).resolve()) if base and Path(base).exists() else base


# Trained voices


@dataclass(frozen=True)
class PreparedVoice:
    """A run that passed every check that needs no hearing; nothing has been written yet."""

    config: VoiceRunConfig
    manifest: list[dict[str, Any]]  # id, path, text, sha256, held_out
    notes: list[str]

    @property
    def learned(self) -> int:
        return sum(not row["held_out"] for row in self.manifest)

    @property
    def steps(self) -> int:
        return -(-self.learned // self.config.train.batch_size) * self.config.train.epochs


def run_config(values: dict[str, Any]) -> VoiceRunConfig:
    """Settings of a run from plain values. Raises InputError with every one that does not fit."""
    try:
        config = VoiceRunConfig.model_validate(values)
    except ValidationError as e:
        raise InputError(*(_in_words(d["loc"], d["type"], d["msg"], d["input"]) for d in e.errors())) from e
    _consent(config.consent)
    plain = HardwareConfig(device=config.hardware.device, threads=config.hardware.threads)
    if (
        config.hardware.model_copy(update={"precision": "auto"}) != plain
        or config.hardware.precision not in _PRECISIONS
    ):
        raise InputError(
            "hardware: voices are trained in fp32, and the network is small. Fix: leave all but device and threads out"
        )
    return config


def _in_words(place: Sequence[str | int], kind: str, message: str, given: object) -> str:
    setting = ".".join(map(str, place))
    if setting == "consent":
        return f"--consent: a voice is cloned only with a statement of consent. Fix: {CONSENT}"
    if kind == "extra_forbidden":
        return f"{setting}: no such setting. Fix: see `likeness voice train --help`"
    return f"{setting}: {message[:1].lower()}{message[1:]} (got {str(given)[:60]!r}). Fix: give another value"


def prepare(config: VoiceRunConfig) -> PreparedVoice:
    """Look through the recordings' folder. Raises InputError with every problem found."""
    clips = Path(config.data.clips)
    if not clips.is_dir():
        raise InputError(f"data.clips: {clips} is not a folder. Fix: give one with recordings and a .txt beside each")
    if config.optim.optimizer == "adamw8bit" and config.hardware.device == "cpu":
        raise InputError("optim.optimizer: 'adamw8bit' needs a CUDA device. Fix: use 'adamw'")
    rows: list[dict[str, Any]] = []
    missing: list[str] = []
    for path in recordings_in(clips):
        text = _text_beside(path)
        missing += [] if text else [path.name]
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        rows.append({"id": path.stem, "path": str(path.resolve()), "text": text, "sha256": digest, "held_out": False})
    if missing and config.data.transcriber is None:
        names = ", ".join(missing[:5]) + (" …" if len(missing) > 5 else "")
        raise InputError(
            f"data.clips: {len(missing)} of {len(rows)} recordings have no text beside them ({names}). Fix: write what "
            "is said to a .txt of the same name, or name a Whisper checkpoint (--transcriber openai/whisper-small)"
        )
    if len({row["id"] for row in rows}) < len(rows):
        raise InputError(f"data.clips: two recordings in {clips} have the same name. Fix: rename one")
    notes: list[str] = []
    if len(rows) > config.data.hold_out > 0 and len(rows) >= 3:
        order = sorted(rows, key=lambda r: hashlib.sha256(f"{config.train.seed}/{r['sha256']}".encode()).digest())
        for row in order[: min(config.data.hold_out, len(rows) - 2)]:
            row["held_out"] = True
    else:
        notes.append("no recording is held out, so learning cannot be told from memorising")
    if missing:
        notes.append(f"{len(missing)} recordings get their text from {config.data.transcriber}; read it over")
    return PreparedVoice(config, rows, notes)


def _text_beside(path: Path) -> str:
    file = path.with_suffix(".txt")
    if not file.is_file():
        return ""
    try:
        return " ".join(file.read_text("utf-8-sig").split())
    except (OSError, UnicodeDecodeError) as e:
        raise InputError(f"{file}: is no text in UTF-8. Fix: save it as UTF-8") from e


def start(prepared: PreparedVoice, workspace: Path) -> Path:
    """Freeze the run into its folder. Raises InputError if a run of that name is there already."""
    folder = workspace / prepared.config.name
    if (folder / "run.json").exists():
        raise Conflict(
            f"{folder}: a run of this name is there already. Fix: go on with it (--resume), or choose another"
        )
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(row) + "\n" for row in prepared.manifest)
    durable.write_text(folder / "manifest.jsonl", lines)
    durable.write_text(folder / "run.json", json.dumps(frozen(prepared, _now()), indent=2))
    return folder


def frozen(prepared: PreparedVoice, recorded: str) -> dict[str, Any]:
    """What `run.json` will hold."""
    config = prepared.config
    threads = config.hardware.threads or os.cpu_count()  # decides how sums are split, and so the last bits
    config = config.model_copy(update={
        "hardware": config.hardware.model_copy(update={"threads": threads}), "base": _absolute(config.base) or "",
        "data": config.data.model_copy(update={"clips": str(Path(config.data.clips).resolve())}),
    })  # fmt: skip
    values = config.model_dump(mode="json")
    return {
        "likeness": __version__,
        "name": config.name,
        "config": values,
        "plan": {"recordings": prepared.learned, "steps": prepared.steps},
        "base": {"name": config.base, "family": "pocket-tts"},
        "consent_recorded": recorded,
        "digest": hashlib.sha256(
            json.dumps(prepared.config.model_dump(mode="json"), sort_keys=True).encode()
        ).hexdigest(),
    }


def resume(prepared: PreparedVoice, workspace: Path) -> Path:
    """The folder of a run to go on with. Raises InputError where there is none, or settings or recordings changed."""
    folder = workspace / prepared.config.name
    if not (folder / "run.json").exists():
        raise NotFound(f"{folder}: there is no run to resume. Fix: leave --resume out to start it")
    then: dict[str, Any] = json.loads((folder / "run.json").read_text())
    now = frozen(prepared, str(then.get("consent_recorded", _now())))
    problems = [
        f"{key}: was {_short(then['config'].get(key))} when the run started and is {_short(now['config'].get(key))} "
        "now. Fix: put it back, or start a new run with another name"
        for key in now["config"]
        if key not in _FREE_ON_RESUME and _settled(then["config"].get(key)) != _settled(now["config"].get(key))
    ]
    schedule = prepared.config.optim.schedule
    if then["config"]["train"]["epochs"] != prepared.config.train.epochs and schedule != "constant":
        problems.append(f"train.epochs: cannot change while the '{schedule}' schedule depends on it. Fix: put it back")
    before = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    if [(r["id"], r["sha256"]) for r in before] != [(r["id"], r["sha256"]) for r in prepared.manifest]:
        problems.append("data.clips: recordings have changed since the run started. Fix: put them back, or start anew")
    elif any(r["text"] and r["text"] != new["text"] for r, new in zip(before, prepared.manifest, strict=True)):
        problems.append("data.clips: texts have changed since the run started. Fix: put them back, or start anew")
    if problems:
        raise InputError(*problems)
    if prepared.config.hardware.threads is None:
        now["config"]["hardware"]["threads"] = then["config"]["hardware"]["threads"]
    durable.write_text(folder / "run.json", json.dumps(now, indent=2))
    return folder


def _settled(value: Any) -> Any:
    """A group of settings without what may change while a run goes on."""
    if isinstance(value, dict):
        return {k: v for k, v in value.items() if k not in ("epochs", "state_every")}  # pyright: ignore[reportUnknownVariableType]
    return value


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 80 else text[:77] + "…"


def discard(folder: Path) -> None:
    """Take back a run that its worker refused, so that it can be started again; nothing of one that began to train."""
    if any((folder / name).exists() for name in ("state", "checkpoints", "samples")):
        return
    for name in ("run.json", "manifest.jsonl", "events.jsonl", "log.txt", "lock", "report.html"):
        (folder / name).unlink(missing_ok=True)
    with suppress(OSError):  # something else lies there
        folder.rmdir()


def launch(folder: Path) -> Worker:
    """Start training the run in `folder`."""
    return Worker("voice-train", folder)
