"""What a LoRA file is, told from its tensors and its metadata. Damaged files are described too."""

import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from likeness.errors import InputError
from likeness.lora.adapter_config import METADATA_KEY
from likeness.lora.keys import take_apart
from likeness.lora.layouts import Lora, load_tensors, understood
from likeness.lora.names import Names
from likeness.lora.provenance import base_of, made_from, name_of, own_words, trigger_of

MOST_TAGS = 8
MOST_NAMED = 5
# Setting -> the metadata keys that may tell it, ours and kohya's first.
_SETTINGS: dict[str, tuple[str, ...]] = {
    "learning rate": ("ss_learning_rate", "ss_unet_lr"),
    "text encoder learning rate": ("ss_text_encoder_lr",),
    "optimizer": ("ss_optimizer",),
    "scheduler": ("ss_lr_scheduler",),
    "epoch": ("ss_epoch",),
    "epochs": ("ss_num_epochs",),
    "steps": ("ss_steps", "ss_max_train_steps"),
    "batch size": ("ss_total_batch_size", "ss_batch_size_per_device"),
    "pictures": ("ss_num_train_images",),
    "resolution": ("ss_resolution", "modelspec.resolution"),
    "noise offset": ("ss_noise_offset",),
    "clip skip": ("ss_clip_skip",),
    "seed": ("ss_seed",),
    "mixed precision": ("ss_mixed_precision",),
    "network module": ("ss_network_module",),
    "network arguments": ("ss_network_args",),
    "dataset folders": ("ss_dataset_dirs",),
    "software": ("software",),
    "comment": ("ss_training_comment",),
    "description": ("modelspec.description",),
    "author": ("modelspec.author",),
    "licence": ("modelspec.license",),
    "date": ("modelspec.date",),
}
_JSON = ("training_info", "ot_config")  # of ai-toolkit and OneTrainer
_FROM_ONETRAINER = ("learning_rate", "epochs", "batch_size", "resolution", "base_model_name", "model_type", "lora_rank")
_DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True)
class Block:
    """A block of the network: how many of its layers are changed, and the Frobenius norm of their changes together."""

    name: str
    layers: int
    norm: float


@dataclass(frozen=True)
class Inspection:
    """`problems`: what is wrong with the file, in words; nothing where it looks whole. `family` and what follows from
    it are empty where the file cannot be understood."""

    path: str
    bytes: int
    tensors: int
    numbers: dict[str, int]  # number format -> values in it
    name: str
    base: str
    trigger: str
    family: str
    layout: str
    kinds: dict[str, int]  # LoRA, DoRA, rsLoRA, LoHa, LoKr -> layers
    ranks: list[int]
    alphas: list[float]
    alpha_from: str
    norm: float
    blocks: list[Block]
    settings: dict[str, str]
    tags: dict[str, int]  # the most frequent in the captions
    made_of: dict[str, Any]
    problems: list[str]


def inspect(path: Path, families: Sequence[Names]) -> Inspection:
    """Raises InputError only where the file is missing or is no safetensors file."""
    tensors, metadata = load_tensors(path)
    problems: list[str] = []
    lora: Lora | None = None
    try:
        whole = _without_broken(tensors, problems)
        if whole:
            lora = understood(path, whole, metadata, families)
    except InputError as e:
        problems += [problem.removeprefix(f"{path}: ") for problem in e.problems]
    norms = {name: change.norm() for name, change in lora.changes.items()} if lora else {}
    if lora:
        problems += _weak(lora, norms)
    numbers: Counter[str] = Counter()
    for w in tensors.values():
        numbers[str(w.dtype).removeprefix("torch.")] += w.numel()
    alphas = {round(c.scale * c.rank, 6) for c in lora.changes.values() if c.rank} if lora else set[float]()
    return Inspection(
        path=str(path),
        bytes=path.stat().st_size,
        tensors=len(tensors),
        numbers=dict(numbers),
        name=name_of(metadata),
        base=base_of(metadata),
        trigger=trigger_of(metadata),
        family=lora.names.family if lora else "",
        layout=lora.layout if lora else "",
        kinds=_kinds(lora, metadata) if lora else {},
        ranks=lora.ranks if lora else [],
        alphas=sorted(alphas),
        alpha_from=lora.told if lora else "",
        norm=math.hypot(*norms.values()) if norms else 0.0,
        blocks=blocks_of(norms),
        settings=_settings(metadata),
        tags=_tags(metadata),
        made_of=made_from(metadata),
        problems=problems,
    )


