"""The attributes of the world as classes: what a network can be asked about a picture or a text."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from starter_recipe.world import picture as world
from starter_recipe.world.picture import HELD_OUT

UNKNOWN = -1  # label of what cannot be seen or is not said: no loss, and not counted


def _values(field: str, *known: Sequence[str]) -> tuple[str, ...]:
    every = [value for values in known for value in values]
    return tuple(dict.fromkeys((*every, *HELD_OUT.get(field, ()))))


FIELDS: dict[str, tuple[str, ...]] = {
    "kind": ("girl", "boy", "animal", "thing"),
    "style": _values("style", world.STYLES),
    "scene": _values("scene", world.SCENES),
    "time": _values("time", world.TIMES),
    "backdrop": _values("backdrop", world.BACKDROPS),
    "hair": _values("hair", world.HAIRS),
    "hair_colour": _values("hair_colour", tuple(world.HAIR_COLOURS)),
    "skin": _values("skin", tuple(world.SKINS)),
    "garment": _values("garment", world.GARMENTS),
    "garment_colour": _values("garment_colour", world.GARMENT_COLOURS),
    "emblem": _values("emblem", world.EMBLEMS),
    "accessory": _values("accessory", world.ACCESSORIES),
    "accessory_colour": _values("accessory_colour", world.GARMENT_COLOURS),
    "expression": _values("expression", world.EXPRESSIONS),
    "pose": _values("pose", world.POSES, world.ANIMAL_POSES),
    "view": _values("view", world.VIEWS),
    "framing": _values("framing", world.FRAMINGS),
    "noun": _values("noun", world.ANIMALS, world.THINGS),
    "colour": _values("colour", world.ANIMAL_COLOURS, world.GARMENT_COLOURS),
    "prop": _values("prop", ("none",), world.PROPS),
    "prop_colour": _values("prop_colour", world.GARMENT_COLOURS),
}

COUNTS = [len(values) for values in FIELDS.values()]  # classes of each field: how logits of all are split


def classes_of(rows: Sequence[Mapping[str, str]]) -> Tensor:
    """(N, fields) indices into the values of each field, from its value by name; UNKNOWN where it is missing."""
    return torch.tensor([[values.index(r[f]) if f in r else UNKNOWN for f, values in FIELDS.items()] for r in rows])


def loss_of(logits: tuple[Tensor, ...], labels: Tensor) -> Tensor:
    """Mean cross entropy over the fields that are known in some row."""
    parts = [
        functional.cross_entropy(part.float(), wanted, ignore_index=UNKNOWN)
        for part, wanted in zip(logits, labels.unbind(1), strict=True)
        if (wanted != UNKNOWN).any()
    ]
    return torch.stack(parts).mean()
