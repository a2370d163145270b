"""LoRA files in the diffusers layout.

The scale alpha / rank is folded into B and the file says alpha = rank: several readers ignore alpha, and this way the
LoRA has the right strength in all of them. Weights are fp16, which keeps three more bits than bf16.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from likeness import durable
from likeness.errors import InputError

MAX_HEADER_KEYS = 50_000  # a file is a stranger's text until it has been checked


@dataclass(frozen=True)
class LoraInfo:
    """What a file says about itself."""

    name: str
    base: str
    trigger: str
    rank: int
    epoch: int
    step: int
    extra: dict[str, str]  # further metadata: modelspec.* and ss_* keys that user interfaces read


def write_lora(
    path: Path, weights: dict[str, Tensor], *, prefix: str, alpha: float, info: LoraInfo, targets: str
) -> None:
    """Write `weights` (named as in `lora.inject`) durably as `prefix.<layer>.lora_A.weight` and so on.

    Raises ValueError when a weight is not finite: a broken LoRA is never written.
    """
    scale = alpha / info.rank
    tensors: dict[str, Tensor] = {}
    for name, w in weights.items():
        w = w.detach().float().cpu()
        half = (w * scale if ".lora_B." in name else w).to(torch.float16).contiguous()
        if not torch.isfinite(half).all():
            raise ValueError(f"{name} is not finite")
        tensors[f"{prefix}.{name}"] = half
    layers = sorted({n.rsplit(".lora_", 1)[0] for n in weights})
    adapter = {"r": info.rank, "lora_alpha": info.rank, "target_modules": layers}
    metadata = {
        "format": "pt",
        "lora_adapter_metadata": json.dumps({f"{prefix}.{k}": v for k, v in adapter.items()}, sort_keys=True),
        "likeness": json.dumps(
            {
                "name": info.name, "base": info.base, "trigger": info.trigger, "rank": info.rank,
                "epoch": info.epoch, "step": info.step, "targets": targets,
            },
            sort_keys=True,
        ),
        **info.extra,
    }  # fmt: skip
    write_tensors(path, tensors, metadata)


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file durably, and with the same bytes for the same content."""

    def write(partial: Path) -> None:
        save_file(tensors, partial, metadata)
        durable.order_metadata(partial)

    durable.write_with(path, write)


def read_lora(path: Path) -> tuple[dict[str, Tensor], LoraInfo | None]:
    """Tensors as they are in the file, and its own description if Likeness wrote it.

    Raises InputError when the file is missing, is not safetensors, or holds no LoRA.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such LoRA file. Fix: give the path of a .safetensors file")
    try:
        with safetensors.safe_open(path, framework="pt") as f:
            metadata: dict[str, str] = f.metadata() or {}
            keys = list(f.keys())
        if len(keys) > MAX_HEADER_KEYS:
            raise InputError(f"{path}: holds {len(keys)} tensors, which no LoRA does. Fix: give another file")
        if not any("lora" in k or "lokr" in k for k in keys):
            raise InputError(f"{path}: holds no LoRA weights (first key: {keys[0] if keys else 'none'})")
        return load_file(path), _info(metadata)
    except SafetensorError as e:
        raise InputError(f"{path}: not a readable safetensors file ({e}). Fix: copy or download it again") from e


def _info(metadata: dict[str, str]) -> LoraInfo | None:
    try:
        own: dict[str, Any] = json.loads(metadata["likeness"])
        extra = {k: v for k, v in metadata.items() if k.startswith(("ss_", "modelspec."))}
        return LoraInfo(
            str(own["name"]),
            str(own["base"]),
            str(own["trigger"]),
            int(own["rank"]),
            int(own["epoch"]),
            int(own["step"]),
            extra,
        )
    except (KeyError, ValueError, TypeError):
        return None
