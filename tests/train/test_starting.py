"""What a run begins with: a LoRA to go on from, a training adapter beside it, text encoders at their own rate."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from likeness.catalog import CARDS, Card
from likeness.config.optim import OptimConfig
from likeness.errors import InputError
from likeness.events import Note, StepDone
from likeness.train import starting
from likeness.train.optim import Group, build_optimizer, set_rates, text_encoder_rate
from likeness.train.starting import training_adapter
from likeness.worker import training
from tests.tiny_run import course, newest_state
from tests.train.conftest import Train

MakeRun = Callable[..., Path]
SHORT = {"train__epochs": 1, "train__batch_size": 3, "train__probe_every": 0}


@pytest.fixture
def make_lora(make_run: MakeRun, tmp_path: Path) -> Callable[..., Path]:
    """A LoRA file of a short run, with made-up weights that show."""

    def make(**settings: object) -> Path:
        run = make_run("first", **SHORT, train__sample_every=0, optim__learning_rate=0.05, **settings)
        assert training.run(run) == 0
        return (run / "checkpoints/epoch-001.safetensors").rename(tmp_path / "first.safetensors")

    return make


def delta(weights: dict[str, torch.Tensor], layer: str, scale: float) -> torch.Tensor:
    a, b = (weights[f"transformer.{layer}.lora_{side}.weight"].float() for side in "AB")
    return scale * b @ a


LAYER = "transformer_blocks.0.attn.to_q"


def test_going_on_from_a_lora(make_run: MakeRun, run_loop: Train, make_lora: Callable[..., Path]) -> None:
    """The same change under another scale and another type; what it learns from then on is its own."""
    path = make_lora()
    settings = {"lora__start_from": path, "lora__type": "rslora", "lora__alpha": 1, "lora__rank": 4}
    run = run_loop(make_run("second", **SHORT, **settings))
    then, now = load_file(path), run.published[0]
    assert delta(then, LAYER, 1.0).abs().max() > 1e-3
    assert torch.allclose(delta(then, LAYER, 1.0), delta(now, LAYER, 1 / 4**0.5), rtol=1e-6, atol=0)
    assert not torch.equal(
        now[f"transformer.{LAYER}.lora_B.weight"], run.published[1][f"transformer.{LAYER}.lora_B.weight"]
    )


@pytest.mark.parametrize("kind", ["dora", "lokr", "loha"])
def test_going_on_from_another_type(
    make_run: MakeRun, run_loop: Train, make_lora: Callable[..., Path], kind: str
) -> None:
    path = make_lora(lora__type=kind, lora__alpha=4)
    run = run_loop(make_run("second", **SHORT, lora__start_from=path, lora__type=kind, lora__alpha=4))
    then = load_file(path)
    assert then.keys() == run.published[0].keys()
    assert all(torch.equal(w.float(), run.published[0][n]) for n, w in then.items())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"lora__rank": 8}, r"first\.safetensors: transformer\..* has rank 4, .* Fix: lora\.rank: 4"),
        ({"lora__targets": "attention"}, r"changes transformer\..*ff.* and \d+ more, .* Fix: set lora\.targets"),
        ({"lora__type": "dora"}, r"is of another type\. Fix: lora\.type: lora"),
    ],
)
def test_a_lora_that_does_not_fit_is_named(
    make_run: MakeRun, run_loop: Train, make_lora: Callable[..., Path], settings: dict[str, object], words: str
) -> None:
    path = make_lora()
    with pytest.raises(InputError, match=words):
        run_loop(make_run("second", **SHORT, lora__start_from=path, **settings))


def test_layers_without_a_beginning_are_named(
    make_run: MakeRun, run_loop: Train, make_lora: Callable[..., Path]
) -> None:
    path = make_lora(lora__targets="attention")
    with pytest.raises(InputError, match=r"has nothing for transformer\..*\. Fix: set lora\.targets or lora\.exclude"):
        run_loop(make_run("second", **SHORT, lora__start_from=path))


def test_another_file_is_noticed_when_a_run_goes_on(
    make_run: MakeRun, run_loop: Train, make_lora: Callable[..., Path]
) -> None:
    path = make_lora()
    run = make_run("second", **SHORT, lora__start_from=path)
    run_loop(run, stop_after=1)
    path.write_bytes(path.read_bytes()[:-2] + b"\0\0")
    with pytest.raises(InputError, match=r"lora\.start_from: the file is another one"):
        run_loop(run)


def test_a_training_adapter_acts_in_training_alone(make_run: MakeRun, make_lora: Callable[..., Path]) -> None:
    path = make_lora(lora__type="lora")
    settings = SHORT | {"train__probe_every": 1}
    plain, helped = (make_run(n, **settings, lora__training_adapter=a) for n, a in (("plain", "off"), ("helped", path)))
    assert training.run(plain) == training.run(helped) == 0
    assert course(plain)[1][1] != course(helped)[1][1], "its losses are another base's"
    first = [next((r / "samples/epoch-000").glob("*.png")).read_bytes() for r in (plain, helped)]
    assert first[0] == first[1], "pictures are drawn without it"
    files = [load_file(r / "checkpoints/epoch-001.safetensors") for r in (plain, helped)]
    assert files[0].keys() == files[1].keys() and all(w.shape == files[1][n].shape for n, w in files[0].items())
    assert load_file(newest_state(plain)).keys() == load_file(newest_state(helped)).keys()


def test_the_same_training_adapter_after_a_stop(
    make_run: MakeRun, run_loop: Train, make_lora: Callable[..., Path]
) -> None:
    path = make_lora()
    one, two = (make_run(name, **SHORT, lora__training_adapter=path) for name in ("one", "two"))
    run_loop(one)
    run_loop(two, stop_after=1)
    run_loop(two)
    assert newest_state(one).read_bytes() == newest_state(two).read_bytes()
    run_loop(make_run("three", **SHORT), stop_after=1)


def test_where_a_training_adapter_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    def fetch(repository: str, file: str, **place: object) -> str:
        if "gone" in repository:
            raise LocalEntryNotFoundError("not there")
        return str(tmp_path / repository / file)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fetch)
    card = replace(CARDS["starter"], training_adapter="some/adapter/folder/v2.safetensors")
    assert training_adapter("auto", card) == tmp_path / "some/adapter/folder/v2.safetensors"
    assert training_adapter("off", card) is None and training_adapter("auto", CARDS["starter"]) is None
    with pytest.raises(InputError, match=r"gone/adapter/v2\.safetensors cannot be had \(not there\)"):
        training_adapter("auto", replace(card, training_adapter="gone/adapter/v2.safetensors"))
    assert training_adapter("/mine.safetensors", CARDS["starter"]) == Path("/mine.safetensors")


def test_a_run_goes_on_with_the_adapter_that_it_began_with_or_without(
    make_run: MakeRun, run_loop: Train, make_lora: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be had is told, and what comes later changes nothing."""
    path = make_lora()
    there = False

    def found(setting: str, card: Card) -> Path:
        if not there:
            raise InputError("lora.training_adapter: a/b/c cannot be had (no network)")
        return path

    monkeypatch.setattr(starting, "training_adapter", found)
    resolve = training.resolve_base
    monkeypatch.setattr(
        training, "resolve_base", lambda *a, **how: replace(resolve(*a, **how), training_adapter="a/b/c")
    )

    def notes(run: Path, **how: int) -> list[str]:
        return [e.message for e in run_loop(run, **how).events if isinstance(e, Note)]

    without, helped = make_run("without", **SHORT), make_run("helped", **SHORT)
    (told,) = notes(without, stop_after=1)
    assert told.startswith("lora.training_adapter: a/b/c cannot be had (no network). Training goes on without it")
    there = True
    assert notes(without) == ["the run goes on without the training adapter a/b/c, as it began"]
    assert notes(helped, stop_after=1) == []
    there = False
    with pytest.raises(InputError, match=r"\(no network\)\. The run began with it\. Fix: "):
        run_loop(helped)


