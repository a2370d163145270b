"""Is everything here that training needs? Checks that take no time and load no model."""

import importlib.metadata
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from likeness.catalog import CARDS
from likeness.service.machine import asked_torch, free_disk, total_memory

NEEDED = ("torch", "diffusers", "transformers", "peft", "safetensors", "pillow", "numpy")
FREE_DISK_WANTED = 5e9  # bytes


@dataclass(frozen=True)
class Check:
    name: str
    state: Literal["ok", "warning", "problem"]
    message: str
    fix: str = ""


def checks(workspace: Path) -> list[Check]:
    """All checks, in a fixed order."""
    return [_python(), *_packages(), _device(), _starter(), _disk(workspace), _memory()]


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    return Check("python", "ok", version)


def _packages() -> list[Check]:
    rows: list[Check] = []
    for name in NEEDED:
        try:
            rows.append(Check(name, "ok", importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            rows.append(Check(name, "problem", "not installed", "pip install 'likeness[train]'"))
    return rows


def _device() -> Check:
    found, problem = asked_torch()
    if problem:
        return Check("device", "problem", f"torch does not start: {problem}", "reinstall torch for this machine")
    told = [_described(device) for device in found["devices"]]
    cpu = f"no GPU: training on the CPU with {found['cpu']['threads']} threads"
    return Check("device", "ok", "; ".join(told) or cpu)


def _described(device: dict[str, Any]) -> str:
    memory = f", {device['memory'] / 2**30:.0f} GiB" if device["memory"] else ""
    return f"{device['kind']} device {device['name']}: {device['title']}{memory}"


def _starter() -> Check:
    folder = CARDS["starter"].path
    if folder is None or not (folder / "model_index.json").exists():
        return Check("starter", "problem", "the shipped base model is missing", "reinstall likeness")
    size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    return Check("starter", "ok", f"{size / 1e6:.0f} MB in {folder}")


def _disk(workspace: Path) -> Check:
    free = free_disk(workspace)
    text = f"{free / 1e9:.0f} GB free for {workspace}"
    if free < FREE_DISK_WANTED:
        return Check("disk", "warning", text, "free some space before training a large base")
    return Check("disk", "ok", text)


def _memory() -> Check:
    total = total_memory()
    if total is None:
        return Check("memory", "ok", "unknown on this system")
    return Check("memory", "ok", f"{total / 2**30:.0f} GiB, {os.cpu_count()} cores")
