import random
from collections.abc import Callable

import pytest

from likeness.dataset.holdout import split
from likeness.dataset.manifest import Example
from likeness.errors import InputError

Make = Callable[..., Example]


def held(examples: list[Example]) -> set[str]:
    return {e.id for e in examples if e.held_out}


def test_as_many_as_asked_are_held_out_in_the_same_order(example: Make):
    examples = [example(n) for n in range(30)]
    for count in range(30):
        result = split(examples, count)
        assert [e.id for e in result] == [e.id for e in examples]
        assert len(held(result)) == count


def test_the_draw_knows_no_order_and_no_paths(example: Make):
    examples = [example(n) for n in range(30)]
    moved = [example(n, path=f"/elsewhere/{n}.png", dataset=n % 3) for n in range(30)]
    random.Random(0).shuffle(moved)
    assert held(split(examples, 5)) == held(split(moved, 5))


def test_every_place_is_drawn_evenly(example: Make):
    draws = [split([example(n) for n in range(10 * s, 10 * s + 10)], 1) for s in range(400)]
    for place in range(10):
        assert 15 <= sum(drawn[place].held_out for drawn in draws) <= 70


def test_a_further_picture_leaves_the_draw_as_it_was_or_takes_one_place(example: Make):
    before = held(split([example(n) for n in range(20)], 3))
    after = held(split([example(n) for n in range(21)], 3))
    assert len(before & after) >= 2


def test_all_datasets_are_drawn_from(example: Make):
    drawn = {
        e.dataset
        for s in range(20)
        for e in split([example(n, dataset=n % 2) for n in range(20 * s, 20 * s + 20)], 2)
        if e.held_out
    }
    assert drawn == {0, 1}


def test_copies_stay_on_one_side(example: Make):
    for start in range(0, 600, 30):
        result = split([example(n, sha256=f"{n // 3:064x}") for n in range(start, start + 30)], 7)
        kept = {e.sha256 for e in result if not e.held_out}
        gone = {e.sha256 for e in result if e.held_out}
        assert not kept & gone
        assert len(held(result)) == 6


def test_smaller_groups_fill_up_the_count(example: Make):
    for start in range(0, 200, 10):
        copies = [example(n, sha256="f" * 64) for n in range(start, start + 5)]
        assert len(held(split(copies + [example(n) for n in range(start + 5, start + 10)], 3))) == 3


def test_already_held_out_flags_are_drawn_anew(example: Make):
    assert held(split([example(1, held_out=True), example(2)], 0)) == set()


def test_something_must_be_left_to_train_on(example: Make):
    with pytest.raises(InputError, match="at most 1"):
        split([example(1), example(2)], 2)
    with pytest.raises(ValueError):
        split([example(1)], -1)
    assert split([], 0) == []


def test_only_training_pictures_are_drawn(example: Make):
    others = [example(9, type="regularisation"), example(8, type="validation", held_out=True)]
    result = split([example(1), *others, example(2)], 1)
    assert result[1:3] == others and sum(e.held_out for e in result) == 2
    with pytest.raises(InputError, match="at most 1"):
        split([example(1), *others, example(2)], 2)
