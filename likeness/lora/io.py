"""LoRA files in the diffusers layout, of every type.

The scale is folded into one factor (B of a LoRA) and the file says alpha = rank: several readers ignore alpha, and this
way the LoRA has the right strength in all of them. Weights are fp16, which keeps three more bits than bf16.
"""

import json
import re
from collections.abc import Mapping
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
from likeness.lora.adapter_config import METADATA_KEY, describe
from likeness.lora.kinds import FOLDED, TYPES, Size, Type, scale

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
    kind: Type = "lora"


def write_lora(
    path: Path, weights: Mapping[str, Tensor], sizes: Mapping[str, Size], *, info: LoraInfo, targets: str
) -> None:
    """Write `weights` (named as by `lora.inject`) durably, each under its own name; `sizes` by `<prefix>.<layer>`.

    Raises ValueError when a weight is not finite: a broken LoRA is never written.
    """
    tensors = {name: _stored(name, w, info.kind, sizes[_layer(name)]) for name, w in weights.items()}
    metadata = {
        "format": "pt",
        METADATA_KEY: json.dumps(_described(weights, info.kind, sizes), sort_keys=True),
        "likeness": json.dumps(
            {
                "name": info.name, "base": info.base, "trigger": info.trigger, "rank": info.rank,
                "epoch": info.epoch, "step": info.step, "targets": targets, "type": info.kind,
            },
            sort_keys=True,
        ),
        **info.extra,
    }  # fmt: skip
    write_tensors(path, {_file_name(name): w for name, w in tensors.items()}, metadata)


def _layer(name: str) -> str:
    """'unet.mid.to_q.lora_A.weight' is of layer 'unet.mid.to_q'."""
    return _FACTOR.sub("", name)


_FACTOR = re.compile(r"\.(lora|lokr|hada)_\w+(\.weight)?$")


def _file_name(name: str) -> str:
    """transformers 5.6 took `text_model` out of CLIP's names. Files keep it: readers that do without take it off.
    And it wants a `.weight` behind magnitudes, where diffusers wants none."""
    if not name.startswith("text_encoder"):
        return name
    name = re.sub(r"^(\w+)\.encoder\.", r"\1.text_model.encoder.", name)
    return re.sub(r"(magnitude_vector)$", r"\1.weight", name)


def as_written(weights: Mapping[str, Tensor], sizes: Mapping[str, Size], kind: Type) -> dict[str, Tensor]:
    """The weights as whoever loads the file will have them: rounded, in the network's own scale."""
    rounded: dict[str, Tensor] = {}
    for name, w in weights.items():
        factor = _fold(name, kind, sizes[_layer(name)])
        rounded[name] = (w.detach().float() * factor).to(torch.float16).float() / factor
    return rounded


def _fold(name: str, kind: Type, size: Size) -> float:
    return scale(kind, size) if name.removesuffix(".weight").endswith(FOLDED) else 1.0


def _stored(name: str, w: Tensor, kind: Type, size: Size) -> Tensor:
    w = w.detach().float().cpu() * _fold(name, kind, size)
    # Magnitudes too, though they stand for the base's own, which bf16 rounds more: safetensors puts fp32 tensors first,
    # and diffusers 0.42 misreads a file that does not begin with a lora_A.
    stored = w.to(torch.float16).contiguous()
    if not torch.isfinite(stored).all():
        raise ValueError(f"{name} is not finite")
    return stored


def _described(weights: Mapping[str, Tensor], kind: Type, sizes: Mapping[str, Size]) -> dict[str, Any]:
    """PEFT's own description of each network's layers, by `<prefix>.<field>`: alpha equals the rank everywhere."""
    told: dict[str, Any] = {}
    layers = dict.fromkeys(map(_layer, weights))
    for prefix in dict.fromkeys(name.partition(".")[0] for name in layers):
        ranks = {_file_name(n).partition(".")[2]: sizes[n].rank for n in layers if n.startswith(f"{prefix}.")}
        fields = describe(ranks, dora=kind == "dora")
        if kind in ("lokr", "loha"):
            fields["alpha"] = fields.pop("lora_alpha")  # as their configurations call it
        told |= {f"{prefix}.{k}": v for k, v in fields.items()}
    return told


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
        if not any("lora" in k or "lokr" in k or "hada" in k for k in keys):
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
            TYPES[TYPES.index(own.get("type", "lora"))],
        )
    except (KeyError, ValueError, TypeError):
        return None
