"""Where jobs run: six verbs that the supervisor needs of a place, and this machine as one.

Another place (a cluster, say) gets the job's folder there at `submit`, brings events here as they come and all else at
`fetch`: whoever shows a job reads its folder on this machine, wherever it ran.

On this machine, whether a worker is at a job is told by a lock on `jobs/ID/lock`, which it inherits, and frees when it
has done it; the kernel does so when the last of its processes is gone. There is no pid to mistake, and a worker that
outlived a server is found again. What became of the job is in `jobs/ID/outcome.json`, which the worker writes itself;
where that is missing, it was killed.

A worker that has drawn pictures may stay for a while with the base that it has loaded, and draw the next ones. It is
gone before anything else is started on its device, and ends with the process that started it.
"""

import fcntl
import json
import os
import signal
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from likeness.service.forking import order_of
from likeness.service.workers import LOG_NAME, RESULT_NAME, Process, environment_of, is_held, last_words, spawn
from likeness.store.tables import Job

LOCK, PID, OUTCOME = "lock", "pid", "outcome.json"
# Variables of a worker's environment: where it writes pid and outcome; the job's lock, to be freed at its end; how many
# seconds it waits for another job, and the socket that this comes through (`likeness.worker.staying`).
JOB_FOLDER, HELD_LOCK, STAY, NEXT = "LIKENESS_JOB", "LIKENESS_LOCK", "LIKENESS_STAY", "LIKENESS_NEXT"
DRAWING = ("sample", "draw", "evaluate")  # verbs whose worker may stay
ANSWER_SECONDS = 10  # for a worker that stayed to take a job, or to be gone


@dataclass(frozen=True)
class Ended:
    """How a job's process ended: with an exit code and its last words, or killed (`code` None)."""

    code: int | None
    words: str = ""


class Launcher(Protocol):
    """A place where jobs run. A job is known there by its id, also to a supervisor that comes later."""

    def submit(self, job: Job) -> None:
        """Start the job on its device. Raises OSError where that is not possible."""
        ...

    def state(self, job: Job) -> Ended | None:
        """How it ended; None while it lives."""
        ...

    def events(self, job: Job) -> None:
        """Bring what it told since the last time into `events.jsonl` of its folder here. Called while it lives."""
        ...

    def fetch(self, job: Job) -> dict[str, Any]:
        """Bring all it left into its folder here; what it left in `result.json`, if anything."""
        ...

    def stop(self, job: Job) -> bool:
        """Ask it to save and end; whether it was there to be asked. Asked a second time, it ends at once."""
        ...

    def rest(self) -> None:
        """Whoever waits for another job shall wait no longer. Jobs that run go on."""
        ...


class _Stayed:
    """A worker that may take another job when it has done its own."""

    def __init__(self, process: Process, orders: socket.socket):
        self.process, self._orders = process, orders

    def take(self, verb: str, folder: Path, told: Mapping[str, str], lock: int) -> bool:
        """Give it a job. False where it is gone, or cannot answer: then it must be let go."""
        order = json.dumps(order_of([verb, str(folder)], environment_of(told))).encode() + b"\n"
        try:
            self._orders.settimeout(ANSWER_SECONDS)
            with (folder / LOG_NAME).open("ab") as log:
                sent = socket.send_fds(self._orders, [order], [log.fileno(), lock])
            self._orders.sendall(order[sent:])
            return bool(self._orders.recv(1))
        except OSError:
            return False

    def forget(self) -> None:
        """It ends when it has done its job, if any."""
        self._orders.close()

    def let_go(self) -> None:
        """Returns when it is gone, and what it held of the device is free."""
        self._orders.close()
        end = time.monotonic() + ANSWER_SECONDS
        while self.process.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


class LocalLauncher:
    """Processes of this machine. `jobs` is the folder of all jobs' own folders; `stay` tells how many seconds a worker
    waits with a loaded base."""

    def __init__(self, jobs: Path, stay: Callable[[], float] = lambda: 0):
        self.jobs, self._stay = jobs, stay
        self._children: dict[str, Process] = {}  # by job; only those that were started here
        self._stayed: dict[str, _Stayed] = {}  # by device

    def submit(self, job: Job) -> None:
        place = self.jobs / job.id
        place.mkdir(parents=True, exist_ok=True)
        for name in (OUTCOME, PID):
            (place / name).unlink(missing_ok=True)
        told = {JOB_FOLDER: str(place)}
        if job.device and job.device.startswith("cuda:"):
            told["CUDA_VISIBLE_DEVICES"] = job.device.removeprefix("cuda:")
        seconds = self._stay() if job.device and job.verb in DRAWING else 0
        with (place / LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the worker holds it on
            if seconds:
                self._children[job.id] = self._drawer(job, told | {STAY: str(seconds)}, lock.fileno())
            else:
                self._let_go(job.device)
                self._children[job.id] = spawn(job.verb, Path(job.folder), told, {HELD_LOCK: lock.fileno()})

    def _drawer(self, job: Job, told: Mapping[str, str], lock: int) -> Process:
        """The worker that stayed on the job's device, or a new one that may stay there."""
        folder, device = Path(job.folder), str(job.device)
        if (there := self._stayed.get(device)) and there.take(job.verb, folder, told, lock):
            return there.process
        self._let_go(device)
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = spawn(job.verb, folder, told, {HELD_LOCK: lock, NEXT: theirs.fileno()})
            except OSError:
                ours.close()
                raise
        self._stayed[device] = _Stayed(process, ours)
        return process

    def _let_go(self, device: str | None) -> None:
        if device and (there := self._stayed.pop(device, None)):
            there.let_go()

    def state(self, job: Job) -> Ended | None:
        if child := self._children.get(job.id):
            child.poll()  # or it would stay a zombie
        if is_held(self.jobs / job.id / LOCK):
            return None
        self._children.pop(job.id, None)
        outcome = _read(self.jobs / job.id / OUTCOME)
        if outcome is None:
            return Ended(None, last_words(Path(job.folder)))
        return Ended(int(outcome["code"]), str(outcome.get("words", "")) or last_words(Path(job.folder)))

    def events(self, job: Job) -> None:
        """They are written here."""

    def fetch(self, job: Job) -> dict[str, Any]:
        return _read(Path(job.folder) / RESULT_NAME) or {}

    def stop(self, job: Job) -> bool:
        """The worker writes its pid itself, once it listens to signals."""
        try:
            os.kill(int((self.jobs / job.id / PID).read_text()), signal.SIGINT)
        except (OSError, ValueError):
            return False  # not up yet, or gone just now
        return True

    def rest(self) -> None:
        for there in self._stayed.values():
            there.forget()
        self._stayed.clear()


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found: Any = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
