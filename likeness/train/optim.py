"""Optimizers, the learning rates and their course, and the average of the weights."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from likeness.catalog import Card
from likeness.config.optim import OptimConfig
from likeness.errors import InputError

TEXT_ENCODER_RATE = 1e-5  # of Adam and its like, which text encoders bear; theirs is a smaller one than the denoiser's
_BASE_RATE = "base_rate"  # in a parameter group: the rate that the schedule's factor is applied to


@dataclass(frozen=True)
class Group:
    """Weights that share a learning rate."""

    params: Sequence[nn.Parameter]
    rate: float


def text_encoder_rate(optim: OptimConfig, card: Card) -> float:
    """The learning rate of the text encoder's LoRA; 0 where none is trained."""
    if not card.trains_text_encoder:
        return 0.0
    if optim.text_encoder_learning_rate is None:
        return optim.learning_rate if optim.optimizer == "prodigy" else TEXT_ENCODER_RATE
    return optim.text_encoder_learning_rate


def build_optimizer(optim: OptimConfig, groups: Sequence[Group], device: torch.device) -> torch.optim.Optimizer:
    """The optimizer of `optim` over `groups`. Raises InputError where its library or device is missing."""
    params = [{"params": list(g.params), "lr": g.rate, _BASE_RATE: g.rate} for g in groups]
    betas, decay = (optim.beta1, optim.beta2), optim.weight_decay
    if optim.optimizer == "adamw":
        return torch.optim.AdamW(params, betas=betas, eps=optim.epsilon, weight_decay=decay)
    if optim.optimizer == "adafactor":
        return torch.optim.Adafactor(params, weight_decay=decay)
    if optim.optimizer == "prodigy":
        from prodigyopt import Prodigy

        make: Any = Prodigy  # annotates weight_decay as int
        return make(params, betas=betas, eps=optim.epsilon, weight_decay=decay, safeguard_warmup=True)
    if optim.optimizer == "lion":
        from lion_pytorch import Lion

        return Lion(params, betas=betas, weight_decay=decay)  # pyright: ignore[reportArgumentType]
    return _adamw_8bit(params, optim, device)


def _adamw_8bit(params: list[dict[str, Any]], optim: OptimConfig, device: torch.device) -> torch.optim.Optimizer:
    if device.type != "cuda":
        raise InputError("optim.optimizer: 'adamw8bit' needs a CUDA device. Fix: use 'adamw'")
    try:
        from bitsandbytes.optim import AdamW8bit  # pyright: ignore[reportMissingImports]
    except ImportError as e:
        raise InputError(
            "optim.optimizer: 'adamw8bit' needs the package bitsandbytes. Fix: pip install bitsandbytes"
        ) from e
    betas = (optim.beta1, optim.beta2)
    return AdamW8bit(params, betas=betas, eps=optim.epsilon, weight_decay=optim.weight_decay)


def rate_factor(optim: OptimConfig, step: int, steps: int) -> float:
    """What the learning rate is multiplied by in update `step` (from 1) of `steps`: warm-up, then the schedule."""
    if step <= optim.warmup_steps:
        return step / (optim.warmup_steps + 1)
    progress = (step - 1 - optim.warmup_steps) / max(1, steps - optim.warmup_steps)
    if optim.schedule == "linear":
        return 1 - progress
    if optim.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * progress))
    return 1.0


def set_rates(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Every group's own rate times the schedule's factor."""
    for group in optimizer.param_groups:
        group["lr"] = group[_BASE_RATE] * factor


class Average:
    """Exponential moving average of the trained weights, warmed up so that early steps are not stuck at the start."""

    def __init__(self, weights: dict[str, nn.Parameter], decay: float):
        self.decay = decay
        self.values: dict[str, Tensor] = {n: p.detach().clone() for n, p in weights.items()}

    @torch.no_grad()
    def update(self, weights: dict[str, nn.Parameter], step: int) -> None:
        decay = min(self.decay, step / (step + 10))
        for name, value in self.values.items():
            value.lerp_(weights[name].detach(), 1 - decay)


def pack_optimizer(optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Split an optimizer's state into tensors (by 'parameter.name') and plain numbers, for a file without pickle."""
    state = optimizer.state_dict()
    tensors: dict[str, Tensor] = {}
    numbers: dict[str, Any] = {"groups": [], "state": {}}
    for index, entries in state["state"].items():
        for name, value in entries.items():
            if isinstance(value, Tensor):
                tensors[f"{index}.{name}"] = value
            else:
                numbers["state"].setdefault(str(index), {})[name] = value
    for group in state["param_groups"]:
        numbers["groups"].append(group)
    return tensors, numbers


def unpack_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
    """The inverse of `pack_optimizer`, into an optimizer built the same way."""
    state: dict[int, dict[str, Any]] = {int(i): dict(v) for i, v in numbers["state"].items()}
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    groups: list[dict[str, Any]] = []
    for saved, fresh in zip(numbers["groups"], optimizer.state_dict()["param_groups"], strict=True):
        # JSON has no tuples: take them from the fresh optimizer's own types.
        groups.append({k: tuple(v) if isinstance(fresh.get(k), tuple) else v for k, v in saved.items()})
    optimizer.load_state_dict({"state": state, "param_groups": groups})
