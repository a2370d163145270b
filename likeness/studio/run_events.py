"""The events of a run as a stream, which a reader that was cut off takes up again where it was.

An event's id is the byte at which its line in `events.jsonl` ends. Of steps that are past, only so many are told as a
curve has use for, so that who comes late is not kept waiting; a reader has to take the last value of each step anyway.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from likeness.errors import NotFound
from likeness.studio.run_summaries import State, folder_of, summary_of
from likeness.studio.workspace import Studio

POLL_SECONDS = 0.25
STATE_SECONDS = 1.0  # between looks at whether the run goes on
MOST_OLD_STEPS = 500
CLOSE = "close"  # the event after which nothing more comes
GOING: tuple[State, ...] = ("queued", "running")
_STEP_BYTES = 200  # of a step's line, about
_STEP, _STAGE = b'{"event": "step"', b'{"event": "stage"'


@dataclass(frozen=True)
class Told:
    """One message: its id, its kind, and JSON."""

    id: str
    kind: str
    data: str


async def follow(studio: Studio, name: str, after: int = 0) -> AsyncGenerator[Told]:
    """Events after byte `after`, then new ones as they come, then `close` with the run's state once it has ended.

    Raises NotFound, at the first value; so call `folder_of` before the answer begins. A run that is paused or stopped
    has ended, for this.
    """
    path = folder_of(studio, name) / "events.jsonl"
    position = _start(path, after)
    for told, end in _old(path, position):
        position = end
        if told:
            yield told
            await asyncio.sleep(0)  # others get their turn
    since = STATE_SECONDS
    while True:
        state: State | Literal["deleted"] | None = None
        if since >= STATE_SECONDS:
            since, state = 0.0, await asyncio.to_thread(_state, studio, name)
        fresh = False
        for line, end in _lines(path, position):  # all that came before that look at the state, and more
            position, fresh = end, True
            if told := _told(line, end):
                yield told
        if state is not None and state not in GOING and not fresh:
            yield Told(str(position), CLOSE, json.dumps({"state": state}))
            return
        await asyncio.sleep(POLL_SECONDS)
        since += POLL_SECONDS


def _state(studio: Studio, name: str) -> State | Literal["deleted"]:
    try:
        return summary_of(studio, name).state
    except NotFound:
        return "deleted"


def _start(path: Path, after: int) -> int:
    """`after`, where a line ends there; else the beginning, as for a run that was started anew under its name."""
    if after <= 0 or not path.exists() or path.stat().st_size < after:
        return 0
    with path.open("rb") as f:
        f.seek(after - 1)
        return after if f.read(1) == b"\n" else 0


def _old(path: Path, position: int) -> Iterator[tuple[Told | None, int]]:
    """What is in the file now: of steps and stages every so many-th, of the others each; and where each line ends."""
    size = path.stat().st_size if path.exists() else 0
    stride = max(1, (size - position) // (_STEP_BYTES * MOST_OLD_STEPS))
    count = 0
    for line, end in _lines(path, position):
        if end > size:
            return
        often = line.startswith((_STEP, _STAGE))
        count += often
        yield None if often and count % stride else _told(line, end), end


def _lines(path: Path, position: int) -> Iterator[tuple[bytes, int]]:
    """Whole lines from byte `position` on, each with where it ends."""
    try:
        with path.open("rb") as f:
            f.seek(position)
            for line in f:
                if not line.endswith(b"\n"):
                    return
                position += len(line)
                yield line, position
    except FileNotFoundError:
        return


def _told(line: bytes, end: int) -> Told | None:
    try:
        row = json.loads(line, parse_constant=lambda _: None)  # no JSON has a NaN
        return Told(str(end), str(row["event"]), json.dumps(row))
    except (ValueError, KeyError, TypeError):
        return None
