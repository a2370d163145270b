"""One file per model family. `open_family` picks it by the Card."""

import importlib
from collections.abc import Sequence

from likeness.catalog import Card
from likeness.families import memory
from likeness.families.base import Family, Placement
from likeness.lora.names import Names


def open_family(card: Card, placement: Placement) -> Family:
    """Load the base model that `card` describes. Raises InputError when its files are missing or broken."""
    family: Family = importlib.import_module(f"likeness.families.{card.family}").load(card, placement)
    memory.arrange(family)
    return family


def names_of(card: Card) -> list[Names]:
    """What LoRA files call the layers of this base."""
    tables: Sequence[Names] = importlib.import_module(f"likeness.families.{card.family}").NAMES
    return [t for t in tables if not t.pipelines or card.pipeline in t.pipelines]


__all__ = ["Family", "Placement", "names_of", "open_family"]
