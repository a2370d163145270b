"""Workers forked from a process that has imported what they need (`likeness.worker.forker`): seconds sooner."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

COMMAND = [sys.executable, "-m", "likeness.worker.forker"]
# A driver of one does not bear being forked.
GPUS = (Path("/dev/nvidiactl"), Path("/dev/kfd"), Path("/dev/dxg"))


def possible() -> bool:
    """On Linux without a GPU."""
    return sys.platform == "linux" and hasattr(os, "pidfd_open") and not any(path.exists() for path in GPUS)


def order_of(arguments: Sequence[str], environment: Mapping[str, str]) -> dict[str, Any]:
    """What a process needs to know to become a worker, as JSON has it; it works where this one does."""
    return {"arguments": list(arguments), "environment": dict(environment), "place": os.getcwd()}


class Forked:
    """A worker, with what subprocess.Popen tells of one."""

    def __init__(self, pipe: int):
        self.returncode: int | None = None
        self._pipe, self._told = pipe, b""
        self._close = weakref.finalize(self, os.close, pipe)

    @property
    def pid(self) -> int:
        """Waits for it."""
        while self._told.count(b"\n") < 1 and self.returncode is None:
            self._read()
        return int(self._told.split(b"\n")[0] or 0)

    def poll(self) -> int | None:
        while self.returncode is None and select.select([self._pipe], [], [], 0)[0]:
            self._read()
        return self.returncode

    def wait(self) -> int:
        while self.returncode is None:
            self._read()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None and self.pid and self.poll() is None:
            os.kill(self.pid, number)

    def _read(self) -> None:
        """Wait for the next word. Without any, the forker was killed, and this one with it for all we know."""
        data = os.read(self._pipe, 100)
        self._told += data
        words = self._told.split(b"\n")
        if not data or len(words) > 2:
            self.returncode = int(words[1]) if data else -signal.SIGKILL
            self._close()


class Forker:
    """The process, started when it is first needed, and again where it was killed. It ends with this one."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._orders: socket.socket | None = None

    def fork(
        self, arguments: Sequence[str], environment: Mapping[str, str], log: int, held: Mapping[str, int]
    ) -> Forked:
        """Start a worker that writes to `log` and holds file descriptors open, which the variables of its environment
        that are named in `held` tell it. Raises OSError."""
        order = {**order_of(arguments, environment), "held": list(held)}
        heard, told = os.pipe()
        worker = Forked(heard)
        try:
            with self._guard:
                if self._process is None or self._process.poll() is not None:
                    self._start()
                assert self._orders is not None
                socket.send_fds(self._orders, [json.dumps(order).encode()], [told, log, *held.values()])
        finally:
            os.close(told)
        return worker

    def close(self) -> None:
        """Let it end; its workers go on."""
        with self._guard:
            if self._orders is not None:
                self._orders.close()
            if self._process is not None:
                self._process.wait()
            self._process = self._orders = None

    def _start(self) -> None:
        if self._orders is not None:
            self._orders.close()
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [*COMMAND, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
