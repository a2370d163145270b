"""Who has drawn stays for the next pictures: real processes, whose job is a stand-in."""

import os
import signal
import subprocess
from collections.abc import Callable

import pytest

from likeness.studio import launching, preferences, queue
from likeness.studio.supervisor import Supervisor
from likeness.studio.workspace import Studio
from tests.studio.jobs_at_hand import add, done, gone, pid_of, state, steps
from tests.waiting import wait

pytestmark = pytest.mark.usefixtures("counting")


def test_who_has_drawn_stays_for_the_next_pictures_and_for_no_other_work(
    studio: Studio, supervised: Callable[..., Supervisor]
) -> None:
    supervised()
    first = done(studio)
    assert done(studio) == first == done(studio, "draw") and not gone(first)
    other = done(studio, "merge")
    assert other != first and gone(first), "gone before anything else is begun"
    wait(lambda: gone(other))


def test_a_large_environment_reaches_it_too(
    studio: Studio, supervised: Callable[..., Supervisor], monkeypatch: pytest.MonkeyPatch
) -> None:
    supervised()
    first = done(studio)
    for number in range(6):
        monkeypatch.setenv(f"LARGE{number}", "x" * 120_000)
    assert done(studio) == first


def test_each_device_has_its_own_that_stays(studio: Studio, supervised: Callable[..., Supervisor]) -> None:
    supervised("cuda:0", "cuda:1")
    jobs = [add(studio, steps=20, pause=0.03) for _ in range(2)]
    wait(lambda: all(state(studio, job) == "finished" for job in jobs))
    pids = {pid_of(studio, job) for job in jobs}
    assert len(pids) == 2
    done(studio, "merge")
    assert sorted(map(gone, pids)) == [False, True]


def test_nobody_stays_where_the_settings_say_so(studio: Studio, supervised: Callable[..., Supervisor]) -> None:
    supervised()
    first = done(studio)
    preferences.change(studio, "queue", {"keep_base_minutes": 0})
    wait(lambda: gone(first))
    second = done(studio)
    wait(lambda: gone(second))
    assert second != first


def test_it_waits_no_longer_than_told(
    studio: Studio, supervised: Callable[..., Supervisor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Supervisor, "_stay_seconds", lambda self: 0.1)
    supervised()
    first = done(studio)
    wait(lambda: gone(first))
    assert done(studio) != first


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_one_that_is_killed_while_it_waits_is_not_missed(
    studio: Studio, supervised: Callable[..., Supervisor], number: signal.Signals
) -> None:
    supervised()
    first = done(studio)
    os.kill(first, number)
    wait(lambda: gone(first))
    job = add(studio)
    wait(lambda: state(studio, job) == "finished")
    assert queue.get(studio, job.id).attempts == 1 and pid_of(studio, job) != first


def test_one_that_does_not_answer_is_ended(
    studio: Studio, supervised: Callable[..., Supervisor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launching, "ANSWER_SECONDS", 0.3)
    supervised()
    first = done(studio)
    os.kill(first, signal.SIGSTOP)
    assert done(studio) != first and gone(first)


def test_one_that_failed_does_not_stay(studio: Studio, supervised: Callable[..., Supervisor]) -> None:
    supervised()
    first = done(studio, wrong_at=1)
    assert done(studio) != first


def test_one_that_stayed_is_stopped_in_its_next_job_like_any_other(
    studio: Studio, supervised: Callable[..., Supervisor]
) -> None:
    supervised()
    first, job = done(studio), add(studio, steps=1000)
    wait(lambda: len(steps(job)) > 3)
    assert pid_of(studio, job) == first
    queue.ask_to_stop(studio, job.id, "paused")
    wait(lambda: state(studio, job) == "paused")
    wait(lambda: gone(first))


def test_it_ends_with_the_supervisor(studio: Studio, supervised: Callable[..., Supervisor]) -> None:
    one = supervised()
    first = done(studio)
    one.stop()
    wait(lambda: gone(first))


def test_it_ends_with_a_killed_server(studio: Studio, server: Callable[[], "subprocess.Popen[bytes]"]) -> None:
    one = server()
    first = done(studio)
    one.kill()
    one.wait()
    wait(lambda: gone(first))
