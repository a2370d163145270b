"""How a training ends: done, or stopped as it was asked to."""

import time
from collections.abc import Generator, Iterator

from likeness import events


class StopAsked(Exception):
    """Ends a training from any depth, once all that is worth keeping is on disk."""

    def __init__(self, step: int):
        super().__init__(step)
        self.step = step


def told_to_the_end(work: Generator[events.Event, None, int]) -> Iterator[events.Event]:
    """The events of `work`, which returns the last step or raises StopAsked, then how it ended."""
    began = time.monotonic()
    try:
        step = yield from work
    except StopAsked as e:
        yield events.RunStopped(
            step=e.step, why="interrupted", message=f"stopped as asked at step {e.step}; the state is saved"
        )
    else:
        yield events.RunFinished(step=step, seconds=time.monotonic() - began)
