import math

import pytest
import torch

from likeness.functional import timesteps
from likeness.functional.objective import exponential

SHIFTS = [0.3, 1.0, 1.65, 3.158]


@pytest.mark.parametrize("shift", SHIFTS)
def test_the_shift_is_the_published_formula(shift: float) -> None:
    t = torch.linspace(0, 1, 101, dtype=torch.float64)
    expected = [shift * x / (1 + (shift - 1) * x) for x in t.tolist()]
    assert timesteps.shifted(t, shift).tolist() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("shift", SHIFTS)
def test_the_shift_keeps_ends_and_order(shift: float) -> None:
    t = timesteps.shifted(torch.linspace(0, 1, 101), shift)
    assert t[0] == 0 and t[-1] == 1 and (t.diff() > 0).all()
    assert ((t - torch.linspace(0, 1, 101)) * math.copysign(1, shift - 1) >= -1e-6).all()


@pytest.mark.parametrize("count", [1, 4, 16, 100])
def test_strata_lie_in_the_middle_of_equal_parts(count: int) -> None:
    assert timesteps.strata(count).tolist() == pytest.approx([(i + 0.5) / count for i in range(count)])


@pytest.mark.parametrize("shift", SHIFTS)
def test_stratified_draws_stay_stratified(shift: float) -> None:
    """One time falls into each of the parts that equally likely draws would fall into."""
    u = timesteps.strata(16)[torch.randperm(16, generator=torch.Generator().manual_seed(1))]
    edges = torch.arange(17) / 16
    for draw in (timesteps.uniform, timesteps.logit_normal):
        times = timesteps.shifted(draw(u), shift)
        borders = timesteps.shifted(draw(edges), shift)
        parts = torch.bucketize(times, borders)
        assert sorted(parts.tolist()) == list(range(1, 17))


def test_logit_normal_times_are_distributed_so() -> None:
    t = timesteps.logit_normal(timesteps.strata(20_000).double(), mean=0.4, std=1.3)
    z = torch.logit(t)
    assert z.mean().item() == pytest.approx(0.4, abs=0.01)
    assert z.std().item() == pytest.approx(1.3, abs=0.01)


def test_times_never_touch_the_ends() -> None:
    ends = torch.tensor([0.0, 1.0])
    for draw in (timesteps.uniform, timesteps.logit_normal):
        t = draw(ends)
        assert torch.isfinite(t).all()
        assert timesteps.EDGE <= t[0] < 0.01 and 0.99 < t[1] <= 1 - timesteps.EDGE
        assert t.sum().item() == pytest.approx(1)


def test_larger_pictures_are_trained_nearer_to_noise() -> None:
    resolution_shift = exponential(0.5, 1.15)
    assert resolution_shift(64) == resolution_shift(256) == pytest.approx(math.exp(0.5))
    assert resolution_shift(4096) == pytest.approx(math.exp(1.15))
    shifts = [resolution_shift(n) for n in (256, 1024, 2304, 4096)]
    assert shifts == sorted(shifts)
