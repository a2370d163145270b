import subprocess
import sys
from pathlib import Path

import pytest

from likeness.errors import LAST_WORDS, InputError, Interrupted, LikenessError, RunFailed
from likeness.events import EventLog, Stage
from likeness.service import workers
from likeness.service.workers import Worker

PLAIN = subprocess.Popen


def worker_that(folder: Path, code: str, monkeypatch: pytest.MonkeyPatch) -> Worker:
    """A worker whose process runs `code` in the place of a job."""

    def popen(command: list[str], **options: object) -> "subprocess.Popen[bytes]":
        return PLAIN([sys.executable, "-c", code, command[-1]], **options)  # type: ignore[call-overload]

    monkeypatch.setattr(workers, "_forker", None)
    monkeypatch.setattr(workers.subprocess, "Popen", popen)
    return Worker("train", folder)


@pytest.mark.parametrize(
    ("code", "error"), [(2, InputError), (3, RunFailed), (130, Interrupted), (1, RunFailed), (77, RunFailed)]
)
def test_exit_codes_become_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, error: type[LikenessError]
) -> None:
    worker = worker_that(tmp_path, f"print('noise'); print('{LAST_WORDS}a\\nb'); raise SystemExit({code})", monkeypatch)
    with pytest.raises(error, match=r"^a\nb"):
        worker.check()


def test_a_worker_that_ends_well_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worker_that(tmp_path, "print('noise')", monkeypatch).check()


def test_words_of_an_earlier_life_are_not_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "log.txt").write_text(f"{LAST_WORDS}from before\n")
    with pytest.raises(RunFailed, match=r"could not write down why.*disk full"):
        worker_that(tmp_path, "raise SystemExit(3)", monkeypatch).check()
    with pytest.raises(RunFailed) as caught:
        worker_that(tmp_path, "raise ValueError('what it was')", monkeypatch).check()
    assert "ValueError: what it was" in str(caught.value) and "before" not in str(caught.value)


def test_signals_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    with pytest.raises(RunFailed, match="ended by SIGKILL"):
        worker_that(tmp_path, code, monkeypatch).check()


def test_only_whole_new_events_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    EventLog(tmp_path / "events.jsonl").write(Stage(name="from before"))
    code = (
        "import sys; from pathlib import Path; from likeness.events import *\n"
        "path = Path(sys.argv[1]) / 'events.jsonl'\n"
        "EventLog(path).write(Stage(name='one')); EventLog(path).write(Stage(name='two'))\n"
        'path.open(\'a\').write(\'{"event": "stage", "na\')'
    )
    worker = worker_that(tmp_path, code, monkeypatch)
    assert [e.name for e in worker.events() if isinstance(e, Stage)] == ["one", "two"]
    worker.check()


def test_stop_reaches_the_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\n"
        "try:\n (Path(sys.argv[1]) / 'ready').touch(); time.sleep(60)\n"
        "except KeyboardInterrupt:\n raise SystemExit(130)"
    )
    worker = worker_that(tmp_path, code, monkeypatch)
    while not (tmp_path / "ready").exists():
        assert worker.process.poll() is None
    worker.stop()
    with pytest.raises(Interrupted):
        worker.check()
