"""Workers that are forked: what they get, what is told of them, and what is left when one of the three is killed."""

import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from likeness.service import forking, workers
from likeness.service.forking import Forked, Forker
from likeness.service.samples import SampleJob, order
from likeness.service.workers import is_held

# A forker without its imports, whose workers run the code that they are given.
CODE = """
import socket, sys
from likeness.worker import forker

def main(arguments):
    exec(arguments[0], {"arguments": arguments})
    return 0

forker.MODULES, forker.main = (), main
sys.exit(forker.run(socket.socket(fileno=int(sys.argv[1]))))
"""
SLEEP = "import time; print('up', flush=True); time.sleep(60)"


@pytest.fixture
def forker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Forker]:
    monkeypatch.setattr(forking, "COMMAND", [sys.executable, "-c", CODE])
    made = Forker()
    yield made
    made.close()


@pytest.fixture
def fork(forker: Forker, tmp_path: Path) -> Iterator[Callable[..., Forked]]:
    """Runs code in a worker, which writes into `log`."""
    made: list[Forked] = []

    def start(code: str, held: dict[str, int] | None = None, **environment: str) -> Forked:
        with (tmp_path / "log").open("ab") as log:
            made.append(forker.fork([code, "more"], {**os.environ, **environment}, log.fileno(), held or {}))
        return made[-1]

    yield start
    for worker in made:
        worker.send_signal(signal.SIGKILL)


def soon(what: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_worker_gets_what_a_started_one_would(
    fork: Callable[..., Forked], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    fork("pass").wait()
    monkeypatch.chdir(tmp_path)  # each gets the place and environment of its own moment
    worker = fork(
        "import json, os, sys; print(json.dumps([os.getpid(), os.getsid(0), os.getcwd(), os.environ['OWN'], "
        "arguments[1], sys.stdin.read(), sorted(map(int, os.listdir('/proc/self/fd')))]))",
        OWN="ä",
    )
    assert worker.wait() == 0 == worker.poll()
    pid, session, place, own, argument, read, files = json.loads((tmp_path / "log").read_text())
    assert pid == session == worker.pid and Path(place) == tmp_path
    assert (own, argument, read) == ("ä", "more", "") and files[:3] == [0, 1, 2] and len(files) <= 4


@pytest.mark.parametrize(
    ("code", "told"), [("raise SystemExit(3)", 3), ("1 / 0", 1), ("import os; os.kill(os.getpid(), 9)", -9)]
)
def test_how_it_ended_is_told(fork: Callable[..., Forked], tmp_path: Path, code: str, told: int) -> None:
    assert fork(code).wait() == told
    assert ("ZeroDivisionError" in (tmp_path / "log").read_text()) == (told == 1)


def test_many_at_once_and_each_is_told_of_its_own(fork: Callable[..., Forked]) -> None:
    running = [fork(f"import time; time.sleep({0.05 * (5 - i)}); raise SystemExit({i})") for i in range(6)]
    assert [worker.wait() for worker in running] == list(range(6))
    assert len({worker.pid for worker in running}) == 6


def test_signals_reach_it_and_none_reaches_another_afterwards(fork: Callable[..., Forked], tmp_path: Path) -> None:
    worker = fork(SLEEP)
    assert worker.poll() is None
    soon(lambda: "up" in (tmp_path / "log").read_text())
    worker.send_signal(signal.SIGINT)
    assert worker.wait() in (1, -signal.SIGINT) and "KeyboardInterrupt" in (tmp_path / "log").read_text()
    worker.send_signal(signal.SIGKILL)  # it is gone: nothing happens


def test_a_lock_is_held_as_long_as_the_worker_lives(fork: Callable[..., Forked], tmp_path: Path) -> None:
    other = fork(SLEEP)
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code = "import os; os.fstat(int(os.environ['LIKENESS_LOCK']))"  # it is told which it is
        worker = fork(f"{code}; {SLEEP}", {"LIKENESS_LOCK": lock.fileno()})
    assert is_held(tmp_path / "lock") and worker.poll() is None and is_held(tmp_path / "lock")
    soon(lambda: (tmp_path / "log").read_text().count("up") == 2)
    later = fork(SLEEP)  # neither those before nor those after hold it too
    assert later.pid
    worker.send_signal(signal.SIGKILL)
    assert worker.wait() == -signal.SIGKILL and not is_held(tmp_path / "lock") and other.poll() is None


def test_a_killed_forker_leaves_its_workers_and_is_started_again(
    fork: Callable[..., Forked], forker: Forker, tmp_path: Path
) -> None:
    code = (
        "import os, time; from pathlib import Path; from likeness.worker.signals import StopRequest\n"
        "should_stop = StopRequest(); print('up', flush=True)\n"
        "while not should_stop(): time.sleep(0.01)\n"
        "print('asked to stop', flush=True)"
    )
    own = fork(code, LIKENESS_PARENT=str(os.getpid()))
    outliving = fork(SLEEP)
    soon(lambda: (tmp_path / "log").read_text().count("up") == 2)
    assert "asked" not in (tmp_path / "log").read_text()
    assert forker._process is not None
    forker._process.kill()
    soon(lambda: "asked to stop" in (tmp_path / "log").read_text())
    assert own.wait() == -signal.SIGKILL  # nobody is left who could tell
    os.kill(outliving.pid, 0)
    soon(lambda: forker._process is not None and forker._process.poll() is not None)
    assert fork("raise SystemExit(5)").wait() == 5
    os.kill(outliving.pid, signal.SIGKILL)


def test_it_ends_with_who_started_it_and_workers_go_on(fork: Callable[..., Forked], forker: Forker) -> None:
    worker = fork(SLEEP)
    assert worker.pid
    forker.close()
    os.kill(worker.pid, signal.SIGKILL)  # it was there


def test_an_order_that_is_too_large_is_refused_and_the_worker_started(
    forker: Forker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "_forker", forker)
    process = workers.spawn("none", tmp_path, {f"LARGE{i}": "x" * 120_000 for i in range(6)})
    assert not isinstance(process, Forked) and process.wait() == 2
    assert "usage: python -m likeness.worker" in (tmp_path / workers.LOG_NAME).read_text()


@pytest.mark.parametrize("gpu", [False, True])
def test_it_is_used_where_there_is_no_gpu(gpu: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forking, "GPUS", (tmp_path / "nvidia", tmp_path if gpu else tmp_path / "kfd"))
    monkeypatch.setattr(workers, "_forker", None)
    workers.keep_ready()
    assert (workers._forker is None) == gpu


def test_a_forked_worker_draws_what_a_started_one_draws(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if workers._forker is None:
        pytest.skip("workers are not forked on this machine")
    drawn: list[bytes] = []
    for way in ("forked", "started"):
        asked = order(SampleJob(str(tiny_base), ("a cat",), steps=2, output=tmp_path / f"{way}.png"), tmp_path)
        worker = workers.Worker(asked.verb, asked.write(tmp_path / way))
        assert isinstance(worker.process, Forked) == (way == "forked")
        worker.check()
        drawn.append((tmp_path / f"{way}.png").read_bytes())
        monkeypatch.setattr(workers, "_forker", None)
    assert drawn[0] == drawn[1]