def test_other_conditions_are_told_when_a_run_goes_on(make_run: MakeRun, run_loop: Train) -> None:
    run = make_run("moved", **SHORT)
    run_loop(run, stop_after=1)
    frozen = json.loads((run / "run.json").read_text())
    frozen["config"]["hardware"] |= {"precision": "bf16", "quantize": "int8"}
    (run / "run.json").write_text(json.dumps(frozen))
    (note,) = [e.message for e in run_loop(run).events if isinstance(e, Note)]
    assert "(precision fp32 then, bf16 now; quantize none then, int8 now)" in note


@pytest.mark.parametrize("optimizer", ["adamw", "adafactor", "lion", "prodigy"])
def test_a_text_encoder_learns_at_its_own_rate_by_the_same_schedule(optimizer: str) -> None:
    settings = OptimConfig(optimizer=optimizer, learning_rate=0.5)  # type: ignore[arg-type]
    card: Any = SimpleNamespace(trains_text_encoder=True)
    rate = text_encoder_rate(settings, card)
    assert rate == (0.5 if optimizer == "prodigy" else 1e-5)
    weights = [nn.Parameter(torch.ones(3)) for _ in range(2)]
    groups = [Group(weights[:1], settings.learning_rate), Group(weights[1:], rate)]
    made = build_optimizer(settings, groups, torch.device("cpu"))
    set_rates(made, 0.25)
    assert [g["lr"] for g in made.param_groups] == [0.125, 0.25 * rate]
    for w in weights:
        w.grad = torch.ones(3)
    made.step()
    moved = [float((1 - w).abs().max()) for w in weights]
    assert moved[0] > 0 and moved[1] > 0 and (optimizer == "prodigy" or moved[1] < moved[0] / 100)


def test_rates_of_text_encoders() -> None:
    plain, clip = SimpleNamespace(trains_text_encoder=False), SimpleNamespace(trains_text_encoder=True)
    rates = [text_encoder_rate(OptimConfig(text_encoder_learning_rate=r), c) for r in (0, 3e-6) for c in (plain, clip)]  # type: ignore[arg-type]
    assert rates == [0, 0, 0, 3e-6]


def test_text_encoders_are_trained_saved_and_drawn_with(make_run: MakeRun, run_loop: Train, tmp_path: Path) -> None:
    from tests.contract.bases import stable_diffusion

    base = tmp_path / "sdxl"
    stable_diffusion.make(CARDS["sdxl"], base)
    common = SHORT | {"base": base, "data__resolution": 64, "optim__text_encoder_learning_rate": 0.01}
    one, two = (make_run(name, **common, sampling__width=64, sampling__height=64) for name in ("one", "two"))
    trained = run_loop(one)
    prefixes = {n.partition(".")[0] for n in trained.published[1]}
    assert prefixes == {"unet", "text_encoder", "text_encoder_2"}
    for prefix in prefixes:
        learned = [w for n, w in trained.published[1].items() if n.startswith(f"{prefix}.") and ".lora_B." in n]
        assert any(w.any() for w in learned), prefix
    run_loop(two, stop_after=1)
    run_loop(two)
    assert newest_state(one).read_bytes() == newest_state(two).read_bytes()
    assert [e.learning_rate for e in trained.events if isinstance(e, StepDone)] == [0.01, 0.01]
