"""Guidance is off where the Card says so."""

import pytest
import torch

from likeness.catalog import CARDS, Card, resolve_base
from likeness.families import Placement, open_family
from likeness.families.base import Picture
from tests.contract.conftest import MakeBase
from tests.families.compare import largest_difference

ROUNDING = 2  # of 255: a prompt's length decides how others are padded

STRONG = 40.0  # random weights heed words little

# One of each family that compares two prompts.
COMPARING = {card.family: card for card in CARDS.values() if card.negative_prompt}.values()


@pytest.mark.parametrize("card", COMPARING, ids=lambda card: card.name)
def test_guidance_is_off_where_the_card_says(card: Card, contract_base: MakeBase) -> None:
    assert card.guidance_off is not None
    family = open_family(resolve_base(str(contract_base(card))), Placement(torch.device("cpu"), torch.float32))
    wanted, *avoided = family.encode_text(["tiny_char at sea", "ugly", "a dog on a bench in the park"])
    side = family.card.resolution

    def felt(guidance: float) -> int:
        return largest_difference(*(family.sample(Picture(wanted, a, side, side, 2, guidance, 9)) for a in avoided))

    assert felt(card.guidance_off) <= ROUNDING < felt(card.guidance_off + STRONG)
