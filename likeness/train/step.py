"""One micro-batch: draw times and noise, predict, compare. All draws are pure functions of (seed, step, slot)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from likeness.config.train import TrainConfig
from likeness.families.base import Family
from likeness.functional import flow
from likeness.functional.randomness import derived_seed, normal, uniform
from likeness.train.loader import Batch, Slot


def micro_step(family: Family, batch: Batch, slots: Sequence[Slot], train: TrainConfig, step: int) -> Tensor:
    """Mean loss of a micro-batch, with its graph."""
    # LoRA dropout draws from torch's global generator, so that one is set as well.
    torch.manual_seed(derived_seed(train.seed, "layers", step, slots[0].number))
    shape = tuple(batch.x0.shape[1:])
    u = torch.tensor([uniform(train.seed, "time", step, s.number) for s in slots])
    t = family.draw_times(u, shape[-2] * shape[-1], train.timestep_sampling, train.timestep_shift)
    noise = torch.stack([normal(shape, train.seed, "noise", step, s.number) for s in slots])
    return losses_at(family, batch, t, noise).mean()


def losses_at(family: Family, batch: Batch, t: Tensor, noise: Tensor) -> Tensor:
    """(B,) squared errors of the predicted velocity at given times and noise."""
    x_t = flow.interpolate(batch.x0, noise, t)
    predicted = family.predict_velocity(x_t, t, batch.conditions, batch.references)
    return flow.squared_error(predicted, flow.velocity(batch.x0, noise).to(predicted.device))
