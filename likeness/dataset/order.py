"""In what order examples are shown: a pure function of (seed, epoch), so that nothing has to be saved to go on."""

import math
from collections.abc import Hashable, Sequence

import numpy as np


def count_batches(buckets: Sequence[tuple[Hashable, int]], batch_size: int) -> int:
    """Batches of one epoch: each bucket ends with a batch that may be smaller.

    `buckets`: for every example, its bucket and its repeats.
    """
    totals: dict[Hashable, int] = {}
    for bucket, repeats in buckets:
        totals[bucket] = totals.get(bucket, 0) + repeats
    return sum(math.ceil(total / batch_size) for total in totals.values())


def epoch_batches(
    buckets: Sequence[tuple[Hashable, int]], batch_size: int, seed: int, epoch: int
) -> list[tuple[int, ...]]:
    """The batches of one epoch as tuples of example indices.

    Every example comes `repeats` times; a batch holds examples of one bucket, since a model takes one size at a time.
    """
    rng = np.random.default_rng((seed, epoch))
    visits = np.repeat(np.arange(len(buckets)), [repeats for _, repeats in buckets])
    waiting: dict[Hashable, list[int]] = {}
    batches: list[tuple[int, ...]] = []
    for index in rng.permutation(visits).tolist():
        group = waiting.setdefault(buckets[index][0], [])
        group.append(index)
        if len(group) == batch_size:
            batches.append(tuple(group))
            group.clear()
    batches += [tuple(group) for group in waiting.values() if group]
    return [batches[i] for i in rng.permutation(len(batches))]
