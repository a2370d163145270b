"""The same picture twice: byte for byte, or nearly."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from likeness.dataset.checks.finding import Finding
from likeness.dataset.checks.subject import Subject
from likeness.dataset.manifest import Example

NEAR_BITS = 7  # of 64, by which both hashes of nearly the same picture may differ
NEAR_COLOURS = 20  # of 255, the mean difference of the thumbnails: brightened copies count, other scenes do not
LARGEST_BUCKET = 2000  # pictures with eight equal bits in the same place; more are one blank picture many times


def copy_groups(examples: Iterable[Example]) -> list[list[int]]:
    """Positions of the examples that are the same bytes, references included; the first of each group first."""
    groups: dict[tuple[str, tuple[str, ...]], list[int]] = defaultdict(list)
    for position, e in enumerate(examples):
        groups[e.sha256, e.reference_sha256s].append(position)
    return [group for group in groups.values() if len(group) > 1]


def check_copies(subject: Subject) -> Iterator[Finding]:
    """The same bytes."""
    groups = copy_groups(subject.examples)
    if groups:
        extra = sum(len(group) - 1 for group in groups)
        shown = _shown(subject, groups)
        yield Finding(
            "duplicates", "warning", subject.paths(i for group in groups for i in group),
            f"Exact copies of others: {extra} of {len(subject.examples)} {subject.rules.noun} ({shown}). What they "
            "show counts twice or more, and is learned by heart first.",
            "Remove the copies; to weigh a dataset, use repeats.",
        )  # fmt: skip


def check_near_copies(subject: Subject) -> Iterator[Finding]:
    """Saved again, resized, cropped a little, brightened or mirrored. In an edit the pictures before may repeat, so
    only those after are compared, and only where the instruction is the same."""
    groups = near_groups(subject)
    if groups:
        images = subject.paths(i for group in groups for i in group)
        yield Finding(
            "near_duplicates", "warning", images,
            f"Nearly the same as another: {subject.of(images)} ({_shown(subject, groups)}). What they show counts "
            "twice or more.",
            "Keep the best of each group.",
        )  # fmt: skip


def _shown(subject: Subject, groups: list[list[int]]) -> str:
    """'a.png = b.png; c.png = d.png', of many the first."""
    shown = "; ".join(" = ".join(_names(subject, group)) for group in groups[:3])
    return f"{shown}; …" if len(groups) > 3 else shown


def _names(subject: Subject, group: list[int]) -> list[str]:
    """With their folder where names alone would not tell them apart."""
    paths = [Path(path) for path in subject.paths(group[:4])]
    alike = len({path.name for path in paths}) < len(paths)
    names = [f"{path.parent.name}/{path.name}" if alike else path.name for path in paths]
    return names + ["…"] * (len(group) > 4)


def near_groups(subject: Subject) -> list[list[int]]:
    """Groups of nearly equal pictures that are not equal byte for byte, by position."""
    figures = subject.figures
    parents = list(range(len(figures)))

    def root(i: int) -> int:
        while parents[i] != i:
            parents[i] = parents[parents[i]]
            i = parents[i]
        return i

    for i, j in _near_pairs(figures):
        a, b = subject.examples[i], subject.examples[j]
        if a.sha256 != b.sha256 and (subject.rules.kind != "edit" or a.caption == b.caption):
            parents[max(root(i), root(j))] = min(root(i), root(j))
    groups: dict[int, list[int]] = defaultdict(list)
    for i in range(len(figures)):
        groups[root(i)].append(i)
    return [group for group in groups.values() if len(group) > 1]


def _near_pairs(figures: NDArray[np.void]) -> Iterator[tuple[int, int]]:
    """Pairs of positions that look the same, plain or one of them mirrored.

    Two hashes that differ in at most 7 of 64 bits have at least one of eight bytes in common, so only pictures that
    share a byte in its place are compared.
    """
    plain, mirrored = figures["dhash"], figures["mirrored"]
    for place in range(8):
        shift = np.uint64(8 * place)
        for these, flipped in ((plain, False), (mirrored, True)):
            for members, others in _buckets((plain >> shift) & np.uint64(255), (these >> shift) & np.uint64(255)):
                yield from _compare(figures, members, others, flipped)


def _buckets(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """For each byte: the positions that have it in `a`, and those that have it in `b`."""
    for byte in np.intersect1d(a, b):
        members, others = np.flatnonzero(a == byte), np.flatnonzero(b == byte)
        if len(members) <= LARGEST_BUCKET and len(others) <= LARGEST_BUCKET:
            yield members, others


def _compare(
    figures: NDArray[np.void], members: NDArray[np.intp], others: NDArray[np.intp], flipped: bool
) -> Iterator[tuple[int, int]]:
    hashes = figures["dhash"][members], figures["mirrored" if flipped else "dhash"][others]
    rows, columns = np.nonzero(np.bitwise_count(hashes[0][:, None] ^ hashes[1][None, :]) <= NEAR_BITS)
    first, second = members[rows], others[columns]
    first, second = first[first < second], second[first < second]
    if not len(first):
        return
    thumbs = figures["thumb"].astype(np.int16)
    there = thumbs[second][:, :, ::-1] if flipped else thumbs[second]
    near = np.abs(thumbs[first] - there).mean(axis=(1, 2, 3)) <= NEAR_COLOURS
    if not flipped:  # a mirrored picture has another pHash
        near &= np.bitwise_count(figures["phash"][first] ^ figures["phash"][second]) <= NEAR_BITS
    yield from zip(first[near].tolist(), second[near].tolist(), strict=True)
