"""A LoRA file draws the same picture in the stock pipeline, following nothing but what `sample --json` says."""

import json
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from PIL import Image

from likeness.config.hardware import HardwareConfig
from likeness.errors import InputError
from likeness.families import Family
from likeness.lora import inject as lora
from likeness.lora.io import LoraInfo, write_lora
from likeness.lora.kinds import Size, Type
from likeness.lora.targets import Rule, Targets, choose_layers
from likeness.service import samples
from likeness.service.samples import LoraUse, SampleJob
from likeness.worker import sampling, training
from tests.contract.bases.flux2 import make_tiny_base
from tests.worker import dying

HARDWARE = HardwareConfig(device="cpu", precision="fp32", threads=1)
LIKENESS = 2  # of 255: what the same sum in another order may do to a pixel
Draw = Callable[..., dict[str, Any]]


@pytest.fixture
def draw(tiny_base: Path, tmp_path: Path) -> Draw:
    """`likeness sample` inside this process; returns what its --json says."""
    numbers = count()

    def run(*loras: LoraUse, base: Path = tiny_base, prompt: str = "tiny_char at sea", **values: Any) -> dict[str, Any]:
        job = SampleJob(
            str(base), (prompt,), loras, **{"width": 48, "height": 32, "steps": 2, "guidance": 2.5, **values},
            hardware=HARDWARE,
        )  # fmt: skip
        folder = tmp_path / f"drawn-{next(numbers)}"
        assert sampling.run(samples.order(job, folder).write(folder)) == 0
        return samples.result(folder)

    return run


@pytest.fixture
def make_lora(open_tiny: Callable[..., Family], tmp_path: Path) -> Callable[..., Path]:
    """A LoRA of random weights, strong enough to be seen."""

    def make(name: str, seed: int, alpha: float = 8, strength: float = 0.5, kind: Type = "lora") -> Path:
        family = open_tiny()
        rules = (Rule(r".*\.to_[kv]", 2, alpha / 2),)
        sizes = choose_layers(family.networks, Targets(family.lora_targets("all"), Size(4, alpha), rules))
        lora.inject(family.networks, sizes, kind, dropout=0, seed=seed)
        torch.manual_seed(seed)
        weights = {n: w.detach() for n, w in lora.trainable(family.networks).items()}
        for name_, w in weights.items():
            if not w.any():  # what starts at zero is what learns first
                weights[name_] = torch.randn_like(w) * strength
            elif "magnitude" in name_:
                weights[name_] = w * torch.linspace(0.2, 4, len(w))
        path = tmp_path / f"{name}.safetensors"
        write_lora(path, weights, sizes, info=LoraInfo(name, "tiny", "", 4, 1, 1, {}, kind), targets="all")
        return path

    return make


def picture_of(result: dict[str, Any]) -> Image.Image:
    return Image.open(result["pictures"][0]["path"]).convert("RGB")


