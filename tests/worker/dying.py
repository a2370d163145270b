"""Worker processes that meet their end at a chosen moment.

They are forked from a server that has imported everything and computed nothing: a fresh process in milliseconds.
"""

import multiprocessing
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from likeness import durable
from likeness.worker.__main__ import main
from likeness.worker.forker import MODULES

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(list(MODULES))


class Moments:
    """Counts the moments at which a kill could hurt: within each durable write, before and after its rename, and
    within each appended line. At moment number `last` (from 0) it calls `end`."""

    def __init__(self, last: int | None, end: Callable[[], None]):
        self.last, self.end, self.names = last, end, list[str]()
        self.plain_write, self.plain_append, self.plain_replace = durable.write_with, durable.append_line, os.replace

    def install(self) -> None:
        durable.write_with, durable.append_line, os.replace = self.write_with, self.append_line, self.replace

    def remove(self) -> None:
        durable.write_with, durable.append_line = self.plain_write, self.plain_append
        os.replace = self.plain_replace

    def passes(self, name: str) -> bool:
        """Whether life goes on after this moment."""
        self.names.append(name)
        return len(self.names) - 1 != self.last

    def write_with(self, path: Path, write: Callable[[Path], object]) -> None:
        def write_half(partial: Path) -> None:
            write(partial)
            if not self.passes(f"in {path.parent.name}/{path.name}"):
                os.truncate(partial, partial.stat().st_size // 2)
                self.end()

        self.plain_write(path, write_half)

    def replace(self, source: str, target: str) -> None:
        path = Path(target)
        if not self.passes(f"before {path.parent.name}/{path.name}"):
            self.end()
        self.plain_replace(source, target)
        if not self.passes(f"after {path.parent.name}/{path.name}"):
            self.end()

    def append_line(self, path: Path, line: str) -> None:
        if not self.passes(f"line of {path.name}"):
            with path.open("a") as f:
                f.write(line[: len(line) // 2])
            self.end()
        self.plain_append(path, line)


def work(folder: Path, job: str = "train", *, kill_at: int | None = None, largest_file: int | None = None) -> int:
    """The worker's own entry in a process of its own; returns its exit code, negative for the signal that ended it."""
    process = start(folder, job, kill_at=kill_at, largest_file=largest_file)
    process.join(120)
    assert process.exitcode is not None, "the worker hangs"
    return process.exitcode


def start(
    folder: Path, job: str = "train", *, kill_at: int | None = None, largest_file: int | None = None
) -> multiprocessing.process.BaseProcess:
    process = _SERVER.Process(target=_live, args=(folder, job, kill_at, largest_file))
    process.start()
    return process


def _live(folder: Path, job: str, kill_at: int | None, largest_file: int | None) -> None:
    log = os.open(folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if kill_at is not None:
        Moments(kill_at, lambda: os.kill(os.getpid(), signal.SIGKILL)).install()
    if largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, resource.RLIM_INFINITY))
    sys.exit(main([job, str(folder)]))
