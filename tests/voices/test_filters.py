import numpy as np
import pytest

from likeness.voices.filters import frames, gaussian, mean_filter, median_filter, overlap_add, resample


@pytest.mark.parametrize(("rate", "wanted"), [(16_000, 24_000), (22_050, 16_000), (48_000, 16_000), (11_025, 48_000)])
def test_a_tone_stays_the_same_tone_at_another_rate(rate: int, wanted: int) -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(rate) / rate)
    moved = resample(tone, rate, wanted)
    expected = np.sin(2 * np.pi * 440 * np.arange(len(moved)) / wanted)
    assert len(moved) == wanted
    assert np.abs(moved - expected)[500:-500].max() < 1e-4


def test_what_the_lower_rate_cannot_hold_is_taken_out() -> None:
    tone = np.sin(2 * np.pi * 7000 * np.arange(48_000) / 48_000)
    assert np.abs(resample(tone, 48_000, 8_000))[200:-200].max() < 1e-3


def test_frames_put_together_again_are_the_sound() -> None:
    x = np.random.default_rng(0).normal(size=1000)
    window = np.hanning(64)
    pieces = frames(x, 64, 16)
    weight = overlap_add(np.tile(window, (len(pieces), 1)), 16, 1000)
    assert np.allclose((overlap_add(pieces * window, 16, 1000) / weight)[10:-10], x[10:-10])


def test_smoothing_leaves_a_constant_alone_and_flattens_noise() -> None:
    noise = np.random.default_rng(0).normal(size=2000)
    for smooth in (lambda x: gaussian(x, 5), lambda x: mean_filter(x, 21), lambda x: median_filter(x, 21)):
        assert np.allclose(smooth(np.full(50, 3.0)), 3.0)
        assert smooth(noise).std() < 0.4


def test_a_running_mean_is_taken_over_the_axis_that_is_asked_for() -> None:
    x = np.array([[0.0, 3, 0, 3, 0], [3, 3, 3, 3, 3]])
    assert np.allclose(mean_filter(x, 3, 1)[0, 1:4], [1, 2, 1])
    assert np.allclose(mean_filter(x, 3, 1)[1], 3)
