"""The state from which a run goes on bit for bit: weights, average, optimizer, step.

Two states are kept, so that a damaged one costs a little time and not the run.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from likeness.lora.io import write_tensors

KEPT = 2


@dataclass(frozen=True)
class State:
    """`tensors` are named `weights.…`, `average.…` and `optimizer.…`; `numbers` hold what is no tensor."""

    step: int
    tensors: dict[str, Tensor]
    numbers: dict[str, Any]

    def part(self, name: str) -> dict[str, Tensor]:
        prefix = name + "."
        return {k.removeprefix(prefix): v for k, v in self.tensors.items() if k.startswith(prefix)}


def write_state(folder: Path, state: State) -> None:
    """Add a state and drop all but the newest two. Raises OSError (disk full) with the older ones untouched."""
    tensors = {k: v.detach().cpu().contiguous() for k, v in state.tensors.items()}
    metadata = {
        "step": str(state.step),
        "numbers": json.dumps(state.numbers),
        "sha256": _digest(state.step, tensors, state.numbers),
    }
    write_tensors(_path(folder, state.step), tensors, metadata)
    for old in _newest_first(folder)[KEPT:]:
        old.unlink(missing_ok=True)


def read_state(folder: Path) -> State | None:
    """The newest state that is whole; None if there is none."""
    for path in _newest_first(folder):
        try:
            with safetensors.safe_open(path, framework="pt") as f:
                metadata: dict[str, str] = f.metadata() or {}
            state = State(int(metadata["step"]), load_file(path), json.loads(metadata["numbers"]))
        except (SafetensorError, OSError, KeyError, ValueError):
            continue
        if _digest(state.step, state.tensors, state.numbers) == metadata.get("sha256"):
            return state
    return None


def _path(folder: Path, step: int) -> Path:
    return folder / f"step-{step:08d}.safetensors"


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*.safetensors"), reverse=True)


def _digest(step: int, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps([step, numbers], sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
