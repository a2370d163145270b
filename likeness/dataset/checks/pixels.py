"""What the checks need to know of one picture's pixels, as records of fixed size: measured once, then kept.

All figures are taken from the picture as it is trained: upright, sRGB, transparent parts on white, and of a picture
with a crop box that part alone.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from likeness.dataset.formats import open_rgb
from likeness.dataset.geometry import cut_out
from likeness.dataset.manifest import Box

Grey = NDArray[np.float32]  # (height, width), 0 to 255

OCTAVES = (32, 64, 128, 256, 512, 1024)  # sides in pixels of the squares with whose area sharpness is measured
THUMB = 8  # pixels
EDGE_CELLS = 64  # of the edge map, each way

FIGURES = np.dtype(
    [
        ("dhash", "u8"),  # difference hash
        ("mirrored", "u8"),  # the same of the mirrored picture
        ("phash", "u8"),  # perceptual hash
        ("thumb", "u1", (THUMB, THUMB, 3)),
        ("sharpness", "f4", (len(OCTAVES),)),  # see `_sharpness`
        ("jpeg_quality", "u1"),  # 1 to 100 as the usual encoders count; 0 where it is no JPEG
        ("blocking", "f4"),  # how far steps at every eighth pixel stand out; 1: not at all
        ("borders", "f4", (4,)),  # shares of the side taken by a one-coloured bar: left, top, right, bottom
    ]
)
LOOK = np.dtype(  # larger, so it is kept in memory of some hundred pictures alone
    [
        ("ring", "u1", (64,)),  # shares, of 255, of 4x4x4 colours along the left, upper and right border
        ("edges", "u1", (EDGE_CELLS, EDGE_CELLS // 8)),  # one bit a cell: whether there is an edge in it
    ]
)

_STANDARD_TABLE_MEAN = 3688 / 64  # of the luminance table in ITU-T T.81, annex K
_DCT = np.cos(np.pi / 64 * np.outer(np.arange(8), 2 * np.arange(32) + 1))  # (8, 32), lowest frequencies of a DCT-II
_LETTERBOX_STEP = 10  # grey levels of 255 by which the picture behind a bar must differ from it
_LARGEST_BLOCKING_AREA = 512  # pixels each way, from the middle


def measure_picture(path: Path, crop: Box | None = None) -> tuple[NDArray[Any], NDArray[Any]]:
    """One record of FIGURES and one of LOOK, of the part in `crop`, in pixels, where there is one.

    Raises InputError where the picture cannot be decoded.
    """
    image = cut_out(open_rgb(path), crop)
    grey_image = image.convert("L")
    grey = np.asarray(grey_image)
    figures, look = np.zeros((), FIGURES), np.zeros((), LOOK)
    coarse = image.reduce(max(1, min(image.size) // (4 * EDGE_CELLS)))  # large pictures are gone through only once
    coarse_grey = coarse.convert("L")
    figures["dhash"], figures["mirrored"], figures["phash"] = _hashes(coarse_grey)
    figures["thumb"] = np.asarray(coarse.resize((THUMB, THUMB), Image.Resampling.BOX))
    figures["sharpness"] = _sharpness(grey_image)
    figures["jpeg_quality"] = _jpeg_quality(path)
    figures["blocking"] = _blocking(_middle(grey).astype(np.float32))
    figures["borders"] = _borders(grey)
    look["ring"] = _ring(coarse)
    look["edges"] = _edges(coarse_grey)
    return figures, look


def _hashes(grey: Image.Image) -> tuple[int, int, int]:
    """dHash: whether each of 8x8 cells is darker than its right neighbour. pHash: whether each of the 8x8 lowest
    frequencies of the 32x32 picture is above their median."""
    small = np.asarray(grey.resize((9, 8), Image.Resampling.BOX), np.int16)
    mirrored = small[:, ::-1]
    plane = np.asarray(grey.resize((32, 32), Image.Resampling.BOX), np.float64)
    low = _DCT @ plane @ _DCT.T
    bits = low > np.median(low.ravel()[1:])  # without the mean of the picture
    rising = small[:, 1:] > small[:, :-1], mirrored[:, 1:] > mirrored[:, :-1]
    return _as_number(rising[0]), _as_number(rising[1]), _as_number(bits)


def _as_number(bits: NDArray[np.bool_]) -> int:
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def _ring(image: Image.Image) -> NDArray[np.uint8]:
    """The colours of the left, upper and right border, an eighth of the side wide: (64,), summing to about 255. The
    lower border is left out, where most figures leave the picture."""
    small = np.asarray(image.resize((64, 64), Image.Resampling.BOX), np.int64)
    ring = np.concatenate([small[:8].reshape(-1, 3), small[8:, :8].reshape(-1, 3), small[8:, -8:].reshape(-1, 3)])
    bins = (ring // 64) @ np.array([16, 4, 1])
    return np.round(255 * np.bincount(bins, minlength=64) / len(bins)).astype(np.uint8)


def _edges(grey: Image.Image) -> NDArray[np.uint8]:
    """(64, 8) packed bits: whether neighbouring pixels, four to a cell each way, differ by a twelfth of the range."""
    side = 4 * EDGE_CELLS
    plane = np.asarray(grey.resize((side, side), Image.Resampling.BICUBIC), np.int16)
    steps = np.zeros_like(plane)
    steps[:, 1:] = np.abs(np.diff(plane, axis=1))
    steps[1:] = np.maximum(steps[1:], np.abs(np.diff(plane, axis=0)))
    cells = steps.reshape(EDGE_CELLS, 4, EDGE_CELLS, 4).max(axis=(1, 3))
    return np.packbits(cells > 20, axis=1)


def unpack_edges(packed: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(..., 64, 8) to (..., 64, 64) zeros and ones."""
    return np.unpackbits(packed, axis=-1)


