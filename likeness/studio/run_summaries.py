"""Runs in a few words each, for lists: those of the queue, and those that the command line trained.

Nothing but the ends of their logs is read, and what was read is remembered until it changes.
"""

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from sqlalchemy import select

from likeness.errors import Conflict, InputError, NotFound
from likeness.events import RunFinished, RunStarted, RunStopped, StepDone, VerdictGiven
from likeness.report.history import mapping
from likeness.service.run_list import is_training
from likeness.store.tables import Job, Run
from likeness.studio.queue import OPEN
from likeness.studio.run_log import read_from
from likeness.studio.workspace import FOLDER, Studio

# 'stopped': it can go on, and is not in the queue.
State = Literal["queued", "running", "paused", "finished", "failed", "canceled", "stopped"]
TRAINING = ("train", "mock", "voice-train")  # verbs of jobs that train a run
VOICE = "voice"  # kind of a run that trains a voice: it has sounds in place of pictures
TAIL_BYTES = 256 * 1024  # of a log, for a list: its last steps and its end
_CHECKPOINT = re.compile(r"epoch-(\d+)(\.safetensors)?")  # of a voice a folder


@dataclass(frozen=True)
class RunSummary:
    """One run in a list."""

    name: str
    state: State
    mock: bool
    kind: str
    base: str
    trigger: str
    created: float  # seconds since 1970
    steps: int
    step: int
    epochs: int  # planned
    epochs_saved: int  # that have a LoRA
    chosen_epoch: int | None
    suggested_epoch: int | None
    cover: str | None  # a picture, relative to the run folder
    parent_run: str | None
    parent_epoch: int | None
    archived: bool
    note: str
    job: str | None  # id, where one is open or was the last
    error: str | None

    @property
    def progress(self) -> float:
        """From 0 to 1."""
        return 1.0 if self.state == "finished" else min(1.0, self.step / self.steps) if self.steps else 0.0


def folder_of(studio: Studio, name: str) -> Path:
    """The folder of a run that is there. Raises NotFound."""
    try:
        folder = studio.run_folder(name)
    except InputError as e:
        raise NotFound(f"no run '{name}'. Fix: take a name from the list of runs") from e
    if not (folder / "run.json").is_file():
        raise NotFound(f"no run '{name}'. Fix: take a name from the list of runs")
    return folder


def pictures_only(studio: Studio, name: str) -> Path:
    """The folder of a run, for what makes no sense of a voice. Raises NotFound, Conflict."""
    folder = folder_of(studio, name)
    if kind_of(folder) == VOICE:
        raise Conflict(
            f"run '{name}' is a trained voice, and this is for pictures. Fix: hear its epochs, and keep one as a voice"
        )
    return folder


def kind_of(folder: Path) -> str:
    """What a run learns, as its settings have it; empty where they do not tell."""
    file = folder / "run.json"
    return _facts(file, file.stat().st_mtime_ns).kind


def row_of(studio: Studio, name: str) -> Run | None:
    """What the studio noted of a run; None for one that it did not start and nobody changed."""
    with studio.database.reading() as session:
        return session.get(Run, name)


def job_of(studio: Studio, name: str) -> Job | None:
    """The latest job that trained a run, or will."""
    query = select(Job).where(Job.subject == f"run:{name}", Job.verb.in_(TRAINING)).order_by(Job.created.desc())
    with studio.database.reading() as session:
        found = list(session.scalars(query.limit(20)))
    return next((job for job in found if job.state in OPEN), found[0] if found else None)


def listed(studio: Studio, *, archived: bool = False) -> list[RunSummary]:
    """All runs of the workspace that are archived, or are not; newest first."""
    with studio.database.reading() as session:
        rows = {row.name: row for row in session.scalars(select(Run).where(Run.deleted.is_(None)))}
        jobs: dict[str, Job] = {}
        for job in session.scalars(select(Job).where(Job.verb.in_(TRAINING)).order_by(Job.created)):
            before = jobs.get(job.subject)
            if before is None or before.state not in OPEN or job.state in OPEN:
                jobs[job.subject] = job
    found: list[RunSummary] = []
    for file in studio.workspace.glob("*/run.json"):
        name = file.parent.name
        row = rows.get(name)
        if name == FOLDER or name.startswith(".") or (row.archived if row else False) != archived:
            continue
        try:
            found.append(summarised(file.parent, row, jobs.get(f"run:{name}")))
        except (OSError, ValueError):
            continue  # damaged, or just being deleted
    return sorted(found, key=lambda run: -run.created)


def summary_of(studio: Studio, name: str) -> RunSummary:
    """Raises NotFound."""
    return summarised(folder_of(studio, name), row_of(studio, name), job_of(studio, name))


