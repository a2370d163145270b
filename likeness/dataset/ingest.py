"""A folder of pictures with captions, read into examples.

Every file is decoded and hashed before anything is trained, so that one broken picture is told at once, together
with all other problems, and not in the middle of a night.
"""

import difflib
import hashlib
import io
import os
import re
import threading
import warnings
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from PIL import Image, ImageCms, UnidentifiedImageError

from likeness.dataset.captions import CAPTION_SUFFIXES, one_line, read_sidecar
from likeness.dataset.manifest import Example, example_id
from likeness.errors import InputError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
READ_FORMATS = "PNG, JPEG, WebP and BMP"
MAX_PIXELS = 100_000_000
MIN_SIDE = 16

_PILLOW_FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
_OTHER_PICTURES = (".heic", ".heif", ".avif", ".gif", ".tif", ".tiff", ".jxl", ".dng", ".cr2", ".nef", ".arw", ".psd")
_SYSTEM_FILES = {"thumbs.db", "desktop.ini"}
_ORIENTATION = 0x0112  # EXIF tag
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_HEADER_LOCK = threading.Lock()


@dataclass(frozen=True)
class Measured:
    """What one sound picture file is: pixels as shown (after the EXIF turn) and the digest of its bytes."""

    width: int
    height: int
    sha256: str


def read_folder(
    path: Path, *, repeats: int, caption: str | None, dataset: int, label: str, require_caption: bool = True
) -> list[Example]:
    """All pictures under `path`, in natural order of their relative paths.

    A caption comes from the `.txt` or `.caption` file beside the picture, else from `caption`; without either it is
    empty where `require_caption` is False. `label` says where the folder was named ('maya.yaml:5:
    data.datasets[0].path') and starts every problem.

    Raises InputError with all problems found.
    """
    files = list_images(path, label)
    measured, problems = measure_all(files)
    fallback = one_line(caption or "")
    examples: list[Example] = []
    for file in files:
        try:
            text = read_sidecar(file.with_suffix("")) or fallback
        except InputError as e:
            problems.extend(e.problems)
            continue
        if not text and require_caption:
            problems.append(
                f"{file}: has no caption. Write {file.with_suffix('.txt').name} beside it, or set `caption:` for the "
                "whole dataset."
            )
        if facts := measured.get(file):
            examples.append(
                Example(
                    id=example_id(facts.sha256, None),
                    path=os.path.abspath(file),
                    width=facts.width,
                    height=facts.height,
                    caption=text,
                    repeats=repeats,
                    dataset=dataset,
                    sha256=facts.sha256,
                )
            )
    if problems:
        raise InputError(*(f"{label}: {p}" for p in problems))
    return examples


def list_images(path: Path, label: str) -> list[Path]:
    """The picture files under a folder, in natural order. Raises InputError if there is no folder or no picture."""
    files = list_files(path, label)
    images = [f for f in files if f.suffix.lower() in IMAGE_SUFFIXES]
    if not images:
        kinds = Counter(f.suffix.lower() or "without suffix" for f in files)
        found = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(6))
        raise InputError(
            f"{label}: {path} holds no pictures. {READ_FORMATS} are read; found {found or 'nothing'} instead. "
            "Name another folder or convert the files."
        )
    return images


def list_files(path: Path, label: str) -> list[Path]:
    """All files under a folder, in natural order, without hidden and system files. Links are followed.

    Raises InputError if the folder is not there, is a file, or cannot be read.
    """
    if not path.exists():
        raise InputError(f"{label}: the folder {path} does not exist. Correct the path or create the folder.")
    if not path.is_dir():
        raise InputError(f"{label}: {path} is a file, not a folder. Name the folder that holds the pictures.")

    def refuse(error: OSError) -> None:
        raise InputError(f"{label}: {error.filename}: cannot be read ({error.strerror}). Check its permissions.")

    files: list[Path] = []
    visited: set[str] = set()  # links may lead in circles
    for folder, subfolders, names in os.walk(path, onerror=refuse, followlinks=True):
        real = os.path.realpath(folder)
        subfolders[:] = [] if real in visited else [s for s in subfolders if not s.startswith(".")]
        if real not in visited:
            files += [Path(folder, n) for n in names if not n.startswith(".") and n.lower() not in _SYSTEM_FILES]
        visited.add(real)
    return sorted(files, key=lambda f: natural_key(f.relative_to(path)))


def natural_key(path: Path) -> tuple[list[str | int], str]:
    """Sorts img2 before img10, and the same on every machine."""
    pieces = re.split(r"(\d+)", path.as_posix().casefold())  # text and digits take turns
    return [int(p) if i % 2 else p for i, p in enumerate(pieces)], path.as_posix()


def unused_files(path: Path, label: str) -> list[str]:
    """Warnings, one line each: captions without a picture, and pictures in formats that are not read."""
    files = list_files(path, label)
    images = {f.with_suffix("") for f in files if f.suffix.lower() in IMAGE_SUFFIXES}
    captioned = {f.with_suffix("") for f in files if f.suffix.lower() in CAPTION_SUFFIXES}
    lines: list[str] = []
    for file in files:
        suffix, base = file.suffix.lower(), file.with_suffix("")
        if suffix in _OTHER_PICTURES:
            lines.append(f"{label}: {file} is left out: {READ_FORMATS} are read. Convert it to use it.")
        elif suffix in CAPTION_SUFFIXES and base not in images:
            lonely = [i.name for i in images - captioned if i.parent == file.parent]
            close = difflib.get_close_matches(base.name, sorted(lonely), n=1, cutoff=0.7)
            hint = f"Did you mean {close[0]}{file.suffix}?" if close else "Its name must be that of a picture."
            lines.append(f"{label}: {file} is left out: there is no picture of that name. {hint}")
    return lines


