"""Pictures that are blurred or were saved too small."""

from collections.abc import Iterator

import numpy as np

from likeness.dataset.checks.finding import Finding
from likeness.dataset.checks.pixels import OCTAVES
from likeness.dataset.checks.subject import Subject

BLURRED = 0.18  # ratio of detail: sharp drawings and photographs 0.23 and more, enlarged twice 0.15 and less
POOR_JPEG, FAIR_JPEG = 50, 75  # quality
BLOCKS = 1.8  # sharp pictures 1.7 at most; see `pixels.FIGURES`


def check_blur(subject: Subject) -> Iterator[Finding]:
    """Detail missing at the size that is trained; where it is very blurred, at the half or a quarter of that size."""
    octave = int(np.argmin(np.abs(np.log(OCTAVES) - np.log(subject.rules.resolution or OCTAVES[-1]))))
    detail = subject.figures["sharpness"][:, max(0, octave - 2) : octave + 1].min(axis=1)
    if images := subject.paths(detail < BLURRED):
        yield Finding(
            "blur", "warning", images,
            f"Blurred, out of focus, or enlarged before: {subject.of(images)}. The fine detail is missing, and that is "
            "learned.",
            "Leave them out, or use sharper originals.",
        )  # fmt: skip


def check_compression(subject: Subject) -> Iterator[Finding]:
    """By the tables of JPEG files, and in other files by the blocks that a JPEG left."""
    quality, blocks = subject.figures["jpeg_quality"], subject.figures["blocking"] >= BLOCKS
    poor = ((quality > 0) & (quality < POOR_JPEG)) | ((quality == 0) & blocks)
    fair = (quality >= POOR_JPEG) & (quality < FAIR_JPEG)
    if images := subject.paths(poor):
        yield Finding(
            "compression", "warning", images,
            f"Strongly compressed: {subject.of(images)}. Blocks and fringes are learned along with the subject.",
            "Use the originals; saving them again does not help.",
        )  # fmt: skip
    if images := subject.paths(fair):
        yield Finding(
            "compression", "advice", images,
            f"JPEG files of a quality below {FAIR_JPEG}: {subject.of(images)}. Fine detail is worn.",
            "Use the originals where you have them.",
        )  # fmt: skip
