"""Every way to hold a base in less memory, on every family. What each costs in accuracy, tests/families/test_memory.py
measures."""

import pytest
import torch

from likeness.catalog import CARDS, Card, resolve_base
from likeness.families import Placement, memory, open_family
from likeness.families.quantize import FORMATS
from likeness.functional.randomness import normal
from likeness.lora import inject as lora
from likeness.lora.kinds import Size
from likeness.lora.targets import Targets, choose_layers
from likeness.train.loader import Batch
from likeness.train.step import losses_at
from tests.contract.conftest import MakeBase

CPU = torch.device("cpu")
FIRST_OF_FAMILY = {card.family: card for card in reversed(CARDS.values()) if card.name != "starter"}.values()


def trained(card: Card, base: MakeBase, **how: object) -> tuple[float, torch.Tensor]:
    """Loss and LoRA gradients of one batch of two at a base that is held in a certain way."""
    family = open_family(resolve_base(str(base(card))), Placement(CPU, torch.float32, **how))  # type: ignore[arg-type]
    conditions = family.encode_text(["tiny_char at sea", "another"])
    shape = family.encode_images(torch.zeros(1, 3, 64, 64)).shape[1:]
    family.release_encoders()
    layers = choose_layers(family.networks, Targets(family.lora_targets("attention"), Size(2, 2)))
    lora.inject(family.networks, layers, "lora", dropout=0, seed=1)
    weights = lora.trainable(family.networks)
    denoiser = next(iter(family.networks.values())).train()
    memory.prepare_training(denoiser, family.blocks, "blocks" if how else "none", compiled=False)
    batch = Batch(normal((2, *shape), 1, "x"), [], conditions)
    with memory.attention_for(family.placement):
        losses_at(family, batch, torch.tensor([0.3, 0.8]), normal((2, *shape), 1, "n")).mean().backward()
        loss = losses_at(family, batch, torch.tensor([0.3, 0.8]), normal((2, *shape), 1, "n")).mean().item()
    return loss, torch.cat([w.grad.flatten() for w in weights.values() if w.grad is not None])


@pytest.mark.parametrize("card", FIRST_OF_FAMILY, ids=lambda card: card.family)
def test_every_family_is_held_in_every_way(card: Card, contract_base: MakeBase) -> None:
    plain, gradients = trained(card, contract_base)
    loss, offloaded = trained(card, contract_base, offload=0.5)
    assert loss == pytest.approx(plain, rel=1e-6) and torch.allclose(offloaded, gradients, rtol=1e-4, atol=1e-6)
    for form in FORMATS:
        loss, quantised = trained(card, contract_base, quantize=form)
        assert loss == pytest.approx(plain, rel=0.1) and loss != plain, form
        assert quantised.isfinite().all() and quantised.any()
