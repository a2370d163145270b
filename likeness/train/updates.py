"""What happens to the trained weights between a loss and the next one, whatever is trained."""

import math
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from likeness import events
from likeness.config.optim import OptimConfig
from likeness.errors import RunFailed
from likeness.train import optim
from likeness.train.memory import memory_used
from likeness.train.resume import State

MOST_SKIPS = 3  # updates in a row that may be dropped for values that are not finite


class Updates:
    """Counted steps of `optimizer` on `weights`, along the schedule of `settings` over `steps`.

    `sources`: what may be at fault, besides the rate, where values are not finite; "the pictures".
    """

    def __init__(
        self,
        weights: Mapping[str, nn.Parameter],
        optimizer: torch.optim.Optimizer,
        settings: OptimConfig,
        steps: int,
        sources: str,
    ):
        self.weights, self.optimizer, self.settings, self.steps = weights, optimizer, settings, steps
        self.sources = sources
        self.step = self.skips = 0

    def clear(self) -> None:
        """Before a backward pass."""
        self.optimizer.zero_grad(set_to_none=True)

    def apply(self, loss: float, *, epoch: int, count: int, began: float, device: torch.device) -> events.Event:
        """One step along the gradients of `count` examples, whose work `began` then (by the monotonic clock).

        UpdateSkipped instead of StepDone when loss or gradients are not finite. Raises RunFailed after MOST_SKIPS.
        """
        norm = nn.utils.clip_grad_norm_(self.weights.values(), self.settings.max_gradient_norm or math.inf).item()
        self.step += 1
        if not (math.isfinite(loss) and math.isfinite(norm)):
            return self._skip(f"loss {loss}, gradient norm {norm}")
        factor = optim.rate_factor(self.settings, self.step, self.steps)
        optim.set_rates(self.optimizer, factor)
        self.optimizer.step()
        self.skips = 0
        return events.StepDone(
            step=self.step,
            epoch=epoch,
            loss=loss,
            learning_rate=self.settings.learning_rate * factor,
            gradient_norm=norm,
            images_per_second=count / (time.monotonic() - began),
            memory_bytes=memory_used(device),
        )

    def _skip(self, reason: str) -> events.Event:
        self.skips += 1
        if self.skips >= MOST_SKIPS:
            raise RunFailed(
                f"step {self.step}: {reason}, {self.skips} times in a row. The last good state is kept; lower "
                f"optim.learning_rate or check {self.sources}, then start a new run (or --resume to try again)"
            )
        return events.UpdateSkipped(step=self.step, reason=reason)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and numbers for a State, to go on from. Raises RunFailed for weights that are not finite."""
        if not all(torch.isfinite(p).all() for p in self.weights.values()):
            raise RunFailed(
                f"step {self.step}: the weights are not finite. The last good state is kept; start a new run with a "
                "lower optim.learning_rate"
            )
        tensors, numbers = optim.pack_optimizer(self.optimizer)
        named: dict[str, Tensor] = {f"weights.{n}": p for n, p in self.weights.items()}
        named |= {f"optimizer.{n}": t for n, t in tensors.items()}
        return named, {"optimizer": numbers, "skips": self.skips}

    def load(self, state: State) -> None:
        """Optimizer and counts as `state` has them; its weights are put in by whoever put them where they are."""
        optim.unpack_optimizer(self.optimizer, state.part("optimizer"), state.numbers["optimizer"])
        self.step, self.skips = state.step, state.numbers["skips"]
