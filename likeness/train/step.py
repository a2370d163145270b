"""One micro-batch: draw times and noise, predict, compare. All draws are pure functions of (seed, step, slot)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from likeness.config.train import TrainConfig
from likeness.families.base import Family
from likeness.functional.flow import squared_error
from likeness.functional.randomness import derived_seed, normal, uniform
from likeness.train.loader import Batch, Slot


def micro_step(family: Family, batch: Batch, slots: Sequence[Slot], train: TrainConfig, step: int) -> Tensor:
    """Mean loss of a micro-batch, with its graph."""
    # LoRA dropout draws from torch's global generator, so that one is set as well.
    torch.manual_seed(derived_seed(train.seed, "layers", step, slots[0].number))
    shape = tuple(batch.x0.shape[1:])
    u = torch.tensor([uniform(train.seed, "time", step, s.number) for s in slots])
    t = family.objective.draw_times(u, shape[-2] * shape[-1], train.timestep_sampling, train.timestep_shift)
    noise = torch.stack([normal(shape, train.seed, "noise", step, s.number) for s in slots])
    losses = losses_at(family, batch, t, noise)
    return (losses if batch.weights is None else losses * batch.weights.to(losses.device)).mean()


def losses_at(family: Family, batch: Batch, t: Tensor, noise: Tensor) -> Tensor:
    """(B,) squared errors of the prediction at given times and noise, weighted as masks and the family's objective
    say."""
    objective = family.objective
    predicted = family.predict(objective.noisy(batch.x0, noise, t), t, batch.conditions, batch.references)
    target = objective.target(batch.x0, noise, t).to(predicted.device)
    return squared_error(predicted, target, batch.masks) * objective.weight(t).to(predicted.device)
