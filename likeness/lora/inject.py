"""Put a trainable LoRA into a frozen network and get its weights in and out.

PEFT's layers are plain "base + scaled B·A": nothing hides in them. Weights are named as in the file, without the
module prefix: `<layer>.lora_A.weight` (rank, in) and `<layer>.lora_B.weight` (out, rank).
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn

from likeness.errors import InputError

ADAPTER = "default"
_INFIX = f".{ADAPTER}.weight"


def inject(network: nn.Module, *, rank: int, alpha: float, dropout: float, targets: str, seed: int) -> None:
    """Add LoRA layers, in fp32, to every linear layer whose name fully matches `targets`.

    A is drawn from `seed` alone, B is zero, so that the network's output is unchanged at first.
    Raises InputError when nothing matches.
    """
    make: Any = LoraConfig  # annotates alpha as int, takes any number
    config = make(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=targets)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            inject_adapter_in_model(config, network, adapter_name=ADAPTER)
    except ValueError as e:
        raise InputError(
            f"lora.targets: '{targets}' matches no layer of the base ({e}). Fix: use 'all' or 'attention'"
        ) from e
    for name, p in network.named_parameters():
        p.requires_grad_("lora_" in name)
        if p.requires_grad:
            p.data = p.data.float()


def trainable(network: nn.Module) -> dict[str, nn.Parameter]:
    """The LoRA's weights by file name, in a fixed order."""
    found = {n.replace(_INFIX, ".weight"): p for n, p in network.named_parameters() if "lora_" in n}
    return dict(sorted(found.items()))


@torch.no_grad()
def load(network: nn.Module, weights: dict[str, Tensor]) -> None:
    """Copy weights (as `trainable` names them) into the injected layers. Raises KeyError if one is missing."""
    for name, p in trainable(network).items():
        p.copy_(weights[name])


@contextmanager
def swapped(network: nn.Module, weights: dict[str, Tensor] | None) -> Generator[None]:
    """Use other weights (an average, say) for a while; None changes nothing."""
    if weights is None:
        yield
        return
    kept = {n: p.detach().clone() for n, p in trainable(network).items()}
    load(network, weights)
    try:
        yield
    finally:
        load(network, kept)


@contextmanager
def disabled(network: nn.Module) -> Generator[None]:
    """The untrained base model, for a while."""
    layers: list[Any] = [m for m in network.modules() if isinstance(m, BaseTunerLayer)]
    for layer in layers:
        layer.enable_adapters(False)
    try:
        yield
    finally:
        for layer in layers:
            layer.enable_adapters(True)
        for p in trainable(network).values():  # PEFT switches gradients off with the adapters
            p.requires_grad_(True)
