"""Which part of a picture is shown, at what size, and how it is brought there."""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from PIL import Image

from likeness import durable
from likeness.config.data import DataConfig
from likeness.dataset.buckets import bucket_size, fit, pad
from likeness.dataset.manifest import Box, Example
from likeness.errors import InputError

Size = tuple[int, int]  # width, height in pixels

CROP_SUFFIX = ".crop.json"
SMALLEST_CROP = 16  # pixels
SAME_SHAPE = 1.02  # references whose aspect is no further off are cropped like their picture


@dataclass(frozen=True)
class Frame:
    """What is shown of one picture file, and at what size."""

    size: Size
    box: Box | None = None  # pixels of the file's picture; None: all of it
    padded: bool = False  # pad what does not fit the size, rather than cut it
    enlarge: bool = True  # whether a padded one that is smaller fills the size


# --- sizes


def frame_size(shown: Size, side: int, multiple: int, data: DataConfig) -> Size:
    """(width, height) at which a picture of size `shown` is trained for a resolution of `side`.

    About the area of `side` squared in the picture's own aspect, or a square where `data.fit` asks for one; smaller
    where the picture would have to be enlarged and `data.upscale` does not ask for it. Both sides are multiples of
    `multiple`, and at least one of them, even where that enlarges.

    Raises ValueError for sizes below 1 and for a `side` below `multiple`.
    """
    square, padded = data.fit.startswith("square"), data.fit.endswith("pad")
    size = bucket_size(1, 1, side, multiple) if square else bucket_size(*shown, side, multiple)
    scales = [wanted / has for wanted, has in zip(size, shown, strict=True)]
    scale = min(scales) if padded else max(scales)
    if data.upscale or scale <= 1:
        return size
    if square:
        own = _down(max(shown), multiple) if padded else _down(min(shown), multiple)
        return min(own, size[0]), min(own, size[1])
    around = _up if padded else _down
    return min(around(shown[0], multiple), size[0]), min(around(shown[1], multiple), size[1])


