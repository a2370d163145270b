"""What a base model was trained to predict, and so what a LoRA on it is trained with.

Times are in [0, 1] for every model, 0 clean and 1 noise; how a time becomes noise differs.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from likeness.functional import flow, timesteps


class Objective(Protocol):
    """Draws times, mixes noise in, and says what is to be predicted there."""

    def draw_times(self, u: Tensor, tokens: int, how: str, shift: float | None) -> Tensor:
        """Training times (B,) from uniform draws `u` (B,). `how`: auto | uniform | logit_normal; `auto` is the
        model's own. `tokens` are those of the picture; `shift` replaces the model's own shift."""
        ...

    def noisy(self, x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """x_t (B, …) from clean `x0` and `noise` (B, …) at times `t` (B,)."""
        ...

    def target(self, x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """What the model should say at x_t, in the shape of `x0`."""
        ...

    def weight(self, t: Tensor) -> Tensor:
        """(B,) weights of the squared errors at times `t`."""
        ...


@dataclass(frozen=True)
class Flow:
    """Rectified flow with velocity = noise - x0. `shift` gives a model's own shift for a number of image tokens."""

    shift: Callable[[int], float]

    def draw_times(self, u: Tensor, tokens: int, how: str, shift: float | None) -> Tensor:
        """Logit-normal by itself, moved towards noise as the model's shift says; plain where asked for uniform."""
        t = timesteps.uniform(u) if how == "uniform" else timesteps.logit_normal(u)
        if shift is None:
            shift = 1.0 if how == "uniform" else self.shift(tokens)
        return timesteps.shifted(t, shift)

    def noisy(self, x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        return flow.interpolate(x0, noise, t)

    def target(self, x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        return flow.velocity(x0, noise)

    def weight(self, t: Tensor) -> Tensor:
        return torch.ones_like(t)


@dataclass(frozen=True)
class Diffusion:
    """Denoising diffusion (Ho et al. 2020, arXiv 2006.11239) over the steps of a noise schedule.

    `alphas` (T,) are the cumulative products of the schedule; time t stands for step floor(t·T). `predicts` is
    'epsilon' (the noise) or 'v_prediction' (Salimans & Ho 2022, arXiv 2202.00512). With `min_snr` γ, errors are
    weighted by min(SNR, γ) / SNR, for v by min(SNR, γ) / (SNR + 1) (Hang et al. 2023, arXiv 2303.09556).
    """

    alphas: Tensor
    predicts: str
    min_snr: float | None = None

    def steps(self, t: Tensor) -> Tensor:
        """(B,) whole steps 0 … T-1 that times `t` stand for."""
        return (t * len(self.alphas)).long().clamp(0, len(self.alphas) - 1)

    def draw_times(self, u: Tensor, tokens: int, how: str, shift: float | None) -> Tensor:
        """Uniform by itself, as these models were trained."""
        t = timesteps.logit_normal(u) if how == "logit_normal" else u
        return timesteps.shifted(t, shift or 1.0)

    def noisy(self, x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        signal, spread = self._scales(x0, t)
        return signal * x0 + spread * noise

    def target(self, x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        if self.predicts == "epsilon":
            return noise
        signal, spread = self._scales(x0, t)
        return signal * noise - spread * x0

    def weight(self, t: Tensor) -> Tensor:
        if self.min_snr is None:
            return torch.ones_like(t)
        alpha = self.alphas[self.steps(t)]
        snr = alpha / (1 - alpha)
        return snr.clamp(max=self.min_snr) / (snr if self.predicts == "epsilon" else snr + 1)

    def _scales(self, like: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        alpha = flow.per_sample(self.alphas[self.steps(t)], like)
        return alpha.sqrt(), (1 - alpha).sqrt()


def weighted(objective: Objective, min_snr: float | None) -> Objective:
    """The objective with errors weighted by min-SNR. Raises ValueError for one that knows no such weight."""
    if min_snr is None:
        return objective
    if not isinstance(objective, Diffusion):
        raise ValueError("min-SNR weights belong to noise schedules, which flow matching has none of")
    return replace(objective, min_snr=min_snr)


def constant(shift: float) -> Callable[[int], float]:
    """The same shift at every size."""
    return lambda tokens: shift


def exponential(low: float, high: float, fewest: int = 256, most: int = 4096) -> Callable[[int], float]:
    """exp(mu), mu linear from `low` at `fewest` tokens to `high` at `most`, flat below `fewest`.

    Small pictures have less redundancy, so that the same noise destroys more of them (arXiv 2403.03206, section 5.3.2;
    the linear mu is FLUX.1's).
    """

    def shift(tokens: int) -> float:
        return math.exp(low + (max(tokens, fewest) - fewest) / (most - fewest) * (high - low))

    return shift
