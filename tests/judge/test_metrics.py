"""Measures on cases that were computed by hand."""

import math

import numpy as np
import pytest

from likeness.judge import metrics

EAST, NORTH = [1.0, 0.0], [0.0, 1.0]
DIAGONAL = [math.sqrt(0.5), math.sqrt(0.5)]


def rows(*vectors: list[float]) -> metrics.Rows:
    return np.asarray(vectors)


def test_rows_are_scaled_to_length_one_and_zeros_stay() -> None:
    assert metrics.unit(rows([3, 4], [0, 0])).tolist() == [[0.6, 0.8], [0, 0]]


def test_likeness_is_the_mean_of_the_two_nearest() -> None:
    training = rows(EAST, DIAGONAL, NORTH)
    assert metrics.likeness(rows(EAST), training) == pytest.approx([(1 + math.sqrt(0.5)) / 2])
    assert metrics.likeness(rows(EAST), rows(NORTH)) == pytest.approx([0.0])


def test_adherence_is_the_cosine_with_the_own_text() -> None:
    assert metrics.adherence(rows(EAST, EAST), rows(NORTH, DIAGONAL)) == pytest.approx([0, math.sqrt(0.5)])


@pytest.mark.parametrize("count", [1, 2, 5])
def test_vendi_counts_pictures_that_have_nothing_in_common(count: int) -> None:
    assert metrics.vendi(np.eye(count)) == pytest.approx(count)
    assert metrics.vendi(np.tile([1.0, 0.0], (count, 1))) == pytest.approx(1)


def test_vendi_between() -> None:
    """Cosine ½ gives eigenvalues ¾ and ¼ of the halved matrix."""
    half = rows(EAST, [0.5, math.sqrt(0.75)])
    assert metrics.vendi(half) == pytest.approx(math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25)))
    with pytest.raises(ValueError, match="no pictures"):
        metrics.vendi(np.empty((0, 2)))


def test_training_pictures_among_themselves() -> None:
    assert metrics.alike_among_themselves(rows(EAST, DIAGONAL, NORTH)) == pytest.approx([math.sqrt(0.5)] * 3)
    assert metrics.alike_among_themselves(rows(EAST)).size == 0


def test_sameness_is_the_mean_over_all_pairs() -> None:
    assert metrics.sameness(rows(EAST, EAST, NORTH)) == pytest.approx(1 / 3)
    assert metrics.sameness(rows(EAST, [0.0, 0.0])) == 0  # a picture of one colour has no pattern
    assert metrics.sameness(rows(EAST)) is None


def test_what_counts_as_a_copy_depends_on_how_alike_the_training_pictures_are() -> None:
    assert metrics.copy_threshold(rows(EAST, NORTH)) == metrics.COPY_FLOOR
    near = rows(EAST, metrics.unit(rows([1, 0.2]))[0].tolist())
    assert metrics.copy_threshold(near) == pytest.approx(1 / math.sqrt(1.04))
    assert metrics.copy_threshold(rows(EAST, EAST)) > 1  # nothing can be told apart


def test_a_blur_is_no_copy() -> None:
    closeness, sharpness = np.asarray([0.95, 0.95, 0.5]), np.asarray([1.0, 0.4, 1.0])
    assert metrics.copied(closeness, sharpness, 0.9, 1.0).tolist() == [1, 0, 0]


def test_an_edit_is_followed_along_the_mean_change_of_the_pairs() -> None:
    wanted = metrics.direction(rows(EAST, EAST), rows(DIAGONAL, NORTH))
    assert wanted @ wanted == pytest.approx(1)
    source, samples = rows(EAST, EAST, EAST), rows(NORTH, EAST, [1.0, -1.0])
    right, none, wrong = metrics.followed(source, samples, metrics.unit(rows([-1, 1]))[0])
    assert right == pytest.approx(1) and none == 0 and wrong == pytest.approx(-math.sqrt(0.5))
    assert metrics.direction(rows(EAST), rows(EAST)).tolist() == [0, 0]


def test_what_the_pairs_leave_alone_should_be_left_alone() -> None:
    before, after = np.zeros((2, 2, 3)), np.zeros((2, 2, 3))
    after[0] = 1  # the upper half changes
    share = metrics.unchanged_share(before, after)
    assert share == 0.5
    assert metrics.preserved(before, after, share) == 1
    below = np.roll(after, 1, axis=0)  # where does not matter
    assert metrics.preserved(before, below, share) == 1
    everything = np.full((2, 2, 3), 0.3)
    assert metrics.preserved(before, everything, share) == pytest.approx(0.7)


def test_how_much_changes() -> None:
    before, after = np.zeros((2, 2, 3)), np.full((2, 2, 3), 0.25)
    assert metrics.pixel_drift(after, before) == 0.25
    assert metrics.change_ratio(before, after, 0.5) == 0.5
    assert metrics.change_ratio(before, after, 0.0) == 0
