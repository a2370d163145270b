"""How far a job is, from what its worker tells."""

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from likeness.events import IN_BYTES, STAGE_WORDS
from likeness.store.tables import Job
from likeness.studio.run_log import RunLog

MOST_FOLLOWED = 64  # jobs whose events are read on from where they were


@dataclass(frozen=True)
class Progress:
    """`done` of `total` steps, pictures or bytes; total is 0 where nobody knows. `eta` is in seconds."""

    words: str
    done: int = 0
    total: int = 0
    in_bytes: bool = False
    eta: float | None = None


class Follower:
    """Remembers where it was in the events of the jobs that were looked at last. May be shared by threads."""

    def __init__(self) -> None:
        self._logs: OrderedDict[str, RunLog] = OrderedDict()
        self._lock = threading.Lock()

    def progress(self, job: Job) -> Progress:
        with self._lock:
            log = self._logs.pop(job.id, None) or RunLog(Path(job.folder) / "events.jsonl")
            self._logs[job.id] = log
            if len(self._logs) > MOST_FOLLOWED:
                self._logs.popitem(last=False)
            log.update()
            return _of(log, job)


def _of(log: RunLog, job: Job) -> Progress:
    if job.stopping:
        return Progress("saving and stopping", *_steps(log))
    if log.stage and (job.started is None or log.stage.time >= job.started - 1):
        stage = log.stage
        words = STAGE_WORDS.get(stage.name, stage.name)
        eta = None
        if log.started is None and 0 < stage.done < stage.total and job.started is not None:
            eta = (time.time() - job.started) / stage.done * (stage.total - stage.done)
        return Progress(words, stage.done, stage.total, stage.name in IN_BYTES, eta)
    done, total = _steps(log)
    if total:
        return Progress(f"step {done} of {total}, epoch {max(1, log.epoch)}", done, total, eta=log.eta())
    return Progress("starting")


def _steps(log: RunLog) -> tuple[int, int]:
    return (log.step, log.started.steps) if log.started and not log.ended else (0, 0)


FOLLOWER = Follower()
