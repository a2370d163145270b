"""Real processes, killed in all the ways there are. What they run is a stand-in for a worker's job."""

import json
import os
import signal
import subprocess
from collections.abc import Callable

import pytest

from likeness.errors import InputError
from likeness.service.workers import Order
from likeness.store.tables import Job
from likeness.studio import launching, preferences, queue, supervisor
from likeness.studio.launching import Ended
from likeness.studio.queue import Entry
from likeness.studio.supervisor import Supervisor
from likeness.studio.workspace import Studio
from tests.studio.jobs_at_hand import PLAIN_SPAWN, add, pid_of, state, steps
from tests.waiting import wait

pytestmark = pytest.mark.usefixtures("counting")


def test_jobs_are_done_in_turn_one_on_each_device(studio: Studio, supervised: Callable[..., Supervisor]) -> None:
    jobs = [add(studio, title, steps=20, pause=0.03) for title in "abc"]
    supervised("cuda:0", "cuda:1")
    wait(lambda: len(queue.listed(studio, states=["running"])) == 2)
    assert {queue.get(studio, j.id).device for j in jobs[:2]} == {"cuda:0", "cuda:1"}
    assert state(studio, jobs[2]) == "queued"
    wait(lambda: all(state(studio, j) == "finished" for j in jobs))
    assert queue.get(studio, jobs[0].id).result == {"counted": 20}


def test_light_jobs_pass_by(studio: Studio, supervised: Callable[..., Supervisor]) -> None:
    slow = add(studio, "slow", steps=1000)
    supervised()
    wait(lambda: state(studio, slow) == "running")
    light = add(studio, "light", light=True)
    wait(lambda: state(studio, light) == "finished")
    assert state(studio, slow) == "running"


def test_the_end_is_put_away_and_told(studio: Studio, supervised: Callable[..., Supervisor]) -> None:
    told: list[str] = []
    supervised(
        endings={"sample": lambda studio, job, result: {"kept": result["counted"] * 2}},
        listeners=[lambda studio, job: told.append(job.state)],
    )
    job = add(studio)
    wait(lambda: told)
    found = queue.get(studio, job.id)
    assert told == ["finished"] and found.result == {"counted": 5, "kept": 10}


def test_what_cannot_be_put_away_has_failed(studio: Studio, supervised: Callable[..., Supervisor]) -> None:
    def ending(studio: Studio, job: Job, result: dict[str, object]) -> None:
        raise OSError("disk full")

    supervised(endings={"sample": ending})
    job = add(studio)
    wait(lambda: state(studio, job) == "failed")
    assert "disk full" in str(queue.get(studio, job.id).error)


def test_a_wrong_job_fails_with_its_words(studio: Studio, supervised: Callable[..., Supervisor]) -> None:
    supervised()
    job = add(studio, wrong_at=2)
    wait(lambda: state(studio, job) == "failed")
    assert queue.get(studio, job.id).error == "x: is wrong. Fix: y"


@pytest.mark.parametrize("become", ["paused", "canceled"])
def test_a_running_job_saves_and_ends(studio: Studio, supervised: Callable[..., Supervisor], become: str) -> None:
    supervised()
    job = add(studio, steps=200)
    wait(lambda: len(steps(job)) > 3)
    queue.ask_to_stop(studio, job.id, become)  # type: ignore[arg-type]
    wait(lambda: state(studio, job) == become)
    queue.change(studio, job.id, priority=1)
    assert len(steps(job)) < 200
    queue.queue_again(studio, job.id)
    wait(lambda: state(studio, job) == "finished")
    assert steps(job) == list(range(200))


def test_stopped_before_it_listens(studio: Studio, supervised: Callable[..., Supervisor]) -> None:
    job = add(studio, steps=1000)
    supervised()
    wait(lambda: state(studio, job) == "running")
    queue.ask_to_stop(studio, job.id, "canceled")
    wait(lambda: state(studio, job) == "canceled")


def test_a_killed_worker_goes_on_where_it_was(studio: Studio, supervised: Callable[..., Supervisor]) -> None:
    supervised()
    job = add(studio, steps=100)
    wait(lambda: len(steps(job)) > 20)
    os.kill(pid_of(studio, job), signal.SIGKILL)
    wait(lambda: state(studio, job) == "finished")
    assert steps(job) == list(range(100)) and queue.get(studio, job.id).attempts == 2


def test_a_job_that_is_always_killed_is_given_up(studio: Studio, supervised: Callable[..., Supervisor]) -> None:
    supervised()
    job = add(studio, steps=1000)
    for attempt in range(1, supervisor.MOST_ATTEMPTS + 1):
        wait(lambda n=attempt: queue.get(studio, job.id).attempts == n and (studio.jobs / job.id / "pid").exists())
        os.kill(pid_of(studio, job), signal.SIGKILL)
        (studio.jobs / job.id / "pid").unlink()  # the next attempt is counted before it is begun
        wait(lambda n=attempt: queue.get(studio, job.id).attempts > n or state(studio, job) == "failed")
    assert state(studio, job) == "failed" and "killed" in str(queue.get(studio, job.id).error)