def _sharpness(grey: Image.Image) -> list[float]:
    """For each of OCTAVES: the variance of the Laplacian at that size over that at half the size.

    The ratio leaves out contrast and content: of a sharp photograph it is near 1, of flat drawings near 0.5, and of
    anything blurred or enlarged it falls towards 0 from the size on where the detail is missing. Pictures smaller than
    an octave are measured as they are.
    """
    ratios: list[float] = []
    image = grey
    for side in reversed(OCTAVES):
        scale = side / (grey.width * grey.height) ** 0.5
        if scale < 1:  # each from the one before, which is near
            size = max(8, round(grey.width * scale)), max(8, round(grey.height * scale))
            image = image.resize(size, Image.Resampling.BICUBIC)
        half = image.reduce(2)
        coarse = _laplacian_variance(half)
        ratios.append(_laplacian_variance(image) / coarse if coarse > 0 else 0.0)
    return ratios[::-1]


def _laplacian_variance(image: Image.Image) -> float:
    """Of the differences between a pixel and the mean of its four neighbours, times four."""
    p = np.asarray(image, np.float32)
    laplacian = 4 * p[1:-1, 1:-1] - p[:-2, 1:-1] - p[2:, 1:-1] - p[1:-1, :-2] - p[1:-1, 2:]
    return float(laplacian.var()) if laplacian.size else 0.0


def _jpeg_quality(path: Path) -> int:
    """From the mean of the luminance quantisation table, by the scaling rule of the Independent JPEG Group: table =
    standard * s / 100 with s = 5000 / quality below 50, else 200 - 2 * quality. 0 for other formats."""
    with path.open("rb") as file:
        if file.read(2) != b"\xff\xd8":
            return 0
    with Image.open(path, formats=("JPEG", "MPO")) as image:
        tables: dict[int, list[int]] = getattr(image, "quantization", {})
    if not tables:
        return 0
    table = next(iter(tables.values()))
    scale = 100 * float(np.mean(table)) / _STANDARD_TABLE_MEAN
    quality = (200 - scale) / 2 if scale < 100 else 5000 / scale
    return int(min(100, max(1, round(quality))))


def _middle(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The middle of a large picture; blocks of eight stay where they are."""
    cut = [slice(max(0, (side - _LARGEST_BLOCKING_AREA) // 16 * 8), None) for side in grey.shape]
    return grey[cut[0], cut[1]][:_LARGEST_BLOCKING_AREA, :_LARGEST_BLOCKING_AREA]


def _blocking(grey: Grey) -> float:
    """How far a grid of 8x8 blocks stands out: 1 for none. The smaller of both directions, as blocks have both."""
    return min(_stand_out(grey), _stand_out(grey.T))


def _stand_out(grey: Grey) -> float:
    """The mean lone step at the strongest of the eight places that a grid can have, over that at the second strongest.

    A step is lone by as much as it exceeds both its neighbours; one of more than 8 levels is an edge of the picture and
    counts no more than one of 8.
    """
    steps = np.abs(np.diff(grey, axis=1))
    if steps.shape[1] < 64:
        return 1.0
    lone = np.clip(steps[:, 1:-1] - np.maximum(steps[:, :-2], steps[:, 2:]), 0, 8).mean(axis=0)
    phases = np.sort([lone[phase::8].mean() for phase in range(8)]) + 0.02  # so that nothing over nothing is 1
    return float(phases[-1] / phases[-2])


def _borders(grey: NDArray[np.uint8]) -> list[float]:
    """Shares of the side taken by one-coloured bars: left, top, right, bottom; 0 where there is none."""
    height, width = grey.shape
    left, right = _bar(grey.T), _bar(grey.T[::-1])
    top, bottom = _bar(grey), _bar(grey[::-1])
    return [left / width, top / height, right / width, bottom / height]


def _bar(rows: NDArray[np.uint8]) -> int:
    """How many rows from the first on are one flat bar. It must end with a straight edge: most of the row behind it
    differs at once, as a backdrop that a figure rises from does not."""
    level = int(np.median(rows[0]))
    flat = (np.abs(rows[: len(rows) // 2].astype(np.int16) - level) <= 4).mean(axis=1) > 0.98
    count = len(flat) if flat.all() else int(np.argmin(flat))
    if not count or count == len(flat):
        return 0
    behind = rows[count : count + 3].astype(np.int16)  # codecs soften the edge
    return count if (np.abs(behind - level) > _LETTERBOX_STEP).any(axis=0).mean() > 0.7 else 0
