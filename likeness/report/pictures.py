"""Pictures as the grid and the report need them: upright, opaque RGB, and small enough to be mailed."""

import base64
import io
from pathlib import Path

from PIL import Image, ImageOps

LOSSLESS_SIDE = 256  # pixels; up to here a picture stays exact


def open_picture(path: Path | None) -> Image.Image | None:
    """The picture as RGB, turned upright and laid on white; None where it is missing or cannot be read."""
    if path is None:
        return None
    try:
        with Image.open(path) as file:
            rgba = ImageOps.exif_transpose(file).convert("RGBA")
    except OSError:
        return None
    paper = Image.new("RGBA", rgba.size, "white")
    return Image.alpha_composite(paper, rgba).convert("RGB")


def data_uri(picture: Image.Image, side: int) -> str:
    """The picture as an inlined WebP, its longer side at most `side` pixels; exact up to LOSSLESS_SIDE."""
    if max(picture.size) > side:
        picture = picture.copy()
        picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    exact = max(picture.size) <= LOSSLESS_SIDE
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", lossless=exact, quality=80 if exact else 88, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
