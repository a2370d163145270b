"""Small WebP copies of pictures, made when they are first asked for and kept by content."""

import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from PIL import Image

from likeness import durable
from likeness.dataset.formats import open_rgb
from likeness.dataset.geometry import crop_file, cut_out, read_crop
from likeness.errors import InputError, NotFound
from likeness.studio.workspace import Studio

LISTED_SIDES = (256, 512)  # that grids show
SIDES = (128, 256, 512, 1024)  # pixels, of the longer side; only these, so that nobody can fill the disk


def thumbnail(studio: Studio, picture: Path, side: int, *, cropped: bool = False) -> Path:
    """The copy with a longer side of `side` pixels, upright and in sRGB; `cropped`: only what lies in its crop box.

    Raises NotFound where there is no picture, InputError for another side or a picture that cannot be read.
    """
    if side not in SIDES:
        raise InputError(f"size: {side} is not offered. Fix: one of {', '.join(map(str, SIDES))}")
    try:
        found = picture.stat()
    except OSError as e:
        raise NotFound(f"{picture.name}: is not there. Fix: reload the list") from e
    # A picture is replaced whole, under a new inode or time; so its name and these say which content it has.
    identity = f"{picture}|{found.st_size}|{found.st_mtime_ns}|{found.st_ino}|{side}"
    box_file = crop_file(picture) if cropped else None
    if box_file and (kept := _facts(box_file)):
        identity += f"|{kept}"
    else:
        box_file = None
    name = hashlib.sha256(identity.encode()).hexdigest()[:40]
    path = studio.thumbnails / name[:2] / f"{name}.webp"
    if path.exists():
        return path
    image = open_rgb(picture)
    if box_file:
        with suppress(InputError):  # a box that cannot be used; the check says so
            image = cut_out(image, read_crop(picture, *image.size))
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    durable.write_with(path, lambda partial: image.save(partial, "WEBP", quality=82, method=2))
    os.chmod(path, 0o644)
    return path


def _facts(file: Path) -> str:
    """What changes with a file; '' where there is none."""
    try:
        found = file.stat()
    except OSError:
        return ""
    return f"{found.st_size}|{found.st_mtime_ns}|{found.st_ino}"


def prepare(studio: Studio, pictures: Iterable[Path]) -> None:
    """Make the copies that lists show before anybody asks; a picture that cannot be read is left for then."""
    for picture in pictures:
        with suppress(InputError, OSError):
            for side in LISTED_SIDES:
                thumbnail(studio, picture, side)
