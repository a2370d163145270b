"""TensorBoard curves of a run."""

import logging
from pathlib import Path
from typing import Self

from likeness import events


class Curves:
    """Writes scalars from events. After a resume the newer values stand for the repeated steps."""

    def __init__(self, folder: Path):
        logging.getLogger("tensorboardX").setLevel(logging.ERROR)
        from tensorboardX import SummaryWriter

        self._writer = SummaryWriter(str(folder))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def add(self, event: events.Event) -> None:
        write = self._writer.add_scalar
        if isinstance(event, events.StepDone):
            write("train/loss", event.loss, event.step)
            write("train/learning_rate", event.learning_rate, event.step)
            write("train/gradient_norm", event.gradient_norm, event.step)
            write("speed/images_per_second", event.images_per_second, event.step)
        elif isinstance(event, events.ProbesMeasured):
            write("probes/training", event.train_loss, event.step)
            if event.held_out_loss is not None:
                write("probes/held_out", event.held_out_loss, event.step)
