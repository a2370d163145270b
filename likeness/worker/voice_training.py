"""The job 'voice-train': train the voice in a run folder. Reads `run.json` and `manifest.jsonl`, as `train` does."""

import json
import traceback
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from likeness import durable, events
from likeness.config.voice import VoiceRunConfig
from likeness.errors import InputError
from likeness.families.placement import choose_placement, set_up_torch
from likeness.report.voice import write_voice_report
from likeness.train.conditions import conditions
from likeness.voices.lessons import Lesson
from likeness.voices.training import VoiceJob, train
from likeness.worker.recording import record
from likeness.worker.signals import StopRequest
from likeness.worker.training import locked
from likeness.worker.voice_epoch import VoiceResults


def run(folder: Path) -> int:
    """Train the run in `folder`; returns the exit code."""
    with locked(folder):
        durable.sweep(folder)
        job = read_voice_job(folder)

        def heard(event: events.Event) -> None:
            if isinstance(event, events.RunFinished | events.RunStopped | events.VerdictGiven):
                _draw_report(folder)

        return record(folder, train(job, StopRequest(), VoiceResults), heard)


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


def _draw_report(folder: Path) -> None:
    """A view of the run: whatever goes wrong with it must not stop the training."""
    try:
        write_voice_report(folder)
    except Exception:
        traceback.print_exc()
