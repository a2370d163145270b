import pytest
import torch

from likeness.functional import flow


def test_the_way_from_clean_to_noise() -> None:
    x0, noise = torch.randn(3, 2, 4, 4), torch.randn(3, 2, 4, 4)
    t = torch.tensor([0.0, 1.0, 0.25])
    x_t = flow.interpolate(x0, noise, t)
    assert torch.equal(x_t[0], x0[0]) and torch.equal(x_t[1], noise[1])
    assert torch.allclose(x_t[2], 0.75 * x0[2] + 0.25 * noise[2])


def test_velocity_is_the_derivative_and_leads_home() -> None:
    x0, noise, t = torch.randn(2, 1, 3).double(), torch.randn(2, 1, 3).double(), torch.tensor([0.3, 0.8]).double()
    v = flow.velocity(x0, noise)
    slope = (flow.interpolate(x0, noise, t + 1e-6) - flow.interpolate(x0, noise, t)) / 1e-6
    assert torch.allclose(slope, v, atol=1e-6)
    assert torch.allclose(flow.interpolate(x0, noise, t) - flow.per_sample(t, x0) * v, x0)


def test_the_error_is_per_sample_and_in_fp32() -> None:
    predicted = torch.tensor([[1.0, 2.0], [0.0, 0.0]], dtype=torch.bfloat16)
    target = torch.tensor([[1.0, 0.0], [3.0, 1.0]], dtype=torch.bfloat16)
    error = flow.squared_error(predicted, target)
    assert error.dtype == torch.float32
    assert error.tolist() == pytest.approx([2.0, 5.0])


def test_weights_move_the_error_and_keep_its_scale() -> None:
    target = torch.zeros(3, 4, 2, 2)
    predicted = torch.tensor([1.0, 3.0]).expand(3, 4, 2, 2)  # errors 1 left, 9 right
    left = torch.tensor([1.0, 0.0]).expand(1, 2, 2)
    weights = torch.stack([left, torch.full((1, 2, 2), 0.25), torch.zeros(1, 2, 2)])
    assert flow.squared_error(predicted, target, weights).tolist() == [1, 5, 0]
    assert flow.squared_error(predicted, target).tolist() == [5, 5, 5]
