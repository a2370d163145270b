"""Jobs that count instead of working, in real processes, and the server that has them done."""

import json
import os
import subprocess
import sys
from pathlib import Path

from likeness.service.workers import Order
from likeness.store.tables import Job
from likeness.studio import launching, queue
from likeness.studio.queue import Entry
from likeness.studio.workspace import Studio
from tests.waiting import wait

# Counts to `steps`, going on where it left; says what asked it to stop. The real entry point runs it.
JOB = """
import json, sys, time
from pathlib import Path
import likeness.worker.__main__ as entry
from likeness.errors import InputError, Interrupted
from likeness.worker.signals import StopRequest

class Counting:
    @staticmethod
    def run(folder):
        asked, stop = json.loads((folder / "job.json").read_text()), StopRequest()
        done = folder / "steps"
        while (count := len(done.read_text().split()) if done.exists() else 0) < asked["steps"]:
            if stop():
                raise Interrupted("stopped as asked")
            if count == asked.get("wrong_at"):
                raise InputError("x: is wrong. Fix: y")
            with done.open("a") as f:
                f.write(f"{count} ")
            time.sleep(asked.get("pause", 0.01))
        (folder / "result.json").write_text(json.dumps({"counted": count}))
        return 0

entry.importlib.import_module = lambda name: Counting
sys.exit(entry.main(["sample", sys.argv[1]]))
"""
# A server's part in it, as a process that can be killed.
SERVER = """
import sys, time
from pathlib import Path
from likeness.studio import launching, supervisor
from likeness.studio.workspace import Studio
from tests.studio.jobs_at_hand import stand_in
launching.spawn = stand_in
Supervisor = supervisor.Supervisor(Studio(Path(sys.argv[1])), ["cpu"])
Supervisor.start()
time.sleep(60)
"""
PLAIN_SPAWN = launching.spawn


def stand_in(verb: str, folder: Path, told: dict[str, str], held: dict[str, int]) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, **told, **{name: str(file) for name, file in held.items()}}
    with (folder / "log.txt").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-c", JOB, str(folder)],
            env=environment, pass_fds=list(held.values()), start_new_session=True, stdout=log, stderr=log,
        )  # fmt: skip


def add(studio: Studio, title: str = "job", *, light: bool = False, **content: object) -> Job:
    return queue.submit(studio, Order("sample", {"steps": 5, **content}), Entry(title, light=light))


def pid_of(studio: Studio, job: Job) -> int:
    return int((studio.jobs / job.id / "pid").read_text())


def steps(job: Job) -> list[int]:
    file = Path(job.folder) / "steps"
    return [int(word) for word in file.read_text().split()] if file.exists() else []


def state(studio: Studio, job: Job) -> str:
    return queue.get(studio, job.id).state


def gone(pid: int) -> bool:
    """Whether it has ended, asked for or not."""
    told = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
    return not told or told.startswith("Z")


def done(studio: Studio, verb: str = "sample", **content: object) -> int:
    """The process that did a job."""
    job = queue.submit(studio, Order(verb, {"steps": 3, **content}), Entry(verb))
    wait(lambda: state(studio, job) in queue.ENDED)
    outcome = json.loads((studio.jobs / job.id / "outcome.json").read_text())
    assert (outcome["code"] == 0) == (state(studio, job) == "finished")
    return pid_of(studio, job)
