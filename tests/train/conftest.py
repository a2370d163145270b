from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from torch import Tensor

from likeness.events import Event
from likeness.families import Family
from likeness.train.cache import Cache
from likeness.train.loader import Item
from likeness.train.loop import Job, train
from likeness.worker.training import read_job


@dataclass
class Trained:
    """What a call of the training loop left: its events, and the weights it would have published by epoch."""

    events: list[Event]
    published: dict[int, dict[str, Tensor]]


Train = Callable[..., Trained]


@pytest.fixture
def run_loop() -> Train:
    """Runs the loop alone over a run folder: no pictures, no probes, no report. `stop_after` counts steps of this
    call."""

    def run(folder: Path, stop_after: int | None = None) -> Trained:
        left = Trained([], {})

        class Collect:
            def __init__(self, job: Job, family: Family, items: Sequence[Item], cache: Cache):
                pass

            def __call__(self, epoch: int, step: int, weights: dict[str, Tensor]) -> Generator[Event]:
                left.published[epoch] = {name: w.clone() for name, w in weights.items()}
                yield from ()

            def between(self, epoch: int, step: int, weights: object) -> Generator[Event]:
                yield from ()

        def stop() -> bool:
            return (
                stop_after is not None and sum(e.kind in ("step", "update_skipped") for e in left.events) >= stop_after
            )

        for event in train(read_job(folder), stop, Collect):
            left.events.append(event)
        return left

    return run
