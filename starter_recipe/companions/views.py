"""Pictures of the world as the companions see them: drawn on the fly, endless for training, fixed where held out."""

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from starter_recipe.world import Picture, edit_pair, random_picture, random_size, render

SIDE = 128  # pixels
PATCH = 16
Pixels = NDArray[np.uint8]
Pair = tuple[Picture, Picture]
_TRAIN, _HELD_OUT = 3_000_000_000, 7_000_000_000  # where the seeds of each start

# What is kept beside the weights, so that transformers prepares pictures as here: resized to the square, not cropped.
PREPROCESSING: dict[str, Any] = {
    "do_convert_rgb": True,
    "do_resize": True,
    "size": {"height": SIDE, "width": SIDE},
    "resample": 3,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
}


def training_seed(name: str, index: int) -> int:
    """A seed for one drawing of a training; each training has its own."""
    return _TRAIN + sum(ord(c) for c in name) * 100_000_000 + index


def held_out_seed(index: int) -> int:
    """A seed that no training uses."""
    return _HELD_OUT + index


def drawn(seed: int) -> tuple[Picture, Pixels]:
    """A random picture of a random shape, and its pixels (H, W, 3)."""
    rng = random.Random(seed)
    p = random_picture(rng, random_size(rng))
    return p, render(p, seed)


def drawn_pair(seed: int, shaped: bool = True) -> tuple[Pair, tuple[Pixels, Pixels]]:
    """A picture before and after an edit, and the pixels of both."""
    rng = random.Random(seed)
    size = random_size(rng) if shaped else (SIDE, SIDE)
    before, after, _ = edit_pair(rng, size)
    return (before, after), (render(before, seed), render(after, seed))


def squared(pixels: Pixels) -> Pixels:
    """(128, 128, 3): other shapes are resized, which shows all of them a little squashed."""
    if pixels.shape == (SIDE, SIDE, 3):
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def beside(before: Pixels, after: Pixels) -> Pixels:
    """(128, 256, 3): before on the left, after on the right."""
    return np.concatenate([squared(before), squared(after)], axis=1)


def pixel_values(images: Sequence[Pixels]) -> Tensor:
    """(B, 3, H, W) in [-1, 1] from equally large (H, W, 3) uint8."""
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 127.5 - 1
