"""The order of an epoch, over one size and several."""

from collections import Counter

from likeness.dataset.order import Choice, Visit, count_batches, epoch_batches

MIXED: list[Choice] = [(("s", "m", "l"), 5), (("s", "m", "l"), 6), (("m",), 4), (("x", "l"), 3)]


def test_every_example_comes_as_often_as_its_repeats_whatever_the_sizes():
    for epoch in range(1, 6):
        visits = [v for batch in epoch_batches(MIXED, 2, 42, epoch) for v in batch]
        assert Counter(v.example for v in visits) == {i: repeats for i, (_, repeats) in enumerate(MIXED)}


def test_a_batch_has_one_bucket():
    for batch in epoch_batches(MIXED, 3, 42, 1):
        assert len({MIXED[v.example][0][v.bucket] for v in batch}) == 1


def test_sizes_are_used_alike_and_every_epoch_is_as_long():
    for size in (1, 2, 3, 7):
        lengths = {len(epoch_batches(MIXED, size, seed, epoch)) for seed in (1, 2) for epoch in range(1, 9)}
        assert lengths == {count_batches(MIXED, size)}
    visits = [v for batch in epoch_batches(MIXED, 1, 42, 1) for v in batch if v.example < 2]
    assert sorted(Counter(v.bucket for v in visits).values()) == [3, 4, 4]


def test_an_example_changes_its_size_from_epoch_to_epoch():
    seen = {v.bucket for epoch in range(1, 9) for batch in epoch_batches(MIXED, 1, 42, epoch) for v in batch
            if v.example == 0}  # fmt: skip
    assert seen == {0, 1, 2}
    assert epoch_batches(MIXED, 2, 42, 1) != epoch_batches(MIXED, 2, 42, 2)
    assert epoch_batches(MIXED, 2, 42, 1) == epoch_batches(MIXED, 2, 42, 1)


def test_the_order_over_one_size_is_the_one_that_earlier_runs_had():
    """Going on with an older run depends on it."""
    one: list[Choice] = [(("a",), 2), (("b",), 1), (("a",), 1)]
    order = [tuple(v.example for v in batch) for batch in epoch_batches(one, 2, 42, 1)]
    assert order == KNOWN and all(v == Visit(v.example, 0) for b in epoch_batches(one, 2, 42, 1) for v in b)


KNOWN = [(0, 2), (0,), (1,)]
