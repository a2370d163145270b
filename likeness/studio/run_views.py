"""A run in full: what its page shows, while it trains and after."""

import json
import math
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from likeness import events
from likeness.config.sampling import SamplingConfig
from likeness.events import RunStopped
from likeness.report.history import mapping
from likeness.store.tables import Job
from likeness.studio.run_log import Point, RunLog, Shown
from likeness.studio.run_summaries import RunSummary, folder_of, job_of, row_of, summarised
from likeness.studio.workspace import Studio

MOST_LOGS = 24  # that are kept in memory
MOST_POINTS = 500  # of a loss curve that is shown


@dataclass(frozen=True)
class Stage:
    """What goes on beside the steps: 'loading', 'encoding', 'sampling' …"""

    name: str
    done: int
    total: int


@dataclass(frozen=True)
class EpochView:
    """One epoch, 0 being the untrained base. Losses are those at the fixed probes."""

    epoch: int
    checkpoint: str | None  # relative to the run folder
    size_bytes: int | None
    samples: list[Shown]
    train_loss: float | None
    held_out_loss: float | None


@dataclass(frozen=True)
class Prompt:
    """A test prompt. `reference`: number of source pictures of an edit."""

    index: int  # from 1
    text: str
    seed: int | None
    references: int = 0


@dataclass(frozen=True, kw_only=True)
class RunView:
    """A run in full."""

    summary: RunSummary
    description: str
    dataset_id: str | None
    dataset_version: int | None
    images: int
    held_out: int
    arithmetic: str  # how the number of steps came about
    device: str | None
    precision: str | None
    stage: Stage | None
    epoch: int  # that is being trained
    eta_seconds: float | None
    seconds_per_step: float | None
    images_per_second: float | None
    memory_bytes: int | None
    loss: list[Point]
    prompts: list[Prompt]
    epochs: list[EpochView]
    now: list[Shown]  # pictures that were asked for between epochs
    verdict: dict[str, Any] | None
    notes: list[str]
    ended: str  # the run's own last words, where it stopped
    external: bool  # trained by a process that is not the queue's
    waiting_before: int | None  # jobs in the queue that go first
    config: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def choices(self) -> list[int]:
        """Epochs that have a LoRA."""
        return [e.epoch for e in self.epochs if e.checkpoint]


class _Logs:
    """The logs that were looked at last, each read on from where it was."""

    def __init__(self) -> None:
        self._logs: OrderedDict[Path, tuple[RunLog, threading.Lock]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, path: Path) -> tuple[RunLog, threading.Lock]:
        with self._lock:
            found = self._logs.pop(path, None) or (RunLog(path), threading.Lock())
            self._logs[path] = found
            while len(self._logs) > MOST_LOGS:
                self._logs.popitem(last=False)
        return found


_logs = _Logs()


def view(studio: Studio, name: str) -> RunView:
    """A run as it is now. Raises NotFound."""
    folder = folder_of(studio, name)
    row, job = row_of(studio, name), job_of(studio, name)
    frozen = mapping(json.loads((folder / "run.json").read_text()))
    config, plan = mapping(frozen.get("config")), mapping(frozen.get("plan"))
    log, lock = _logs.of(folder / "events.jsonl")
    with lock:
        log.update()
        summary = replace(summarised(folder, row, job), step=log.step)
        going = summary.state == "running"
        started, stage = log.started, log.stage if going else None
        return RunView(
            summary=summary,
            description=str(config.get("description") or ""),
            dataset_id=row.dataset_id if row else None,
            dataset_version=row.dataset_version if row else None,
            images=int(plan.get("images") or plan.get("recordings") or 0),
            held_out=int(plan.get("held_out") or 0),
            arithmetic=str(plan.get("arithmetic") or ""),
            device=started.device if started else None,
            precision=started.precision if started else None,
            stage=Stage(stage.name, stage.done, stage.total) if stage else None,
            epoch=log.epoch,
            eta_seconds=log.eta() if going else None,
            seconds_per_step=log.seconds_per_step,
            images_per_second=log.images_per_second,
            memory_bytes=log.memory_bytes or None,
            loss=_thinned(log.points),
            prompts=_prompts(config, log),
            epochs=_epochs(folder, log),
            now=[shown for _, shown in sorted(log.now_samples.items()) if (folder / shown.path).is_file()],
            verdict=_verdict(log.verdict),
            notes=list(log.notes),
            ended=log.ended.message if isinstance(log.ended, RunStopped) else "",
            external=going and (job is None or job.state != "running"),
            waiting_before=_waiting_before(studio, job),
            config=config,
        )


def _thinned(points: Sequence[Point]) -> list[Point]:
    if len(points) <= MOST_POINTS:
        return list(points)
    step = (len(points) - 1) / (MOST_POINTS - 1)
    return [points[round(i * step)] for i in range(MOST_POINTS)]


def _prompts(config: dict[str, Any], log: RunLog) -> list[Prompt]:
    try:
        sampling = SamplingConfig.model_validate(config.get("sampling"))
    except ValueError:  # of another version
        texts = {shown.prompt_index: shown for shown in log.samples.values()}
        return [Prompt(index, shown.prompt, shown.seed) for index, shown in sorted(texts.items())]
    return [
        Prompt(index, p.prompt, sampling.seed if p.seed is None else p.seed, len(p.reference))
        for index, p in enumerate(sampling.prompts, start=1)
    ]


def _epochs(folder: Path, log: RunLog) -> list[EpochView]:
    """Those that left anything, as far as it is still there."""
    numbers = sorted({epoch for epoch, _ in log.samples} | set(log.checkpoints) | set(log.probes))
    found: list[EpochView] = []
    for number in numbers:
        path = folder / log.checkpoints[number] if number in log.checkpoints else None
        there = path if path is not None and path.is_file() else None
        probe = log.probes.get(number)
        found.append(
            EpochView(
                epoch=number,
                checkpoint=log.checkpoints[number] if there else None,
                size_bytes=there.stat().st_size if there else None,
                samples=[
                    s
                    for (epoch, _), s in sorted(log.samples.items())
                    if epoch == number and (folder / s.path).is_file()
                ],
                train_loss=probe.train_loss if probe and math.isfinite(probe.train_loss) else None,
                held_out_loss=probe.held_out_loss if probe else None,
            )
        )
    return found


def _verdict(verdict: events.VerdictGiven | None) -> dict[str, Any] | None:
    if verdict is None:
        return None
    return {key: value for key, value in asdict(verdict).items() if key != "time"}


def _waiting_before(studio: Studio, job: Job | None) -> int | None:
    if job is None or job.state != "queued":
        return None
    first = (Job.priority > job.priority) | ((Job.priority == job.priority) & (Job.position < job.position))
    with studio.database.reading() as session:
        query = select(func.count()).select_from(Job).where(Job.state == "queued", Job.light == job.light, first)
        return session.scalar(query) or 0
