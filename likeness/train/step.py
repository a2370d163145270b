"""One micro-batch: draw times and noise, predict, compare. All draws are pure functions of (seed, step, slot)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from likeness.config.train import TrainConfig
from likeness.families.base import Family
from likeness.functional.flow import squared_error
from likeness.functional.randomness import derived_seed, normal, uniform
from likeness.lora.inject import TRAINED, disabled
from likeness.train.loader import Batch, Slot


def micro_step(family: Family, batch: Batch, slots: Sequence[Slot], train: TrainConfig, step: int) -> Tensor:
    """Mean loss of a micro-batch, with its graph."""
    losses = losses_at(family, batch, *_drawn(family, batch, slots, train, step))
    return (losses if batch.weights is None else losses * batch.weights.to(losses.device)).mean()


def preserving_step(
    family: Family, batch: Batch, slots: Sequence[Slot], train: TrainConfig, step: int
) -> Tensor | None:
    """How far the LoRA moves what the base makes of the captions without their trigger, at the times and noise of
    `micro_step`: its mean over the micro-batch, with its graph. None where no caption is spared.

    As in the Differential Output Preservation of Ostris' AI Toolkit: the target is the base's own prediction.
    """
    rows = [row for row, condition in enumerate(batch.spared) if condition is not None]
    if not rows:
        return None
    t, noise = _drawn(family, batch, slots, train, step)
    t, objective = t[rows], family.objective
    x_t = objective.noisy(batch.x0[rows], noise[rows], t)
    asked = ([c for c in batch.spared if c is not None], [r[rows] for r in batch.references])
    with torch.no_grad(), disabled(family.networks, TRAINED):
        target = family.predict(x_t, t, *asked)
    errors = squared_error(family.predict(x_t, t, *asked), target) * objective.weight(t).to(target.device)
    return errors.sum() / len(slots)


def _drawn(family: Family, batch: Batch, slots: Sequence[Slot], train: TrainConfig, step: int) -> tuple[Tensor, Tensor]:
    """Times (B,) and noise (B, C, h, w) of a micro-batch."""
    # LoRA dropout draws from torch's global generator, so that one is set as well.
    torch.manual_seed(derived_seed(train.seed, "layers", step, slots[0].number))
    shape = tuple(batch.x0.shape[1:])
    u = torch.tensor([uniform(train.seed, "time", step, s.number) for s in slots])
    t = family.objective.draw_times(u, shape[-2] * shape[-1], train.timestep_sampling, train.timestep_shift)
    return t, torch.stack([normal(shape, train.seed, "noise", step, s.number) for s in slots])


def losses_at(family: Family, batch: Batch, t: Tensor, noise: Tensor) -> Tensor:
    """(B,) squared errors of the prediction at given times and noise, weighted as masks and the family's objective
    say."""
    objective = family.objective
    predicted = family.predict(objective.noisy(batch.x0, noise, t), t, batch.conditions, batch.references)
    target = objective.target(batch.x0, noise, t).to(predicted.device)
    return squared_error(predicted, target, batch.masks) * objective.weight(t).to(predicted.device)
