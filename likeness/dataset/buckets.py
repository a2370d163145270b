"""The size at which a picture is trained: about equal area for all, its own aspect, sides the model can take."""

import math

from PIL import Image


def bucket_size(width: int, height: int, resolution: int, multiple: int) -> tuple[int, int]:
    """(width, height) of the bucket for a picture of that size.

    Both sides are the ones of a `resolution` x `resolution` area with the picture's aspect, each rounded to the
    nearest `multiple`. The area is at most one step (`multiple` times the longer side) above `resolution` squared,
    and about as little below.

    Raises ValueError for sizes below 1 and for a `resolution` below `multiple`.
    """
    if min(width, height, multiple) < 1 or resolution < multiple:
        raise ValueError(f"no bucket for {width}x{height} at resolution {resolution} in steps of {multiple}")
    longest = resolution**2 / multiple  # the other side is then one multiple; more extreme aspects are cropped
    ideal_width = min(resolution * math.sqrt(width / height), longest)
    ideal_height = min(resolution * math.sqrt(height / width), longest)
    return _nearest(ideal_width, multiple), _nearest(ideal_height, multiple)


def drawing_size(
    width: int | None, height: int | None, source: Image.Image | None, resolution: int, multiple: int
) -> tuple[int, int]:
    """(width, height) to draw at: what is asked for, else that of the source's bucket, else a square."""
    own = (resolution, resolution)
    if source is not None:
        own = bucket_size(source.width, source.height, resolution, multiple)
    return width or own[0], height or own[1]


def _nearest(side: float, multiple: int) -> int:
    return max(1, math.floor(side / multiple + 0.5)) * multiple


def fit(image: Image.Image, size: tuple[int, int], offset: tuple[float, float] = (0.5, 0.5)) -> Image.Image:
    """Resize to cover `size` (width, height) and crop what is over, in one step.

    `offset` says where the crop lies, from (0, 0), left and top, to (1, 1), right and bottom.
    """
    scale = max(size[0] / image.width, size[1] / image.height)
    crop_width = min(size[0] / scale, image.width)
    crop_height = min(size[1] / scale, image.height)
    left = (image.width - crop_width) * offset[0]
    top = (image.height - crop_height) * offset[1]
    right = min(left + crop_width, image.width)
    bottom = min(top + crop_height, image.height)
    box = (left, top, right, bottom)
    return image.resize(size, Image.Resampling.LANCZOS, box=box, reducing_gap=3.0)
