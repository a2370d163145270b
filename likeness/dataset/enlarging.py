"""Which pictures of a folder are too small, and where a copy of the folder with larger ones is written."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from likeness import durable
from likeness.dataset.formats import is_picture, measure, open_alpha, open_rgb
from likeness.dataset.geometry import crop_file, read_crop, write_crop
from likeness.dataset.masks import MASK_SUFFIX, labels
from likeness.dataset.problems import Remarks
from likeness.dataset.sources import list_files
from likeness.errors import InputError

_WRITTEN = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".jfif": "JPEG", ".webp": "WEBP", ".bmp": "BMP",
            ".tif": "TIFF", ".tiff": "TIFF"}  # fmt: skip
_OPTIONS = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}, "TIFF": {"compression": "tiff_lzw"}}


@dataclass(frozen=True)
class Work:
    """A folder sorted. All paths are absolute."""

    small: list[Path]  # pictures to enlarge
    others: list[Path]  # files to copy as they are
    notes: list[str]  # what was left out


def sort_folder(folder: Path, under: int) -> Work:
    """All files below `folder`. Pictures whose area is below `under` squared are to be enlarged; not masks.

    Raises InputError if the folder cannot be read or holds no pictures.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder. Fix: give the path of a folder with pictures")
    remarks = Remarks()
    files, _ = list_files(Path(os.path.abspath(folder)), lambda _: True, remarks)
    pictures = [f for f in files if is_picture(f)]
    if not pictures:
        raise InputError(f"{folder}: holds no pictures. Fix: name another folder")
    masks = labels(pictures, (MASK_SUFFIX,))
    small: list[Path] = []
    others: list[Path] = []
    for file in files:
        if not is_picture(file) or file in masks:
            others.append(file)
            continue
        try:
            facts = measure(file)
        except InputError as e:
            remarks.notes += e.problems
            continue
        (small if facts.width * facts.height < under**2 else others).append(file)
    boxes = {crop_file(file) for file in small}  # these are written anew
    return Work(small, [file for file in others if file not in boxes], remarks.notes)


def open_whole(file: Path) -> Image.Image:
    """RGB, or RGBA with the colours as they are without what lies behind. Raises InputError."""
    image, alpha = open_rgb(file), open_alpha(file)
    if alpha.getextrema() == (255, 255):
        return image
    cover = np.asarray(alpha, np.float32)[..., None] / 255
    over_white = np.asarray(image, np.float32)  # open_rgb lays pictures on white: c · cover + 255 (1 - cover)
    colours = (over_white - 255 * (1 - cover)) / np.maximum(cover, 1 / 255)
    image = Image.fromarray(colours.round().clip(0, 255).astype(np.uint8))
    image.putalpha(alpha)
    return image


def target_of(file: Path, folder: Path, output: Path) -> Path:
    """Where the enlarged picture is written: under its own name, so that lists and captions still find it; as PNG
    where its format is not written here."""
    place = output / file.relative_to(folder)
    if file.suffix.lower() in _WRITTEN:
        return place
    other = place.with_suffix(".png")
    return place.with_name(f"{place.name}.png") if (folder / other.relative_to(output)).exists() else other


def write_picture(image: Image.Image, target: Path) -> None:
    """Write it whole or not at all. Raises OSError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    kind = _WRITTEN[target.suffix.lower()]
    if kind in ("JPEG", "BMP") and image.mode == "RGBA":
        image = image.convert("RGB")
    options = _OPTIONS.get(kind, {})
    durable.write_with(target, lambda partial: image.save(partial, kind, **options))


def copy_file(file: Path, folder: Path, output: Path) -> None:
    """Raises OSError."""
    target = output / file.relative_to(folder)
    target.parent.mkdir(parents=True, exist_ok=True)
    durable.write_with(target, lambda partial: shutil.copyfile(file, partial))


def carry_crop(file: Path, target: Path, before: tuple[int, int]) -> None:
    """Keep the crop box of a picture of size `before` beside its enlarged copy too. Raises InputError, OSError."""
    if box := read_crop(file, *before):
        write_crop(target, box, *before)
