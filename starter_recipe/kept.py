"""Networks that are kept for the recipe and the benchmarks: weights in half precision, with facts about them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from likeness import durable


def keep(path: Path, network: nn.Module, facts: Mapping[str, Any]) -> None:
    tensors = {
        name: (t.half() if t.is_floating_point() else t).cpu().contiguous() for name, t in network.state_dict().items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    durable.write_with(path, lambda partial: save_file(tensors, partial, {"facts": json.dumps(facts)}))


def kept(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and facts of what `keep` wrote. Raises OSError where there is nothing."""
    with safe_open(path, "pt") as f:
        facts = json.loads(f.metadata()["facts"])
    return load_file(path), facts
