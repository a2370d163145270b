"""Trained voices: check what is asked, freeze it into a run folder, start it, go on with it."""

import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from likeness import __version__, durable
from likeness.config.hardware import HardwareConfig
from likeness.config.voice import VoiceRunConfig
from likeness.dataset.holdout import drawn
from likeness.errors import Conflict, InputError, NotFound
from likeness.service.voices import CONSENT, absolute, consent_of, now, recordings_in
from likeness.service.workers import Worker

# Settings that may differ when a run goes on: they do not change what has been learned so far.
_FREE_ON_RESUME = ("hardware", "measuring")
_PRECISIONS = ("auto", "fp32")


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
    consent_of(config.consent)
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
    if len(rows) > config.data.hold_out and len(rows) >= 3:
        chosen = drawn([(row["id"], row["sha256"]) for row in rows], min(config.data.hold_out, len(rows) - 2))
        for row in rows:
            row["held_out"] = row["sha256"] in chosen
    if not any(row["held_out"] for row in rows):
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
    durable.write_text(folder / "run.json", json.dumps(frozen(prepared, now()), indent=2))
    return folder


def frozen(prepared: PreparedVoice, recorded: str) -> dict[str, Any]:
    """What `run.json` will hold."""
    config = prepared.config
    threads = config.hardware.threads or os.cpu_count()  # decides how sums are split, and so the last bits
    config = config.model_copy(update={
        "hardware": config.hardware.model_copy(update={"threads": threads}), "base": absolute(config.base) or "",
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
    fresh = frozen(prepared, str(then.get("consent_recorded", now())))
    problems = [
        f"{key}: was {_short(then['config'].get(key))} when the run started and is {_short(fresh['config'].get(key))} "
        "now. Fix: put it back, or start a new run with another name"
        for key in fresh["config"]
        if key not in _FREE_ON_RESUME and _settled(then["config"].get(key)) != _settled(fresh["config"].get(key))
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
        fresh["config"]["hardware"]["threads"] = then["config"]["hardware"]["threads"]
    durable.write_text(folder / "run.json", json.dumps(fresh, indent=2))
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
