"""Verdicts on planted curves: what a run of each kind looks like is known here."""

import numpy as np
import pytest

from benchmarks.made_up_curves import planted
from likeness.judge import recommend as rule
from likeness.judge.recommend import EpochEvidence, compare, recommend

FALLING = [0.60, 0.595, 0.590, 0.585, 0.580, 0.575, 0.570, 0.565]
U_SHAPED = [0.60, 0.57, 0.56, 0.552, 0.55, 0.551, 0.553, 0.556, 0.580, 0.67, 0.70]
LEVEL = [0.60, 0.58, 0.565, 0.557, 0.553, 0.551, 0.55, 0.55, 0.55, 0.55, 0.55]
SOON_OVER = [0.60, 0.56, 0.59, 0.61, 0.63, 0.66, 0.70, 0.74, 0.78]
NEVER_GOOD = [0.60, 0.66, 0.72, 0.78, 0.8, 0.82, 0.84]
FLAT = [0.60] * 9


def test_still_falling_at_the_end_is_underfit() -> None:
    verdict = recommend(planted(FALLING, noise=0.002))
    assert verdict.kind == "underfit" and verdict.suggested == 7 and verdict.overfit_from is None
    assert "train longer" in verdict.sentence


def test_a_u_has_a_sweet_spot_and_an_end() -> None:
    verdict = recommend(planted(U_SHAPED, noise=0.001))
    assert verdict.kind == "sweet spot"
    assert verdict.sweet_spot == (3, 8) and verdict.overfit_from == 9
    assert verdict.suggested == 7  # two thirds through, without pictures
    assert verdict.sentence == "Sweet spot: epochs 3–8, suggested 7; overfit from 9."


def test_a_level_end_is_no_overfitting() -> None:
    verdict = recommend(planted(LEVEL, noise=0.001))
    assert verdict.kind == "sweet spot" and verdict.overfit_from is None
    assert verdict.sweet_spot is not None and verdict.sweet_spot[1] == 10


def test_when_most_of_the_run_is_overfit_that_is_said_first() -> None:
    verdict = recommend(planted(SOON_OVER, noise=0.002))
    assert verdict.kind == "overfit" and verdict.sweet_spot == (1, 3) and verdict.overfit_from == 4
    assert verdict.sentence.startswith("Overfit from epoch 4; best: epochs 1–3")
    assert "From epoch 4 on" in verdict.reasons[1]


def test_a_small_gain_before_a_steep_and_jumpy_rise_is_one() -> None:
    """Jumps grow with the loss, so that they hide the gain; but what turns so clearly had fallen before."""
    steep = [0.678, 0.645, 0.692, 0.757, 0.818, 0.926, 0.974, 1.033, 1.083, 1.163, 1.189]
    verdict = recommend(planted(steep, [0.86 - 0.07 * e for e in range(11)], noise=0.001))
    assert verdict.kind == "overfit" and verdict.overfit_from == 3 and verdict.sweet_spot == (1, 2)


def test_a_steep_rise_without_any_gain_is_overfitting_too() -> None:
    rise = [0.60, 0.606, 0.66, 0.72, 0.80, 0.90, 1.0, 1.06, 1.1, 1.2, 1.25]
    verdict = recommend(planted(rise, noise=0.004))
    assert verdict.kind == "overfit" and verdict.overfit_from == 2 and verdict.suggested == 1
    assert verdict.reasons[0].startswith("The held-out loss went from")
    assert "the lowest after training" in verdict.reasons[0]
    late = recommend(planted([*FLAT, 0.60, 0.72], noise=0.004))  # one epoch of eleven is not enough to be sure of it
    assert late.kind == "cannot tell"


def test_back_at_the_bases_loss_is_no_harm_yet() -> None:
    """Single pictures get worse before the subject is all there: what counts is what training pictures have gained."""
    risen = [*LEVEL[:6], 0.57, 0.58, 0.59, 0.60, 0.61]
    assert recommend(planted(risen, noise=0.001)).overfit_from is None
    slow = [0.60 - 0.004 * e for e in range(11)]  # the same, with a tenth of the training loss gone
    assert recommend(planted(risen, slow, noise=0.001)).overfit_from == 10


def test_never_better_than_the_base() -> None:
    verdict = recommend(planted(NEVER_GOOD, noise=0.002))
    assert verdict.kind == "overfit" and verdict.suggested is None and verdict.overfit_from == 1


@pytest.mark.parametrize("seed", range(5))
def test_nothing_but_noise_cannot_be_told(seed: int) -> None:
    verdict = recommend(planted(FLAT, noise=0.02, wiggle=0.004, seed=seed))
    assert verdict.kind == "cannot tell" and verdict.suggested is None
    assert "within its noise" in verdict.sentence


@pytest.mark.parametrize("seed", range(8))
def test_noise_does_not_change_a_verdict(seed: int) -> None:
    assert recommend(planted(FALLING, noise=0.01, wiggle=0.0005, seed=seed)).kind == "underfit"
    u = recommend(planted(U_SHAPED, noise=0.005, wiggle=0.0007, seed=seed))
    assert u.kind == "sweet spot" and u.suggested is not None and 3 <= u.suggested <= 9
    assert recommend(planted(SOON_OVER, noise=0.01, wiggle=0.002, seed=seed)).kind == "overfit"