def measure_all(files: Iterable[Path]) -> tuple[dict[Path, Measured], list[str]]:
    """Decode and hash many files, a few at a time: the sound ones, and one problem line for each of the others."""
    measured: dict[Path, Measured] = {}
    problems: list[str] = []
    unique = list(dict.fromkeys(files))
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        for file, result in zip(unique, pool.map(_measured_or_problem, unique), strict=True):
            if isinstance(result, Measured):
                measured[file] = result
            else:
                problems.extend(result.problems)
    return measured, problems


def _measured_or_problem(file: Path) -> Measured | InputError:
    try:
        return measure(file)
    except InputError as e:
        return e


def measure(file: Path) -> Measured:
    """Decode one picture in full and hash its bytes. Raises InputError if it is damaged, too large or too small."""
    with _opened(file) as f:
        image = _decoded(f, file)
        width, height = image.size
        if _orientation(image) >= 5:  # a quarter turn
            width, height = height, width
        f.seek(0)
        sha256 = hashlib.file_digest(f, "sha256").hexdigest()
    if min(width, height) < MIN_SIDE:
        raise InputError(
            f"{file}: is {width}x{height} pixels; both sides must be at least {MIN_SIDE}. Replace it or delete it."
        )
    return Measured(width, height, sha256)


def open_rgb(path: Path) -> Image.Image:
    """The picture as a viewer shows it, as 8-bit sRGB: turned by EXIF, colour profile applied, transparent on white.

    Of an animation it is the first frame.

    Raises InputError if it cannot be decoded or has more than 100 megapixels.
    """
    with _opened(path) as f:
        image = _decoded(f, path)
        profile = image.info.get("icc_profile")
        turn = _TURNS.get(_orientation(image))
    if turn is not None:
        image = image.transpose(turn)
    if image.mode.startswith("I"):
        image = _eight_bit(image)
    alpha = None
    grey = image.mode in ("1", "L", "LA", "La")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
        image = image.convert("RGB")
    if isinstance(profile, bytes):
        image = _to_srgb(image, profile, grey)
    image = image.convert("RGB")
    if alpha is None:
        return image
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=alpha)
    return white


def _opened(file: Path) -> io.BufferedReader:
    if not file.is_file():  # a pipe would block for ever, a broken link has no words of its own
        raise InputError(f"{file}: is not there or not a plain file. Put the picture there or delete the entry.")
    try:
        return file.open("rb")
    except OSError as e:
        raise InputError(f"{file}: cannot be read ({e.strerror}). Check its permissions.") from None


def _decoded(f: io.BufferedReader, file: Path) -> Image.Image:
    """The pixels, as stored. The size is judged from the header, before any memory is taken for them."""
    too_large = f"more than the {MAX_PIXELS // 1_000_000} megapixels that are read. Make it smaller."
    try:
        # Pillow warns of large or unusual files in its own words; filters are global, so one thread at a time sets them
        with _HEADER_LOCK, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(f, formats=_PILLOW_FORMATS)
    except Image.DecompressionBombError:
        raise InputError(f"{file}: has {too_large}") from None
    except UnidentifiedImageError:
        what = "is an empty file" if file.stat().st_size == 0 else f"is none of {READ_FORMATS}, or damaged"
        raise InputError(f"{file}: {what}. Convert it, replace it or delete it.") from None
    except Exception as e:  # decoders meet hostile bytes with many kinds of error
        raise InputError(_damaged(file, e)) from None
    if image.width * image.height > MAX_PIXELS:
        raise InputError(f"{file}: is {image.width}x{image.height} pixels, {too_large}")
    try:
        image.load()
    except Exception as e:
        raise InputError(_damaged(file, e)) from None
    return image


def _damaged(file: Path, error: Exception) -> str:
    reason = one_line(str(error)) or type(error).__name__
    return f"{file}: is damaged or cut off ({reason}). Replace it or delete it."


def _orientation(image: Image.Image) -> int:
    """1 to 8, as EXIF counts. Damaged EXIF data must not cost the picture: it then counts as upright."""
    try:
        value = int(image.getexif().get(_ORIENTATION, 1))
    except Exception:
        return 1
    return value if value in _TURNS else 1


def _eight_bit(image: Image.Image) -> Image.Image:
    """16-bit grey to 8-bit grey. Pillow's own conversion would cut everything above 255 to white."""
    deep = image.convert("I")
    deep.info.pop("transparency", None)  # a grey counted in 16 bits, which would hit another one in 8
    return deep.point(lambda value: value / 257).convert("L")


def _to_srgb(image: Image.Image, profile: bytes, grey: bool) -> Image.Image:
    """Colours through the embedded profile. One that is broken, or meant for another colour space, is ignored."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = str(cast(Any, source).profile.xcolor_space).strip()
        if space == "GRAY" and grey:
            image = image.convert("L")
        elif space == "RGB" and image.mode != "CMYK":
            image = image.convert("RGB")
        elif not (space == "CMYK" and image.mode == "CMYK"):
            return image
        srgb = cast(Any, ImageCms.createProfile("sRGB"))  # pyright: ignore[reportUnknownMemberType]
        return ImageCms.profileToProfile(image, source, srgb, outputMode="RGB") or image
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image
