"""What the checks need to know of an edit pair: how the picture before and the one after lie on each other."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from likeness.dataset.formats import open_rgb

Plane = NDArray[np.float32]  # (height, width)

PAIR = np.dtype(
    [
        ("is_pair", "?"),
        ("difference", "f4"),  # mean absolute difference in the 16x16 cell where it is largest, of 255
        ("shift", "f4", (2,)),  # by which the picture after lies off, right and down, in shares of its sides
        ("peak", "f4"),  # how plainly that shift stands out, 0 to 1
        ("unshifted", "f4"),  # the same of no shift at all
        ("edges", "f4"),  # correlation of the edges of both, -1 to 1
        ("layout", "f4"),  # correlation of light and dark, seen from afar
        ("change", "f4", (5,)),  # where they differ: mean change of red, green, blue, of edges, of saturation
    ]
)

_SIDE = 256  # pixels of the longer side at which differences and shifts are measured
_EDGE_SIDE = 128
_CELL = 16
_FAR_SIDE = 16


def measure_pair(before: Path, after: Path) -> NDArray[Any]:
    """One record of PAIR. The picture before is brought to the size of the other one.

    Raises InputError where one of them cannot be decoded.
    """
    first, second = open_rgb(before), open_rgb(after)
    record = np.zeros((), PAIR)
    record["is_pair"] = True
    size = _within(second, _SIDE)
    resized = [image.resize(size, Image.Resampling.BICUBIC) for image in (first, second)]
    record["difference"] = _largest_difference(*(np.asarray(image, np.float32) for image in resized))
    a, b = map(_grey, resized)
    record["shift"], record["peak"], record["unshifted"] = _shift(_edges(a), _edges(b))
    size = _within(second, _EDGE_SIDE)
    small = [image.resize(size, Image.Resampling.BICUBIC) for image in (first, second)]
    record["edges"] = _correlation(_edges(_grey(small[0])), _edges(_grey(small[1])))
    far = [_grey(image.resize((_FAR_SIDE, _FAR_SIDE), Image.Resampling.BOX)) for image in small]
    record["layout"] = _correlation(*far)
    record["change"] = _change(*(np.asarray(image, np.float32) for image in small))
    return record


def _within(image: Image.Image, side: int) -> tuple[int, int]:
    """(width, height) with a longer side of `side` pixels."""
    scale = side / max(image.size)
    return max(_CELL, round(image.width * scale)), max(_CELL, round(image.height * scale))


def _grey(image: Image.Image) -> Plane:
    return np.asarray(image.convert("L"), np.float32)


def _edges(grey: Plane) -> Plane:
    """The sum of the steps in both directions."""
    edges = np.zeros_like(grey)
    edges[:, 1:-1] += np.abs(grey[:, 2:] - grey[:, :-2])
    edges[1:-1] += np.abs(grey[2:] - grey[:-2])
    return edges


def _largest_difference(a: Plane, b: Plane) -> float:
    """Of the means over whole cells, in the colour that differs most. a, b: (height, width, 3)."""
    difference = np.abs(a - b).max(axis=2)
    rows, columns = (side // _CELL for side in difference.shape)
    cells = difference[: rows * _CELL, : columns * _CELL].reshape(rows, _CELL, columns, _CELL)
    return float(cells.mean(axis=(1, 3)).max())


def _shift(a: Plane, b: Plane) -> tuple[tuple[float, float], float, float]:
    """By phase correlation (Kuglin and Hines, 1975): (right, down) in shares of the sides, the height of the peak, and
    the height at no shift."""
    height, width = a.shape
    window = np.outer(np.hanning(height), np.hanning(width))
    first, second = (np.fft.rfft2((p - p.mean()) * window) for p in (a, b))
    cross = second * first.conj()
    power = np.abs(cross)
    surface = np.fft.irfft2(cross / (power + 1e-3 * power.mean() + 1e-9), s=a.shape)
    row, column = (int(i) for i in np.unravel_index(int(surface.argmax()), surface.shape))
    down, right = (row + height // 2) % height - height // 2, (column + width // 2) % width - width // 2
    unshifted = float(surface[np.ix_([-1, 0, 1], [-1, 0, 1])].max())
    return (right / width, down / height), float(surface.max()), unshifted


def _correlation(a: Plane, b: Plane) -> float:
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float((a * b).sum()) / scale if scale else 0.0


def _change(a: Plane, b: Plane) -> Plane:
    """(5,) means over the pixels that differ, all of about one scale; zeros where hardly any do."""
    changed = np.abs(a - b).max(axis=2) > 12
    if changed.sum() < 16:
        return np.zeros(5, np.float32)
    edges = (_edges(b.mean(axis=2)) - _edges(a.mean(axis=2)))[changed].mean() / 40
    saturation = ((b.max(axis=2) - b.min(axis=2)) - (a.max(axis=2) - a.min(axis=2)))[changed].mean() / 64
    return np.array([*((b - a)[changed].mean(axis=0) / 64), edges, saturation], np.float32)
