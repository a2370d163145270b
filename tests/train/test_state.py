"""A state that was damaged is not gone on from; the one before it is."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from likeness.train.resume import State, read_state, write_state
from likeness.worker import training
from tests.tiny_run import copy_run, newest_state, results
from tests.train.conftest import Train


def some_state(step: int) -> State:
    tensors = {
        "weights.a": torch.arange(6.0).reshape(2, 3) + step,
        "average.a": torch.ones(3, dtype=torch.bfloat16),
        "optimizer.0.step": torch.tensor(float(step)),
    }
    return State(step, tensors, {"skips": 0, "optimizer": {"d": 1e-6 / 3, "betas": [0.9, 0.999]}})


def flip(path: Path, byte: int, bit: int = 1) -> None:
    data = bytearray(path.read_bytes())
    data[byte] ^= 1 << bit
    path.write_bytes(data)


def test_round_trip_keeps_every_bit_and_two_states(tmp_path: Path) -> None:
    assert read_state(tmp_path) is None
    for step in (9, 10, 11):
        write_state(tmp_path, some_state(step))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-00000010.safetensors", "step-00000011.safetensors"]
    state = read_state(tmp_path)
    assert state is not None and state.step == 11 and state.numbers == some_state(11).numbers
    for name, tensor in some_state(11).tensors.items():
        assert torch.equal(state.tensors[name], tensor) and state.tensors[name].dtype == tensor.dtype
    assert set(state.part("weights")) == {"a"}


def test_one_wrong_bit_anywhere_is_noticed(tmp_path: Path) -> None:
    write_state(tmp_path, some_state(1))
    write_state(tmp_path, some_state(12))
    path = max(tmp_path.iterdir())
    whole = path.read_bytes()
    for byte in range(len(whole)):
        path.write_bytes(whole)
        flip(path, byte, byte % 8)
        state = read_state(tmp_path)
        assert state is not None
        if state.step != 1:  # what was hit meant nothing, such as a blank
            assert state.step == 12 and state.numbers == some_state(12).numbers
            for name, tensor in some_state(12).tensors.items():
                assert torch.equal(state.tensors[name], tensor) and state.tensors[name].dtype == tensor.dtype


@pytest.mark.parametrize("damage", ["cut off", "empty", "bit", "gone"])
def test_a_run_goes_on_from_the_state_before(make_run: Callable[..., Path], damage: str) -> None:
    run = make_run(train__state_every=4, train__ema_decay=0.9)
    whole = copy_run(run, "whole")
    assert training.run(whole) == 0
    stop_after_ten_steps(run)
    newest = newest_state(run)
    assert newest.name == "step-00000010.safetensors"
    data = newest.read_bytes()
    if damage == "bit":
        flip(newest, len(data) - 100)
    elif damage == "gone":
        newest.unlink()
    else:
        newest.write_bytes(data[: len(data) // 2] if damage == "cut off" else b"")
    assert training.run(run) == 0
    assert results(run) == results(whole)


def stop_after_ten_steps(run: Path) -> None:
    from likeness.train.loop import train
    from likeness.worker.epoch import EpochResults

    steps: list[int] = []
    for event in train(training.read_job(run), lambda: len(steps) >= 10, EpochResults):
        if event.kind == "step":
            steps.append(event.step)  # type: ignore[attr-defined]
    assert steps[-1] == 10


def test_both_states_damaged_is_a_fresh_start(make_run: Callable[..., Path], run_loop: Train) -> None:
    run = make_run(train__state_every=2)
    run_loop(run, stop_after=5)
    for path in run.glob("state/*"):
        path.write_bytes(b"")
    started = [e for e in run_loop(run).events if e.kind == "run_started"]
    assert started[0].resumed_at == 0  # type: ignore[attr-defined]
