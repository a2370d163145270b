"""What the jobs on LoRA files read: the files, and the weights of bases."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from likeness import durable
from likeness.catalog import FAMILIES, Card, find_card, resolve_base
from likeness.catalog.detect import without_prefix
from likeness.catalog.header import FILES, SAFETENSORS
from likeness.config.hardware import HardwareConfig
from likeness.errors import InputError
from likeness.events import EventLog
from likeness.families import names_of
from likeness.families.hub import fetch_now
from likeness.families.needs import VARIANTS, variant_in
from likeness.families.placement import choose_placement, set_up_torch
from likeness.lora.base_weights import BaseWeights
from likeness.lora.layouts import Lora, read_any
from likeness.lora.names import Names
from likeness.lora.provenance import own_words
from likeness.worker.converting import known_names


def tables(base: str | None) -> list[Names]:
    """The layer names of one base, or of every family."""
    return names_of(resolve_base(base)) if base else known_names(*FAMILIES)


def device_for(name: str) -> torch.device:
    """Where to compute in fp64, which Apple's GPUs cannot."""
    placement = choose_placement(HardwareConfig(device=name, precision="fp32"))
    set_up_torch(placement, None)
    return torch.device("cpu") if placement.device.type == "mps" else placement.device


def read_all(paths: Sequence[Path], base: str | None) -> list[Lora]:
    """Raises InputError for a file that cannot be understood, and where two say that they are for different bases."""
    loras = [read_any(path, tables(base)) for path in paths]
    if base is None:
        _check_told_bases(paths, loras)
    return loras


def _check_told_bases(paths: Sequence[Path], loras: Sequence[Lora]) -> None:
    told = [(path, str(base)) for path, lora in zip(paths, loras, strict=True) if (base := _told_base(lora.metadata))]
    for path, base in told[1:]:
        if not _related(told[0][1], base):
            raise InputError(
                f"{path}: was trained on '{base}', and {told[0][0]} on '{told[0][1]}'. Fix: merge LoRAs of one base, "
                "or say with --base that they are for the same"
            )


def _told_base(metadata: Mapping[str, str]) -> Any:
    return own_words(metadata).get("base")


def _related(one: str, other: str) -> bool:
    """The same base, or one on which the other's LoRAs run too."""
    if one == other:
        return True
    a, b = find_card(one), find_card(other)
    return a is not None and b is not None and (a.name == b.name or a.name in b.runs_on or b.name in a.runs_on)


@dataclass(frozen=True)
class Base:
    """A base whose weights can be read. `folder`: None where it is one file of weights.

    `other_weights`: files in it that hold the same networks in other number formats.
    """

    card: Card
    folder: Path | None
    names: Names
    weights: BaseWeights
    other_weights: list[Path]


def open_base(base: str, log: EventLog) -> Base:
    """Find, or fetch, the files of a base: a name of the catalogue or the hub, a folder, or a file of weights.

    Raises InputError where they are not there as safetensors.
    """
    card = fetch_now(resolve_base(base), log.write)
    names = names_of(card)[0]
    given = dict(card.source.parts).get("transformer") or card.source.checkpoint
    if given is not None:
        files = {names.network: _files(given) if given.is_dir() else [given]}
        return Base(card, None, names, BaseWeights(files, names, without_prefix), [])
    files = {names.network: _files(_place(card, names.network))}
    for encoder in names.text_encoders:
        place = next((f / encoder.prefix for f in card.source.folders if (f / encoder.prefix).is_dir()), None)
        if place is not None:
            files[encoder.prefix] = _files(place)
    folder, used = card.source.folders[0], {path for paths in files.values() for path in paths}
    beside = {folder, *(path.parent for path in used)}
    others = [path for place in beside for path in place.iterdir() if path.suffix in FILES and path not in used]
    return Base(card, folder, names, BaseWeights(files, names, without_prefix), others)


def _place(card: Card, network: str) -> Path:
    found = next((f / network for f in card.source.folders if (f / network).is_dir()), None)
    if found is None:
        raise InputError(f"base '{card.name}': no folder {network} in {card.source.folders[0]}. Fix: download it again")
    return found


def _files(folder: Path) -> list[Path]:
    """The safetensors files of a network in its main number format."""
    variant = variant_in(folder)
    marks = [f".{v}" for v in VARIANTS if v]
    files = sorted(p for p in folder.glob(f"*{SAFETENSORS}") if not p.name.startswith(durable.PARTIAL))
    chosen = [p for p in files if (f".{variant}" in p.name if variant else not any(m in p.name for m in marks))]
    if not chosen:
        raise InputError(f"{folder}: holds no .safetensors file. Fix: save the base with safe serialization")
    return chosen


def told(lora: Lora, path: Path) -> dict[str, Any]:
    """What was written."""
    return {
        "path": str(path),
        "family": lora.names.family,
        "layout": lora.layout,
        "layers": len(lora.changes),
        "ranks": lora.ranks,
        "bytes": path.stat().st_size,
    }


def job_of(folder: Path) -> dict[str, Any]:
    job: dict[str, Any] = json.loads((folder / "job.json").read_text())
    return job


def done(folder: Path, result: Mapping[str, Any]) -> int:
    durable.write_text(folder / "result.json", json.dumps(result, indent=2))
    return 0
