"""Going on from a state is the same as never having stopped, bit for bit, whatever the settings."""

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from likeness.events import RunStopped
from likeness.service import runs
from likeness.train.resume import read_state
from likeness.worker import training
from tests.tiny_run import copy_run, course, newest_state, results, write_config
from tests.train.conftest import Train, Trained

ALL_RANDOM = {
    "train__ema_decay": 0.9,
    "train__gradient_accumulation": 2,
    "lora__dropout": 0.3,
    "data__caption_dropout": 0.4,
    "data__crop": "random",
    "data__flip": True,
    "data__datasets__0__repeats": 3,
    "optim__schedule": "cosine",
    "optim__warmup_steps": 2,
}
RATES = {"adamw": 0.01, "prodigy": 1.0, "adafactor": 0.01, "lion": 0.001}


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("optimizer", RATES)
def test_stopped_after_every_step(
    make_run: Callable[..., Path], run_loop: Train, optimizer: str, batch_size: int
) -> None:
    """One run goes through; the other one is a new process's work at every single step."""
    settings = {
        "optim__optimizer": optimizer,
        "optim__learning_rate": RATES[optimizer],
        "train__batch_size": batch_size,
    }
    if optimizer == "prodigy":  # a full rate from the start, so that its own estimate of the rate moves
        settings |= {"optim__schedule": "constant", "optim__warmup_steps": 0, "train__epochs": 4}
    run = make_run(**ALL_RANDOM | settings)
    whole = copy_run(run, "whole")
    through = run_loop(whole)

    last = run_loop(run, stop_after=1)
    for calls in itertools.count(1):
        if not isinstance(last.events[-1], RunStopped) or last.events[-1].step == len(steps_of(through)):
            break
        assert last.events[-1].step == calls
        last = run_loop(run, stop_after=1)
    last = run_loop(run)
    assert newest_state(run).name == newest_state(whole).name
    assert newest_state(run).read_bytes() == newest_state(whole).read_bytes()
    final = max(through.published)
    moved = [w for n, w in through.published[final].items() if ".lora_B." in n]
    assert all(w.abs().max() > 0 for w in moved), "nothing was trained, so nothing was shown"
    assert all(torch.equal(w, last.published[final][n]) for n, w in through.published[final].items())
    if optimizer == "prodigy":
        state = read_state(run / "state")
        assert state is not None
        group = state.numbers["optimizer"]["groups"][0]
        assert group["d"] > group["d0"]


def steps_of(trained: Trained) -> list[int]:
    return [e.step for e in trained.events if e.kind == "step"]


def test_stopped_at_any_one_step(make_run: Callable[..., Path], run_loop: Train) -> None:
    run = make_run(**ALL_RANDOM, train__batch_size=2)
    whole = copy_run(run, "whole")
    count = len(steps_of(run_loop(whole)))
    for step in range(1, count):
        copy = copy_run(run, f"stopped-{step}")
        assert run_loop(copy, stop_after=step).events[-1].step == step
        assert steps_of(run_loop(copy)) == list(range(step + 1, count + 1))
        assert newest_state(copy).read_bytes() == newest_state(whole).read_bytes()


def test_further_epochs_equal_the_longer_run(tiny_base: Path, pictures: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path / "tiny.yaml", tiny_base, pictures)
    settings = ["train.ema_decay=0.9", "lora.dropout=0.2"]

    def prepared(epochs: int) -> runs.Prepared:
        return runs.prepare(config, [*settings, f"train.epochs={epochs}"])

    longer = runs.start(prepared(3), tmp_path / "longer")
    assert training.run(longer) == 0
    grown = runs.start(prepared(2), tmp_path / "grown")
    assert training.run(grown) == 0
    assert runs.resume(prepared(3), tmp_path / "grown") == grown
    assert training.run(grown) == 0
    last = "checkpoints/epoch-003.safetensors"
    assert (grown / last).read_bytes() == (longer / last).read_bytes()
    assert newest_state(grown).read_bytes() == newest_state(longer).read_bytes()
    assert course(grown) == course(longer)
    assert {k: v for k, v in results(grown).items() if k.endswith(".png")} == {
        k: v for k, v in results(longer).items() if k.endswith(".png")
    }


def test_pictures_and_probes_do_not_touch_the_training(make_run: Callable[..., Path]) -> None:
    settings = {"lora__dropout": 0.3, "data__caption_dropout": 0.4, "data__flip": True, "train__ema_decay": 0.9}
    with_all = make_run("with", **settings)
    without = make_run("without", **settings, train__sample_every=0, train__probe_every=0)
    assert training.run(with_all) == training.run(without) == 0
    assert list(with_all.glob("samples/*/*.png")) and not list(without.glob("samples/*/*.png"))
    assert newest_state(with_all).read_bytes() == newest_state(without).read_bytes()
    assert course(with_all) == course(without)


def test_other_draws_in_the_process_do_not_either(make_run: Callable[..., Path], run_loop: Train) -> None:
    run = make_run(**ALL_RANDOM)
    noisy = copy_run(run, "noisy")
    torch.manual_seed(1)
    run_loop(run)
    torch.manual_seed(2)
    torch.rand(100)
    run_loop(noisy)
    assert newest_state(run).read_bytes() == newest_state(noisy).read_bytes()


def test_another_seed_is_another_run(make_run: Callable[..., Path], run_loop: Train) -> None:
    one, other = run_loop(make_run("one")), run_loop(make_run("other", train__seed=43))
    assert steps_of(one) == steps_of(other)
    assert [e.loss for e in one.events if e.kind == "step"] != [e.loss for e in other.events if e.kind == "step"]
