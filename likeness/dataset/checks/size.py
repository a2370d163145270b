"""How many pictures there are, how large, of what shape."""

from collections.abc import Iterator

import numpy as np

from likeness.dataset.buckets import bucket_size
from likeness.dataset.checks.finding import Finding, Severity
from likeness.dataset.checks.subject import Subject
from likeness.dataset.manifest import Example

FEWEST, MOST = 5, 50
FAR_TOO_SMALL = 0.5  # of the side that is trained: a quarter of the detail
NEARLY = 0.95  # of the side that is trained: usual shapes such as 832x1216 lie a little below their square
OUTLIER = 0.5  # of the median side of the dataset
LONGEST = 2.0  # ratio of the sides
MOST_LOST = 0.15  # of the area
THINNEST_BORDER = 0.02  # of the side

_ENLARGE = "enlarge them with `likeness dataset enhance`"


def check_count(subject: Subject) -> Iterator[Finding]:
    """Too few to tell what they share from chance; or more than a LoRA usually gains from."""
    noun = subject.rules.noun
    count = sum(e.type == "train" for e in subject.examples)
    if count < FEWEST:
        yield Finding(
            "count", "warning", (),
            f"{count} {noun} are few: what they have in common by chance will be learned too.",
            f"Add {noun} until there are 5 to 15, each different; up to 50 for a style.",
        )  # fmt: skip
    elif count > MOST:
        yield Finding(
            "count", "advice", (),
            f"{count} {noun} are more than a LoRA usually gains from: 5 to 15 good ones mostly do, and hosted trainers "
            f"take {MOST} at most.",
            f"Keep the best {MOST}, or lower repeats and epochs.",
        )  # fmt: skip


def check_size(subject: Subject) -> Iterator[Finding]:
    """Pictures with less detail than is trained. Without a base to measure by: those far smaller than the others."""
    sides = np.array([(width * height) ** 0.5 for width, height in map(_shown, subject.examples)])
    least = subject.rules.resolution
    if least is None:
        middle = float(np.median(sides))
        images = subject.paths(sides < OUTLIER * middle)
        if images:
            yield Finding(
                "size", "warning", images,
                f"Less than half as large as the others, whose side is {middle:.0f} pixels: {subject.of(images)}. "
                "They lack the detail that the others teach.",
                f"Use larger originals, {_ENLARGE}, or leave them out.",
            )  # fmt: skip
        return
    smallest = subject.rules.smallest or least
    tiny = sides < FAR_TOO_SMALL * smallest
    grades: tuple[tuple[np.ndarray, Severity, str, str], ...] = (
        (tiny, "error", f"Not half of the {smallest}x{smallest} that is trained", "Little can be seen in them."),
        (
            (sides < NEARLY * least) & ~tiny, "warning", f"Below {least}x{least}",
            "Trained at their own size they teach little detail; enlarged with data.upscale they teach blur.",
        ),
    )  # fmt: skip
    for chosen, severity, what, why in grades:
        if images := subject.paths(chosen):
            fix = f"Use originals of at least {least}x{least}, {_ENLARGE}, leave them out, or lower data.resolution."
            yield Finding("size", severity, images, f"{what}: {subject.of(images)}. {why}", fix)


def check_aspect(subject: Subject) -> Iterator[Finding]:
    """Shapes that models have hardly seen, and shapes of which much is cut off."""
    shown = [_shown(e) for e in subject.examples]
    ratios = np.array([max(width / height, height / width) for width, height in shown])
    if images := subject.paths(ratios > LONGEST):
        yield Finding(
            "aspect", "advice", images,
            f"More than {LONGEST:g} times as long as wide: {subject.of(images)}. Base models have seen few such "
            "shapes and draw them badly.",
            "Crop them to what matters.",
        )  # fmt: skip
    resolution, multiple = subject.rules.resolution, subject.rules.multiple
    if resolution is None or resolution < multiple:
        return
    lost = np.array([_lost(width, height, resolution, multiple) for width, height in shown])
    if images := subject.paths(lost > MOST_LOST):
        yield Finding(
            "aspect_cut", "warning", images,
            f"More than {MOST_LOST:.0%} cut off to fit a size that the base takes: {subject.of(images)}. What is cut "
            "off may be what matters.",
            "Crop them yourself to a shape between 1:2 and 2:1.",
        )  # fmt: skip


def _shown(e: Example) -> tuple[float, float]:
    """(width, height) in pixels of what is shown of a picture."""
    return e.crop[2:] if e.crop else (e.width, e.height)


def _lost(width: float, height: float, resolution: int, multiple: int) -> float:
    """The share of a picture's area that its bucket leaves out."""
    bucket_width, bucket_height = bucket_size(round(width), round(height), resolution, multiple)
    scale = max(bucket_width / width, bucket_height / height)
    return 1 - bucket_width * bucket_height / (width * height * scale**2)


def check_borders(subject: Subject) -> Iterator[Finding]:
    """Bars of one colour on opposite sides."""
    left, top, right, bottom = subject.figures["borders"].T
    framed = (np.minimum(left, right) >= THINNEST_BORDER) | (np.minimum(top, bottom) >= THINNEST_BORDER)
    if images := subject.paths(framed):
        yield Finding(
            "borders", "warning", images,
            f"Bars of one colour on opposite sides: {subject.of(images)}. Frames and letterboxes are learned like "
            "everything else.",
            "Crop the bars off, or keep a crop box beside the picture.",
        )  # fmt: skip
