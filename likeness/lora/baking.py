"""LoRAs put into the weights of a base: a copy of its folder with other numbers in it."""

import math
import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import save_file
from torch import Tensor

from likeness import durable
from likeness.errors import InputError
from likeness.lora.base_weights import BaseWeights

RECORD = "merged_from.json"  # in the new folder: what it was made of


@dataclass(frozen=True)
class Baked:
    """`rounding`: what the base's number format takes from the changes, as a relative distance (Frobenius)."""

    layers: int
    files: int
    rounding: float


def bake(
    folder: Path,
    weights: BaseWeights,
    changes: Mapping[str, Callable[[], Tensor]],
    output: Path,
    record: str,
    leave_out: Collection[Path] = (),
    tell: Callable[[int, int], object] = lambda done, total: None,
) -> Baked:
    """Write `folder` as `output` with `changes` (outputs, everything else) added to its weights, whole or not at all.

    All other files are copied but those in `leave_out`. `record` is written as RECORD. An older `output` is replaced.
    Raises InputError where a layer is missing, has another shape, or its new weight cannot be held.
    """
    by_file: dict[Path, dict[str, str]] = {}  # file -> tensor's key -> layer
    for full in changes:
        if full not in weights.places:
            raise InputError(f"{folder}: has no layer {full}. Fix: use the base that the LoRA was trained on")
        place = weights.places[full]
        if place.rows is not None:
            raise InputError(f"{folder}: {place.key} holds several layers. Fix: use the base in the diffusers layout")
        by_file.setdefault(place.path, {})[place.key] = full
    counted = _Counted(len(changes), tell)

    def fill(partial: Path) -> None:
        there = {path.resolve() for path in (*by_file, *leave_out)}

        def rewritten(place: str, names: list[str]) -> list[str]:
            return [n for n in names if (Path(place) / n).resolve() in there or n.startswith(durable.PARTIAL)]

        shutil.copytree(folder, partial, ignore=rewritten, dirs_exist_ok=True)
        for path, layers in by_file.items():
            _rewrite(path, partial / path.relative_to(folder), layers, changes, counted)
        durable.write_text(partial / RECORD, record)

    durable.write_folder(output, fill)
    return Baked(len(changes), len(by_file), math.sqrt(counted.lost / counted.energy) if counted.energy else 0.0)


@dataclass
class _Counted:
    total: int
    tell: Callable[[int, int], object]
    done: int = 0
    lost: float = 0.0
    energy: float = 0.0


def _rewrite(
    path: Path, target: Path, layers: Mapping[str, str], changes: Mapping[str, Callable[[], Tensor]], counted: _Counted
) -> None:
    with safetensors.safe_open(path, framework="pt") as f:
        metadata: dict[str, str] | None = f.metadata()
        tensors: dict[str, Tensor] = {key: f.get_tensor(key) for key in f.keys()}  # noqa: SIM118
    for key, full in layers.items():
        counted.tell(counted.done, counted.total)
        tensors[key] = _changed(tensors[key], changes[full](), full, counted)
        counted.done += 1
    target.parent.mkdir(parents=True, exist_ok=True)
    save: Any = save_file
    save(tensors, target, metadata)
    target.chmod(0o644)


def _changed(weight: Tensor, change: Tensor, full: str, counted: _Counted) -> Tensor:
    old = weight.to(change.device).double().flatten(1)
    if old.shape != change.shape:
        raise InputError(
            f"layer {full} has {old.shape[0]} outputs and {old.shape[1]} inputs, the LoRA {change.shape[0]} and "
            f"{change.shape[1]}. Fix: use the base that it was trained on"
        )
    exact = old + change
    new = exact.to(weight.dtype)
    if not torch.isfinite(new).all():
        raise InputError(f"layer {full}: its new weight is not finite. Fix: use a lower strength")
    counted.lost += float((new.double() - exact).square().sum())
    counted.energy += float(change.square().sum())
    return new.reshape(weight.shape).cpu()
