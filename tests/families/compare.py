"""How ours is held against the stock classes: pictures, and the gradients of equal LoRAs."""

import torch
from peft import LoraConfig, inject_adapter_in_model
from PIL import Image
from torch import Tensor, nn


def largest_difference(a: Image.Image, b: Image.Image) -> int:
    """Of any channel of any pixel, out of 255."""
    assert a.size == b.size
    return max(abs(x - y) for x, y in zip(a.convert("RGB").tobytes(), b.convert("RGB").tobytes(), strict=True))


def add_lora(network: nn.Module, targets: str) -> None:
    """A LoRA that changes the output, the same one in every copy of a network."""
    network.requires_grad_(False)
    torch.manual_seed(1)
    inject_adapter_in_model(LoraConfig(r=2, lora_alpha=2, target_modules=targets, init_lora_weights=False), network)


def lora_gradients(network: nn.Module) -> dict[str, Tensor]:
    """By name, of every weight that is trained. Fails where one has none."""
    found = {name: weight.grad for name, weight in network.named_parameters() if weight.requires_grad}
    assert found and all(grad is not None and grad.any() for grad in found.values())
    return {name: grad for name, grad in found.items() if grad is not None}


def furthest_apart(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> float:
    """The largest difference between tensors of the same name, relative to the tensor's length.

    Gradients of queries and keys come from attention alone, so that a wrong position or mask shows in full.
    """
    assert ours.keys() == theirs.keys()
    return max(((ours[name] - theirs[name]).norm() / theirs[name].norm()).item() for name in theirs)
