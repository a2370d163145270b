"""How a loaded denoiser is held and run so that it fits: quantised, partly outside the device, recomputed, compiled."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from likeness.families.base import Family, Placement
from likeness.families.quantize import quantize

_KERNELS = {
    "math": SDPBackend.MATH,
    "flash": SDPBackend.FLASH_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "cudnn": SDPBackend.CUDNN_ATTENTION,
}


def block_list(denoiser: nn.Module, names: Sequence[str]) -> list[nn.Module]:
    """The repeated blocks in order; a name stands for a list of blocks or for a single one."""
    found: list[nn.Module] = []
    for name in names:
        part = denoiser.get_submodule(name)
        found += part if isinstance(part, nn.ModuleList) else [part]
    return found


def arrange(family: Family) -> None:
    """Bring the denoiser, which was loaded into main memory, to where and how the placement says."""
    placement = family.placement
    denoiser = next(iter(family.networks.values()))
    blocks = block_list(denoiser, family.blocks)
    if placement.quantize != "none":
        quantize(blocks, placement.quantize, placement.device)
    away = blocks[: round(placement.offload * len(blocks))]
    if not away:
        denoiser.to(placement.device)
        return
    for block in away:
        block.to("cpu")
    stay = {id(t) for block in away for t in _tensors(block)}
    for module in denoiser.modules():
        _move(module, placement.device, stay)
    for block in away:
        _bring_when_needed(block, placement.device)


def _tensors(module: nn.Module) -> Iterator[Tensor]:
    yield from module.parameters()
    yield from module.buffers()


def _move(module: nn.Module, device: torch.device, stay: set[int]) -> None:
    for own in _own_tensors(module):
        for name, value in own.items():
            if value is not None and id(value) not in stay:
                own[name] = _copied(value, device)


def _own_tensors(module: nn.Module) -> tuple[dict[str, Any], dict[str, Any]]:
    """The module's own parameters and buffers, as torch keeps them: assigning here swaps the object itself."""
    return module._parameters, module._buffers  # pyright: ignore[reportPrivateUsage]


def _copied(value: Tensor, device: torch.device) -> Tensor:
    copy = value.to(device, non_blocking=True)
    return nn.Parameter(copy, value.requires_grad) if isinstance(value, nn.Parameter) else copy


def _bring_when_needed(block: nn.Module, device: torch.device) -> None:
    """Frozen weights of `block` come to the device for each forward pass and are dropped there after it.

    They are swapped as objects: autograd keeps the copies that it needs, which under checkpointing are one block's.
    """
    if device.type == "cuda":
        for parameter in block.parameters():
            parameter.data = parameter.data.pin_memory()
    kept: list[tuple[dict[str, Any], str, Any]] = []

    def bring(module: nn.Module, arguments: Any) -> None:
        for part in block.modules():
            for own in _own_tensors(part):
                for name, value in own.items():
                    if value is not None and not value.requires_grad:  # the LoRA is on the device already
                        kept.append((own, name, value))
                        own[name] = _copied(value, device)

    def drop(module: nn.Module, arguments: Any, output: Any) -> None:
        while kept:
            own, name, value = kept.pop()
            own[name] = value

    block.register_forward_pre_hook(bring)
    block.register_forward_hook(drop, always_call=True)


def prepare_training(denoiser: nn.Module, names: Sequence[str], checkpointing: str, compiled: bool) -> None:
    """Settings that have to wait until the LoRA is in: recomputing activations, compiling blocks."""
    trained: Any = denoiser
    if checkpointing != "none":
        trained.enable_gradient_checkpointing()
    if compiled:
        for block in block_list(denoiser, names):
            block.compile()


@contextmanager
def kept_activations(checkpointing: str, device: torch.device) -> Generator[None]:
    """With 'all', what the backward pass needs of each block waits in main memory instead of on the device."""
    if checkpointing == "all":
        with torch.autograd.graph.save_on_cpu(pin_memory=device.type == "cuda"):
            yield
    else:
        yield


@contextmanager
def attention_for(placement: Placement) -> Generator[None]:
    """The attention kernel to train with.

    By itself torch chooses, except on a CPU: for the few hundred tokens that one can afford, plain matrix products
    beat the fused kernel, whose backward pass is slow there.
    """
    name = placement.attention
    if name == "auto":
        name = "math" if placement.device.type == "cpu" else "native"
    if name == "native":
        yield
    else:
        with sdpa_kernel(_KERNELS[name]):
            yield
