"""A network run over a large picture piece by piece, without seams."""

from collections.abc import Callable

import torch
from torch import Tensor

from likeness.dataset.tiles import tile_starts

Enlarge = Callable[[Tensor], Tensor]  # (1, 3, h, w) in [0, 1] to (1, 3, scale · h, scale · w)


def enlarge_tiled(pixels: Tensor, enlarge: Enlarge, scale: int, tile: int, overlap: int) -> Tensor:
    """(3, H, W) in [0, 1] to (3, scale · H, scale · W), on the CPU.

    Tiles of `tile` pixels share `overlap` pixels at least with their neighbours, and are faded into each other there.
    A quarter of the overlap beside each seam, where a network misses what lies outside of its tile, is not used.
    """
    _, height, width = pixels.shape
    total = torch.zeros(3, height * scale, width * scale)
    weight = torch.zeros(1, height * scale, width * scale)
    rows, columns = _places(height, tile, overlap), _places(width, tile, overlap)
    for top, down, up in rows:
        for left, across, back in columns:
            piece = pixels[:, top : top + tile, left : left + tile]
            large = enlarge(piece[None])[0].float().cpu()
            fade = _fade(large.shape[1], overlap * scale, down, up)[:, None]
            fade = fade * _fade(large.shape[2], overlap * scale, across, back)
            place = (slice(None), slice(top * scale, top * scale + large.shape[1]),
                     slice(left * scale, left * scale + large.shape[2]))  # fmt: skip
            total[place] += large * fade
            weight[place] += fade
    return (total / weight).clamp(0, 1)


def _places(length: int, tile: int, overlap: int) -> list[tuple[int, bool, bool]]:
    """Where tiles begin along a side, and whether each has a neighbour before and after it."""
    starts = tile_starts(length, tile, overlap / tile) or [0]
    return [(start, i > 0, i < len(starts) - 1) for i, start in enumerate(starts)]


def _fade(length: int, overlap: int, before: bool, after: bool) -> Tensor:
    """(length,) weights of a tile: rising over the middle half of the overlap towards each neighbour."""
    unused = overlap // 4
    ramp = max(1, overlap - 2 * unused)
    position = torch.arange(length, dtype=torch.float32) + 0.5
    weights = torch.ones(length)
    for there, distance in ((before, position), (after, length - position)):
        if there:
            weights = weights * ((distance - unused) / ramp).clamp(1e-6, 1)
    return weights
