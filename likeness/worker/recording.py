"""What a training tells, written into its run folder until it ends, however it does."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from safetensors import SafetensorError

from likeness import events
from likeness.errors import LAST_WORDS, LikenessError, RunFailed
from likeness.train.resume import read_state


def record(folder: Path, told: Iterable[events.Event], heard: Callable[[events.Event], None]) -> int:
    """Write events into the run's log, and let `heard` know of each; returns the worker's exit code.

    An error ends the run with its words in log and events, the state being that of the last time it was saved.
    """
    log = events.EventLog(folder / "events.jsonl")
    last: events.Event | None = None
    try:
        for last in told:
            log.write(last)
            heard(last)
    except (OSError, SafetensorError) as e:  # safetensors has its own error for a full disk
        reason = (isinstance(e, OSError) and e.strerror) or e
        place = (isinstance(e, OSError) and e.filename) or folder
        return _fail(folder, log, RunFailed(f"{place}: {reason}. What was saved is whole; free space, then --resume"))
    except LikenessError as e:
        return _fail(folder, log, e)
    if not isinstance(last, events.RunStopped):
        return 0
    _say(f"{last.message}. Go on with --resume")
    return 130


def _fail(folder: Path, log: events.EventLog, error: LikenessError) -> int:
    _say(str(error))
    state = read_state(folder / "state")
    with suppress(OSError):  # a full disk cannot take the event either; the exit code tells
        log.write(events.RunStopped(step=state.step if state else 0, why="failed", message=str(error)))
    return error.exit_code


def _say(words: str) -> None:
    """To the log, if it can take them."""
    with suppress(OSError):
        print(f"{LAST_WORDS}{words}", flush=True)
