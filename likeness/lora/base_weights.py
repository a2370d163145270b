"""The weights of a base model, read from its files one layer at a time, under the names that layers have in LoRAs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors import SafetensorError
from torch import Tensor

from likeness.errors import InputError
from likeness.lora.change import heights
from likeness.lora.names import CLIP, Names

_WEIGHT = ".weight"


@dataclass(frozen=True)
class Place:
    """Where a layer's weight is: rows [start, stop) of a tensor (all where `rows` is None)."""

    path: Path
    key: str
    rows: tuple[int, int] | None = None
    swapped: bool = False  # the two halves of the rows stand in the other order

    def read(self) -> Tensor:
        """The whole tensor."""
        with safetensors.safe_open(self.path, framework="pt") as f:
            return f.get_tensor(self.key)


class BaseWeights:
    """`files`: safetensors files by prefix (`transformer`, `text_encoder`), in diffusers' names or those of the
    original code; `plain_name` takes off what a file puts before the names of its network.

    `places`: by `<prefix>.<layer>`. `others`: by `<prefix>.<key>`, what is no weight of a layer (norms, biases).
    Raises InputError for a file that cannot be read, or whose numbers cannot be computed with.
    """

    def __init__(
        self, files: Mapping[str, Sequence[Path]], names: Names, plain_name: Callable[[str], str] = lambda name: name
    ):
        self.places: dict[str, Place] = {}
        self.others: dict[str, Place] = {}
        for prefix, paths in files.items():
            for path in paths:
                for key, shape in _shapes(path):
                    places = dict(_places(prefix, path, key, plain_name(key), shape, names)) if len(shape) > 1 else {}
                    self.places |= places
                    if not places:
                        self.others[f"{prefix}.{key}"] = Place(path, key)

    def __getitem__(self, full: str) -> Tensor:
        """In the file's own number format. Raises InputError where the base has no such layer."""
        place = self.places.get(full)
        if place is None:
            raise InputError(f"the base has no layer {full}. Fix: use the base that the LoRA was trained on")
        weight = place.read()
        if place.rows is not None:
            weight = weight[slice(*place.rows)]
        return torch.cat(weight.chunk(2)[::-1]) if place.swapped else weight


def _shapes(path: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    try:
        with safetensors.safe_open(path, framework="pt") as f:
            for key in f.keys():  # noqa: SIM118
                tensor: Any = f.get_slice(key)
                if tensor.get_dtype() not in ("F64", "F32", "F16", "BF16") and key.endswith(_WEIGHT):
                    raise InputError(
                        f"{path}: {key} is stored as {tensor.get_dtype()}. Fix: take the base in bf16, fp16 or fp32"
                    )
                yield key, tuple(tensor.get_shape())
    except (OSError, SafetensorError) as e:
        raise InputError(f"{path}: not a readable safetensors file ({e}). Fix: copy or download it again") from e


def _places(
    prefix: str, path: Path, key: str, plain: str, shape: tuple[int, ...], names: Names
) -> Iterator[tuple[str, Place]]:
    """The layers whose weights a tensor holds: one, or the parts of one of the original code."""
    if not plain.endswith(_WEIGHT):
        return
    name = plain.removesuffix(_WEIGHT)
    network = prefix == names.network
    found = names.index.find(name) if network else CLIP.find(name) or CLIP.find(f"text_model.{name}")
    if found is None:
        return
    if found.part is not None:
        yield f"{prefix}.{found.diffusers[0]}", Place(path, key)
        return
    edges = [0]
    for height in heights(shape[0], found.layer.shares):
        edges.append(edges[-1] + height)
    for part, rows in zip(found.diffusers, pairwise(edges), strict=True):
        yield f"{prefix}.{part}", Place(path, key, rows, found.layer.swapped)
