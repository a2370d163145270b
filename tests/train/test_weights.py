"""Weights of examples and of places in them reach the loss."""

from collections.abc import Callable
from dataclasses import replace

import torch

from likeness.config.train import TrainConfig
from likeness.dataset.order import Visit
from likeness.families import Family
from likeness.train.loader import Batch, Slot
from likeness.train.step import losses_at, micro_step

SLOTS = [Slot(Visit(0, 0), 0), Slot(Visit(1, 0), 1)]


def batch_of(family: Family) -> Batch:
    generator = torch.Generator().manual_seed(1)
    latents = family.encode_images(torch.rand((2, 3, 32, 32), generator=generator) * 2 - 1)
    return Batch(latents, [], family.encode_text(["a", "b"]))


def test_an_example_counts_as_much_as_its_weight(open_tiny: Callable[..., Family]) -> None:
    family = open_tiny()
    batch, train = batch_of(family), TrainConfig()
    with torch.no_grad():
        plain = micro_step(family, batch, SLOTS, train, 1)
        parts = [
            micro_step(family, replace(batch, weights=torch.tensor(w)), SLOTS, train, 1) for w in ([1.0, 0], [0, 1.0])
        ]
        assert torch.allclose(parts[0] + parts[1], plain) and not torch.allclose(*parts)
        mixed = micro_step(family, replace(batch, weights=torch.tensor([0.5, 2.0])), SLOTS, train, 1)
        assert torch.allclose(mixed, 0.5 * parts[0] + 2 * parts[1])


def test_what_lies_outside_of_a_mask_is_not_learned(open_tiny: Callable[..., Family]) -> None:
    family = open_tiny()
    batch = batch_of(family)
    t, noise = torch.tensor([0.5, 0.5]), torch.randn(batch.x0.shape, generator=torch.Generator().manual_seed(2))
    masks = torch.ones(2, 1, *batch.x0.shape[-2:])
    masks[0, :, :, 0] = 0
    with torch.no_grad():
        plain, masked = losses_at(family, batch, t, noise), losses_at(family, replace(batch, masks=masks), t, noise)
    assert torch.allclose(plain[1], masked[1]) and not torch.allclose(plain[0], masked[0])