def _without_broken(tensors: Mapping[str, Tensor], problems: list[str]) -> dict[str, Tensor]:
    """The tensors of layers in which all numbers are finite; fills `problems`."""
    broken = [k for k, w in tensors.items() if w.is_floating_point() and not torch.isfinite(w.float()).all()]
    if not broken:
        return dict(tensors)
    named = ", ".join(broken[:MOST_NAMED]) + (", …" if len(broken) > MOST_NAMED else "")
    problems.append(f"{len(broken)} of {len(tensors)} tensors hold values that are not finite: {named}")
    layer = {key.text: key.layer for key in take_apart(tensors)}
    lost = {layer[k] for k in broken}
    return {k: w for k, w in tensors.items() if layer[k] not in lost}


def _weak(lora: Lora, norms: Mapping[str, float]) -> list[str]:
    """Layers that are not changed at all. A DoRA's magnitude may change them still."""
    idle = [n for n, norm in norms.items() if norm == 0 and lora.changes[n].magnitude is None]
    if not idle:
        return []
    if len(idle) == len(norms):
        return ["every layer's change is zero: the LoRA does nothing"]
    named = ", ".join(idle[:MOST_NAMED]) + (", …" if len(idle) > MOST_NAMED else "")
    return [f"{len(idle)} of {len(norms)} layers are not changed at all: {named}"]


def _kinds(lora: Lora, metadata: Mapping[str, str]) -> dict[str, int]:
    scaled = own_words(metadata).get("type") == "rslora" or '_rslora": true' in metadata.get(METADATA_KEY, "")
    plain = "rsLoRA" if scaled else "LoRA"
    names = (plain if c.kind == "LoRA" else c.kind for c in lora.changes.values() if c.magnitude is None)
    doras = ("DoRA" for c in lora.changes.values() if c.magnitude is not None)
    return dict(sorted(Counter([*names, *doras]).items()))


def blocks_of(norms: Mapping[str, float]) -> list[Block]:
    """Layers by block: names up to their first number, in the order of a network; the rest by their first part."""
    found: dict[str, list[float]] = {}
    for name, norm in norms.items():
        parts = name.split(".")
        number = next((n for n, part in enumerate(parts) if part.isdecimal()), 1)
        found.setdefault(".".join(parts[: number + 1]), []).append(norm)
    return [Block(name, len(found[name]), math.hypot(*found[name])) for name in sorted(found, key=_natural)]


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(p), "") if p.isdecimal() else (-1, p) for p in _DIGITS.split(name)]


def _settings(metadata: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for setting, keys in _SETTINGS.items():
        value = next((metadata[k] for k in keys if metadata.get(k) not in (None, "", "None", "{}")), None)
        if value is not None:
            found[setting] = value
    for key in _JSON:
        for name, value in _read(metadata.get(key)).items():
            if isinstance(value, str | int | float) and (key != "ot_config" or name in _FROM_ONETRAINER):
                found.setdefault(name.replace("_", " "), str(value))
    return found


def _tags(metadata: Mapping[str, str]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for folder in _read(metadata.get("ss_tag_frequency")).values():
        if isinstance(folder, dict):
            counts.update({str(t).strip(): n for t, n in folder.items() if isinstance(n, int)})  # pyright: ignore[reportUnknownVariableType]
    return dict(counts.most_common(MOST_TAGS))


def _read(text: str | None) -> dict[str, Any]:
    try:
        value: Any = json.loads(text or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}  # pyright: ignore[reportUnknownVariableType]