def test_a_rise_within_the_noise_is_no_overfitting() -> None:
    """Where nothing rises, jumps of half of the gain are rarely taken for overfitting."""
    alarms = [recommend(planted(LEVEL, noise=0.005, wiggle=0.01, seed=s)).overfit_from for s in range(40)]
    assert sum(a is not None for a in alarms) <= 4
    assert all(recommend(planted(U_SHAPED, noise=0.005, wiggle=0.002, seed=s)).overfit_from for s in range(40))


def test_a_rise_of_both_losses_is_overfitting_only_above_the_base() -> None:
    """Where the training loss rises too, the run has gone astray in another way, unless it is worse than the base."""
    rising = [0.6, 0.5, 0.45, 0.42, 0.4, 0.41, 0.43, 0.45, 0.47, 0.5, 0.52]
    back = [*U_SHAPED[:9], 0.59, 0.60]
    assert recommend(planted(back, rising, noise=0.001)).overfit_from is None
    assert recommend(planted(U_SHAPED, rising, noise=0.001)).overfit_from == 9


def test_without_training_losses_the_held_out_gain_is_the_measure() -> None:
    bare = [EpochEvidence(e.epoch, e.held_out) for e in planted(U_SHAPED, noise=0.001)]
    assert recommend(bare).overfit_from == 9


def test_the_middle_of_the_epochs_that_show_as_much_is_taken() -> None:
    likeness = [0.2, 0.3, 0.4, 0.5, 0.69, 0.68, 0.7, 0.7, 0.69, 0.9, 0.9]
    verdict = recommend(planted(U_SHAPED, noise=0.001, likeness=likeness))
    assert verdict.suggested == 6 and verdict.sweet_spot == (3, 8)
    assert "near its highest (0.85) at epochs 4–8; the middle one" in verdict.reasons[-1]


def test_pictures_choose_within_the_sweet_spot_alone() -> None:
    likeness = [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.6, 0.6, 0.6, 0.9, 0.9]
    verdict = recommend(planted(U_SHAPED, noise=0.001, likeness=likeness))
    assert verdict.suggested == 5 and verdict.sweet_spot == (3, 8)
    assert "'likeness' of the test pictures is highest at epoch 5" in verdict.reasons[-1]


def test_an_epoch_of_copies_is_passed_over() -> None:
    evidence = planted(U_SHAPED, noise=0.001, likeness=[0.1 * e for e in range(11)])
    evidence[8] = EpochEvidence(
        8, evidence[8].held_out, evidence[8].train_loss, {**evidence[8].pictures, "copied": {"p0": 1.0, "p1": 0.0}}
    )
    assert recommend(evidence).suggested == 7


def test_only_epochs_with_a_file_are_suggested() -> None:
    assert recommend(planted(U_SHAPED, noise=0.001), available={3, 4, 10}).suggested == 4
    none = recommend(planted(U_SHAPED, noise=0.001), available={10})
    assert none.suggested is None and "no file" in none.sentence
    assert recommend(planted(FALLING), available={2, 4}).suggested == 4


def test_without_held_out_losses_it_cannot_be_told() -> None:
    assert recommend([]).kind == "cannot tell"
    evidence = [EpochEvidence(e.epoch, {}, e.train_loss) for e in planted(U_SHAPED)]
    assert recommend(evidence) == rule.Verdict(
        "cannot tell", "Cannot tell, because no loss on held-out pictures was measured; look at the grid."
    )


def test_without_held_out_losses_pictures_may_hint() -> None:
    likeness = [0.2, 0.3, 0.5, 0.7, 0.7, 0.71]
    evidence = [EpochEvidence(e.epoch, {}, 0.5, e.pictures) for e in planted([0.6] * 6, likeness=likeness)]
    verdict = recommend(evidence)
    assert verdict.kind == "cannot tell" and verdict.suggested == 3 and "pictures alone" in verdict.sentence


def test_few_held_out_pictures_are_said_to_be_few() -> None:
    words = {n: " ".join(recommend(planted(U_SHAPED, images=n, noise=0.001)).reasons) for n in (1, 2, 5)}
    assert "one picture" in words[1] and "two pictures" in words[2] and "held out, so" not in words[5]


def test_epochs_of_other_probes_are_left_out() -> None:
    evidence = planted(LEVEL, noise=0.001)
    evidence[4] = EpochEvidence(4, {"image 0": [0.1], "image 1": [0.1]})
    losses = rule.losses_of(evidence)
    assert losses is not None and 4 not in losses.epochs
    assert rule.losses_of(evidence[1:]) is None  # nothing to compare with


# --- noise


