"""Starts workers without the seconds that their imports take: it has imported what they need, and forks.

    python -m likeness.worker.forker SOCKET

Orders come through the socket of that file descriptor, from `likeness.service.forking`: JSON of a worker's arguments,
environment and place, and the names of variables that tell it what it holds open, with the file descriptors of a pipe,
of its log, and of what has those names. Into the pipe goes a line with the new process's id and, when it has ended, one
with how. It ends when the other end of the socket is closed, and leaves its workers alone. A GPU's driver does not bear
being forked: not to be used where there is one.
"""

import atexit
import gc
import importlib
import json
import os
import selectors
import socket
import sys
from contextlib import suppress
from typing import Any

from likeness.worker import prepare
from likeness.worker.__main__ import JOBS, main
from likeness.worker.signals import PARENT
from likeness.worker.staying import take_up

# One at a time, in this order: what comes meanwhile waits for one of them, not for all. The starter's family is the one
# of machines without a GPU.
MODULES = (
    *("torch", "transformers", "diffusers", "peft"),
    *(f"likeness.worker.{module}" for module in JOBS.values()),
    *("likeness.families.flux2", "diffusers.loaders.peft"),
)
MOST_BYTES, MOST_FILES = 1 << 20, 16


def serve(orders: socket.socket) -> list[str]:
    """Returns in each worker, with its arguments; in the forker itself when it shall end, with none."""
    missing = list(MODULES)
    running: dict[int, tuple[int, int]] = {}  # what tells of its end: its id, and the pipe
    selector = selectors.PollSelector()
    selector.register(orders, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select(0 if missing else None):
            if key.fileobj is not orders:
                selector.unregister(key.fd)
                _tell_end(key.fd, *running.pop(key.fd))
                continue
            data, files, _, _ = socket.recv_fds(orders, MOST_BYTES, MOST_FILES)
            if not data:
                return []
            pipe, log, *held = files
            worker = os.fork()
            if worker == 0:
                for end, (_, other) in running.items():
                    os.close(end)
                    os.close(other)
                orders.close()
                os.close(pipe)
                order = json.loads(data)
                return _become(order, log, dict(zip(order["held"], held, strict=True)))
            for file in (log, *held):
                os.close(file)
            _tell(pipe, worker)
            end = os.pidfd_open(worker)
            running[end] = worker, pipe
            selector.register(end, selectors.EVENT_READ)
        if missing:
            with suppress(Exception):  # the worker that needs it meets the same, and says so
                importlib.import_module(missing.pop(0))
            if not missing:
                gc.collect()
                gc.freeze()  # so that workers share the memory on


def _tell_end(end: int, worker: int, pipe: int) -> None:
    _tell(pipe, os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]))
    os.close(pipe)
    os.close(end)


def _tell(pipe: int, number: int) -> None:
    with suppress(BrokenPipeError):  # nobody asks any more
        os.write(pipe, b"%d\n" % number)


def _become(order: dict[str, Any], log: int, held: dict[str, int]) -> list[str]:
    """Make of the forked process what a started one would be."""
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    arguments = take_up(order, log, held)
    if PARENT in os.environ:  # the forker ends with that one
        os.environ[PARENT] = str(os.getppid())
    return arguments


def run(orders: socket.socket) -> int:
    prepare()
    arguments = serve(orders)
    if not arguments:
        return 0
    code = main(arguments)
    atexit._run_exitfuncs()  # pyright: ignore[reportPrivateUsage]
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # to take all modules apart would copy the memory that was shared, which takes half a second


if __name__ == "__main__":
    sys.exit(run(socket.socket(fileno=int(sys.argv[1]))))
