"""Where jobs run: five verbs that the supervisor needs of a place, and this machine as one.

Another place (a cluster, say) gets the job's folder there at `submit`, brings events here as they come and all else at
`fetch`: whoever shows a job reads its folder on this machine, wherever it ran.

On this machine, whether a worker lives is told by a lock on `jobs/ID/lock`, which it inherits and the kernel frees when
the last of its processes is gone: there is no pid to mistake, and a worker that outlived a server is found again. What
became of it is in `jobs/ID/outcome.json`, which it writes itself; where that is missing, it was killed.
"""

import fcntl
import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from likeness.service.workers import RESULT_NAME, Process, is_held, last_words, spawn
from likeness.store.tables import Job

LOCK, PID, OUTCOME = "lock", "pid", "outcome.json"
JOB_FOLDER = "LIKENESS_JOB"  # environment variable: where the worker writes pid and outcome


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


class LocalLauncher:
    """Processes of this machine. `jobs` is the folder of all jobs' own folders."""

    def __init__(self, jobs: Path):
        self.jobs = jobs
        self._children: dict[str, Process] = {}  # by job; only those that were started here

    def submit(self, job: Job) -> None:
        place = self.jobs / job.id
        place.mkdir(parents=True, exist_ok=True)
        for name in (OUTCOME, PID):
            (place / name).unlink(missing_ok=True)
        environment = {JOB_FOLDER: str(place)}
        if job.device and job.device.startswith("cuda:"):
            environment["CUDA_VISIBLE_DEVICES"] = job.device.removeprefix("cuda:")
        with (place / LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the worker holds it on, until its last process is gone
            self._children[job.id] = spawn(job.verb, Path(job.folder), environment, [lock.fileno()])

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


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found: Any = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
