"""Measures of pictures: plain functions of feature rows and pixels. What each misses is said in
docs/explanation/scorecard.md.

Rows are features of pictures or texts, one each, of length one; a product of two rows is their cosine.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float64]  # (N, D)
Values = NDArray[np.float64]  # (N,)
Pixels = NDArray[np.float64]  # (H, W, 3), 0 to 1

CLOSEST = 2  # training pictures that a sample is compared with: one may be an odd one
COPY_QUANTILE = 0.95  # of how alike the training pictures are among themselves
COPY_FLOOR = 0.9  # correlation below which nothing is a copy, however unlike the training pictures are
SHARP_SHARE = 0.5  # of the training pictures' median sharpness: a blur is near to everything, and copies nothing


def unit(rows: NDArray[np.floating]) -> Rows:
    """(N, D) scaled to length one; rows of zeros stay as they are."""
    rows = np.asarray(rows, np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1)


def likeness(samples: Rows, training: Rows) -> Values:
    """(N,): mean cosine of each sample to the two training pictures nearest to it; to one, where there is only one.

    After the identity scores of DreamBooth (arXiv 2208.12242), which take the mean over all; the nearest are taken
    since training pictures differ in framing and place.
    """
    cosines = np.sort(samples @ training.T, axis=1)[:, ::-1]
    return cosines[:, : min(CLOSEST, training.shape[0])].mean(axis=1)


def adherence(samples: Rows, texts: Rows) -> Values:
    """(N,): cosine of each sample to its own text (CLIPScore without its scale, arXiv 2104.08718)."""
    return (samples * texts).sum(axis=1)


def vendi(rows: Rows) -> float:
    """How many different pictures there are: exp of the entropy of the eigenvalues of the cosine matrix over N
    (Vendi score, arXiv 2210.02410). From 1, all alike, to N, nothing in common. Raises ValueError for no rows."""
    if not len(rows):
        raise ValueError("no pictures")
    values = np.linalg.eigvalsh(rows @ rows.T / len(rows))
    values = values[values > 1e-12]
    return float(np.exp(-(values * np.log(values)).sum()))


def nearest(samples: Rows, training: Rows) -> Values:
    """(N,): cosine of each sample to the training picture nearest to it."""
    return (samples @ training.T).max(axis=1)


def alike_among_themselves(training: Rows) -> Values:
    """(M,): cosine of each training picture to the nearest other one; empty for fewer than two."""
    if len(training) < 2:
        return np.empty(0)
    cosines = training @ training.T
    np.fill_diagonal(cosines, -np.inf)
    return cosines.max(axis=1)


def sameness(training: Rows) -> float | None:
    """Mean cosine of the training pictures with each other; None for fewer than two."""
    count, cosines = len(training), training @ training.T
    return float((cosines.sum() - np.trace(cosines)) / (count * (count - 1))) if count > 1 else None


def copy_threshold(training: Rows) -> float:
    """The correlation from which on a sample counts as a copy: above what is usual among the training pictures, and
    never below `COPY_FLOOR`. 2 where the training pictures are copies of each other: nothing can be told then."""
    among = alike_among_themselves(training)
    usual = float(np.quantile(among, COPY_QUANTILE)) if among.size else 0.0
    return max(COPY_FLOOR, usual) if usual < 0.995 else 2.0


def copied(closeness: Values, sharpness: Values, threshold: float, usual_sharpness: float) -> Values:
    """(N,) 1 where a sample repeats a training picture, else 0. A blurred one counts as no copy."""
    return ((closeness >= threshold) & (sharpness >= SHARP_SHARE * usual_sharpness)).astype(np.float64)


def pixel_drift(now: Pixels, before: Pixels) -> float:
    """Mean absolute difference, 0 to 1, of two pictures of the same size."""
    return float(np.abs(now - before).mean())


# --- edits


def direction(before: Rows, after: Rows) -> Values:
    """(D,): the mean change from the pictures before to those after, of length one. Zeros where nothing changes."""
    return unit((after - before).mean(axis=0, keepdims=True))[0]


def followed(sources: Rows, samples: Rows, wanted: Values) -> Values:
    """(N,): cosine of each sample's change from its source to the wanted change (directional similarity, arXiv
    2108.00946). 0 where nothing changed. It leans towards any change: read it together with `preserved`."""
    return unit(samples - sources) @ wanted


def unchanged_share(before: Pixels, after: Pixels, threshold: float = 16 / 255) -> float:
    """The share of pixels that a training pair leaves as they are: no channel moves by more than `threshold`."""
    return float((np.abs(after - before).max(axis=2) <= threshold).mean())


def preserved(source: Pixels, sample: Pixels, share: float) -> float:
    """1 minus the mean absolute difference over the `share` of pixels that changed least. As much as the training
    pairs leave alone should be left alone here; where those pixels lie does not matter."""
    moved = np.sort(np.abs(sample - source).mean(axis=2), axis=None)
    count = max(1, round(share * moved.size))
    return float(1 - moved[:count].mean())


def change_ratio(source: Pixels, sample: Pixels, usual: float) -> float:
    """How much a sample changes its source, over how much the training pairs change theirs (their median mean
    absolute difference). Below one half the source was copied through."""
    return pixel_drift(sample, source) / usual if usual > 0 else 0.0


def mean_of(values: Sequence[float]) -> float | None:
    """None for no values."""
    return sum(values) / len(values) if values else None