def test_a_killed_servers_worker_goes_on_and_is_found_again(
    studio: Studio, server: Callable[[], "subprocess.Popen[bytes]"]
) -> None:
    job, later = add(studio, steps=300), add(studio, "later")
    first = server()
    wait(lambda: len(steps(job)) > 5)
    first.kill()
    first.wait()
    count, pid = len(steps(job)), pid_of(studio, job)
    wait(lambda: len(steps(job)) > count + 5)  # nobody looks, it works
    server()
    wait(lambda: state(studio, later) == "finished")
    found = queue.get(studio, job.id)
    assert found.state == "finished" and found.attempts == 1 and found.result == {"counted": 300}
    assert steps(job) == list(range(300)) and pid_of(studio, job) == pid, "one worker, no twin"


def test_server_and_worker_killed(studio: Studio, server: Callable[[], "subprocess.Popen[bytes]"]) -> None:
    job = add(studio, steps=100)
    first = server()
    wait(lambda: len(steps(job)) > 5)
    first.kill()
    first.wait()
    os.kill(pid_of(studio, job), signal.SIGKILL)
    server()
    wait(lambda: state(studio, job) == "finished")
    assert steps(job) == list(range(100)) and queue.get(studio, job.id).attempts == 2


def test_a_job_that_ended_while_nobody_looked(studio: Studio, server: Callable[[], "subprocess.Popen[bytes]"]) -> None:
    job = add(studio, steps=60)
    first = server()
    wait(lambda: len(steps(job)) > 2)
    first.kill()
    first.wait()
    wait(lambda: (studio.jobs / job.id / "outcome.json").exists())
    assert state(studio, job) == "running"
    server()
    wait(lambda: state(studio, job) == "finished")
    assert queue.get(studio, job.id).attempts == 1


def test_one_workspace_has_one_supervisor(studio: Studio, supervised: Callable[..., Supervisor]) -> None:
    supervised()
    with pytest.raises(InputError, match="another `likeness serve` has this workspace"):
        Supervisor(studio, ["cpu"])


@pytest.mark.long
def test_a_real_worker_leaves_word(studio: Studio, monkeypatch: pytest.MonkeyPatch, supervised) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(launching, "spawn", PLAIN_SPAWN)
    supervised()
    job = queue.submit(studio, Order("inspect", {"path": "/nowhere.safetensors", "base": None}), Entry("look"))
    wait(lambda: state(studio, job) == "failed")
    outcome = json.loads((studio.jobs / job.id / "outcome.json").read_text())
    assert outcome["code"] != 0 and "nowhere" in str(queue.get(studio, job.id).error)


def test_settings_say_where_jobs_run_and_take_effect_at_once(
    studio: Studio, supervised: Callable[..., Supervisor]
) -> None:
    preferences.change(studio, "queue", {"devices": ["cuda:1"], "light_jobs": 1})
    supervised("cpu")
    jobs = [add(studio, light=light, steps=100_000) for light in (False, False, True, True)]
    wait(lambda: len(queue.listed(studio, states=["running"])) == 2)
    assert queue.get(studio, jobs[0].id).device == "cuda:1"
    preferences.change(studio, "queue", {"devices": ["cuda:1", "mps"], "light_jobs": 2})
    wait(lambda: len(queue.listed(studio, states=["running"])) == 4)
    assert queue.get(studio, jobs[1].id).device == "mps"
    wait(lambda: all((studio.jobs / job.id / "pid").exists() for job in jobs))


class Elsewhere:
    """A launcher for another place, which brings here what a job leaves there."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.over = False

    def submit(self, job: Job) -> None:
        self.told.append(f"submit {job.title} on {job.device}")

    def state(self, job: Job) -> Ended | None:
        return Ended(0) if self.over else None

    def events(self, job: Job) -> None:
        self.told.append("events")

    def fetch(self, job: Job) -> dict[str, object]:
        self.told.append("fetch")
        return {"from": "elsewhere"}

    def stop(self, job: Job) -> bool:
        self.told.append("stop")
        return True

    def rest(self) -> None:
        self.told.append("rest")


def test_jobs_may_run_elsewhere(studio: Studio) -> None:
    place = Elsewhere()
    one = Supervisor(studio, ["node-1"], launcher=place)
    job = add(studio)
    one.tick()
    one.tick()
    queue.ask_to_stop(studio, job.id, "canceled")
    one.tick()
    one.tick()
    assert place.told == ["submit job on node-1", "events", "events", "stop", "events"], "asked once, told once"
    place.over = True
    one.tick()
    found = queue.get(studio, job.id)
    assert place.told[-1] == "fetch" and found.state == "finished" and found.result == {"from": "elsewhere"}
    one.stop()
    assert place.told[-1] == "rest"


def test_what_cannot_be_started_has_failed(studio: Studio) -> None:
    class Full(Elsewhere):
        def submit(self, job: Job) -> None:
            raise OSError("no room")

    one = Supervisor(studio, ["node-1"], launcher=Full())
    job = add(studio)
    one.tick()
    found = queue.get(studio, job.id)
    assert found.state == "failed" and "could not be started: no room" in str(found.error)
    one.stop()
