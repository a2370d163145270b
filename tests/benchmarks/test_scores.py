import numpy as np
import pytest

from benchmarks.judge import SCENES, TIMES, TRAITS, Verdict
from benchmarks.prompts import CONTROLS, LEARNED, Prompt, trials
from benchmarks.scores import bootstrap_interval, read, score


def verdict(traits: list[list[float]], scenes: list[str], times: list[str]) -> Verdict:
    """A judge that is sure of scenes and times."""
    return Verdict(
        np.array(traits),
        np.array([[float(s == name) for name in SCENES] for s in scenes]),
        np.array([[float(t == name) for name in TIMES] for t in times]),
    )


def test_the_interval_holds_the_mean_and_narrows_with_more_pictures() -> None:
    values = list(np.random.default_rng(0).uniform(0, 1, 12))
    low, high = bootstrap_interval(values)
    assert low < np.mean(values) < high
    many_low, many_high = bootstrap_interval(values * 16)
    assert many_high - many_low == pytest.approx((high - low) / 4, rel=0.2)


def test_the_interval_covers_the_true_mean_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(200):
        low, high = bootstrap_interval(list(rng.uniform(0, 1, 20)))
        hits += low <= 0.5 <= high
    assert 0.87 <= hits / 200 <= 0.99


def test_equal_values_have_no_spread_and_no_values_no_score() -> None:
    assert score([0.7, 0.7, 0.7]).low == score([0.7, 0.7, 0.7]).high == 0.7
    with pytest.raises(ValueError):
        score([])


def test_a_reading_takes_traits_apart_and_together() -> None:
    seen = verdict([[1, 1, 0, 0], [1, 0, 0, 0]], ["desert", "room"], ["day", "night"])
    reading = read(seen, [None, None])
    assert {name: s.mean for name, s in reading.traits.items()} == {"fins": 1, "mint": 0.5, "bolt": 0, "purple": 0}
    assert reading.together.mean == 0.375
    assert reading.obeyed is None


def test_obeyed_is_the_scene_and_the_time_asked_for() -> None:
    seen = verdict([[0] * len(TRAITS)] * 3, ["desert", "room", "plain"], ["day", "day", "night"])
    asked = [Prompt("", "desert", "day"), Prompt("", "room", "night"), Prompt("", "plain", None)]
    obeyed = read(seen, asked).obeyed
    assert obeyed is not None
    assert obeyed.mean == pytest.approx((1 + 0.5 + 1) / 3, abs=1e-4)


def test_prompts_ask_for_what_the_judge_knows_and_controls_have_no_trigger() -> None:
    for p in (*LEARNED, *CONTROLS):
        assert p.scene in SCENES and p.time in TIMES
    assert all(p.text.startswith("{trigger}") for p in LEARNED)
    assert not any("{" in p.text or "purple" in p.text or "green" in p.text for p in CONTROLS)
    assert len(trials(quick=True)[0]) < len(trials(quick=False)[0])
