"""A network that names the attributes of a picture of the cartoon world: hair, garment, scene, style and all others.

It learns from renders alone, and has nothing to do with the starter or its scorecard: it never sees a picture that a
model drew, nor does any model learn from it. It knows the held-out values too, so that it can tell what a LoRA taught.
It takes pictures of any shape as they are; unlike the small judge of `judge.py`, which asks for four traits, it sees
every pixel, since expressions and accessories are small.
"""

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from starter_recipe.answers import Answers, Residual, accuracy, stage
from starter_recipe.fields import FIELDS, classes_of
from starter_recipe.world import Picture
from starter_recipe.world import picture as world
from starter_recipe.world.picture import HELD_OUT, can_hold

Pixels = NDArray[np.uint8]  # (height, width, 3)
TAUGHT_SHARE = 0.25  # of the pictures it learns from: with a value that pretraining holds out


def shown(p: Picture) -> dict[str, str]:
    """The attributes that can be seen in the picture."""
    gray, near = p.is_gray, p.framing == "close-up"
    found = {"kind": p.kind, "style": p.style, "scene": p.scene}
    if p.scene not in world.TIMELESS_SCENES and not gray:
        found["time"] = p.time
    if p.scene == "plain" and not gray:
        found["backdrop"] = p.backdrop
    if p.is_person:
        found |= {"hair": p.hair, "garment": p.garment, "view": p.view, "framing": p.framing}
        found |= {} if gray else {"hair_colour": p.hair_colour, "garment_colour": p.garment_colour}
        found |= {} if gray or p.view == "back" else {"skin": p.skin}
        found |= {} if near or p.view != "front" else {"emblem": p.emblem}
        found |= {} if p.view == "back" else {"expression": p.expression}
        found |= {} if near else {"pose": p.pose}
        if can_hold(p):
            found["prop"] = p.prop
            if p.prop != "none" and not gray:
                found["prop_colour"] = p.prop_colour
    else:
        found |= {"noun": p.noun} | ({} if gray else {"colour": p.colour})
        found |= {"pose": p.pose, "framing": p.framing} if p.kind == "animal" else {}
    if p.kind != "thing":
        found["accessory"] = p.accessory
        if p.accessory not in ("none", *world.FIXED_COLOUR_ACCESSORIES) and not gray:
            found["accessory_colour"] = p.accessory_colour
    return found


def labels_of(pictures: Sequence[Picture]) -> Tensor:
    """(N, fields) indices into the values of each field, or UNKNOWN."""
    return classes_of([shown(p) for p in pictures])


def with_taught(p: Picture, rng: Random) -> Picture:
    """Now and then a held-out value, each by its own dice, where it can be seen."""
    if rng.random() >= TAUGHT_SHARE:
        return p
    person = {"hair", "hair_colour", "garment_colour", *(("prop",) if can_hold(p) else ())}
    person |= {"emblem"} if p.garment in world.EMBLEM_GARMENTS and p.view == "front" else set()
    person -= {"hair"} if p.view == "back" else set()
    own = person if p.is_person else {"colour"} | ({"noun"} if p.kind == "thing" else set())
    own |= {"accessory"} if p.kind != "thing" else set()
    fields = sorted({"scene", "style"} | own)
    for field in rng.sample(fields, rng.choice((1, 1, 2))):
        p = replace(p, **{field: HELD_OUT[field][0]})
    return p


class AttributeJudge(nn.Module):
    """(B, 3, H, W) in [-1, 1] to the logits of each field, in the order of FIELDS."""

    def __init__(self, width: int):
        super().__init__()
        self.width = width  # channels of the first layer
        self.features = nn.Sequential(
            stage(3, width, 5, 2),
            stage(width, 2 * width, stride=2),
            Residual(2 * width),
            stage(2 * width, 4 * width, stride=2),
            Residual(4 * width),
            Residual(4 * width),
            stage(4 * width, 8 * width, stride=2),  # 8 × 8 of a square
            Residual(8 * width),
        )
        self.answers = Answers(8 * width, hidden=8 * width, dropout=0.1)
        self.facts: dict[str, Any] = {}  # what it was taught with, and how well it did on held-out renders

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return self.answers(self.features(x))

    @torch.no_grad()
    def look(self, images: Sequence[Image.Image | Pixels]) -> list[dict[str, str]]:
        """What each picture shows, field by field; also of fields that it has no such thing of."""
        self.eval()
        found: list[dict[str, str]] = []
        for image in images:
            logits = self(pixel_values([np.asarray(image)]).to(self.answers.heads.weight.device))
            best = [int(part.argmax()) for part in logits]
            found.append({f: FIELDS[f][b] for f, b in zip(FIELDS, best, strict=True)})
        return found


def pixel_values(images: Sequence[Pixels]) -> Tensor:
    """(B, 3, H, W) in [-1, 1] from equally large pictures."""
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 127.5 - 1


def roughened(x: Tensor) -> Tensor:
    """Blurred, made small and large again, shifted, recoloured and grainy at random, as a model's pictures are."""

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand((len(x), 1, 1, 1), device=x.device)

    high, wide = x.shape[-2:]
    blurred = functional.avg_pool2d(functional.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
    smeared = functional.interpolate(functional.avg_pool2d(x, 2), (high, wide), mode="bilinear", antialias=False)
    # Half of the pictures stay sharp: expressions and accessories are a few pixels wide.
    x = x.lerp(blurred, uniform(-1, 1).clamp_min(0)).lerp(smeared, uniform(-1.5, 0.8).clamp_min(0))
    dx, dy = torch.randint(-4, 5, (2,)).tolist()
    x = functional.pad(x, (4, 4, 4, 4), mode="replicate")[..., 4 + dy : 4 + dy + high, 4 + dx : 4 + dx + wide]
    x = x * uniform(0.9, 1.08) + uniform(-0.08, 0.08)
    return (x + uniform(0, 0.06) * torch.randn_like(x)).clamp(-1, 1)


@torch.no_grad()
def examine(judge: AttributeJudge, batches: Sequence[tuple[Tensor, Tensor]]) -> dict[str, float]:
    """Share of right answers by field, on (pictures, labels) that it was not taught with."""
    judge.eval()
    return accuracy((judge(x), labels) for x, labels in batches)
