"""The base models Likeness knows: one Card each, and how a user's `base:` leads to a Card."""

from likeness.catalog.card import Card
from likeness.catalog.cards import CARDS, FAMILIES
from likeness.catalog.flux2 import STARTER_FOLDER
from likeness.catalog.resolve import card_for_folder, find_card, place_of, resolve_base, run_base
from likeness.catalog.source import Choice, Source

__all__ = [
    "CARDS", "FAMILIES", "STARTER_FOLDER", "Card", "Choice", "Source", "card_for_folder", "find_card", "place_of",
    "resolve_base", "run_base",
]  # fmt: skip
