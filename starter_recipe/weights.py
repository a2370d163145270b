"""Both networks in training: working copies, exact weights beside them, their running average, the optimizers."""

import torch
from diffusers import Flux2Transformer2DModel
from torch import Tensor
from transformers import Qwen3ForCausalLM

from likeness.families.placement import best_dtype
from starter_recipe.optimizers import Optimizers
from starter_recipe.training import Replicas

SHARE = 1 / 10  # of Muon's rate, for AdamW


class Weights:
    """Working copies of both networks, in bf16 where the hardware has it, fp32 masters, average, optimizers."""

    def __init__(
        self,
        transformer: Flux2Transformer2DModel,
        encoder: Qwen3ForCausalLM,
        rate: float,
        replicas: Replicas,
        *,
        frozen_text: bool = False,
    ):
        self.transformer, self.encoder, self.replicas = transformer, encoder, replicas

        def named() -> list[tuple[str, Tensor]]:
            found = [("transformer." + n, p) for n, p in transformer.named_parameters()]
            if not frozen_text:
                found += [("encoder." + n, p) for n, p in encoder.named_parameters() if "lm_head" not in n]
            return found

        # Before the networks are rounded.
        self.masters = [p.detach().float().clone().requires_grad_() for _, p in named()]
        dtype = best_dtype(replicas.device)
        transformer.to(dtype)
        encoder.to(dtype)
        self.work = [p for _, p in named()]
        hidden = [p.ndim == 2 and ("blocks." in n or ".layers." in n) for n, p in named()]
        self.optimizers = Optimizers(self.masters, hidden, rate, share=SHARE, replicas=replicas)

    @property
    def average(self) -> list[Tensor]:
        return self.optimizers.average

    def step(self, factor: float, decay: float) -> None:
        """One update from the working copies' gradients."""
        for p, m in zip(self.work, self.masters, strict=True):
            m.grad = torch.zeros_like(m) if p.grad is None else p.grad.float()
            p.grad = None
        self.replicas.average_gradients(self.masters)
        torch.nn.utils.clip_grad_norm_(self.masters, 1.0)
        self.optimizers.step(factor, decay)
        self.use(self.masters)

    @torch.no_grad()
    def use(self, values: list[Tensor]) -> None:
        torch._foreach_copy_(self.work, [v.detach() for v in values])

    def state(self) -> dict:
        return {"masters": [m.detach() for m in self.masters], **self.optimizers.state()}

    @torch.no_grad()
    def load(self, state: dict) -> None:
        torch._foreach_copy_([m.detach() for m in self.masters], state["masters"])
        self.optimizers.load(state)
        self.use(self.masters)
