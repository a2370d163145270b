"""A run that is killed at any moment goes on, and ends with the very bytes of one that was not."""

import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from likeness.worker import training
from tests.tiny_run import copy_run, course, leftovers, results
from tests.worker.dying import Moments, work

SETTINGS = {
    "train__state_every": 2,
    "train__ema_decay": 0.9,
    "lora__dropout": 0.3,
    "data__captions__dropout": 0.5,
    "data__augment__random__crop": 0.2,
    "data__augment__random__flip": True,
    "optim__schedule": "cosine",
}
ALWAYS = (  # one moment of each of these kinds
    r"in state/step-00000004",
    r"after state/step-00000006",
    r"in checkpoints/epoch-001",
    r"before checkpoints/epoch-002",
    r"in epoch-002/prompt",
    r"line of events",
)
ANYWHERE = 4


@pytest.fixture
def finished(make_run: Callable[..., Path]) -> Path:
    """An uninterrupted run, with `pristine` beside it: the same before it was started."""
    folder = make_run(**SETTINGS)
    copy_run(folder, "pristine")
    assert training.run(folder) == 0
    return folder


def moments_of(run: Path) -> list[str]:
    moments = Moments(None, lambda: None)
    moments.install()
    try:
        assert training.run(run) == 0
    finally:
        moments.remove()
    return moments.names


def chosen_moments(names: list[str]) -> list[int]:
    """One moment of each kind in ALWAYS, and others drawn from all."""
    draw = random.Random(7)
    numbers = [draw.choice([i for i, n in enumerate(names) if re.match(kind, n)]) for kind in ALWAYS]
    others = [i for i in range(len(names)) if i not in numbers]
    return numbers + draw.sample(others, ANYWHERE)


@pytest.mark.long
def test_killed_at_ten_moments(finished: Path) -> None:
    pristine = finished.with_name("pristine")
    names = moments_of(copy_run(pristine, "counted"))
    assert results(finished.with_name("counted")) == results(finished)
    numbers = chosen_moments(names)
    assert len(numbers) == 10
    for number in numbers:
        run = copy_run(pristine, f"killed-{number}")
        assert work(run, kill_at=number) == -signal.SIGKILL, names[number]
        assert training.run(run) == 0
        assert results(run) == results(finished), names[number]
        assert course(run) == course(finished), names[number]
        assert leftovers(run) == []


@pytest.mark.long
def test_killed_again_and_again(finished: Path) -> None:
    """Each life gets a little further than the last state or dies before it."""
    run = copy_run(finished.with_name("pristine"), "unlucky")
    lives = [work(run, kill_at=n) for n in (12, 20, 33, 25, 40)]
    assert lives == [-signal.SIGKILL] * 5
    assert training.run(run) == 0
    assert results(run) == results(finished)
    assert course(run) == course(finished)
    assert leftovers(run) == []


@pytest.mark.long
def test_the_process_as_it_is_started_in_earnest(make_run: Callable[..., Path]) -> None:
    """No stand-ins: the worker's command line, killed by the clock, wherever that hits."""
    run = make_run(**SETTINGS, train__epochs=8)
    copy = copy_run(run, "copy")
    command = [sys.executable, "-m", "likeness.worker", "train", str(copy)]
    worker = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for_step(copy, worker, 17)
    time.sleep(random.uniform(0, 0.05))
    worker.kill()
    assert worker.wait() == -signal.SIGKILL
    assert 17 <= max(course(copy)) < 48
    assert subprocess.run(command, capture_output=True).returncode == 0
    assert training.run(run) == 0
    assert results(copy) == results(run)
    assert course(copy) == course(run)
    assert leftovers(copy) == []


def wait_for_step(run: Path, worker: subprocess.Popen[bytes], step: int) -> None:
    end = time.monotonic() + 120
    while max(course(run), default=0) < step:
        assert worker.poll() is None and time.monotonic() < end
        time.sleep(0.05)
