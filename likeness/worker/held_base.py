"""The base that this process has open, kept for the pictures of its next job."""

import gc
from collections.abc import Iterator
from pathlib import Path

from likeness.catalog import Card
from likeness.families import Family, Placement, open_family
from likeness.families.placement import release_unused
from likeness.lora.inject import strip

_held: tuple[object, Family] | None = None


def held_base(card: Card, placement: Placement) -> Family:
    """`open_family`, without the wait where the last job of this process had the same base open: then that one, with
    no LoRA on it. `card` is one whose files are here (`fetch_now`). Raises InputError as `open_family` does."""
    global _held
    wanted = card, placement, sorted(_marks(card))
    if _held is not None and _held[0] == wanted:
        strip(_held[1].networks)
        return _held[1]
    _held = None
    gc.collect()  # two at once may not fit
    release_unused(placement.device)
    family = open_family(card, placement)
    _held = wanted, family
    return family


def _marks(card: Card) -> Iterator[tuple[str, int, int]]:
    """Name, size and time of each file that the base is read from: what was replaced is read again."""
    source = card.source
    given = [place for _, place in source.parts]
    for place in (*source.folders, *given, *([source.checkpoint] if source.checkpoint else [])):
        for path in [place] if place.is_file() else place.rglob("*"):
            if path.is_file():
                yield _mark(path)


def _mark(path: Path) -> tuple[str, int, int]:
    told = path.stat()
    return str(path), told.st_size, told.st_mtime_ns