def test_the_error_of_paired_differences() -> None:
    """Over pictures where there are three, else over the probes."""
    three = np.asarray([[1.0, 3.0], [2.0, 4.0], [6.0, 8.0]])  # means 2, 3, 7: deviation √7
    assert rule.paired_error(three) == pytest.approx(np.sqrt(7 / 3))
    one = np.asarray([[1.0, 2.0, 3.0, 6.0]])  # variance 14/3
    assert rule.paired_error(one) == pytest.approx(np.sqrt(14 / 3 / 4))
    assert rule.paired_error(np.asarray([[1.0]])) == 0


def test_a_straight_line_does_not_wiggle() -> None:
    assert rule.wiggle(np.linspace(1, 0, 9)) == pytest.approx(0)
    assert rule.wiggle(np.asarray([0.0, 1.0])) == 0
    jumps = np.random.default_rng(0).normal(0, 0.1, 2000)
    assert rule.wiggle(np.linspace(1, 0, 2000) + jumps) == pytest.approx(0.1, rel=0.1)


def test_how_fast_a_curve_falls() -> None:
    assert rule.falling(np.asarray([4.0, 3.0, 2.0, 1.0])) == pytest.approx((1.0, 0.0))
    fall, error = rule.falling(np.asarray([2.0, 0.0, 1.0]))  # line 1.5, 1, 0.5: off by ½, -1, ½
    assert fall == pytest.approx(0.5) and error == pytest.approx(np.sqrt(1.5 / 1 / 2))
    assert rule.falling(np.asarray([1.0])) == (0, 0)


def test_the_error_of_a_change() -> None:
    assert rule.change_error({"a": 0.0, "b": 0.0}, {"a": 1.0, "b": 3.0}) == pytest.approx(1.0)
    assert rule.change_error({"a": 0.0}, {"a": 1.0}) == 0


# --- flags


def with_pictures(**measures: float) -> list[EpochEvidence]:
    whole = {name: measures.pop(name) for name in ("diversity", "sameness") if name in measures}
    pictures = {name: {f"p{k}": value for k in range(4)} for name, value in measures.items()}
    before = {"likeness": 0.3, "composition": 0.1}
    base = EpochEvidence(0, pictures={n: {f"p{k}": v for k in range(4)} for n, v in before.items()})
    return [base, *(EpochEvidence(e, pictures=pictures, whole=whole) for e in (1, 2, 3, 4))]


@pytest.mark.parametrize(
    ("measures", "kind", "flags"),
    [
        ({"likeness": 0.7, "leak": 0.02, "copied": 0.0, "diversity": 0.9}, "", ()),
        ({"copied": 0.5}, "", ("copies",)),
        ({"diversity": 0.4}, "", ("monotonous",)),
        ({"composition": 0.4, "sameness": 0.8}, "", ("one composition",)),
        ({"composition": 0.2, "sameness": 0.8}, "", ()),
        ({"composition": 0.4, "sameness": 0.45}, "", ()),
        ({"composition": 0.6}, "", ()),
        ({"likeness": 0.7, "leak": 0.3}, "", ("leaks",)),
        ({"change": 0.2, "preserved": 0.99}, "edit", ("not followed",)),
        ({"change": 1.2, "preserved": 0.7}, "edit", ("not preserved",)),
        ({"change": 1.0, "preserved": 0.99}, "edit", ()),
    ],
)
def test_flags(measures: dict[str, float], kind: str, flags: tuple[str, ...]) -> None:
    assert recommend(with_pictures(**measures), kind=kind).flags == flags


# --- two runs


@pytest.mark.parametrize("seed", range(10))
def test_two_runs_that_differ_in_the_seed_alone_cannot_be_told_apart(seed: int) -> None:
    a = planted(U_SHAPED, noise=0.005, wiggle=0.001, seed=seed)
    b = planted(U_SHAPED, noise=0.005, wiggle=0.001, seed=1000 + seed)
    assert compare(a, b)[0] == "cannot tell"


def test_runs_that_held_out_other_pictures_are_compared_by_those_of_both() -> None:
    """Here the only picture that both held out tells nothing; all of them would."""
    a, b = planted(U_SHAPED, noise=0.002), planted([0.6 - 0.4 * (0.6 - v) for v in U_SHAPED], noise=0.002, seed=9)
    assert compare(a, b)[0] == "A"
    others = [EpochEvidence(e.epoch, {f"other {n}": v for n, v in e.held_out.items()}, e.train_loss) for e in b]
    assert compare(a, others) == ("cannot tell", "there is no held-out loss on the same pictures in both")
    shared = {"image 9": [0.5, 0.5]}
    with_shared = [[EpochEvidence(e.epoch, {**e.held_out, **shared}, e.train_loss) for e in run] for run in (a, others)]
    assert compare(*with_shared)[0] == "cannot tell"


def test_a_run_that_learned_twice_as_much_is_better() -> None:
    weak = [0.6 - 0.4 * (0.6 - v) for v in U_SHAPED]
    assert compare(planted(U_SHAPED, noise=0.002), planted(weak, noise=0.002, seed=9))[0] == "A"
    assert compare(planted(weak, noise=0.002), planted(U_SHAPED, noise=0.002, seed=9))[0] == "B"
    assert compare(planted(U_SHAPED), [])[0] == "cannot tell"
