"""How much each token of a picture counts in training: every attribute the same, however small it is drawn.

A smile is one or two tokens of sixty-four, a scene is nearly all of them. In a plain mean the smile is lost, and is
learned long after all else. So a part of the weight is spread evenly, and the rest is shared by what can be told of the
figure: expression, hair, garment, pose and so on, each over the tokens that it is drawn in. Of an edit it is shared by
what changes.
"""

from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from starter_recipe.flow import TOKEN
from starter_recipe.world import Picture, render

SHARE = 0.7  # of the weight that goes to attributes
SEEDS = (0, 1, 2)  # a figure stands a little elsewhere in each
# Values of an attribute that is always drawn, unlike enough to see where it is.
HAIRS = ("short", "long", "spiky", "bun")
GARMENTS = ("t-shirt", "dress", "coat")
EXPRESSIONS = ("smiling", "angry", "surprised")
ANIMALS, THINGS = ("cat", "bunny", "elephant"), ("car", "star", "umbrella")
Weights = NDArray[np.float32]  # (tokens,), row by row


def weights_of(p: Picture) -> Weights:
    """(tokens,) of a mean of one."""
    plain = Picture(kind=p.kind, framing=p.framing, view=p.view, width=p.width, height=p.height)
    plain = plain if p.is_person else replace(plain, noun=p.noun)
    stood = replace(plain, pose=p.pose)
    regions: list[Weights | None] = []
    if p.is_person:
        regions += [_region(stood, "hair", HAIRS), _region(stood, "garment", GARMENTS)]
        regions += [_region(stood, "expression", EXPRESSIONS)] if p.view != "back" else []
        regions += [_region(plain, "prop", (p.prop, "none"))] if p.prop != "none" else []
        regions += [_region(plain, "emblem", (p.emblem, "none"))] if p.emblem != "none" else []
    else:
        regions.append(_region(replace(stood, noun=""), "noun", ANIMALS if p.kind == "animal" else THINGS))
    if p.pose != "standing":
        regions.append(_region(plain, "pose", (p.pose, "standing")))
    if p.kind != "thing" and p.accessory != "none":
        regions.append(_region(plain, "accessory", (p.accessory, "none")))
    return mixed([r for r in regions if r is not None], p.width // TOKEN * (p.height // TOKEN))


def mixed(regions: list[Weights], tokens: int) -> Weights:
    """Regions (tokens,), each of a sum of one, with the even part: of a mean of one."""
    if not regions:
        return np.ones(tokens, np.float32)
    return (1 - SHARE + SHARE * tokens * np.mean(regions, axis=0)).astype(np.float32)


def weights_of_change(before: Tensor, after: Tensor) -> Tensor:
    """(B, tokens) of a mean of one, by the squared difference of latents (B, tokens, channels)."""
    change = (after - before).square().mean(-1)
    return 1 - SHARE + SHARE * change / change.mean(1, keepdim=True).clamp_min(1e-6)


@cache
def _region(p: Picture, field: str, values: tuple[str, ...]) -> Weights | None:
    """Where the attribute is drawn, as (tokens,) of a sum of one: where pictures with these values of it differ.
    None where it is not seen."""
    high, wide = p.height // TOKEN, p.width // TOKEN
    change = np.zeros((high, wide))
    for seed in SEEDS:
        first, *rest = (render(replace(p, scene="plain", **{field: value}), seed) for value in values)
        for other in rest:
            change += (first != other).any(-1).reshape(high, TOKEN, wide, TOKEN).mean((1, 3))
    total = change.sum()
    return (change / total).ravel().astype(np.float32) if total else None