def _down(side: int, multiple: int) -> int:
    return max(1, side // multiple) * multiple


def _up(side: int, multiple: int) -> int:
    return -(-side // multiple) * multiple


def shown_sizes(example: Example, sides: Iterable[int], multiple: int, data: DataConfig) -> tuple[Size, ...]:
    """Every size that an example is trained at: one for each of `sides`, or that of its tile; equal ones once."""
    shown = shown_size(example)
    wanted = (example.side,) if example.side else sides
    return tuple(dict.fromkeys(frame_size(shown, side, multiple, data) for side in wanted))


def shown_size(example: Example) -> Size:
    """(width, height) in pixels of the part that is shown."""
    if example.crop is None:
        return example.width, example.height
    return max(1, round(example.crop[2])), max(1, round(example.crop[3]))


# --- frames


def frame_of(example: Example, size: Size, data: DataConfig, box: Box | None = None) -> Frame:
    """How an example is shown at `size`; `box` stands for its own where it was moved."""
    padded = data.fit.endswith("pad")
    return Frame(size, box or example.crop, padded, data.upscale or not padded)


def reference_frame(example: Example, number: int, size: Size, frame: Frame) -> Frame:
    """The same part of the source picture of an edit, where both have the same shape; else all of it."""
    source, target = example.reference_sizes[number], (example.width, example.height)
    box = frame.box
    if box is None or not same_shape(source, target):
        return replace(frame, size=size, box=None)
    return replace(frame, size=size, box=scaled(box, target, source))


def same_shape(a: Size, b: Size) -> bool:
    """Whether two pictures have about the same aspect, and so show the same frame."""
    ratio = (a[0] * b[1]) / (a[1] * b[0])
    return max(ratio, 1 / ratio) <= SAME_SHAPE


def scaled(box: Box, before: Size, after: Size) -> Box:
    """A box in a picture of another size."""
    across, down = after[0] / before[0], after[1] / before[1]
    return (box[0] * across, box[1] * down, box[2] * across, box[3] * down) if before != after else box


def cut_out(image: Image.Image, box: Box | None) -> Image.Image:
    """The part of an image in a box, to whole pixels; all of it for None."""
    if box is None:
        return image
    x, y, width, height = box
    return image.crop((round(x), round(y), round(x + width), round(y + height)))


def place(
    image: Image.Image,
    frame: Frame,
    offset: tuple[float, float] = (0.5, 0.5),
    keep: float = 1.0,
    fill: str | int = "white",
) -> Image.Image:
    """The part of `image` that `frame` names, at its size. `offset` and `keep`: see `buckets.fit`; `fill` pads."""
    if frame.padded:
        return pad(image, frame.size, fill, offset, keep, frame.box, frame.enlarge)
    return fit(image, frame.size, offset, keep, frame.box)


# --- crop boxes beside pictures


def crop_file(picture: Path) -> Path:
    """Where the crop box of a picture is kept: NAME.crop.json beside it."""
    return picture.with_name(picture.stem + CROP_SUFFIX)


def read_crop(picture: Path, width: int, height: int) -> Box | None:
    """The crop box kept beside a picture of that size, in its pixels; None where there is none.

    The file holds {"x", "y", "width", "height"}: numbers up to 1 are shares of the picture if all four are, else
    pixels. Raises InputError where it is not that, or leads out of the picture.
    """
    file = crop_file(picture)
    try:
        value: Any = json.loads(file.read_text(encoding="utf-8"))
        box = (float(value["x"]), float(value["y"]), float(value["width"]), float(value["height"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        raise InputError(
            f'{file}: is not a crop box. Fix: write {{"x": 0, "y": 0, "width": 0.5, "height": 1}}, or delete the file'
        ) from None
    if max(box) <= 1:
        box = (box[0] * width, box[1] * height, box[2] * width, box[3] * height)
    x, y, across, down = box
    slack = 0.5  # pixels that rounding may cost
    if not (x >= 0 and y >= 0 and x + across <= width + slack and y + down <= height + slack):
        raise InputError(
            f"{file}: leads out of the picture, which is {width}x{height} pixels. Fix: correct it, or delete the file"
        )
    if min(across, down) < SMALLEST_CROP:
        raise InputError(
            f"{file}: leaves {across:.0f}x{down:.0f} pixels; both sides must be at least {SMALLEST_CROP}. "
            "Fix: make it larger, or delete the file"
        )
    across, down = min(across, width - x), min(down, height - y)
    return None if (x, y, across, down) == (0, 0, width, height) else (x, y, across, down)


def write_crop(picture: Path, box: Box | None, width: int, height: int) -> None:
    """Keep a crop box, given in pixels of a picture of that size, beside it as shares; None removes it."""
    if box is None:
        crop_file(picture).unlink(missing_ok=True)
        return
    shares = {"x": box[0] / width, "y": box[1] / height, "width": box[2] / width, "height": box[3] / height}
    durable.write_text(crop_file(picture), json.dumps(shares) + "\n")


def with_crops(examples: Iterable[Example]) -> tuple[list[Example], list[str]]:
    """The examples with the crop boxes beside their pictures, and what is wrong with those that cannot be used."""
    cropped: list[Example] = []
    problems: list[str] = []

    @cache
    def names(folder: str) -> frozenset[str]:  # one look at each folder rather than one for each picture
        return frozenset(e.name for e in os.scandir(folder) if e.name.endswith(CROP_SUFFIX))

    for example in examples:
        picture = Path(example.path)
        try:
            there = crop_file(picture).name in names(str(picture.parent))
            crop = read_crop(picture, example.width, example.height) if there else None
            cropped.append(replace(example, crop=crop) if crop else example)
        except InputError as e:
            problems += e.problems
        except OSError as e:
            problems.append(f"{picture.parent}: cannot be read ({e.strerror}). Fix: check its permissions")
    return cropped, problems