@dataclass(frozen=True)
class _Facts:
    """What `run.json` says, for a list."""

    mock: bool
    kind: str
    base: str
    trigger: str
    steps: int
    epochs: int
    parent: tuple[str, int] | None


@dataclass(frozen=True)
class _Tail:
    """How a log ends."""

    step: int
    ended: str  # 'finished', 'failed', 'interrupted' or ''
    time: float
    suggested: int | None
    message: str


def summarised(folder: Path, row: Run | None, job: Job | None) -> RunSummary:
    """A run from its folder, what the studio noted of it, and its latest job."""
    stat = (folder / "run.json").stat()
    facts = _facts(folder / "run.json", stat.st_mtime_ns)
    tail = _tail_of(folder / "events.jsonl")
    state = _state(folder, job, tail.ended)
    saved = [int(match[1]) for path in _names(folder / "checkpoints") if (match := _CHECKPOINT.fullmatch(path))]
    manifest = folder / "manifest.jsonl"
    created = row.created if row else (manifest if manifest.exists() else folder).stat().st_mtime
    origin = (row.parent_run, row.parent_epoch) if row and row.parent_run else facts.parent or (None, None)
    error = job.error if job and state == "failed" else tail.message if state == "failed" else None
    return RunSummary(
        name=folder.name, state=state, mock=facts.mock, kind=facts.kind, base=facts.base, trigger=facts.trigger,
        created=created, steps=facts.steps, step=tail.step, epochs=facts.epochs, epochs_saved=len(saved),
        chosen_epoch=row.chosen_epoch if row else None,
        suggested_epoch=tail.suggested if tail.suggested in saved else None,
        cover=_cover(folder, row.chosen_epoch if row and row.chosen_epoch else tail.suggested),
        parent_run=origin[0], parent_epoch=origin[1], archived=bool(row and row.archived),
        note=row.note if row else "", job=job.id if job else None, error=error,
    )  # fmt: skip


@lru_cache(maxsize=4096)
def _facts(file: Path, changed: int) -> _Facts:
    frozen = mapping(json.loads(file.read_text()))
    config, plan, base = (mapping(frozen.get(key)) for key in ("config", "plan", "base"))
    parent = mapping(frozen.get("parent"))
    return _Facts(
        mock=bool(frozen.get("mock")),
        kind=str(config.get("kind") or ""),
        base=str(base.get("name") or config.get("base") or ""),
        trigger=str(config.get("trigger") or ""),
        steps=int(plan.get("steps") or 0),
        epochs=int(plan.get("epochs") or mapping(config.get("train")).get("epochs") or 0),
        parent=(str(parent["run"]), int(parent["epoch"])) if parent else None,
    )


def _tail_of(log: Path) -> _Tail:
    try:
        found = log.stat()
    except OSError:
        return _Tail(0, "", 0.0, None, "")
    return _tail(log, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=4096)
def _tail(log: Path, size: int, changed: int) -> _Tail:
    """Of the log as it is at this size."""
    step, ended, time, suggested, message = 0, "", 0.0, None, ""
    for event, _ in read_from(log, max(0, size - TAIL_BYTES)):
        match event:
            case StepDone():
                step = event.step
            case RunStarted():
                step, ended = event.resumed_at, ""
            case VerdictGiven():
                suggested = event.suggested
            case RunFinished():
                step, ended, time = event.step, "finished", event.time
            case RunStopped():
                ended = "interrupted" if event.why == "interrupted" else "failed"
                step, time, message = event.step, event.time, event.message
            case _:
                pass
    return _Tail(step, ended, time, suggested, message)


def _state(folder: Path, job: Job | None, ended: str) -> State:
    """The queue knows of a run that is in it; else whether a process holds it; else how its log ends."""
    if job is not None and job.state in OPEN:
        return "running" if job.state == "running" else "queued" if job.state == "queued" else "paused"
    if is_training(folder):
        return "running"
    if ended == "finished":
        return "finished"
    if job is not None and job.state in ("failed", "canceled"):
        return "failed" if job.state == "failed" else "canceled"
    return "failed" if ended == "failed" else "stopped"


def _cover(folder: Path, epoch: int | None) -> str | None:
    """A test picture of the epoch to take, else of the last one."""
    epochs = sorted(_names(folder / "samples"), reverse=True)
    wanted = f"epoch-{epoch:03d}" if epoch is not None else ""
    for name in [wanted] * (wanted in epochs) + epochs:
        if pictures := sorted(n for n in _names(folder / "samples" / name) if n.endswith(".png")):
            return f"samples/{name}/{pictures[0]}"
    return None


def _names(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError:
        return []
