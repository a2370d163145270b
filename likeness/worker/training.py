"""The job 'train': run the loop over a frozen run folder, and write down what it says."""

import fcntl
import json
import traceback
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from likeness import durable, events
from likeness.catalog import Card, resolve_base
from likeness.config.load import config_from_dict
from likeness.dataset.manifest import read_manifest
from likeness.errors import InputError
from likeness.families.hub import fetch
from likeness.report.grid import save_grid
from likeness.report.history import read_history
from likeness.report.page import write_report
from likeness.train.loop import Job, train
from likeness.train.resume import read_state
from likeness.worker.curves import Curves
from likeness.worker.epoch import EpochResults
from likeness.worker.recording import record
from likeness.worker.signals import StopRequest
from likeness.worker.tile_captions import caption_tiles


def run(folder: Path) -> int:
    """Train the run in `folder`; returns the exit code."""
    with locked(folder):
        durable.sweep(folder)
        job = read_job(folder)
        last: events.Event | None = None

        def heard(event: events.Event) -> None:
            nonlocal last
            if isinstance(event, events.RunFinished | events.RunStopped) or _ends_epoch(last, event):
                _draw_report(folder)
            last = event

        return record(folder, _with_curves(job), heard)


def _with_curves(job: Job) -> Iterator[events.Event]:
    """All events, each drawn into the curves once it has been written down."""
    with Curves(job.folder / "tensorboard") as curves:
        for event in _events(job, StopRequest()):
            yield event
            curves.add(event)


def _events(job: Job, should_stop: StopRequest) -> Iterator[events.Event]:
    """The base is fetched first, where it is not here yet; then tiles are captioned; then the training."""
    work = fetch(job.card)
    while True:
        try:
            yield next(work)
        except StopIteration as e:
            card: Card = e.value
            break
        if should_stop():
            work.close()
            yield _stopped(job, "stopped as asked while fetching; what has arrived is kept")
            return
    _note_commits(job.folder, card)
    examples, crops = job.examples, job.config.data.detail_crops
    if crops.enabled and crops.enable_captioning:
        for told in caption_tiles(
            job.folder, examples, crops, job.config.train.seed, should_stop, job.config.hardware.device
        ):
            if isinstance(told, events.Event):
                yield told
            else:
                examples = told
        if should_stop():
            yield _stopped(job, "stopped as asked while captioning; what was written is kept")
            return
    yield from train(replace(job, card=card, examples=examples), should_stop, EpochResults)


def _stopped(job: Job, message: str) -> events.Event:
    state = read_state(job.folder / "state")
    return events.RunStopped(step=state.step if state else 0, why="interrupted", message=message)


def _note_commits(folder: Path, card: Card) -> None:
    """Write into run.json which commits of the hub's repositories the run was trained on."""
    frozen: dict[str, Any] = json.loads((folder / "run.json").read_text())
    commits = dict(card.source.commits)
    if frozen["base"].get("commits", {}) != commits:
        frozen["base"]["commits"] = commits
        durable.write_text(folder / "run.json", json.dumps(frozen, indent=2))


def _ends_epoch(last: events.Event | None, event: events.Event) -> bool:
    """The first step after an epoch's results: the report is drawn anew then."""
    return (
        isinstance(event, events.StepDone)
        and last is not None
        and not isinstance(last, events.StepDone | events.UpdateSkipped | events.RunStarted)
    )


def _draw_report(folder: Path) -> None:
    """The report is a view of the run: whatever goes wrong with it must not stop the training."""
    try:
        write_report(folder)
        if (history := read_history(folder)).samples:  # none without test prompts
            save_grid(history, folder / "grid.png")
    except Exception:
        traceback.print_exc()


def read_job(folder: Path) -> Job:
    """What `run.json` and `manifest.jsonl` say. Raises InputError when they are missing or damaged."""
    try:
        frozen: dict[str, Any] = json.loads((folder / "run.json").read_text())
    except (OSError, ValueError) as e:
        raise InputError(
            f"{folder / 'run.json'}: cannot be read ({e}). Fix: start the run with `likeness train`"
        ) from e
    if frozen.get("mock"):
        raise InputError(f"{folder}: is a mock run, which has nothing to train or draw with. Fix: start a real one")
    config = config_from_dict(frozen["config"])
    card = resolve_base(config.base, choice=config.model.choice())
    commits = tuple(frozen["base"].get("commits", {}).items())  # a run goes on with the files it started with
    card = replace(card, source=replace(card.source, commits=commits)) if commits else card
    return Job(folder, config, card, read_manifest(folder / "manifest.jsonl"), frozen["digest"])


@contextmanager
def locked(folder: Path) -> Generator[None]:
    """Hold the run. The kernel lets go when the process ends, however it ends."""
    with (folder / "lock").open("w") as f:
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as e:
            raise InputError(f"{folder}: another process trains this run. Fix: wait for it, or stop it first") from e
        yield
