"""Is everything here that training needs? Checks that take no time and load no model."""

import importlib.metadata
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from likeness.catalog import CARDS

NEEDED = ("torch", "diffusers", "transformers", "peft", "safetensors", "pillow", "numpy")
FREE_DISK_WANTED = 5e9  # bytes

# torch is asked in a process of its own: importing it costs a second, and a broken driver may end the process.
_ASK_TORCH = """
import torch
cuda = torch.cuda.is_available()
kind = "ROCm" if cuda and torch.version.hip else "CUDA"
if cuda:
    for i in range(torch.cuda.device_count()):
        p = torch.cuda.get_device_properties(i)
        print(f"{kind} device cuda:{i}: {p.name}, {p.total_memory / 2**30:.0f} GiB")
elif torch.backends.mps.is_available():
    print("Apple GPU (mps)")
else:
    print(f"no GPU: training on the CPU with {torch.get_num_threads()} threads")
"""


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
    asked = subprocess.run([sys.executable, "-c", _ASK_TORCH], capture_output=True, text=True, timeout=120)
    if asked.returncode:
        words = (asked.stderr.strip().splitlines() or ["no message"])[-1]
        return Check("device", "problem", f"torch does not start: {words}", "reinstall torch for this machine")
    return Check("device", "ok", "; ".join(asked.stdout.strip().splitlines()))


def _starter() -> Check:
    folder = CARDS["starter"].path
    if folder is None or not (folder / "model_index.json").exists():
        return Check("starter", "problem", "the shipped base model is missing", "reinstall likeness")
    size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    return Check("starter", "ok", f"{size / 1e6:.0f} MB in {folder}")


def _disk(workspace: Path) -> Check:
    place = workspace if workspace.exists() else Path()
    free = shutil.disk_usage(place).free
    text = f"{free / 1e9:.0f} GB free for {workspace}"
    if free < FREE_DISK_WANTED:
        return Check("disk", "warning", text, "free some space before training a large base")
    return Check("disk", "ok", text)


def _memory() -> Check:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return Check("memory", "ok", "unknown on this system")
    return Check("memory", "ok", f"{total / 2**30:.0f} GiB, {os.cpu_count()} cores")
