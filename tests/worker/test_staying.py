"""A worker that stays: what it draws next is what a new one would draw."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from likeness.catalog import resolve_base
from likeness.families import Family, Placement
from likeness.families.hub import fetch_now
from likeness.lora.inject import add_layers, strip, tuned_layers
from likeness.lora.kinds import Type, peft_config
from likeness.service import samples
from likeness.service.samples import LoraUse, SampleJob
from likeness.store.tables import Job
from likeness.studio.launching import Ended, LocalLauncher
from likeness.worker import held_base, sampling, training
from tests.waiting import wait


@pytest.fixture
def launcher(tmp_path: Path) -> Iterator[LocalLauncher]:
    made = LocalLauncher(tmp_path / "jobs", lambda: 60)
    yield made
    made.rest()


def shot(base: Path, *loras: Path, seed: int = 1) -> SampleJob:
    uses = tuple(LoraUse(path, 1.0) for path in loras)
    return SampleJob(str(base), ("tiny_char at sea",), uses, width=32, height=32, steps=2, seeds=(seed,))


def by_launcher(launcher: LocalLauncher, name: str, asked: SampleJob) -> tuple[bytes, int]:
    """The picture, and the process that drew it."""
    folder = launcher.jobs / name
    order = samples.order(asked, folder)
    job = Job(id=name, verb=order.verb, folder=str(order.write(folder)), device="cpu")
    launcher.submit(job)
    assert wait(lambda: launcher.state(job), 120) == Ended(0)
    return Path(order.content["outputs"][0]).read_bytes(), int((folder / "pid").read_text())


def alone(folder: Path, asked: SampleJob, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """The picture as drawn on a base that is loaded for it."""
    monkeypatch.setattr(held_base, "_held", None)
    order = samples.order(asked, folder)
    sampling.run(order.write(folder))
    return Path(order.content["outputs"][0]).read_bytes()


def finished(run: Path) -> Path:
    training.run(run)
    return run / "checkpoints/epoch-001.safetensors"


def test_pictures_with_other_loras_and_bases_are_those_of_new_workers(
    tiny_base: Path, make_run: Callable[..., Path], launcher: LocalLauncher, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    one = finished(make_run("one", train__epochs=1))
    other = finished(make_run("other", train__epochs=1, train__seed=7, lora__type="lokr"))
    base = shutil.copytree(tiny_base, tmp_path / "base")
    asked = [shot(base), shot(base, one), shot(base, other, one), shot(base), shot(tiny_base, one), shot(base, other)]
    drawn = [by_launcher(launcher, f"job-{n}", job) for n, job in enumerate(asked)]
    assert len({pid for _, pid in drawn}) == 1
    pictures = [picture for picture, _ in drawn]
    assert pictures == [alone(tmp_path / f"alone-{n}", job, monkeypatch) for n, job in enumerate(asked)]
    assert len(set(pictures)) == 4 and pictures[0] == pictures[3] and pictures[1] == pictures[4]


def test_a_base_whose_files_were_replaced_is_read_again(
    tiny_base: Path, launcher: LocalLauncher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = shutil.copytree(tiny_base, tmp_path / "base")
    before, first = by_launcher(launcher, "before", shot(base))
    weights = base / "transformer" / "diffusion_pytorch_model.safetensors"
    save_file({name: 1.5 * tensor for name, tensor in load_file(weights).items()}, weights, {"format": "pt"})
    after, second = by_launcher(launcher, "after", shot(base))
    assert first == second and before != after == alone(tmp_path / "alone", shot(base), monkeypatch)


def test_only_the_same_base_held_the_same_way_is_taken_again(tiny_base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_base, "_held", None)
    card = fetch_now(resolve_base(str(tiny_base)))
    plain = Placement(torch.device("cpu"), torch.float32)
    first = held_base.held_base(card, plain)
    assert held_base.held_base(card, plain) is first
    assert held_base.held_base(card, replace(plain, train_text_encoder=True)) is not first


@pytest.mark.parametrize("kind", ["lora", "lokr"])
def test_stripped_networks_are_as_they_were_loaded(kind: Type, open_tiny: Callable[[], Family]) -> None:
    family = open_tiny()
    network = next(iter(family.networks.values()))
    before = {name: type(module) for name, module in network.named_modules()}
    for name, type_ in (("one", kind), ("two", "loha")):  # one over the other
        add_layers(network, peft_config(type_, family.lora_targets("attention")), name)
    assert list(tuned_layers(family.networks))
    strip(family.networks)
    assert {name: type(module) for name, module in network.named_modules()} == before
    assert not hasattr(network, "peft_config")
