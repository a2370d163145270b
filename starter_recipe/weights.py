"""Both networks in training: working copies, exact weights beside them, their running average, the optimizers."""

import torch
from diffusers import Flux2Transformer2DModel
from torch import Tensor
from transformers import Qwen3ForCausalLM

from likeness.families.placement import best_dtype
from starter_recipe.training import Muon, Replicas


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
        self.average = [m.detach().clone() for m in self.masters]
        hidden = [p.ndim == 2 and ("blocks." in n or ".layers." in n) for n, p in named()]
        matrices = [m for m, h in zip(self.masters, hidden, strict=True) if h]
        self.muon = Muon(matrices, rate, weight_decay=0.01, replicas=replicas)
        self.adam = torch.optim.AdamW(
            [m for m, h in zip(self.masters, hidden, strict=True) if not h],
            rate / 10,
            betas=(0.9, 0.98),
            weight_decay=0.01,
        )
        self.rate = rate

    def step(self, factor: float, decay: float) -> None:
        """One update from the working copies' gradients."""
        for p, m in zip(self.work, self.masters, strict=True):
            m.grad = torch.zeros_like(m) if p.grad is None else p.grad.float()
            p.grad = None
        self.replicas.average_gradients(self.masters)
        torch.nn.utils.clip_grad_norm_(self.masters, 1.0)
        for opt, peak in ((self.muon, self.rate), (self.adam, self.rate / 10)):
            for group in opt.param_groups:
                group["lr"] = peak * factor
            opt.step()
        with torch.no_grad():
            torch._foreach_copy_(self.work, [m.detach() for m in self.masters])
            torch._foreach_lerp_(self.average, [m.detach() for m in self.masters], 1 - decay)

    @torch.no_grad()
    def use(self, values: list[Tensor]) -> None:
        torch._foreach_copy_(self.work, [v.detach() for v in values])

    def state(self) -> dict:
        return {
            "masters": [m.detach() for m in self.masters],
            "average": self.average,
            "muon": self.muon.state_dict(),
            "adam": self.adam.state_dict(),
        }

    @torch.no_grad()
    def load(self, state: dict) -> None:
        torch._foreach_copy_([m.detach() for m in self.masters], state["masters"])
        torch._foreach_copy_(self.average, state["average"])
        self.muon.load_state_dict(state["muon"])
        self.adam.load_state_dict(state["adam"])
        self.use(self.masters)
