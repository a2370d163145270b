"""Edit pairs: the same frame before and after, with a difference, and in the right order."""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from likeness.dataset.checks.finding import Finding
from likeness.dataset.checks.subject import Subject

NO_DIFFERENCE = 4  # of 255, in the cell where before and after differ most
LARGEST_SHIFT = 0.01  # of the side
PLAIN_PEAK = 0.15  # of a shift: real edits that move nothing reach 0.1
UNRELATED_EDGES = 0.1  # correlation: of two pictures that have nothing in common 0.1 and less
UNRELATED_LAYOUT = 0.5  # the same from afar, where a new style keeps what the edges lose
FEWEST_ALIKE = 5  # pairs with one instruction, from which on an opposite one stands out
COMMON_COURSE = 0.5  # length of the mean change, 1 where all changes point the same way
AGAINST = -0.45  # cosine to the mean change of the others


def check_difference(subject: Subject) -> Iterator[Finding]:
    """Pairs that do not differ."""
    pairs = subject.pairs
    same_file = np.array([e.sha256 in e.reference_sha256s for e in subject.examples], bool)
    alike = same_file | (pairs["is_pair"] & (pairs["difference"] < NO_DIFFERENCE))
    if images := subject.paths(alike):
        yield Finding(
            "pair_same", "error", images,
            f"The picture after is the one before: {subject.of(images)}. They teach to change nothing.",
            "Remove these pairs, or put the right picture after.",
        )  # fmt: skip


def check_alignment(subject: Subject) -> Iterator[Finding]:
    """Pairs of different sizes, pairs that are shifted, pairs that have nothing in common."""
    pairs = subject.pairs
    is_pair = pairs["is_pair"] & (pairs["difference"] >= NO_DIFFERENCE)
    other_size = np.array(
        [bool(e.reference_sizes) and e.reference_sizes[0] != (e.width, e.height) for e in subject.examples], bool
    )
    if images := subject.paths(is_pair & other_size):
        yield Finding(
            "pair_size", "advice", images,
            f"Before and after of different sizes: {subject.of(images)}. One is resized, and small changes of scale "
            "are learned as part of the edit.",
            "Export both at the same size.",
        )  # fmt: skip
    shifted = np.abs(pairs["shift"]).max(axis=1, initial=0) > LARGEST_SHIFT
    shifted &= is_pair & (pairs["peak"] >= PLAIN_PEAK) & (pairs["unshifted"] < pairs["peak"] / 2)
    if images := subject.paths(shifted):
        furthest = float(np.abs(pairs["shift"][shifted]).max())
        yield Finding(
            "pair_shift", "warning", images,
            f"Everything lies off by up to {furthest:.1%} of the side: {subject.of(images)}. The shift is learned as "
            "part of the edit.",
            "Align them to the pixel, or crop both to the same frame.",
        )  # fmt: skip
    if images := subject.paths(is_pair & ~shifted & _unrelated(pairs)):
        yield Finding(
            "pair_unrelated", "warning", images,
            f"Before and after have nothing in common: {subject.of(images)}. What should stay the same is learned "
            "only from what does.",
            "See that the names match the right pictures.",
        )  # fmt: skip


def _unrelated(pairs: NDArray[np.void]) -> NDArray[np.bool_]:
    nothing_stays = (pairs["edges"] < UNRELATED_EDGES) & (pairs["layout"] < UNRELATED_LAYOUT)
    return nothing_stays & (pairs["peak"] < PLAIN_PEAK)


def check_order(subject: Subject) -> Iterator[Finding]:
    """Pairs whose change runs against that of all others with the same instruction: before and after may be swapped."""
    comparable = subject.pairs["is_pair"] & ~_unrelated(subject.pairs)
    groups: dict[str, list[int]] = defaultdict(list)
    for i, e in enumerate(subject.examples):
        if comparable[i]:
            groups[" ".join(e.caption.casefold().split())].append(i)
    swapped = [i for group in groups.values() for i in _against_the_others(subject.pairs["change"][group], group)]
    if images := subject.paths(swapped):
        yield Finding(
            "pair_swapped", "warning", images,
            f"Changing the opposite way to all others with the same instruction: {subject.of(images)}. Before and "
            "after may be swapped, which teaches to undo the edit.",
            "Look at them; exchange the two pictures where it is so.",
        )  # fmt: skip


def _against_the_others(changes: NDArray[np.float32], positions: list[int]) -> list[int]:
    """Those of `positions` whose change points away from the common one. changes: (n, 5)."""
    lengths = np.linalg.norm(changes, axis=1)
    known = lengths > 0
    if known.sum() < FEWEST_ALIKE:
        return []
    courses = changes / np.where(known, lengths, 1)[:, None]
    found: list[int] = []
    for i in np.flatnonzero(known):
        others = courses[known & (np.arange(len(courses)) != i)]
        mean = others.mean(axis=0)
        strength = float(np.linalg.norm(mean))
        if strength < COMMON_COURSE or ((others @ mean) > 0).mean() < 0.85:
            continue
        if float(courses[i] @ mean) / strength < AGAINST:
            found.append(positions[int(i)])
    return found
