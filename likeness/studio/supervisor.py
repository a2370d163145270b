"""Runs the queue: one process for each device, watched by locks that outlive this process.

Whether a worker lives is told by a lock on `jobs/ID/lock`, which it inherits and the kernel frees when the last of its
processes is gone: there is no pid to mistake, and a worker that outlived a server is found again. What became of it
is in `jobs/ID/outcome.json`, which it writes itself; where that is missing, it was killed.
"""

import fcntl
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from likeness.errors import InputError, Interrupted
from likeness.service.workers import RESULT_NAME, last_words, spawn
from likeness.store.tables import Job
from likeness.studio import preferences, queue
from likeness.studio.workspace import Studio

MOST_ATTEMPTS = 3  # after which a job whose process is killed again and again is given up
TICK_SECONDS = 0.25
LOCK, PID, OUTCOME = "lock", "pid", "outcome.json"
JOB_FOLDER = "LIKENESS_JOB"  # environment variable: where the worker writes pid and outcome

# What is done when a job of a verb has finished, with what it left in result.json; may return what to keep with it.
Ending = Callable[[Studio, Job, dict[str, Any]], dict[str, Any] | None]
Listener = Callable[[Studio, Job], None]


class Supervisor:
    """`devices`: where jobs go, unless the settings name others; may be changed at any time. `endings` by verb;
    `listeners` are told of each job that ended, after all else. Raises InputError where another process runs the queue
    of this workspace."""

    def __init__(
        self,
        studio: Studio,
        devices: Sequence[str],
        endings: dict[str, Ending] | None = None,
        listeners: Sequence[Listener] = (),
    ):
        self.studio, self.devices = studio, list(devices)
        self.endings, self.listeners = endings or {}, list(listeners)
        self._children: dict[str, subprocess.Popen[bytes]] = {}  # by job; only those that were started here
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="supervisor", daemon=True)
        self._lock = (studio.root / "supervisor.lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as e:
            self._lock.close()
            raise InputError(
                f"{studio.workspace}: another `likeness serve` has this workspace. Fix: use that one, stop it, or "
                "choose another --workspace"
            ) from e

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Look after the queue no longer. Workers go on."""
        self._stop.set()
        self.studio.woken.set()
        if self._thread.is_alive():
            self._thread.join()
        self._lock.close()

    def _work(self) -> None:
        while not self._stop.is_set():
            self.studio.woken.clear()
            try:
                self.tick()
            except Exception as e:  # a full disk, say: the queue stands still, the server does not
                print(f"queue: {type(e).__name__}: {e}", flush=True)
                time.sleep(1)
            self.studio.woken.wait(TICK_SECONDS)

    def tick(self) -> None:
        """See who has ended, and start who is next."""
        for job in queue.listed(self.studio, states=["running"]):
            if not self._alive(job):
                self._settle(job)
            elif job.stops_asked > job.stops_sent:
                self._interrupt(job)
        running = queue.listed(self.studio, states=["running"])
        busy = {job.device for job in running if not job.light}
        asked = preferences.get(self.studio, preferences.Queue)
        for device in asked.devices or self.devices:
            if device not in busy and (job := queue.claim(self.studio, device, light=False)):
                self._start(job)
        for _ in range(asked.light_jobs - sum(job.light for job in running)):
            if job := queue.claim(self.studio, "", light=True):
                self._start(job)

    def _start(self, job: Job) -> None:
        place = self.studio.jobs / job.id
        place.mkdir(parents=True, exist_ok=True)
        for name in (OUTCOME, PID):
            (place / name).unlink(missing_ok=True)
        environment = {JOB_FOLDER: str(place)}
        if job.device and job.device.startswith("cuda:"):
            environment["CUDA_VISIBLE_DEVICES"] = job.device.removeprefix("cuda:")
        with (place / LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the worker holds it on, until its last process is gone
            try:
                self._children[job.id] = spawn(job.verb, Path(job.folder), environment, [lock.fileno()])
            except OSError as e:
                queue.change(self.studio, job.id, state="failed", error=f"could not be started: {e}", ended=time.time())

    def _alive(self, job: Job) -> bool:
        if child := self._children.get(job.id):
            child.poll()  # or it would stay a zombie
        return is_held(self.studio.jobs / job.id / LOCK)

    def _interrupt(self, job: Job) -> None:
        """Ask the worker to save and end. It writes its pid itself, once it listens to signals."""
        try:
            os.kill(int((self.studio.jobs / job.id / PID).read_text()), signal.SIGINT)
        except (OSError, ValueError):
            return  # not up yet, or gone just now: the next tick sees
        queue.change(self.studio, job.id, stops_sent=Job.stops_sent + 1)

    def _settle(self, job: Job) -> None:
        """Its process is gone: write down what became of it."""
        self._children.pop(job.id, None)
        place, folder = self.studio.jobs / job.id, Path(job.folder)
        outcome = _read(place / OUTCOME)
        values: dict[str, Any] = {"device": None, "stopping": None}
        if outcome is None and job.stopping is None and job.attempts < MOST_ATTEMPTS:
            queue.change(self.studio, job.id, state="queued", **values)
            return
        values["ended"] = time.time()
        code = outcome["code"] if outcome else None
        words = str(outcome.get("words", "")) if outcome else ""
        if code == 0:
            values |= self._finish(job, _read(folder / RESULT_NAME) or {})
        elif job.stopping:
            values["state"] = job.stopping
        elif code == Interrupted.exit_code:  # asked by somebody else, such as a shutdown of the machine
            values["state"] = "paused"
        else:
            words = words or last_words(folder) or "was killed, and nobody knows why; was there memory enough?"
            values |= {"state": "failed", "error": words, "result": _read(folder / RESULT_NAME)}
        queue.change(self.studio, job.id, **values)
        for listener in self.listeners:
            try:
                listener(self.studio, queue.get(self.studio, job.id))
            except Exception as e:
                print(f"queue: told nobody of {job.title}: {type(e).__name__}: {e}", flush=True)

    def _finish(self, job: Job, result: dict[str, Any]) -> dict[str, Any]:
        """The end of a job that did its work: it has failed all the same where that cannot be put away."""
        ending = self.endings.get(job.verb)
        try:
            more = ending(self.studio, job, result) if ending else None
        except Exception as e:
            return {"state": "failed", "error": f"{type(e).__name__}: {e}", "result": result}
        return {"state": "finished", "result": result | (more or {})}


def is_held(lock: Path) -> bool:
    """Whether any process holds the lock."""
    try:
        with lock.open() as f:
            fcntl.flock(f, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found: Any = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
