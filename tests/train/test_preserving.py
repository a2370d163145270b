"""Preservation: captions without the trigger go on as the base draws them."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from likeness.config.data import DataConfig
from likeness.config.train import TrainConfig
from likeness.dataset.captions import without_trigger
from likeness.dataset.manifest import Example
from likeness.dataset.order import Visit
from likeness.families import Family, memory
from likeness.functional.flow import squared_error
from likeness.lora import inject
from likeness.lora.targets import Size, Targets, choose_layers
from likeness.train.cache import Cache
from likeness.train.loader import Batch, Item, Slot, load_batch, prepare
from likeness.train.step import micro_step, preserving_step

SLOTS = [Slot(Visit(0, 0), 0), Slot(Visit(1, 0), 1)]


def test_a_caption_without_its_trigger() -> None:
    assert without_trigger("tiny_char, smiling, in the snow", "tiny_char") == "smiling, in the snow"
    assert without_trigger("a cup , in a room, tiny_style", "tiny_style") == "a cup, in a room"
    assert without_trigger("tiny_char waving, tiny_character", "tiny_char", "a girl") == "a girl waving, tiny_character"
    assert without_trigger("tiny_char", "tiny_char") == "" and without_trigger("a (b)", "(b)", r"\1") == r"a \1"


def with_lora(family: Family) -> Family:
    """A LoRA that changes the output."""
    layers = choose_layers(family.networks, Targets(family.lora_targets("attention"), Size(2, 2)))
    inject.inject(family.networks, layers, "lora", dropout=0, seed=0)
    torch.manual_seed(3)
    for p in inject.trainable(family.networks).values():
        p.data = torch.randn_like(p) * 0.3
    return family


def batch_of(family: Family) -> Batch:
    generator = torch.Generator().manual_seed(1)
    latents = family.encode_images(torch.rand((2, 3, 32, 32), generator=generator) * 2 - 1)
    return Batch(latents, [], family.encode_text(["a", "b"]), spared=family.encode_text(["c", "d"]))


def test_it_measures_how_far_the_lora_moves_what_the_base_predicts(open_tiny: Callable[..., Family]) -> None:
    family, train = with_lora(open_tiny()), TrainConfig(seed=5)
    batch = batch_of(family)
    asked: list[tuple[Any, ...]] = []
    predict = family.predict

    def told(*args: Any) -> torch.Tensor:
        asked.append(args)
        return predict(*args)

    family.predict = told  # type: ignore[method-assign]
    moved = preserving_step(family, batch, SLOTS, train, 1)
    assert moved is not None and moved > 0
    micro_step(family, batch, SLOTS, train, 1)
    base, lora, learned = asked
    for of_both, of_learned in zip(lora[:2], learned[:2], strict=True):  # the same noisy pictures at the same times
        assert torch.equal(of_both, of_learned)
    assert base[2] is lora[2] and base[2][0] is batch.spared[0] and learned[2] is batch.conditions
    with torch.no_grad(), inject.disabled(family.networks):
        target = predict(*base)
    assert torch.allclose(moved, squared_error(predict(*lora), target).mean())
    moved.backward()
    grads = [p.grad for p in inject.trainable(family.networks).values()]
    assert all(g is not None and g.any() for g in grads)
    with inject.disabled(family.networks):
        nothing = preserving_step(family, batch, SLOTS, train, 1)
    assert nothing is not None and nothing == 0


def test_examples_that_spare_nothing_count_as_unmoved(open_tiny: Callable[..., Family]) -> None:
    family, train = with_lora(open_tiny()), TrainConfig(seed=5)
    batch = batch_of(family)
    with torch.no_grad():
        whole = preserving_step(family, batch, SLOTS, train, 1)
        parts = [
            preserving_step(family, replace(batch, spared=spared), SLOTS, train, 1)
            for spared in ([batch.spared[0], None], [None, batch.spared[1]])
        ]
        assert whole is not None and torch.allclose(sum(p for p in parts if p is not None), whole)  # type: ignore[arg-type]
        assert preserving_step(family, replace(batch, spared=[None, None]), SLOTS, train, 1) is None


def test_what_is_spared_is_the_caption_that_is_shown(open_tiny: Callable[..., Family], tmp_path: Path) -> None:
    """Neither of a dropped caption, nor of a held-out picture, nor of one without a trigger."""
    family, picture, cache = open_tiny(), tmp_path / "a.png", Cache(tmp_path / "cache")
    Image.new("RGB", (32, 32), "red").save(picture)
    sha256 = hashlib.sha256(picture.read_bytes()).hexdigest()
    shown = Example("a", str(picture), 32, 32, "tiny_char at sea", 1, 0, sha256, trigger="tiny_char")
    plain, held_out = replace(shown, id="b", caption="a boat", trigger=""), replace(shown, id="c", held_out=True)
    data, dropping = (
        DataConfig.model_validate({"datasets": [{"path": "."}], "captions": {"dropout": share}}) for share in (0, 1)
    )

    def items(spare: str | None) -> list[Item]:
        *_, found = prepare(family, [shown, plain, held_out], data, 32, 42, cache, spare=spare)
        assert isinstance(found, list)
        return found

    slots = [Slot(Visit(n, 0), n) for n in range(3)]
    batch = load_batch(cache, items("a girl"), slots, data, seed=42, step=1, epoch=1)
    (expected,) = family.encode_text(["a girl at sea"])
    first, *others = batch.spared
    assert first is not None and torch.equal(first["embeds"], expected["embeds"]) and others == [None, None]
    assert list(load_batch(cache, items(None), slots, data, seed=42, step=1, epoch=1).spared) == [None] * 3
    assert load_batch(cache, items("a girl"), slots, dropping, seed=42, step=1, epoch=1).spared[0] is None


@pytest.mark.parametrize(
    ("checkpointing", "compiled"),
    [("blocks", False), ("all", False), pytest.param("blocks", True, marks=pytest.mark.long)],
)
def test_recomputed_and_compiled_blocks_preserve_the_same(
    open_tiny: Callable[..., Family], compiled_by_tracer: None, checkpointing: str, compiled: bool
) -> None:
    """Blocks see the LoRA off and on within one step, and are computed once more with it on."""

    def gradients(*how: Any) -> torch.Tensor:
        family = with_lora(open_tiny())
        denoiser = family.networks["transformer"]
        denoiser.train()
        memory.prepare_training(denoiser, family.blocks, *how)
        found = torch.zeros(())
        for step in (1, 2):
            with memory.kept_activations(how[0], torch.device("cpu")):
                moved = preserving_step(family, batch_of(family), SLOTS, TrainConfig(seed=5), step)
                assert moved is not None
                (micro_step(family, batch_of(family), SLOTS, TrainConfig(seed=5), step) + moved).backward()
            found = torch.cat(
                [p.grad.flatten() for p in inject.trainable(family.networks).values() if p.grad is not None]
            )
        return found

    assert torch.allclose(gradients(checkpointing, compiled), gradients("none", False), rtol=1e-3, atol=1e-5)
