"""Pictures and masks as tensors, in one frame and view."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from likeness.dataset.augment import View, show, show_mask
from likeness.dataset.formats import open_rgb
from likeness.dataset.geometry import Frame
from likeness.dataset.masks import open_mask

MOST_KEPT = 2  # pictures, decoded: the tiles and variations of one come one after the other


@dataclass(frozen=True)
class Source:
    """A picture file with its mask, where it has one."""

    path: str
    sha256: str
    size: tuple[int, int]  # width, height in pixels as shown
    mask: str | None = None
    mask_sha256: str | None = None


@lru_cache(maxsize=MOST_KEPT)
def opened(path: str, sha256: str) -> Image.Image:
    """The picture; the digest is for the memory alone, which must not outlast a change of the file."""
    return open_rgb(Path(path))


def pixels(source: Source, frame: Frame, view: View) -> Tensor:
    """(3, H, W) in [-1, 1]."""
    image = show(opened(source.path, source.sha256), frame, view)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 127.5 - 1


def learned_share(source: Source, frame: Frame, view: View, latent_size: tuple[int, int]) -> Tensor:
    """(1, h, w): how much of each place of the latents is to be learned, 0 to 1: inside of the mask, where there is
    one, and of the picture. `latent_size` is (width, height)."""
    if source.mask is not None:
        mask = open_mask(Path(source.path), Path(source.mask))
        mask = mask if mask.size == source.size else mask.resize(source.size, Image.Resampling.BILINEAR)
    else:
        mask = Image.new("L", source.size, 255)
    shown = show_mask(mask, frame, view)
    small = shown.resize(latent_size, Image.Resampling.BOX)
    return torch.from_numpy(np.array(small))[None].float() / 255
