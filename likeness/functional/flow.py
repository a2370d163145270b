"""Flow matching in the one sign convention of the house: t = 0 is clean, t = 1 is noise.

x_t = (1 - t) x0 + t noise, velocity = noise - x0 (rectified flow: Liu et al. 2022, arXiv 2209.03003; as trained in
Esser et al. 2024, arXiv 2403.03206).
"""

import torch
from torch import Tensor


def per_sample(t: Tensor, like: Tensor) -> Tensor:
    """(B,) shaped for broadcasting against `like` (B, …)."""
    return t.view(-1, *([1] * (like.ndim - 1)))


def interpolate(x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    """x_t between `x0` and `noise` (both (B, …)) at times `t` (B,)."""
    t = per_sample(t, x0)
    return (1 - t) * x0 + t * noise


def velocity(x0: Tensor, noise: Tensor) -> Tensor:
    """The direction from clean to noise that the model learns to predict."""
    return noise - x0


def squared_error(predicted: Tensor, target: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean squared error per sample, in fp32: (B, …) and (B, …) to (B,).

    With `weights`, which broadcast to them and are not negative, the weighted mean: its scale stays that of the plain
    one. A sample without any weight has error 0.
    """
    errors = (predicted.float() - target.float()) ** 2
    over = tuple(range(1, target.ndim))
    if weights is None:
        return torch.mean(errors, dim=over)
    weights = weights.to(errors).expand_as(errors)
    return (errors * weights).sum(dim=over) / weights.sum(dim=over).clamp_min(torch.finfo(errors.dtype).tiny)
