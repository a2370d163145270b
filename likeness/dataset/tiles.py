"""Detail crops: large pictures cut into tiles, which are examples of their own.

A tile is a crop box in the picture's own pixels with a side that it is shown at; so all that handles examples handles
tiles. They are cut when a run is prepared, and the plan counts them.
"""

import hashlib
import math
import os
import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from likeness.config.crops import DetailCropsConfig
from likeness.dataset.geometry import Size, cut_out, same_shape, shown_size
from likeness.dataset.manifest import Box, Example

EDGE_STEP = 12  # difference of neighbouring grey values (0 to 255) that makes an edge
MOST_MOVES = 8  # places that are tried for a tile that moves onto something blank

Grey = NDArray[np.uint8]  # (height, width)
OpenPicture = Callable[[Example], Image.Image]  # the picture of an example as shown to a viewer


@dataclass(frozen=True)
class Cut:
    """What became of the pictures."""

    examples: list[Example]  # in the order of the pictures: the whole, its context tile, its tiles
    pictures: int  # that were cut
    tiles: int
    blank: int  # tiles that were left out


# --- places


def tile_starts(length: int, tile: int, overlap: float) -> list[int]:
    """Where tiles of `tile` pixels begin along a side of `length`: as few as cover it with neighbours sharing at least
    `overlap` of a tile, spread evenly from edge to edge. None where the side is shorter than a tile."""
    if length < tile:
        return []
    step = max(1, math.floor(tile * (1 - overlap)))
    count = math.ceil((length - tile) / step) + 1
    return [round(i * (length - tile) / max(1, count - 1)) for i in range(count)]


def tile_grid(size: Size, tile: int, overlap: float) -> list[tuple[int, int]]:
    """(left, top) of every tile of a picture, row by row. None where one tile would be the whole picture."""
    across, down = (tile_starts(length, tile, overlap) for length in size)
    return [(x, y) for y in down for x in across] if len(across) * len(down) > 1 else []


