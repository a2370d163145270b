"""The job 'voice-train': train the voice in a run folder. Reads `run.json` and `manifest.jsonl`, as `train` does."""

import json
import os
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from safetensors import SafetensorError

from likeness import durable, events
from likeness.config.voice import VoiceRunConfig
from likeness.errors import LAST_WORDS, InputError, LikenessError, RunFailed
from likeness.families.placement import choose_placement, set_up_torch
from likeness.report.voice import write_voice_report
from likeness.train.conditions import conditions
from likeness.train.resume import read_state
from likeness.voices.lessons import Lesson
from likeness.voices.training import VoiceJob, train
from likeness.worker.signals import StopRequest
from likeness.worker.training import PARENT, locked
from likeness.worker.voice_epoch import VoiceResults


def run(folder: Path) -> int:
    """Train the run in `folder`; returns the exit code."""
    with locked(folder):
        durable.sweep(folder)
        job = read_voice_job(folder)
        log = events.EventLog(folder / "events.jsonl")
        parent = os.environ.get(PARENT)
        stop = StopRequest(int(parent) if parent else None)
        last: events.Event | None = None
        try:
            for event in train(job, stop, VoiceResults):
                log.write(event)
                if isinstance(event, events.RunFinished | events.RunStopped | events.VerdictGiven):
                    _draw_report(folder)
                last = event
        except (OSError, SafetensorError) as e:
            reason = (isinstance(e, OSError) and e.strerror) or e
            place = (isinstance(e, OSError) and e.filename) or folder
            return _fail(
                folder, log, RunFailed(f"{place}: {reason}. What was saved is whole; free space, then --resume")
            )
        except LikenessError as e:
            return _fail(folder, log, e)
        if not isinstance(last, events.RunStopped):
            return 0
        _say(f"{last.message}. Go on with --resume")
        return 130


def read_voice_job(folder: Path) -> VoiceJob:
    """What `run.json` and `manifest.jsonl` say. Raises InputError when they are missing or damaged."""
    try:
        frozen: dict[str, Any] = json.loads((folder / "run.json").read_text())
        config = VoiceRunConfig.model_validate(frozen["config"])
        rows: list[dict[str, Any]] = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
        lessons = [Lesson(r["id"], Path(r["path"]), _text(r), bool(r["held_out"])) for r in rows]
    except (OSError, ValueError, KeyError, ValidationError) as e:
        raise InputError(
            f"{folder}: no run of a voice that can be read ({e}). Fix: start it with `likeness voice train`"
        ) from e
    placement = choose_placement(config.hardware.model_copy(update={"precision": "fp32"}))
    set_up_torch(placement, config.hardware.threads)
    now = conditions(placement, config.hardware)
    return VoiceJob(folder, config, lessons, placement.device, placement.dtype, now, str(frozen["digest"]))


def _text(row: dict[str, Any]) -> str:
    """As it was when the run was frozen; else what a transcriber has written since."""
    beside = Path(row["path"]).with_suffix(".txt")
    return str(row["text"]) or (" ".join(beside.read_text("utf-8").split()) if beside.is_file() else "")


def _fail(folder: Path, log: events.EventLog, error: LikenessError) -> int:
    _say(str(error))
    state = read_state(folder / "state")
    with suppress(OSError):  # a full disk cannot take the event either; the exit code tells
        log.write(events.RunStopped(step=state.step if state else 0, why="failed", message=str(error)))
    return error.exit_code


def _say(words: str) -> None:
    with suppress(OSError):
        print(f"{LAST_WORDS}{words}", flush=True)


def _draw_report(folder: Path) -> None:
    """A view of the run: whatever goes wrong with it must not stop the training."""
    try:
        write_voice_report(folder)
    except Exception:
        traceback.print_exc()
