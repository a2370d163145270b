"""Pictures as engines are shown them."""

import io

from PIL import Image

QUALITY = 92


def shrunk(picture: Image.Image, longest: int) -> Image.Image:
    """RGB, in its own shape, with no side longer than `longest` pixels; never enlarged."""
    picture = picture.convert("RGB")
    if max(picture.size) <= longest:
        return picture
    scale = longest / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.LANCZOS)


def as_jpeg(picture: Image.Image, longest: int) -> bytes:
    """The bytes of a JPEG, which every server reads."""
    file = io.BytesIO()
    shrunk(picture, longest).save(file, "JPEG", quality=QUALITY)
    return file.getvalue()
