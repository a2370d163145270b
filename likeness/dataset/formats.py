"""Picture files: which are read, and how one becomes the pixels that a viewer shows.

A file may come from anywhere. Its size is judged before it is decoded, and whatever a decoder says of it, the answer
is a picture or an InputError that names the file.
"""

import hashlib
import io
import stat
import threading
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError

from likeness.dataset.wording import one_line
from likeness.errors import InputError

IMAGE_SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".jfif", ".webp", ".avif", ".heic", ".heif", ".hif", ".tif", ".tiff", ".bmp", ".gif",
)  # fmt: skip
OTHER_PICTURES = (
    ".jxl", ".jp2", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2", ".psd", ".xcf", ".svg", ".tga",
    ".exr", ".hdr", ".ppm", ".ico",
)  # fmt: skip
READ_FORMATS = "PNG, JPEG, WebP, AVIF, HEIC, TIFF, BMP and GIF"
MAX_PIXELS = 100_000_000
MAX_BYTES = 1 << 30  # 100 megapixels of 16-bit RGB take 0.6 GB
MIN_SIDE = 16

_PILLOW_FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "TIFF", "BMP", "GIF")
_MODES = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "I", "F")
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
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
    """What one sound picture file is."""

    width: int  # pixels as shown, after the EXIF turn
    height: int
    sha256: str  # of the file's bytes, hex
    transparent: bool  # whether it says how far each pixel covers what lies behind


def is_picture(file: Path) -> bool:
    """By its name alone."""
    return file.suffix.lower() in IMAGE_SUFFIXES


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
            f"{file}: is {width}x{height} pixels; both sides must be at least {MIN_SIDE}. Fix: replace it or delete it"
        )
    return Measured(width, height, sha256, image.has_transparency_data)


@dataclass(frozen=True)
class Glance:
    """What a picture file says of itself in its first bytes."""

    width: int  # pixels as shown, after the EXIF turn
    height: int
    format: str  # as Pillow calls it


def glance(file: Path) -> Glance:
    """Quick, as nothing is decoded; so it may be damaged all the same. Raises InputError for what is no picture."""
    with _opened(file) as f:
        image = _header(f, file)
        # Pillow would decode a whole PNG to look for a turn behind its pixels, where hardly any has one
        upright = image.format == "PNG" and "exif" not in image.info
        width, height = image.size
        if not upright and _orientation(image) >= 5:
            width, height = height, width
        return Glance(width, height, image.format or "")


def open_rgb(path: Path) -> Image.Image:
    """The picture as a viewer shows it, as 8-bit sRGB: turned by EXIF, colour profile applied, transparent on white.

    Of an animation or a file with several pages it is the first one.
    Raises InputError if it cannot be decoded or is too large.
    """
    image = _upright(path)
    profile, grey = image.info.get("icc_profile"), image.mode in ("1", "L", "LA", "La")
    if image.mode.startswith("I"):
        image = _eight_bit(image)
    elif image.mode == "F":
        image = _from_floats(image)
    alpha = None
    if image.has_transparency_data:
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
        image = image.convert("RGB")
    if image.mode == "LAB":
        image = _from_lab(image)
    elif isinstance(profile, bytes):
        image = _to_srgb(image, profile, grey)
    image = image.convert("RGB")
    if alpha is None:
        return image
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=alpha)
    return white


def open_alpha(path: Path) -> Image.Image:
    """How far each pixel covers what lies behind, as 8-bit grey, turned as `open_rgb` is; all 255 without alpha.

    Raises InputError if the picture cannot be decoded or is too large.
    """
    image = _upright(path)
    if not image.has_transparency_data:
        return Image.new("L", image.size, 255)
    if image.mode.startswith("I"):  # one grey, counted in 16 bits, is see-through
        seen = np.asarray(image.convert("I")) != image.info.get("transparency")
        return Image.fromarray(seen.astype(np.uint8) * 255)
    return image.convert("RGBA").getchannel("A")


def _upright(path: Path) -> Image.Image:
    with _opened(path) as f:
        image = _decoded(f, path)
        turn = _TURNS.get(_orientation(image))
    return image if turn is None else image.transpose(turn)


