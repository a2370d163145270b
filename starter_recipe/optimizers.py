"""The update that every network of the recipe is trained with: Muon and AdamW, and a running average of the weights."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from starter_recipe.training import Muon, Replicas

SHARE = 1 / 8  # of Muon's rate, for AdamW


class Optimizers:
    """Muon for the weights whose flag in `hidden` is set, matrices and kernels; AdamW for the rest, at `share` of its
    rate; and the running average of all. `decays`: the weight decay of either.

    The average is what is measured and kept: `with_average`.
    """

    def __init__(
        self,
        params: Sequence[Tensor],
        hidden: Sequence[bool],
        rate: float,
        *,
        share: float = SHARE,
        decays: tuple[float, float] = (0.01, 0.01),
        replicas: Replicas | None = None,
    ):
        self.params = list(params)
        self.rest = [p for p, inside in zip(params, hidden, strict=True) if not inside]
        matrices = [p for p, inside in zip(params, hidden, strict=True) if inside]
        self.muon = Muon(matrices, rate, weight_decay=decays[0], replicas=replicas)
        self.adam = torch.optim.AdamW(self.rest, rate * share, betas=(0.9, 0.98), weight_decay=decays[1])
        self.peaks = ((self.muon, rate), (self.adam, rate * share))
        self.average = [p.detach().clone() for p in self.params]

    def step(self, factor: float, decay: float) -> None:
        """One update at `factor` of the rates, from gradients that are then forgotten; `decay`: of the average."""
        torch.nn.utils.clip_grad_norm_(self.rest, 1.0)
        for optimizer, peak in self.peaks:
            optimizer.param_groups[0]["lr"] = peak * factor
            optimizer.step()
        for p in self.params:
            p.grad = None
        torch._foreach_lerp_(self.average, [p.detach() for p in self.params], 1 - decay)

    @torch.no_grad()
    def with_average(self, action: Callable[[], Any]) -> None:
        """`action()` while the weights are their average."""
        kept = [p.detach().clone() for p in self.params]
        torch._foreach_copy_(self.params, self.average)
        action()
        torch._foreach_copy_(self.params, kept)

    def state(self) -> dict[str, Any]:
        return {"average": self.average, "muon": self.muon.state_dict(), "adam": self.adam.state_dict()}

    @torch.no_grad()
    def load(self, state: dict[str, Any]) -> None:
        torch._foreach_copy_(self.average, state["average"])
        self.muon.load_state_dict(state["muon"])
        self.adam.load_state_dict(state["adam"])


def young(step: int, decay: float) -> float:
    """The decay of a running average that begins with weights which know nothing: less at first."""
    return min(decay, step / (step + 10))
