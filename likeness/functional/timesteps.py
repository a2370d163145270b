"""Where on the way from clean (0) to noise (1) a model is trained and probed."""

import torch
from torch import Tensor

EDGE = 1e-3  # times stay inside (EDGE, 1 - EDGE): at 0 there is nothing to predict from


def uniform(u: Tensor) -> Tensor:
    """Times equal to the uniform draws `u` (B,)."""
    return u.clamp(EDGE, 1 - EDGE)


def logit_normal(u: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """Logit-normal times from uniform draws `u` (B,) by inversion (arXiv 2403.03206, eq. 19).

    Inversion, rather than normal draws, keeps stratified draws stratified.
    """
    z = torch.special.ndtri(u.double().clamp(1e-6, 1 - 1e-6))
    return torch.sigmoid(z * std + mean).to(u.dtype).clamp(EDGE, 1 - EDGE)


def shifted(t: Tensor, shift: float) -> Tensor:
    """Times moved towards noise: shift·t / (1 + (shift - 1)·t) (arXiv 2403.03206, eq. 23)."""
    return shift * t / (1 + (shift - 1) * t)


def strata(count: int) -> Tensor:
    """`count` uniform draws, one in the middle of each equal part of [0, 1]."""
    return (torch.arange(count, dtype=torch.float32) + 0.5) / count
