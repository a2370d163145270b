"""Pictures and captions, varied. Every draw is a pure function of the run's seed, the example and a number."""

import math
import random
import string
from collections.abc import Sequence
from dataclasses import dataclass, replace

from PIL import Image, ImageEnhance

from likeness.config.augment import AugmentConfig, CaptionsConfig, FixedChanges, RandomChanges
from likeness.dataset.geometry import Frame, cut_out, place

# --- pictures


@dataclass(frozen=True)
class View:
    """One way to show a picture. The defaults change nothing."""

    offset: tuple[float, float] = (0.5, 0.5)  # where it is cropped: 0 left or top … 1 right or bottom
    keep: float = 1.0  # share of the crop's sides that is shown
    flip: bool = False
    rotate: float = 0.0  # degrees, clockwise
    brightness: float = 1.0
    contrast: float = 1.0
    saturation: float = 1.0
    hue: float = 0.0  # degrees

    @property
    def shape(self) -> "View":
        """Its part that moves pixels: what a mask follows."""
        return View(self.offset, self.keep, self.flip, self.rotate)


def views_of(example_id: str, settings: AugmentConfig, seed: int) -> tuple[View, ...]:
    """The image variations of an example, each once: first the one without random changes.

    Where mirroring is random, every second one is mirrored.
    """
    first = _fixed(settings.fixed)
    if settings.random == RandomChanges():
        return (first,)
    drawn = (_drawn(first, settings.random, number, example_id, seed) for number in range(1, settings.variations))
    return tuple(dict.fromkeys((first, *drawn)))


def plain_view(settings: AugmentConfig) -> View:
    """The view without random changes: the first of `views_of`."""
    return _fixed(settings.fixed)


def _fixed(changes: FixedChanges) -> View:
    return View(
        flip=changes.flip,
        rotate=changes.rotate,
        brightness=changes.brightness,
        contrast=changes.contrast,
        saturation=changes.saturation,
        hue=changes.hue,
    )


def _drawn(first: View, most: RandomChanges, number: int, example_id: str, seed: int) -> View:
    draw = random.Random(f"{seed} image variation {number} of {example_id}")

    def around(middle: float, strength: float) -> float:
        return middle * (1 + draw.uniform(-strength, strength)) if strength else middle

    cut = bool(most.crop)
    return replace(
        first,
        offset=(draw.random(), draw.random()) if cut else first.offset,
        keep=1 - draw.uniform(0, most.crop) if cut else 1.0,
        flip=first.flip != (most.flip and number % 2 == 1),
        rotate=first.rotate + (draw.uniform(-most.rotate, most.rotate) if most.rotate else 0),
        brightness=around(first.brightness, most.brightness),
        contrast=around(first.contrast, most.contrast),
        saturation=around(first.saturation, most.saturation),
        hue=first.hue + (draw.uniform(-most.hue, most.hue) if most.hue else 0),
    )


def show(image: Image.Image, frame: Frame, view: View) -> Image.Image:
    """An RGB picture as a frame and a view say."""
    return _recoloured(_shaped(image, frame, view, "white"), view)


def show_mask(mask: Image.Image, frame: Frame, view: View) -> Image.Image:
    """A grey mask, moved and cut as the picture of its size is; black where the picture is padded."""
    return _shaped(mask, frame, view, 0)


def _shaped(image: Image.Image, frame: Frame, view: View, fill: str | int) -> Image.Image:
    if view.rotate:
        image, frame = turned(image, frame, view.rotate), replace(frame, box=None)
    image = place(image, frame, view.offset, view.keep, fill)
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if view.flip else image


def turned(image: Image.Image, frame: Frame, degrees: float) -> Image.Image:
    """What the frame shows of an image, turned clockwise; then the largest part of the same shape without corners
    that were outside."""
    image = cut_out(image, frame.box)
    width, height = image.size
    angle = math.radians(abs(degrees))
    # A rectangle of the same shape fits if its own box after the opposite turn does: s (w cos + h sin) <= w, and so on.
    share = 1 / (math.cos(angle) + max(width / height, height / width) * math.sin(angle))
    left, top = width * (1 - share) / 2, height * (1 - share) / 2
    spun = image.rotate(-degrees, Image.Resampling.BICUBIC)
    left, top = math.ceil(left), math.ceil(top)
    return spun.crop((left, top, max(left + 1, width - left), max(top + 1, height - top)))


def _recoloured(image: Image.Image, view: View) -> Image.Image:
    if view.brightness != 1:
        image = ImageEnhance.Brightness(image).enhance(view.brightness)
    if view.contrast != 1:
        image = ImageEnhance.Contrast(image).enhance(view.contrast)
    if view.saturation != 1:
        image = ImageEnhance.Color(image).enhance(view.saturation)
    if view.hue:
        steps = round(view.hue / 360 * 256)
        hue, saturation, value = image.convert("HSV").split()
        hue = hue.point([(level + steps) % 256 for level in range(256)])
        image = Image.merge("HSV", (hue, saturation, value)).convert("RGB")
    return image


# --- captions


def texts_of(captions: Sequence[str], settings: CaptionsConfig, example_id: str, seed: int) -> tuple[str, ...]:
    """The text variations of an example's captions, each once: first the captions as they were written."""
    if not (settings.shuffle or settings.drop or settings.caps):
        return tuple(dict.fromkeys(captions))
    numbers = range(len(captions), max(settings.variations, 2 * len(captions)))
    varied = (
        _varied(captions[number % len(captions)], settings, random.Random(f"{seed} caption {number} of {example_id}"))
        for number in numbers
    )
    return tuple(dict.fromkeys((*captions, *varied)))


def _varied(caption: str, settings: CaptionsConfig, draw: random.Random) -> str:
    tags = [tag for piece in caption.split(settings.separator) if (tag := piece.strip())]
    kept, rest = tags[: settings.keep_first], tags[settings.keep_first :]
    if settings.drop:
        rest = [tag for tag in rest if draw.random() >= settings.drop]
    if settings.shuffle:
        draw.shuffle(rest)
    if settings.caps:
        style = draw.choice(settings.caps)
        rest = [_capitals(tag, style, draw) for tag in rest]
    return f"{settings.separator.strip() or settings.separator} ".join([*kept, *rest])


def _capitals(tag: str, style: str, draw: random.Random) -> str:
    match style:
        case "lower":
            return tag.lower()
        case "upper":
            return tag.upper()
        case "title":
            return string.capwords(tag)
        case "first":
            return tag[:1].upper() + tag[1:].lower()
        case _:
            return "".join(draw.choice((letter.lower(), letter.upper())) for letter in tag)
