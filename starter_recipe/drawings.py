"""Which picture each number stands for, and its renders by shape: what the trainings draw from.

Every third picture is not a square; the four other shapes take turns. A picture is a function of its number alone.
"""

import random
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from starter_recipe.world import SIZES, Picture, edit_pair, random_picture, render
from starter_recipe.world.picture import SQUARE

Size = tuple[int, int]  # width and height in pixels
Pixels = NDArray[np.uint8]  # (N, height, width, 3)
PICTURES, PAIRS, PAIR_RENDERS = 10_000_000, 20_000_000, 50_000_000  # where the seeds of each start


def size_of(index: int) -> Size:
    return SIZES[1 + index // 3 % (len(SIZES) - 1)] if index % 3 == 2 else SQUARE


def indices_of(size: Size, count: int) -> NDArray[np.int64]:
    """The numbers below `count` whose pictures have this size, in order."""
    return np.array([i for i in range(count) if size_of(i) == size], np.int64)


def picture_of(index: int, series: int = PICTURES) -> Picture:
    return random_picture(random.Random(series + index), size_of(index))


def pair_of(index: int) -> tuple[Picture, Picture, str]:
    """Before, after and the instruction."""
    return edit_pair(random.Random(PAIRS + index), size_of(index))


def draw_pictures(span: range, series: int = PICTURES) -> dict[Size, Pixels]:
    """The renders of these numbers by size, each in order."""
    return _by_size(span, lambda i: render(picture_of(i, series), i))


def draw_pairs(span: range) -> tuple[dict[Size, Pixels], dict[Size, Pixels]]:
    """Before and after, aligned."""
    pairs = {i: pair_of(i) for i in span}
    before, after = (_by_size(span, partial(_side, pairs, side)) for side in (0, 1))
    return before, after


def _side(pairs: dict[int, tuple[Picture, Picture, str]], side: int, index: int) -> NDArray[np.uint8]:
    return render(pairs[index][side], PAIR_RENDERS + index)


def _by_size(span: range, draw: Callable[[int], NDArray[np.uint8]]) -> dict[Size, Pixels]:
    found: dict[Size, list[NDArray[np.uint8]]] = {}
    for i in span:
        found.setdefault(size_of(i), []).append(draw(i))
    return {size: np.stack(images) for size, images in found.items()}


def spans(count: int, chunk: int) -> Sequence[range]:
    """The numbers below `count`, rounded up, in chunks of `chunk`."""
    return [range(start, start + chunk) for start in range(0, count, chunk)]


def name_of(size: Size) -> str:
    """'160x96', for file names."""
    return f"{size[0]}x{size[1]}"
