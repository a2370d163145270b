"""Asked to stop, a worker saves and says how to go on; two workers never share a run."""

import os
import signal
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from likeness.errors import InputError
from likeness.events import RunStopped, Stage, read_events
from likeness.train.resume import read_state
from likeness.worker import signals, training
from tests.tiny_run import course, leftovers, newest_state, results
from tests.worker import dying

LONG = {"train__epochs": 40, "train__sample_every": 0, "train__probe_every": 0}


def wait_until(happened: Callable[[], bool], worker: BaseProcess) -> None:
    end = time.monotonic() + 120
    while not happened():
        assert worker.is_alive() and time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_save_and_stop(make_run: Callable[..., Path], number: int) -> None:
    run = make_run(**LONG)
    worker = dying.start(run)
    wait_until(lambda: len(course(run)) > 8, worker)
    os.kill(worker.pid or 0, number)
    worker.join(60)
    assert worker.exitcode == 130
    stopped = list(read_events(run / "events.jsonl"))[-1]
    assert isinstance(stopped, RunStopped) and stopped.why == "interrupted"
    assert newest_state(run).name == f"step-{stopped.step:08d}.safetensors"
    assert stopped.step == max(course(run)) < 240
    words = (run / "log.txt").read_text().splitlines()[-1]
    assert f"step {stopped.step}" in words and "--resume" in words
    state = read_state(run / "state")
    assert state is not None and state.step == stopped.step
    assert leftovers(run) == []


def test_stop_while_encoding_keeps_what_is_encoded(make_run: Callable[..., Path]) -> None:
    run = make_run()
    worker = dying.start(run)
    wait_until(lambda: any(isinstance(e, Stage) for e in read_events(run / "events.jsonl")), worker)
    os.kill(worker.pid or 0, signal.SIGTERM)
    worker.join(60)
    assert worker.exitcode == 130
    assert training.run(run) == 0
    assert leftovers(run) == []


def test_the_end_of_the_parent_stops_the_worker(make_run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(**LONG)
    alive = os.getppid()
    monkeypatch.setenv(signals.PARENT, str(alive))
    monkeypatch.setattr(os, "getppid", lambda: 1 if len(course(run)) >= 5 else alive)  # adopted by init
    assert training.run(run) == 130
    assert newest_state(run).name == "step-00000005.safetensors"


def test_a_second_worker_on_the_same_run_is_refused(make_run: Callable[..., Path]) -> None:
    run = make_run()
    with training.locked(run):
        before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file() and p.name != "log.txt"}
        assert dying.work(run) == 2
        assert "another process trains this run" in (run / "log.txt").read_text()
        with pytest.raises(InputError, match="Fix: wait for it"):
            training.run(run)
        after = {p: p.read_bytes() for p in run.rglob("*") if p.is_file() and p.name != "log.txt"}
        assert after == before
    assert training.run(run) == 0


def test_the_lock_goes_with_a_killed_process(make_run: Callable[..., Path]) -> None:
    run = make_run()
    assert dying.work(run, kill_at=10) == -signal.SIGKILL
    with training.locked(run):
        pass


def test_a_finished_run_started_again_changes_nothing(make_run: Callable[..., Path]) -> None:
    run = make_run()
    assert training.run(run) == 0
    before = results(run)
    assert training.run(run) == 0
    assert results(run) == before


@pytest.mark.parametrize("name", ["run.json", "manifest.jsonl"])
def test_a_run_folder_that_is_not_whole_is_refused(make_run: Callable[..., Path], name: str) -> None:
    run = make_run()
    (run / name).unlink()
    with pytest.raises(InputError, match=name):
        training.run(run)
