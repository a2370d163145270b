"""What a run has told so far, read as it grows: only new bytes, and no more kept than a page can show."""

import math
import statistics
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from likeness import events
from likeness.events import Event, decode

MOST_POINTS = 1000  # of the loss curve; where there are more, every second one is dropped
MOST_NOTES = 50
RECENT = 200  # steps whose speed counts
SMOOTHING = 0.97  # as in the report


@dataclass
class Point:
    """One step on the curve. `smoothed` is the mean of what came before, the latest weighing most."""

    step: int
    epoch: int
    loss: float
    smoothed: float


@dataclass(frozen=True)
class Shown:
    """A picture that was drawn: of an epoch, or on request (`now`) between two."""

    epoch: int
    step: int
    prompt_index: int  # from 1
    prompt: str
    seed: int
    path: str  # relative to the run folder
    now: bool = False


@dataclass
class RunLog:
    """`update` reads what was added to `events.jsonl`; a file that became shorter is read anew."""

    path: Path
    position: int = 0
    started: events.RunStarted | None = None
    began: float | None = None  # seconds since 1970, of the first event at all
    step: int = 0
    epoch: int = 0
    last_step_time: float | None = None
    points: list[Point] = field(default_factory=list[Point])
    stage: events.Stage | None = None  # what goes on beside the steps; None while they go on
    notes: deque[str] = field(default_factory=lambda: deque[str](maxlen=MOST_NOTES))
    samples: dict[tuple[int, int], Shown] = field(default_factory=dict[tuple[int, int], Shown])  # by epoch and prompt
    now_samples: dict[tuple[int, int], Shown] = field(default_factory=dict[tuple[int, int], Shown])  # by step, prompt
    checkpoints: dict[int, str] = field(default_factory=dict[int, str])
    probes: dict[int, events.ProbesMeasured] = field(default_factory=dict[int, events.ProbesMeasured])
    verdict: events.VerdictGiven | None = None
    ended: events.RunFinished | events.RunStopped | None = None
    skipped: int = 0
    memory_bytes: int = 0
    speeds: deque[float] = field(default_factory=lambda: deque[float](maxlen=RECENT))  # images a second
    pauses: list[float] = field(default_factory=list[float])  # seconds between the last step of an epoch and the next
    started_steps: float | None = None  # when the first step of this start ended
    _stride: int = 1
    _seen: int = 0
    _mean: float = 0.0
    _weight: float = 0.0
    _identity: int = 0

    def update(self) -> bool:
        """Read what is new; returns whether there was anything."""
        try:
            found = self.path.stat()
        except OSError:
            return False
        if found.st_size < self.position or (self._identity and found.st_ino != self._identity):
            self.__dict__.update(vars(RunLog(self.path)))
        self._identity = found.st_ino
        if found.st_size == self.position:
            return False
        for event, end in read_from(self.path, self.position):
            self.position = end
            if event is not None:
                self._take(event)
        return True

    @property
    def seconds_per_step(self) -> float | None:
        """Mean over this start, with the pauses for pictures; None before it can be told."""
        if self.started is None or self.last_step_time is None or self.started_steps is None:
            return None
        done = self.step - self.started.resumed_at - 1
        return (self.last_step_time - self.started_steps) / done if done > 0 else None

    @property
    def images_per_second(self) -> float | None:
        return statistics.median(self.speeds) if self.speeds else None

    def eta(self) -> float | None:
        """Seconds to the end, from the last step on; None where it cannot be told."""
        each = self.seconds_per_step
        return None if each is None or self.started is None else max(0, self.started.steps - self.step) * each

    def _take(self, event: Event) -> None:
        self.began = self.began or event.time
        match event:
            case events.RunStarted():
                self.started, self.ended, self.stage = event, None, None
                self.started_steps = self.last_step_time = None
                self.step = event.resumed_at  # steps after it are taken again: the last of each counts
                self.points = [p for p in self.points if p.step <= event.resumed_at]
            case events.StepDone():
                self._step(event)
            case events.UpdateSkipped():
                self.skipped += 1
                self.step = event.step
            case events.Stage():
                self.stage = event
            case events.Note():
                self.notes.append(event.message)
            case events.SampleSaved():
                self.samples[event.epoch, event.prompt_index] = Shown(
                    event.epoch, event.step, event.prompt_index, event.prompt, event.seed, event.path)  # fmt: skip
            case events.SampleNow():
                self.now_samples[event.step, event.prompt_index] = Shown(
                    event.epoch, event.step, event.prompt_index, event.prompt, event.seed, event.path, now=True
                )
            case events.CheckpointSaved():
                self.checkpoints[event.epoch] = event.path
            case events.ProbesMeasured():
                self.probes[event.epoch] = event
            case events.VerdictGiven():
                self.verdict = event
            case events.RunFinished() | events.RunStopped():
                self.ended, self.stage = event, None
            case _:
                pass

    def _step(self, event: events.StepDone) -> None:
        if self.last_step_time is not None and event.epoch > self.epoch:
            self.pauses.append(event.time - self.last_step_time)
        self.step, self.epoch, self.last_step_time, self.stage = event.step, event.epoch, event.time, None
        self.started_steps = self.started_steps or event.time
        self.memory_bytes = max(self.memory_bytes, event.memory_bytes)
        if event.images_per_second > 0:
            self.speeds.append(event.images_per_second)
        if not math.isfinite(event.loss):
            return
        self._mean = SMOOTHING * self._mean + (1 - SMOOTHING) * event.loss
        self._weight = SMOOTHING * self._weight + (1 - SMOOTHING)
        self._seen += 1
        if self._seen % self._stride == 0 or self._seen == 1:
            self.points.append(Point(event.step, event.epoch, event.loss, self._mean / self._weight))
        if len(self.points) > MOST_POINTS:
            self.points = self.points[::2]
            self._stride *= 2


def read_from(path: Path, position: int) -> Iterator[tuple[Event | None, int]]:
    """The whole lines from byte `position` on: each event (None for what this version does not know) and where its line
    ends."""
    with path.open("rb") as f:
        f.seek(position)
        for line in f:
            if not line.endswith(b"\n"):
                return
            position += len(line)
            yield decode(line.decode(errors="replace")), position