def tile_moves(starts: Sequence[int], index: int, tile: int) -> tuple[int, int]:
    """How many pixels a tile may move back and on along one side, so that neighbours still touch and none fall
    together; the first and the last stay within the picture."""
    if len(starts) < 2:
        return 0, 0
    gap = min(b - a for a, b in pairwise(starts))
    most = max(0, min((tile - gap - 1) // 2, (gap - 1) // 2))  # rounding may make one gap a pixel wider
    return (0 if index == 0 else most), (0 if index == len(starts) - 1 else most)


# --- blank tiles


def is_blank(grey: Grey, settings: DetailCropsConfig) -> bool:
    """Whether there is too little in a tile to learn from: hardly any contrast, or hardly any edges."""
    return bool(grey.std() < settings.blank_std_threshold) or edge_share(grey) < settings.blank_edge_threshold


def edge_share(grey: Grey) -> float:
    """Share of the pixels that differ from the one to the right or the one below by `EDGE_STEP` or more."""
    levels = grey.astype(np.int16)
    edges = np.zeros(grey.shape, bool)
    edges[:, :-1] |= np.abs(np.diff(levels, axis=1)) >= EDGE_STEP
    edges[:-1] |= np.abs(np.diff(levels, axis=0)) >= EDGE_STEP
    return float(edges.mean())


# --- cutting


def cut_all(
    examples: Sequence[Example], settings: DetailCropsConfig, sides: Sequence[int], open_picture: OpenPicture
) -> Cut:
    """All examples, with tiles for those that are trained on and larger than a tile. `sides`: the run's resolutions.

    A picture that cannot be cut, or of which all tiles are blank, stays whole whatever the settings say. Where the
    whole picture is shown as small as a tile anyway, there is no context tile.
    """
    if not settings.enabled:
        return Cut(list(examples), 0, 0, 0)
    side = settings.tile_resolution or max(sides)
    if settings.include_full_images and side in sides:
        settings = settings.model_copy(update={"include_context_tiles": False})
    workers = settings.parallel_workers or min(8, os.cpu_count() or 1)
    with ThreadPoolExecutor(max_workers=workers) as pool:
        running = [pool.submit(_cut, e, settings, side, open_picture) for e in examples]
        results = [future.result() for future in running]
    made = [example for rows, _ in results for example in rows]
    tiles = sum(e.side is not None and e.moves is not None for e in made)
    cut = sum(any(e.moves is not None for e in rows) for rows, _ in results)
    return Cut(made, cut, tiles, sum(blank for _, blank in results))


def _cut(e: Example, settings: DetailCropsConfig, side: int, open_picture: OpenPicture) -> tuple[list[Example], int]:
    grids = {scale: tile_grid(_size_at(e, scale), side, settings.overlap) for scale in dict.fromkeys(settings.scales)}
    alike = all(same_shape(size, (e.width, e.height)) for size in e.reference_sizes)
    if e.held_out or not alike or not any(grids.values()):
        return [e], 0
    picture = cut_out(open_picture(e), e.crop).convert("L")
    tiles: dict[Box, Example] = {}
    blank = 0
    for scale, grid in grids.items():
        if not grid:
            continue
        size = _size_at(e, scale)
        grey = np.asarray(picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0))
        for tile in _tiles(e, size, grid, side, settings):
            if is_blank(_part(grey, tile, e, size, side), settings):
                blank += 1
            else:
                tiles.setdefault(_box(tile), tile)
    if not tiles:
        return [e], blank
    whole = [e] if settings.include_full_images else []
    around = [_tile(e, _region(e), side, None)] if settings.include_context_tiles else []
    return [*whole, *around, *tiles.values()], blank


def _tiles(
    e: Example, size: Size, grid: Sequence[tuple[int, int]], side: int, settings: DetailCropsConfig
) -> Iterator[Example]:
    """The tiles of a picture that is cut at `size`, in the pixels of the original."""
    left, top, width, height = _region(e)
    across, down = width / size[0], height / size[1]
    columns, rows = (sorted(set(starts)) for starts in zip(*grid, strict=True))
    for x, y in grid:
        moves = (0.0, 0.0, 0.0, 0.0)
        if settings.regenerate_each_epoch:
            back, on = tile_moves(columns, columns.index(x), side)
            up, below = tile_moves(rows, rows.index(y), side)
            moves = (back * across, on * across, up * down, below * down)
        box = (left + x * across, top + y * down, side * across, side * down)
        yield _tile(e, box, side, moves)


def _tile(e: Example, box: Box, side: int, moves: tuple[float, float, float, float] | None) -> Example:
    name = hashlib.sha256(repr((e.id, box, side)).encode()).hexdigest()[:16]
    return replace(e, id=name, crop=box, side=side, moves=moves)


def _part(grey: Grey, tile: Example, e: Example, size: Size, side: int) -> Grey:
    """What a tile shows of a picture that was scaled to `size`."""
    left, top, width, height = _region(e)
    box = _box(tile)
    x, y = round((box[0] - left) * size[0] / width), round((box[1] - top) * size[1] / height)
    return grey[y : y + side, x : x + side]


def _region(e: Example) -> Box:
    return e.crop or (0.0, 0.0, float(e.width), float(e.height))


def _box(tile: Example) -> Box:
    assert tile.crop is not None
    return tile.crop


def _size_at(e: Example, scale: float) -> Size:
    width, height = shown_size(e)
    return max(1, round(width * scale)), max(1, round(height * scale))


# --- moving


def moved_box(tile: Example, picture: Image.Image, settings: DetailCropsConfig, seed: int, epoch: int) -> Box:
    """Where an epoch shows a tile of `picture`: a little off its own place, and never on something blank."""
    x, y, width, height = _box(tile)
    back, on, up, down = tile.moves or (0.0, 0.0, 0.0, 0.0)
    if not any((back, on, up, down)) or tile.side is None:
        return _box(tile)
    draw = random.Random(f"{seed} tile {tile.id} in epoch {epoch}")
    for _ in range(MOST_MOVES):
        box = (x + draw.uniform(-back, on), y + draw.uniform(-up, down), width, height)
        place = (box[0], box[1], box[0] + width, box[1] + height)
        part = picture.resize((tile.side, tile.side), Image.Resampling.LANCZOS, box=place, reducing_gap=3.0)
        if not is_blank(np.asarray(part.convert("L")), settings):
            return box
    return _box(tile)
