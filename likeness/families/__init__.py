"""One file per model family. `open_family` picks it by the Card."""

from likeness.catalog import Card
from likeness.families.base import Family, Placement
from likeness.families.flux2 import Flux2

_FAMILIES: dict[str, type[Flux2]] = {"flux2": Flux2}


def open_family(card: Card, placement: Placement) -> Family:
    """Load the base model that `card` describes. Raises InputError when its files are missing or broken."""
    return _FAMILIES[card.family].load(card, placement)


__all__ = ["Family", "Placement", "open_family"]
