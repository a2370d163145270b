"""Going on from a state is the same as never having stopped, bit for bit, whatever the settings."""

import itertools
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from PIL import Image

from likeness.dataset.manifest import read_manifest
from likeness.events import RunStopped
from likeness.lora.kinds import TYPES
from likeness.service import runs
from likeness.train.resume import read_state
from likeness.worker import training
from tests.tiny_run import copy_run, course, newest_state, results, write_config
from tests.train.conftest import Train, Trained

ALL_RANDOM = {
    "train__ema_decay": 0.9,
    "train__gradient_accumulation": 2,
    "lora__dropout": 0.3,
    "data__captions__dropout": 0.4,
    "data__augment__random__crop": 0.2,
    "data__augment__random__flip": True,
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


@pytest.mark.parametrize("kind", TYPES)
def test_every_type_goes_on_bit_for_bit(make_run: Callable[..., Path], run_loop: Train, kind: str) -> None:
    dropout = 0.3 if kind in ("lora", "rslora", "dora") else 0
    settings = ALL_RANDOM | {"lora__dropout": dropout, "lora__type": kind, "train__epochs": 1, "train__batch_size": 3}
    run = make_run(**settings, lora__modules="[{match: '.*to_q', rank: 2}]")
    whole = copy_run(run, "whole")
    through = run_loop(whole)
    run_loop(run, stop_after=1)
    last = run_loop(run)
    assert steps_of(last) == [2] and steps_of(through) == [1, 2]
    assert newest_state(run).read_bytes() == newest_state(whole).read_bytes()
    weights = through.published[1]
    assert all(torch.equal(w, last.published[1][n]) for n, w in weights.items())
    assert any(not torch.equal(w, weights[n]) for n, w in through.published[0].items())


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


EVERYTHING = ALL_RANDOM | {
    "data__resolutions": "[32, 48]",
    "data__upscale": True,
    "data__fit": "pad",
    "data__datasets__0__loss_weight": 0.5,
    "data__augment__random": "{flip: true, crop: 0.2, rotate: 5, brightness: 0.1, contrast: 0.1, hue: 9}",
    "data__augment__variations": 3,
    "data__augment__fixed__saturation": 0.8,
    "data__captions": "{dropout: 0.4, shuffle: true, drop: 0.3, caps: [upper], variations: 4}",
    "data__detail_crops": "{enabled: true, tile_resolution: 32, overlap: 0.5, "
    "include_context_tiles: true, regenerate_each_epoch: true}",
}


def test_with_all_that_pictures_and_captions_can_be_put_through(
    make_run: Callable[..., Path], run_loop: Train, pictures: Path
) -> None:
    """Sizes, tiles that move, variations, masks, padding and weights are drawn anew from (seed, epoch, place)."""
    with Image.open(pictures / "0.png") as image:
        Image.linear_gradient("L").resize(image.size).save(pictures / "0-masklabel.png")
    (pictures / "1.txt").write_text("tiny_char, red, green, blue")
    settings = {"data__datasets__0__repeats": 1, "train__batch_size": 2, "preserve__weight": 0.5}
    make = partial(make_run, **EVERYTHING | settings)
    run = make()
    rows = read_manifest(run / "manifest.jsonl")
    assert {e.side for e in rows} == {None, 32} and any(e.mask for e in rows) and any(any(e.moves or ()) for e in rows)
    whole = copy_run(run, "whole")
    through = run_loop(whole)
    count = len(steps_of(through))
    assert count == json.loads((run / "run.json").read_text())["plan"]["steps"]
    for _ in range(2):
        last = run_loop(run, stop_after=count // 3)
    last = run_loop(run)
    assert 0 < len(steps_of(last)) < count
    assert newest_state(run).read_bytes() == newest_state(whole).read_bytes()
    assert all(torch.equal(w, last.published[2][n]) for n, w in through.published[2].items())


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
    settings = {
        "lora__dropout": 0.3,
        "data__captions__dropout": 0.4,
        "data__augment__random__flip": True,
        "train__ema_decay": 0.9,
    }
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
