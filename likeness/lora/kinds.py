"""The types of LoRA that can be trained: what each is made of, and how strongly it acts."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from peft import LoHaConfig, LoKrConfig, LoraConfig

Type = Literal["lora", "dora", "rslora", "lokr", "loha"]
TYPES: tuple[Type, ...] = get_args(Type)
# The factor that takes the scale when a file is written: the change is linear in each of them.
FOLDED = ("lora_B", "hada_w1_a", "lokr_w1", "lokr_w1_a")


@dataclass(frozen=True)
class Size:
    """Of the factors of one layer."""

    rank: int
    alpha: float


def scale(kind: Type, size: Size) -> float:
    """What the product of a layer's factors is multiplied by.

    alpha / rank (Hu et al. 2021, arXiv 2106.09685), or alpha / sqrt(rank) for rsLoRA (Kalajdzievski 2023,
    arXiv 2312.03732).
    """
    return size.alpha / (math.sqrt(size.rank) if kind == "rslora" else size.rank)


def peft_config(kind: Type, targets: str, dropout: float = 0.0) -> Any:
    """PEFT's configuration for layers whose names fully match `targets`, of rank 1 and alpha 1 where no pattern says
    otherwise. `dropout` is for the types that have an input to drop: all but lokr and loha."""
    match kind:
        case "lokr":
            return LoKrConfig(r=1, alpha=1, target_modules=targets)
        case "loha":
            return LoHaConfig(r=1, alpha=1, target_modules=targets)
        case _:
            return LoraConfig(
                r=1,
                lora_alpha=1,
                lora_dropout=dropout,
                target_modules=targets,
                use_dora=kind == "dora",
                use_rslora=kind == "rslora",
            )


def sized(config: Any, sizes: Mapping[str, Size]) -> Any:
    """`config` with the rank and alpha of each layer."""
    # Anchored: without ^ the name of a layer would also fit others that end like it.
    config.rank_pattern = {f"^{re.escape(name)}": size.rank for name, size in sizes.items()}
    config.alpha_pattern = {f"^{re.escape(name)}": size.alpha for name, size in sizes.items()}
    return config


def exactly(names: Mapping[str, object]) -> str:
    """The regular expression that fully matches these names alone."""
    return "|".join(map(re.escape, names))
