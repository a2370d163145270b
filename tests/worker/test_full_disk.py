"""What a disk that takes no more costs: the write at hand, told in one message, and nothing that was there before."""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from safetensors import safe_open

from likeness.events import RunStopped, StepDone, read_events
from likeness.train.resume import read_state
from likeness.worker import training
from tests.tiny_run import copy_run, leftovers, results
from tests.worker.dying import Moments, work

SHORT = {"train__epochs": 1, "train__state_every": 4, "sampling__steps": 1}


def fail() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def train_with_full_disk(run: Path, moment: int | None) -> tuple[int, list[str]]:
    """Exit code, and the names of the moments passed. At `moment` a write fails half-way; later ones work."""
    moments = Moments(moment, fail)
    moments.install()
    try:
        return training.run(run), moments.names
    finally:
        moments.remove()


def assert_all_is_readable(run: Path) -> None:
    for path in run.rglob("*.safetensors"):
        with safe_open(path, "pt") as f:
            assert list(f.keys())
    for path in run.rglob("*.png"):
        Image.open(path).load()
    json.loads((run / "run.json").read_text())
    assert leftovers(run) == []


@pytest.mark.long
def test_at_any_write(make_run: Callable[..., Path], capfd: pytest.CaptureFixture[str]) -> None:
    run = make_run(**SHORT)
    pristine = copy_run(run, "pristine")
    code, names = train_with_full_disk(run, None)
    assert code == 0
    cached, writes = [], list[int]()
    for i, name in enumerate(names):
        if name.startswith("in "):
            (cached if len(name.split("/")[0]) == len("in 00") else writes).append(i)
    lines = [i for i, name in enumerate(names) if name.startswith("line ")]
    assert len(cached) == 7 and len(writes) > 7
    kinds: set[str] = set()
    for number in [cached[0], cached[-1], *writes, lines[0], lines[len(lines) // 2], lines[-1]]:
        full = copy_run(pristine, f"full-{number}")
        capfd.readouterr()
        code, _ = train_with_full_disk(full, number)
        kind = names[number].split("/")[0]
        kinds.add(kind)
        if names[number].endswith(("report.html", "grid.png")):
            assert code == 0, "a report that cannot be drawn must not stop the training"
        else:
            assert code == 3, names[number]
            words = capfd.readouterr().out.strip().splitlines()[-1]
            assert "No space left on device" in words and "--resume" in words and str(full) in words
        assert_all_is_readable(full)
        assert training.run(full) == 0
        assert results(full) == results(run), names[number]
    assert {"in state", "in checkpoints", "in epoch-000", "in epoch-001", "line of events.jsonl"} <= kinds


@pytest.mark.parametrize("what", ["state", "checkpoints", "events.jsonl"])
def test_with_the_systems_own_error(make_run: Callable[..., Path], what: str) -> None:
    """Every library that writes meets a real failing write: files may grow to nearly the largest of one kind."""
    run = make_run(**SHORT, train__sample_every=0)
    pristine = copy_run(run, "pristine")
    assert training.run(run) == 0
    files = [p for p in [run / what, *(run / what).rglob("*")] if p.is_file()]
    limit = int(max(p.stat().st_size for p in files) * 0.9)
    full = copy_run(pristine, "full")
    assert work(full, largest_file=limit) == 3
    assert_all_is_readable(full)
    assert training.run(full) == 0
    assert results(full) == results(run)


def test_the_curves_fail_alone(make_run: Callable[..., Path]) -> None:
    """TensorBoard's file is the only one that cannot grow: the run must end, and not wait for a dead thread."""
    run = make_run(**SHORT, data__datasets__0__repeats=80)
    (run / "events.jsonl").symlink_to(os.devnull)
    (run / "report.html").symlink_to(os.devnull)
    assert work(run, largest_file=40_000) == 3
    assert "File too large" in (run / "log.txt").read_text()


def test_the_state_at_which_it_failed_is_told(make_run: Callable[..., Path]) -> None:
    run = make_run(**SHORT)
    copy = copy_run(run, "copy")
    _, names = train_with_full_disk(copy, None)
    code, _ = train_with_full_disk(run, names.index("in checkpoints/epoch-001.safetensors"))
    assert code == 3
    stopped = list(read_events(run / "events.jsonl"))[-1]
    assert isinstance(stopped, RunStopped) and stopped.why == "failed"
    state = read_state(run / "state")
    assert state is not None and stopped.step == state.step == 6
    assert len([e for e in read_events(run / "events.jsonl") if isinstance(e, StepDone)]) == 6
