"""In what order examples are shown: a pure function of (seed, epoch), so that nothing has to be saved to go on."""

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

Choice = tuple[tuple[Hashable, ...], int]  # the buckets that an example may be shown in, and its repeats


class Visit(NamedTuple):
    """One showing of an example."""

    example: int  # index
    bucket: int  # index into its buckets


def count_batches(choices: Iterable[Choice], batch_size: int) -> int:
    """Batches of one epoch: each bucket ends with a batch that may be smaller."""
    totals: Counter[Hashable] = Counter()
    for buckets, visits in _visits(choices).items():
        for bucket, share in zip(buckets, _shares(visits, len(buckets)), strict=True):
            totals[bucket] += share
    return sum(math.ceil(total / batch_size) for total in totals.values())


def epoch_batches(choices: Sequence[Choice], batch_size: int, seed: int, epoch: int) -> list[tuple[Visit, ...]]:
    """The batches of one epoch.

    Every example comes `repeats` times; a batch holds examples of one bucket, since a model takes one size at a time.
    Examples with the same buckets are dealt out among them evenly, by the draw of the epoch: so every epoch has as
    many batches, whatever is drawn.
    """
    rng = np.random.default_rng((seed, epoch))
    visits = np.repeat(np.arange(len(choices)), [repeats for _, repeats in choices])
    order: list[int] = rng.permutation(visits).tolist()
    dealt = {buckets: _dealt(len(buckets), n, (seed, epoch)) for buckets, n in _visits(choices).items()}
    waiting: dict[Hashable, list[Visit]] = {}
    batches: list[tuple[Visit, ...]] = []
    for index in order:
        buckets = choices[index][0]
        visit = Visit(index, next(dealt[buckets]))
        group = waiting.setdefault(buckets[visit.bucket], [])
        group.append(visit)
        if len(group) == batch_size:
            batches.append(tuple(group))
            group.clear()
    batches += [tuple(group) for group in waiting.values() if group]
    return [batches[i] for i in rng.permutation(len(batches))]


def _visits(choices: Iterable[Choice]) -> Counter[tuple[Hashable, ...]]:
    """How many showings there are for each choice of buckets."""
    counts: Counter[tuple[Hashable, ...]] = Counter()
    for buckets, repeats in choices:
        counts[buckets] += repeats
    return counts


def _shares(visits: int, buckets: int) -> list[int]:
    return [visits // buckets + (number < visits % buckets) for number in range(buckets)]


def _dealt(buckets: int, visits: int, seed: tuple[int, int]) -> Iterator[int]:
    """An index of a bucket for each showing, in random order. Its own generator leaves the order as it is."""
    cards = np.repeat(np.arange(buckets), _shares(visits, buckets))
    return iter(np.random.default_rng((*seed, buckets)).permutation(cards).tolist())
