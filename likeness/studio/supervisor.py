"""Runs the queue: one job for each device, started, watched and settled through a launcher (see `launching`)."""

import fcntl
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from likeness.errors import InputError, Interrupted
from likeness.service import workers
from likeness.store.tables import Job
from likeness.studio import preferences, queue
from likeness.studio.launching import Ended, Launcher, LocalLauncher
from likeness.studio.workspace import Studio

MOST_ATTEMPTS = 3  # after which a job whose process is killed again and again is given up
TICK_SECONDS = 0.25

# What is done when a job of a verb has finished, with what it left in result.json; may return what to keep with it.
Ending = Callable[[Studio, Job, dict[str, Any]], dict[str, Any] | None]
Listener = Callable[[Studio, Job], None]


class Supervisor:
    """`devices`: where jobs go, unless the settings name others; may be changed at any time. `endings` by verb;
    `listeners` are told of each job that ended, after all else. `launcher`: where jobs run; None for this machine.
    Raises InputError where another process runs the queue of this workspace."""

    def __init__(
        self,
        studio: Studio,
        devices: Sequence[str],
        endings: dict[str, Ending] | None = None,
        listeners: Sequence[Listener] = (),
        launcher: Launcher | None = None,
    ):
        self.studio, self.devices = studio, list(devices)
        self.endings, self.listeners = endings or {}, list(listeners)
        self.launcher = launcher or LocalLauncher(studio.jobs, self._stay_seconds)
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
        workers.keep_ready()
        self._thread.start()

    def stop(self) -> None:
        """Look after the queue no longer. Workers go on."""
        self._stop.set()
        self.studio.woken.set()
        if self._thread.is_alive():
            self._thread.join()
        self.launcher.rest()
        self._lock.close()

    def _stay_seconds(self) -> float:
        return 60 * preferences.get(self.studio, preferences.Queue).keep_base_minutes

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
            if (ended := self.launcher.state(job)) is not None:
                self._settle(job, ended)
                continue
            self.launcher.events(job)
            if job.stops_asked > job.stops_sent and self.launcher.stop(job):
                queue.change(self.studio, job.id, stops_sent=Job.stops_sent + 1)
        running = queue.listed(self.studio, states=["running"])
        busy = {job.device for job in running if not job.light}
        asked = preferences.get(self.studio, preferences.Queue)
        if not asked.keep_base_minutes:
            self.launcher.rest()
        for device in asked.devices or self.devices:
            if device not in busy and (job := queue.claim(self.studio, device, light=False)):
                self._start(job)
        for _ in range(asked.light_jobs - sum(job.light for job in running)):
            if job := queue.claim(self.studio, "", light=True):
                self._start(job)

    def _start(self, job: Job) -> None:
        try:
            self.launcher.submit(job)
        except OSError as e:
            queue.change(self.studio, job.id, state="failed", error=f"could not be started: {e}", ended=time.time())

    def _settle(self, job: Job, ended: Ended) -> None:
        """Its process is gone: write down what became of it."""
        values: dict[str, Any] = {"device": None, "stopping": None}
        if ended.code is None and job.stopping is None and job.attempts < MOST_ATTEMPTS:
            queue.change(self.studio, job.id, state="queued", **values)
            return
        values["ended"] = time.time()
        result = self.launcher.fetch(job)
        if ended.code == 0:
            values |= self._finish(job, result)
        elif job.stopping:
            values["state"] = job.stopping
        elif ended.code == Interrupted.exit_code:  # asked by somebody else, such as a shutdown of the machine
            values["state"] = "paused"
        else:
            words = ended.words or "was killed, and nobody knows why; was there memory enough?"
            values |= {"state": "failed", "error": words, "result": result or None}
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
