"""What all pictures have in common besides the subject: it would be learned as part of it."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from likeness.dataset.checks.finding import Finding
from likeness.dataset.checks.pixels import EDGE_CELLS, LOOK, unpack_edges
from likeness.dataset.checks.subject import Subject

FEWEST = 4  # pictures from which on sameness means something
SAME_RING = 0.6  # share of the border's colours in common: of one place 0.71 and more, of two 0.2
SAME_BACKGROUND_SHARE = 0.6  # of all pairs
SAME_FRAMING = 0.62  # correlation of the edges in the middle: of one pose in one style 0.65 and more, of several 0.3
SAME_FRAMING_SHARE = 0.5
MOST_COMPARED = 48  # pictures, two by two
MARK_PRESENCE = 0.75  # of the pictures that have an edge at a cell of the mark
MARK_CELLS = 8
MARK_STRIP = 12  # cells, of 64, from the upper and lower border, in which marks are looked for

_FRAMING_REACH = 4  # cells by which a figure may stand elsewhere
_NO_PLACE = ("environment", "edit", "style")  # kinds whose pictures may share a place, or have no say in it


def check_background(subject: Subject) -> Iterator[Finding]:
    """By the colours along the border: whether most pairs of pictures agree."""
    chosen, looks = _training(subject)
    if subject.rules.kind in _NO_PLACE or len(chosen) < FEWEST:
        return
    rings = looks["ring"].astype(np.float32) / 255
    alike = np.array([np.minimum(ring, rings).sum(axis=1) >= SAME_RING for ring in rings])
    if share_of_pairs(alike) > SAME_BACKGROUND_SHARE:
        images = subject.paths(chosen[largest_group(alike)])
        yield Finding(
            "same_background", "warning", images,
            f"The same background: {len(images)} of {len(chosen)} pictures compared. It becomes part of what the "
            "trigger word calls up.",
            "Add pictures in other places, or name the background in every caption.",
        )  # fmt: skip


def check_framing(subject: Subject) -> Iterator[Finding]:
    """By the edges in the middle columns: whether most pairs of pictures have the same outline in the same place.

    What it sees is layout, not limbs: the same pose before other backgrounds is seen, a turned head may not be.
    """
    chosen, looks = _training(subject, MOST_COMPARED)
    if subject.rules.kind == "edit" or len(chosen) < FEWEST:
        return
    alike = _edge_correlations(unpack_edges(looks["edges"])) >= SAME_FRAMING
    if share_of_pairs(alike) > SAME_FRAMING_SHARE:
        images = subject.paths(chosen[largest_group(alike)])
        yield Finding(
            "same_framing", "warning", images,
            f"The same pose from the same distance: {len(images)} of {len(chosen)} pictures compared. The LoRA will "
            "hardly draw another one.",
            "Add other poses, angles and distances: a close-up, a full figure, a view from the side.",
        )  # fmt: skip


def check_watermark(subject: Subject) -> Iterator[Finding]:
    """A small pattern of edges that stays near the upper or lower border of three in four pictures while nothing else
    in them does: a signature, a logo, a date. It is not read, so any such pattern counts; and one that moves, or is on
    few of the pictures, is missed."""
    chosen, looks = _training(subject)
    if len(chosen) < FEWEST:
        return
    edges = unpack_edges(looks["edges"])
    staying = edges.mean(axis=0) >= MARK_PRESENCE
    half = EDGE_CELLS // 2
    count, place, mark = 0, "", np.zeros_like(staying)
    for rows, height in ((slice(0, MARK_STRIP), "upper"), (slice(-MARK_STRIP, None), "lower")):
        for columns, side in ((slice(0, half), "left"), (slice(half, None), "right"), (slice(16, 48), "middle")):
            part = np.zeros_like(staying)
            part[rows, columns] = staying[rows, columns]
            if part.sum() > count:
                count, place, mark = int(part.sum()), f"{height} {side}", part
    if count < MARK_CELLS or staying.sum() - count > count / 2:
        return
    has_mark = edges[:, mark].mean(axis=1) >= MARK_PRESENCE
    images = subject.paths(chosen[has_mark])
    yield Finding(
        "watermark", "warning", images,
        f"The same small mark at the {place}: {len(images)} of {len(chosen)} pictures compared. A watermark, a "
        "signature or a date is learned like everything else.",
        "Crop it off, paint it over, or use originals without it.",
    )  # fmt: skip


def _training(subject: Subject, most: int | None = None) -> tuple[NDArray[np.intp], NDArray[np.void]]:
    """Positions of the sampled examples that are trained, at most so many, and their LOOKs."""
    kept = np.array([subject.examples[int(i)].type == "train" for i in subject.sampled], bool)
    places = np.flatnonzero(kept)
    if most is not None and len(places) > most:
        places = places[np.linspace(0, len(places) - 1, most).astype(np.intp)]
    return subject.sampled[places], subject.looks[places] if len(places) else np.zeros(0, LOOK)


def _edge_correlations(edges: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(n, n) correlations of edge maps (n, 64, 64), softened and weighed towards the middle columns, each the highest
    at any shift of up to four cells."""
    soft = np.pad(edges.astype(np.float32), ((0, 0), (1, 1), (1, 1)))
    soft = sum(soft[:, y : y + EDGE_CELLS, x : x + EDGE_CELLS] for y in range(3) for x in range(3)) / 9
    columns = np.arange(EDGE_CELLS) - (EDGE_CELLS - 1) / 2
    soft = soft * np.exp(-((columns / 20) ** 2))
    soft = soft - soft.mean(axis=(1, 2), keepdims=True)
    soft = soft / (np.sqrt((soft**2).sum(axis=(1, 2), keepdims=True)) + 1e-6)
    size = (EDGE_CELLS * 2, EDGE_CELLS * 2)  # so that nothing comes back on the other side
    waves = np.fft.rfft2(soft, s=size)
    found = np.zeros((len(edges), len(edges)), np.float32)
    near = np.arange(-_FRAMING_REACH, _FRAMING_REACH + 1)
    for i, wave in enumerate(waves):
        surfaces = np.fft.irfft2(waves[i:] * wave.conj(), s=size)
        found[i, i:] = found[i:, i] = surfaces[:, near[:, None], near].max(axis=(1, 2))
    return found


def share_of_pairs(alike: NDArray[np.bool_]) -> float:
    """The share of all pairs of different rows that are linked in a symmetric matrix."""
    count = len(alike)
    return float(alike.sum() - np.trace(alike)) / max(1, count * (count - 1))


def largest_group(alike: NDArray[np.bool_]) -> NDArray[np.intp]:
    """The positions linked to the one with most links, itself included."""
    linked = alike | np.eye(len(alike), dtype=bool)
    return np.flatnonzero(linked[int(linked.sum(axis=1).argmax())])
