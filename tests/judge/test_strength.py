"""Which strength is suggested, on planted measures."""

import math
import random

import pytest

from likeness.judge.strength import Tried, interval, jackknife, standard_error, suggest

SEEDS = 10


def tried(strength: float, likeness: float, noise: float = 0.01, **others: float) -> Tried:
    """Values of ten seeds around these means; the seeds' own offsets are the same at every strength."""
    offsets = random.Random(1)
    own = [offsets.gauss(0, 0.05) for _ in range(SEEDS)]
    jitter = random.Random(f"{strength}")
    values = {"likeness": [likeness + o + jitter.gauss(0, noise) for o in own]}
    return Tried(strength, values | {name: [value] * SEEDS for name, value in others.items()})


def ladder(likeness: dict[float, float], **others: dict[float, float]) -> list[Tried]:
    return [tried(s, v, **{name: of[s] for name, of in others.items() if s in of}) for s, v in likeness.items()]


RISING = {0.0: 0.40, 0.6: 0.52, 0.7: 0.62, 0.8: 0.70, 0.9: 0.71, 1.0: 0.71}


def test_the_lowest_strength_with_nearly_all_of_the_likeness_is_suggested():
    found = suggest(ladder(RISING))
    assert found.strength == 0.8 and "0.8" in found.sentence
    assert "of the gain" in found.reasons[0]


def test_what_speaks_against_a_strength_leads_to_a_milder_one():
    late = {0.0: 0.4, 0.6: 0.60, 0.8: 0.65, 1.0: 0.75}
    assert suggest(ladder(late)).strength == 1.0
    copies = ladder(late, copied={0.6: 0.0, 0.8: 0.05, 1.0: 0.3})
    found = suggest(copies)
    assert found.strength == 0.8 and any("30 %" in r and "repeat" in r for r in found.reasons)
    leaks = ladder(late, leak={0.6: 0.01, 0.8: 0.12, 1.0: 0.2})
    assert suggest(leaks).strength == 0.6
    nothing = suggest(ladder(late, copied={0.6: 0.2, 0.8: 0.2, 1.0: 0.3}))
    assert nothing.strength is None and "No strength" in nothing.sentence


def test_a_strength_with_too_little_likeness_is_not_taken_for_its_harmlessness():
    weak = {0.0: 0.4, 0.6: 0.45, 1.0: 0.75}
    assert suggest(ladder(weak, copied={0.6: 0.0, 1.0: 0.5})).strength is None


def test_it_cannot_be_told():
    flat = {0.0: 0.4, 0.6: 0.401, 0.8: 0.399, 1.0: 0.402}
    found = suggest([tried(s, v, noise=0.02) for s, v in flat.items()])
    assert found.strength is None and "too little" in found.sentence
    blind = [Tried(s, {"drift": [0.1] * SEEDS}) for s in (0.0, 0.6, 1.0)]
    assert suggest(blind).strength is None and "Cannot tell" in suggest(blind).sentence


def test_noise_makes_no_strength_good_that_lacks_a_quarter_of_the_gain():
    noisy = [tried(s, v, noise=0.15) for s, v in {0.0: 0.2, 0.5: 0.4, 1.0: 0.8}.items()]
    assert suggest(noisy).strength == 1.0


def test_what_is_to_be_tried_next_is_said():
    rising = suggest(ladder({0.0: 0.4, 0.8: 0.5, 1.0: 0.7}))
    assert rising.strength == 1.0 and any("still rises" in r for r in rising.reasons)
    flat = suggest(ladder({0.0: 0.4, 0.8: 0.7, 1.0: 0.7}))
    assert flat.strength == 0.8 and any("weakest" in r for r in flat.reasons)


def test_edits_go_by_what_was_followed():
    values = {0.0: 0.0, 0.5: 0.3, 1.0: 0.8}
    edits = [Tried(s, {"followed": [v + 0.001 * k for k in range(4)], "preserved": [0.95] * 4})
             for s, v in values.items()]  # fmt: skip
    assert suggest(edits).strength == 1.0
    harmed = [*edits[:-1], Tried(1.0, {**edits[-1].values, "preserved": [0.5] * 4})]
    assert suggest(harmed).strength is None  # half the strength does not follow


def test_an_interval_is_students():
    values = [1.0, 2.0, 3.0, 4.0]
    assert standard_error(values) == pytest.approx(math.sqrt(5 / 3) / 2)
    assert interval(values) == pytest.approx(3.182 * math.sqrt(5 / 3) / 2)
    assert interval([1.0]) is None and standard_error([1.0]) == 0
    many = [float(k % 2) for k in range(100)]
    assert interval(many) == pytest.approx(1.96 * standard_error(many))


def test_pseudo_values_of_a_mean_are_the_values():
    values = [0.1, 0.5, 0.9]
    without = [(sum(values) - v) / 2 for v in values]
    assert jackknife(sum(values) / 3, without) == pytest.approx(values)
    assert jackknife(0.7, []) == [0.7]
