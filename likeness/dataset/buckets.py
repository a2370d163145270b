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


def fit(
    image: Image.Image,
    size: tuple[int, int],
    offset: tuple[float, float] = (0.5, 0.5),
    keep: float = 1.0,
    region: tuple[float, float, float, float] | None = None,
) -> Image.Image:
    """Resize to cover `size` (width, height) and crop what is over, in one step.

    `offset` says where the crop lies, from (0, 0), left and top, to (1, 1), right and bottom; `keep` is the share of
    its sides that is shown. `region` (left, top, width, height in pixels) stands for the whole image.
    """
    x, y, width, height = region or (0, 0, image.width, image.height)
    scale = max(size[0] / width, size[1] / height)
    crop_width = min(size[0] / scale, width) * keep
    crop_height = min(size[1] / scale, height) * keep
    left = x + (width - crop_width) * offset[0]
    top = y + (height - crop_height) * offset[1]
    return _resized(image, size, (left, top, left + crop_width, top + crop_height))


def pad(
    image: Image.Image,
    size: tuple[int, int],
    fill: str | int,
    offset: tuple[float, float] = (0.5, 0.5),
    keep: float = 1.0,
    region: tuple[float, float, float, float] | None = None,
    enlarge: bool = True,
) -> Image.Image:
    """Resize to fit into `size`, in the middle, with `fill` around it; without `enlarge` a smaller one stays so.

    The rest as in `fit`, whose crop here has the shape of the image.
    """
    x, y, width, height = region or (0, 0, image.width, image.height)
    left, top = x + width * (1 - keep) * offset[0], y + height * (1 - keep) * offset[1]
    scale = min(size[0] / width, size[1] / height, *(() if enlarge else (1.0,)))
    inner = tuple(max(1, min(outer, round(own * scale))) for outer, own in zip(size, (width, height), strict=True))
    part = _resized(image, (inner[0], inner[1]), (left, top, left + width * keep, top + height * keep))
    whole = Image.new(image.mode, size, fill)
    whole.paste(part, ((size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2))
    return whole


def _resized(image: Image.Image, size: tuple[int, int], box: tuple[float, float, float, float]) -> Image.Image:
    left, top = max(box[0], 0.0), max(box[1], 0.0)  # rounding may lead a hair outside
    box = (left, top, min(box[2], image.width), min(box[3], image.height))
    return image.resize(size, Image.Resampling.LANCZOS, box=box, reducing_gap=3.0)
