"""TensorBoard curves of a run."""

import time
from pathlib import Path
from typing import Any, Self

from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto import event_pb2
from tensorboardX.summary import scalar

from likeness import events

FLUSH_SECONDS = 10


class Curves:
    """Writes scalars from events. After a resume the newer values stand for the repeated steps.

    Written at once, not through SummaryWriter: its thread dies of a full disk, and the run would wait for it for ever.
    Raises OSError.
    """

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self._writer = EventsWriter(str(folder / "events"))
        self._flushed = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def add(self, event: events.Event) -> None:
        write = self._write
        if isinstance(event, events.StepDone):
            write("train/loss", event.loss, event.step)
            write("train/learning_rate", event.learning_rate, event.step)
            write("train/gradient_norm", event.gradient_norm, event.step)
            write("speed/images_per_second", event.images_per_second, event.step)
        elif isinstance(event, events.ProbesMeasured):
            write("probes/training", event.train_loss, event.step)
            if event.held_out_loss is not None:
                write("probes/held_out", event.held_out_loss, event.step)

    def _write(self, name: str, value: float, step: int) -> None:
        module: Any = event_pb2  # generated code without types
        self._writer.write_event(module.Event(wall_time=time.time(), step=step, summary=scalar(name, value)))
        if time.monotonic() - self._flushed > FLUSH_SECONDS:
            self._writer.flush()
            self._flushed = time.monotonic()