def stock_picture(result: dict[str, Any]) -> Image.Image:
    """Drawn by diffusers alone, from what the result says."""
    pipeline = getattr(diffusers, result["pipeline"]).from_pretrained(result["base"]["location"], dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    for number, use in enumerate(result["loras"]):
        pipeline.load_lora_weights(use["path"], adapter_name=f"number{number}")
    if result["loras"]:
        pipeline.set_adapters(
            [f"number{n}" for n in range(len(result["loras"]))], [use["strength"] for use in result["loras"]]
        )
    said = result["pictures"][0]
    arguments = result["pipeline_arguments"]
    negative = pipeline.encode_prompt(said["negative_prompt"], **arguments)[0]
    return pipeline(
        prompt=said["prompt"],
        negative_prompt_embeds=negative,
        image=[Image.open(path).convert("RGB") for path in said["references"]] or None,
        width=said["width"],
        height=said["height"],
        num_inference_steps=said["steps"],
        guidance_scale=said["guidance"],
        generator=torch.Generator().manual_seed(said["seed"]),
        **arguments,
    ).images[0]


def difference(a: Image.Image, b: Image.Image) -> int:
    assert a.size == b.size
    return max(abs(x - y) for x, y in zip(a.convert("RGB").tobytes(), b.convert("RGB").tobytes(), strict=True))


def test_a_base_alone(draw: Draw) -> None:
    result = draw(negative_prompt="ugly", seeds=(3,))
    assert result["base"]["name"] == "tiny" and result["precision"] == "fp32"
    assert difference(picture_of(result), stock_picture(result)) <= LIKENESS


@pytest.mark.parametrize("alpha", [4, 1, 10])
def test_a_lora_whatever_its_alpha(draw: Draw, make_lora: Callable[..., Path], alpha: float) -> None:
    plain, result = draw(), draw(LoraUse(make_lora("one", 1, alpha=alpha, strength=16 / alpha)))
    assert difference(picture_of(plain), picture_of(result)) > 10, "it must be seen"
    assert difference(picture_of(result), stock_picture(result)) <= LIKENESS


@pytest.mark.parametrize("kind", ["dora", "rslora", "lokr"])
def test_a_lora_of_another_type(draw: Draw, make_lora: Callable[..., Path], kind: Type) -> None:
    path = make_lora("one", 1, kind=kind)
    result = draw(LoraUse(path))
    assert difference(picture_of(draw()), picture_of(result)) > 10, "it must be seen"
    assert difference(picture_of(result), stock_picture(result)) <= LIKENESS
    weaker = draw(LoraUse(path, -0.5))
    assert difference(picture_of(weaker), stock_picture(weaker)) <= LIKENESS
    assert picture_of(draw(LoraUse(path, 0))).tobytes() == picture_of(draw()).tobytes()


def test_loras_of_several_types_add_up(draw: Draw, make_lora: Callable[..., Path]) -> None:
    one, two = make_lora("one", 1, kind="dora"), make_lora("two", 2, kind="lora")
    result = draw(LoraUse(one, 1.0), LoraUse(two, 0.5))
    assert difference(picture_of(result), stock_picture(result)) <= LIKENESS


def test_two_loras_with_strengths(draw: Draw, make_lora: Callable[..., Path]) -> None:
    one, two = make_lora("one", 1), make_lora("two", 2)
    result = draw(LoraUse(one, 0.5), LoraUse(two, 1.5))
    assert difference(picture_of(result), stock_picture(result)) <= LIKENESS
    for others in ((LoraUse(one, 0.5),), (LoraUse(two, 1.5),), (LoraUse(one, 1.5), LoraUse(two, 0.5)), ()):
        assert difference(picture_of(result), picture_of(draw(*others))) > 5


def test_an_edit(draw: Draw, make_lora: Callable[..., Path], tmp_path: Path) -> None:
    Image.effect_noise((80, 64), 90).convert("RGB").save(tmp_path / "source.png")
    result = draw(LoraUse(make_lora("one", 1)), references=(tmp_path / "source.png",), width=80, height=64)
    assert difference(picture_of(result), stock_picture(result)) <= LIKENESS
    assert difference(picture_of(result), picture_of(draw(LoraUse(make_lora("one", 1)), width=80, height=64))) > 5


def test_an_untrained_lora_changes_nothing(draw: Draw, make_lora: Callable[..., Path]) -> None:
    with_zeros, without = draw(LoraUse(make_lora("zero", 1, strength=0.0))), draw()
    assert picture_of(with_zeros).tobytes() == picture_of(without).tobytes()


def test_the_runs_own_samples_are_the_files(draw: Draw, make_run: Callable[..., Path]) -> None:
    """What the grid showed at an epoch is what its file draws, though the file is in fp16 and its alpha folded in."""
    run = make_run(lora__alpha=12, optim__learning_rate=0.05, sampling__guidance=2.5)
    assert training.run(run) == 0
    in_training = [Image.open(run / f"samples/epoch-00{n}/prompt-1-seed-42.png").convert("RGB") for n in range(3)]
    assert difference(in_training[0], in_training[2]) > 10, "the training must be seen"
    for epoch in (1, 2):
        path = run / f"checkpoints/epoch-00{epoch}.safetensors"
        result = draw(LoraUse(path), width=32, height=32)
        assert difference(picture_of(result), in_training[epoch]) <= LIKENESS
        assert difference(picture_of(result), stock_picture(result)) <= LIKENESS
    assert difference(picture_of(draw(width=32, height=32)), in_training[0]) <= LIKENESS


def test_a_fresh_process_draws_the_same_bytes(draw: Draw, make_lora: Callable[..., Path], tmp_path: Path) -> None:
    result = draw(LoraUse(make_lora("one", 1), 0.7))
    folder = tmp_path / "again"
    folder.mkdir()
    job = json.loads(next(tmp_path.glob("drawn-*/job.json")).read_text())
    (folder / "job.json").write_text(json.dumps(job | {"outputs": [str(folder / "it.png")]}))
    assert dying.work(folder, "sample") == 0
    assert (folder / "it.png").read_bytes() == Path(result["pictures"][0]["path"]).read_bytes()


def test_any_picture_can_be_repeated_alone(draw: Draw) -> None:
    together, alone = draw(seeds=(1, 2, 3)), draw(seeds=(3,))
    assert [p["seed"] for p in together["pictures"]] == [1, 2, 3]
    drawn = [Path(p["path"]).read_bytes() for p in together["pictures"]]
    assert len(set(drawn)) == 3 and drawn[2] == Path(alone["pictures"][0]["path"]).read_bytes()


def test_the_picture_carries_its_settings(draw: Draw) -> None:
    result = draw(seeds=(5,), negative_prompt="ugly")
    text = Image.open(result["pictures"][0]["path"]).info["parameters"]
    assert text == "tiny_char at sea\nNegative prompt: ugly\nSteps: 2, CFG scale: 2.5, Seed: 5, Size: 48x32"


def test_a_lora_of_another_base_is_refused(
    draw: Draw, make_lora: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wider = make_wider_base(tmp_path / "wider", monkeypatch)
    path = make_lora("one", 1)
    with pytest.raises(InputError, match=r"one\.safetensors: does not fit base 'wider'.*Fix: use the base"):
        draw(LoraUse(path), base=wider)


def make_wider_base(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from tests.contract.bases import flux2 as tiny

    plain = tiny.Flux2Transformer2DModel
    monkeypatch.setattr(
        tiny,
        "Flux2Transformer2DModel",
        lambda **kw: plain(**kw | {"attention_head_dim": 32, "axes_dims_rope": (8,) * 4}),
    )
    return make_tiny_base(folder)


def test_a_lora_with_none_of_the_layers_is_refused(draw: Draw, tmp_path: Path) -> None:
    path = tmp_path / "foreign.safetensors"
    info = LoraInfo("foreign", "x", "", 2, 1, 1, {})
    layer = "transformer.blocks.0"
    weights = {f"{layer}.lora_A.weight": torch.ones(2, 4), f"{layer}.lora_B.weight": torch.ones(4, 2)}
    write_lora(path, weights, {layer: Size(2, 2.0)}, info=info, targets="all")
    with pytest.raises(InputError, match=r"foreign\.safetensors: does not fit base 'tiny'"):
        draw(LoraUse(path))


def test_a_file_that_is_no_lora_is_refused_before_the_base_is_loaded(
    draw: Draw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "junk.safetensors").write_bytes(b"junk")
    monkeypatch.setattr(sampling, "held_base", lambda *_: pytest.fail("the base was loaded"))
    with pytest.raises(InputError, match=r"junk\.safetensors: not a readable safetensors file"):
        draw(LoraUse(tmp_path / "junk.safetensors"))
