"""Start a worker process and listen to its events."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from likeness import durable
from likeness.errors import LAST_WORDS, InputError, Interrupted, LikenessError, RunFailed
from likeness.events import Event, decode
from likeness.service import forking

POLL_SECONDS = 0.1
LOG_NAME = "log.txt"
JOB_NAME, RESULT_NAME = "job.json", "result.json"
_ERRORS: dict[int, type[LikenessError]] = {2: InputError, 3: RunFailed, 130: Interrupted}


@dataclass(frozen=True)
class Order:
    """A job that passed its checks: the worker's verb, and what is asked of it. Nothing has been written yet."""

    verb: str
    content: dict[str, Any]

    def write(self, folder: Path) -> Path:
        """Put the order into `folder`, where the worker will look for it."""
        folder.mkdir(parents=True, exist_ok=True)
        durable.write_text(folder / JOB_NAME, json.dumps(self.content, indent=2))
        return folder


def begin(order: Order, folder: Path | None = None) -> "Worker":
    """Start a worker on an order, in `folder` or in a temporary one."""
    folder = folder or Path(tempfile.mkdtemp(prefix=f"likeness-{order.verb}-"))
    return Worker(order.verb, order.write(folder))


class Process(Protocol):
    """A worker's process, as subprocess.Popen tells of one."""

    def poll(self) -> int | None: ...
    def wait(self) -> int: ...
    def send_signal(self, number: int, /) -> None: ...


_forker: forking.Forker | None = None


def keep_ready() -> None:
    """From now on workers of this process start seconds sooner where that is possible: for one that lasts."""
    global _forker
    if _forker is None and forking.possible():
        _forker = forking.Forker()


def environment_of(told: Mapping[str, str]) -> dict[str, str]:
    """A worker's environment: this process's own, and what it is told."""
    return {**os.environ, "PYTHONUNBUFFERED": "1", **told}


def spawn(verb: str, folder: Path, told: Mapping[str, str], held: Mapping[str, int] | None = None) -> Process:
    """The process itself, with what it prints in the folder's log. `told`: variables of its environment; `held`: file
    descriptors that it holds open, by the variables that name them."""
    arguments, environment, held = [verb, str(folder)], environment_of(told), held or {}
    with (folder / LOG_NAME).open("ab") as log:
        if _forker is not None:
            with suppress(OSError):
                return _forker.fork(arguments, environment, log.fileno(), held)
        return subprocess.Popen(
            [sys.executable, "-m", "likeness.worker", *arguments],
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            env=environment | {name: str(file) for name, file in held.items()},
            pass_fds=list(held.values()),
            start_new_session=True,  # Ctrl-C in the terminal reaches us alone; the command line passes it on
        )


class Worker:
    """A running job. Iterate over `events()`; then `check()` raises what went wrong."""

    def __init__(self, verb: str, folder: Path):
        self.folder = folder
        self._events = folder / "events.jsonl"
        self._position = self._events.stat().st_size if self._events.exists() else 0
        self._log_start = (folder / LOG_NAME).stat().st_size if (folder / LOG_NAME).exists() else 0
        self.process = spawn(verb, folder, {"LIKENESS_PARENT": str(os.getpid())})

    def events(self) -> Iterator[Event]:
        """What the worker tells from now on, until it ends."""
        while True:
            ended = self.process.poll() is not None
            yield from self._new_events()
            if ended:
                return
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """Ask the worker to save and end; asked a second time it ends at once."""
        self.process.send_signal(signal.SIGINT)

    def finish(self) -> dict[str, Any]:
        """Wait for the end: what the worker left. A temporary folder stays only where its log says what broke."""
        try:
            self.check()
            result: dict[str, Any] = {}
            if (self.folder / RESULT_NAME).exists():
                result = json.loads((self.folder / RESULT_NAME).read_text())
        except (InputError, Interrupted):
            shutil.rmtree(self.folder)
            raise
        shutil.rmtree(self.folder)
        return result

    def _new_events(self) -> Iterator[Event]:
        if not self._events.exists():
            return
        with self._events.open("rb") as f:
            f.seek(self._position)
            data = f.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._position += len(whole)
        for line in whole.decode(errors="replace").splitlines():
            if event := decode(line):
                yield event

    def check(self) -> None:
        """Wait for the end. Raises InputError, RunFailed or Interrupted with the worker's own words."""
        code = self.process.wait()
        if code == 0:
            return
        words = self.last_words()
        if code < 0:
            words = f"the worker was ended by {signal.Signals(-code).name}" + (f"\n{words}" if words else "")
        words = words or "the worker could not write down why it stopped; is the disk full?"
        if code in _ERRORS:
            raise _ERRORS[code](words)
        raise RunFailed(f"{words}\n(the whole log: {self.folder / LOG_NAME})")

    def last_words(self) -> str:
        """What the worker itself said at its end; failing that, the end of its log."""
        return last_words(self.folder, self._log_start)


def is_held(lock: Path) -> bool:
    """Whether any process holds a lock file, as workers do with that of their run or job for as long as they live."""
    try:
        with lock.open() as f:
            fcntl.flock(f, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # not there, or not to be read
        return False
    return False


def last_words(folder: Path, start: int = 0, lines: int = 15) -> str:
    """What a worker in `folder` said at its end, in the log from byte `start` on; failing that, the log's end."""
    try:
        with (folder / LOG_NAME).open("rb") as f:
            f.seek(start)
            text = f.read().decode(errors="replace")
    except OSError:
        return ""
    _, said, words = f"\n{text}".rpartition(f"\n{LAST_WORDS}")
    if said:
        return words.strip()
    return "\n".join(text.strip().splitlines()[-lines:])
