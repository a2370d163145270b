"""What a run tells the world: frozen dataclasses, one JSON line each in `events.jsonl`.

After a resume, steps since the last saved state appear twice in the file: readers keep the last value per step.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar

from likeness import durable

SAMPLE_NOW = "sample-now"  # file in the run folder: whoever writes it asks for test pictures at the next step


@dataclass(frozen=True, kw_only=True)
class Event:
    kind: ClassVar[str] = "event"
    time: float = field(default_factory=time.time)  # seconds since 1970


@dataclass(frozen=True, kw_only=True)
class RunStarted(Event):
    kind = "run_started"
    name: str
    steps: int
    epochs: int
    images: int
    device: str
    precision: str
    resumed_at: int = 0  # step; 0 for a fresh start
    noun: str = "pictures"  # what `images` counts


@dataclass(frozen=True, kw_only=True)
class Stage(Event):
    """Work before or between steps, for progress bars: 'downloading' and 'fetching' (in bytes), 'loading',
    'captioning', 'encoding', 'sampling', 'measuring'."""

    kind = "stage"
    name: str
    done: int = 0
    total: int = 0


STAGE_WORDS = {
    "downloading": "fetching the base",
    "fetching": "fetching the model",
    "loading": "loading the base",
    "captioning": "writing captions",
    "enhancing": "enlarging pictures",
    "encoding": "encoding pictures",
    "sampling": "sampling",
    "measuring": "measuring",
    "asking": "asking the language model",
    "transcribing": "writing down what is said",
    "cloning": "learning the voice",
    "speaking": "speaking",
}
IN_BYTES = ("downloading", "fetching")  # the stages that count bytes


@dataclass(frozen=True, kw_only=True)
class Note(Event):
    """Something about this run that should be known."""

    kind = "note"
    message: str


@dataclass(frozen=True, kw_only=True)
class StepDone(Event):
    kind = "step"
    step: int
    epoch: int  # from 1
    loss: float
    learning_rate: float
    gradient_norm: float
    images_per_second: float
    memory_bytes: int


@dataclass(frozen=True, kw_only=True)
class UpdateSkipped(Event):
    kind = "update_skipped"
    step: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class ProbesMeasured(Event):
    """Loss at fixed (timestep, noise) probes: mean over images and probes; epoch 0 is the untrained base.

    `per_image` rows are (image id, mean loss over its probes).
    """

    kind = "probes"
    epoch: int
    step: int
    train_loss: float
    held_out_loss: float | None
    per_image: list[tuple[str, float]]
    per_probe: dict[str, list[float]] = field(default_factory=dict[str, list[float]])  # held out, from clean to noise


@dataclass(frozen=True, kw_only=True)
class EpochMeasured(Event):
    """What the scorecard measured of an epoch's pictures. Epoch 0 is the untrained base. The measures are described
    in docs/explanation/scorecard.md."""

    kind = "measured"
    epoch: int
    step: int
    encoder: str  # that pictures were compared by; empty where there was none
    pictures: dict[str, dict[str, float]]  # by measure, then by picture, such as `prompt-1-seed-42`
    whole: dict[str, float]  # measures of all pictures together


@dataclass(frozen=True, kw_only=True)
class VerdictGiven(Event):
    """What all measures up to an epoch say together. The latest one counts."""

    kind = "verdict"
    epoch: int  # the last that was measured
    verdict: str  # 'underfit', 'sweet spot', 'overfit' or 'cannot tell'
    sentence: str
    suggested: int | None  # epoch to take
    sweet_spot: list[int]  # its first and last epoch; empty where none can be told
    overfit_from: int | None  # epoch
    flags: list[str]  # 'copies', 'monotonous', 'one composition', 'leaks', 'not followed', 'not preserved'
    reasons: list[str]
    advice: list[str]  # what to change next
    rows: list[dict[str, Any]]  # by epoch: each measure as [mean, noise of its change since the base, or null]


@dataclass(frozen=True, kw_only=True)
class SampleSaved(Event):
    kind = "sample"
    epoch: int  # 0 is the untrained base
    step: int
    prompt_index: int  # from 1
    prompt: str
    seed: int
    path: str  # relative to the run folder


@dataclass(frozen=True, kw_only=True)
class SampleNow(Event):
    """A test picture that was asked for between two epochs."""

    kind = "sample_now"
    epoch: int  # that the step belongs to
    step: int
    prompt_index: int  # from 1
    prompt: str
    seed: int
    path: str  # relative to the run folder


@dataclass(frozen=True, kw_only=True)
class CheckpointSaved(Event):
    kind = "checkpoint"
    epoch: int
    step: int
    path: str  # relative to the run folder


@dataclass(frozen=True, kw_only=True)
class RunFinished(Event):
    kind = "run_finished"
    step: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class RunStopped(Event):
    """Interrupted (`why` = 'interrupted') or failed; the state is saved at `step`."""

    kind = "run_stopped"
    step: int
    why: str
    message: str


KINDS: dict[str, type[Event]] = {
    c.kind: c
    for c in (
        RunStarted, Stage, Note, StepDone, UpdateSkipped, ProbesMeasured, EpochMeasured, VerdictGiven, SampleSaved,
        SampleNow, CheckpointSaved, RunFinished, RunStopped,
    )
}  # fmt: skip


def encode(event: Event) -> str:
    return json.dumps({"event": event.kind, **asdict(event)})


def decode(line: str) -> Event | None:
    """The event of one line; None for a kind or a line that this version does not know (half a line, say)."""
    try:
        row: Any = json.loads(line)
    except json.JSONDecodeError:
        return None
    if not isinstance(row, dict):
        return None
    cls = KINDS.get(str(row.pop("event", "")))
    if cls is None:
        return None
    known = {f.name for f in fields(cls)}
    try:
        return cls(**{k: v for k, v in row.items() if k in known})
    except TypeError:
        return None


class EventLog:
    """Appends events to a file. A half line that a killed writer left is closed first."""

    def __init__(self, path: Path):
        self.path = path
        if path.exists() and (data := path.read_bytes()) and not data.endswith(b"\n"):
            durable.append_line(path, "")

    def write(self, event: Event) -> None:
        durable.append_line(self.path, encode(event))


def read_events(path: Path) -> Iterator[Event]:
    """All whole, known events of a file; nothing if it is not there."""
    if not path.exists():
        return
    for line in path.read_text(errors="replace").splitlines():
        if event := decode(line):
            yield event