def _opened(file: Path) -> io.BufferedReader:
    try:
        facts = file.stat()
        if not stat.S_ISREG(facts.st_mode):  # a pipe would block for ever
            raise FileNotFoundError
        if facts.st_size > MAX_BYTES:
            raise InputError(f"{file}: is larger than {MAX_BYTES >> 30} GB. Fix: make it smaller")
        return file.open("rb")
    except (FileNotFoundError, NotADirectoryError):  # a broken link has no words of its own
        raise InputError(f"{file}: is not there or not a plain file. Fix: put the picture there or delete the entry") \
            from None  # fmt: skip
    except OSError as e:
        raise InputError(f"{file}: cannot be read ({e.strerror}). Fix: check its permissions") from None


def _decoded(f: io.BufferedReader, file: Path) -> Image.Image:
    """The pixels, as stored. The size is judged from the header, before any memory is taken for them."""
    image = _header(f, file)
    try:
        image.load()
    except Exception as e:
        raise InputError(_damaged(file, e)) from None
    if image.mode in ("I", "F"):
        _check_range(image, file)
    return image


def _header(f: io.BufferedReader, file: Path) -> Image.Image:
    """What the first bytes say, judged; no pixel is decoded."""
    too_large = f"more than the {MAX_PIXELS // 1_000_000} megapixels that are read. Fix: make it smaller"
    formats = _formats_of(f.peek(12)[:12])
    try:
        # Pillow warns of large or unusual files in its own words; filters are global, so one thread at a time sets them
        with _HEADER_LOCK, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(f, formats=formats)
    except Image.DecompressionBombError:
        raise InputError(f"{file}: has {too_large}") from None
    except UnidentifiedImageError:
        what = "is an empty file" if file.stat().st_size == 0 else f"is none of {READ_FORMATS}, or damaged"
        raise InputError(f"{file}: {what}. Fix: convert it, replace it or delete it") from None
    except Exception as e:  # decoders meet hostile bytes with many kinds of error
        raise InputError(_damaged(file, e)) from None
    if image.width * image.height > MAX_PIXELS:
        raise InputError(f"{file}: is {image.width}x{image.height} pixels, {too_large}")
    if not image.mode.startswith(_MODES):
        raise InputError(f"{file}: has colours of the kind {image.mode}. Fix: save it as RGB")
    return image


def _formats_of(head: bytes) -> tuple[str, ...]:
    """HEIC has a reader of its own, which is loaded only where a file asks for it."""
    if head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS:
        _register_heif()
        return ("HEIF", "AVIF")  # a file of the brand mif1 may be either
    return _PILLOW_FORMATS


@cache
def _register_heif() -> None:
    import pi_heif

    pi_heif.register_heif_opener()


def _check_range(image: Image.Image, file: Path) -> None:
    low, high = cast(tuple[float, float], image.getextrema())
    top = 65535 if image.mode == "I" else 255
    if not (0 <= low <= high <= top):  # not a number fails as well
        raise InputError(
            f"{file}: has brightness from {low:g} to {high:g}, and {top} is the most that is understood. "
            "Fix: save it with 8 or 16 bits a channel"
        )


def _damaged(file: Path, error: Exception) -> str:
    reason = one_line(str(error))[:200] or type(error).__name__
    return f"{file}: is damaged or cut off ({reason}). Fix: replace it or delete it"


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


def _from_floats(image: Image.Image) -> Image.Image:
    """Brightness as a fraction of white, or else as 0 to 255."""
    high = cast(tuple[float, float], image.getextrema())[1]
    return (image.point(lambda value: value * 255) if high <= 1 else image).convert("L")


def _from_lab(image: Image.Image) -> Image.Image:
    lab = cast(Any, ImageCms.createProfile("LAB"))  # pyright: ignore[reportUnknownMemberType]
    return ImageCms.profileToProfile(image, lab, _srgb(), outputMode="RGB") or image


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
        return ImageCms.profileToProfile(image, source, _srgb(), outputMode="RGB") or image
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image


def _srgb() -> Any:
    return cast(Any, ImageCms.createProfile("sRGB"))  # pyright: ignore[reportUnknownMemberType]
