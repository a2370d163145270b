"""Rank and alpha as PEFT tells them: in the metadata of a diffusers file, or in `adapter_config.json` beside one.

A layer's own rank or alpha stands in `rank_pattern` or `alpha_pattern`, whose keys are regular expressions for the end
of its name. The scale is alpha / rank, or alpha / sqrt(rank) with `use_rslora` (Kalajdzievski 2023, arXiv 2312.03732).
"""

import json
import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from likeness.errors import InputError

METADATA_KEY = "lora_adapter_metadata"
_CLIP_PREFIX = "text_model."
_LONGEST_PATTERN = 1000  # a file is a stranger's text


@dataclass(frozen=True)
class AdapterConfig:
    rank: int
    alpha: float
    rank_pattern: Mapping[str, float] = field(default_factory=dict[str, float])
    alpha_pattern: Mapping[str, float] = field(default_factory=dict[str, float])
    rslora: bool = False

    def scale(self, name: str, rank: int | None) -> float:
        """Of the layer called so, whose factors have this rank (None: a LoKr of whole factors).

        Raises InputError when another rank is told than the factors have: then the scale is anybody's guess.
        """
        told = _own(self.rank_pattern, name, self.rank)
        if rank is not None and told != rank:
            raise InputError(f"layer {name} has rank {rank}, and the file's own description says {told:g}")
        alpha = _own(self.alpha_pattern, name, self.alpha)
        return alpha / (math.sqrt(told) if self.rslora else told)


def read_metadata(metadata: Mapping[str, str]) -> dict[str, AdapterConfig]:
    """By the prefix of keys (`transformer`, `text_encoder`). Empty where the file tells nothing."""
    if METADATA_KEY not in metadata:
        return {}
    flat = _json_object(metadata[METADATA_KEY], f"metadata {METADATA_KEY}")
    parts: dict[str, dict[str, Any]] = {}
    for key, value in flat.items():
        prefix, _, field_name = key.partition(".")
        parts.setdefault(prefix, {})[field_name] = value
    return {prefix: _config(values, f"metadata {METADATA_KEY}") for prefix, values in parts.items()}


def read_text(text: str) -> AdapterConfig:
    """The content of an `adapter_config.json`."""
    return _config(_json_object(text, "adapter_config.json"), "adapter_config.json")


def describe(ranks: Mapping[str, int], dora: bool) -> dict[str, Any]:
    """Rank and an equal alpha for layers of these ranks."""
    rank = Counter(ranks.values()).most_common(1)[0][0]
    # CLIPTextModel of transformers >= 5.6 has no `text_model` any more, and PEFT fits the ends of names.
    layers = {name.removeprefix(_CLIP_PREFIX): (name, r) for name, r in ranks.items()}
    value: dict[str, Any] = {"r": rank, "lora_alpha": rank, "target_modules": sorted(layers)}
    # Anchored where it can be: without ^ the name of a layer would also fit others that end like it.
    own = {
        ("" if name.startswith(_CLIP_PREFIX) else "^") + re.escape(end): r
        for end, (name, r) in sorted(layers.items())
        if r != rank
    }
    if own:
        value |= {"rank_pattern": own, "alpha_pattern": own}
    return value | ({"use_dora": True} if dora else {})


def _config(values: Mapping[str, Any], where: str) -> AdapterConfig:
    alpha: Any = values.get("lora_alpha", values.get("alpha"))
    rank: Any = values.get("r")
    if not _is_number(rank) or not _is_number(alpha) or rank < 1:
        raise InputError(f"{where}: r is {rank!r} and lora_alpha {alpha!r}; expected numbers")
    patterns: dict[str, dict[str, float]] = {}
    for key in ("rank_pattern", "alpha_pattern"):
        pattern: Any = values.get(key) or {}
        if not isinstance(pattern, dict) or not all(_is_number(v) and v > 0 for v in pattern.values()):  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
            raise InputError(f"{where}: {key} should map layers to numbers")
        patterns[key] = pattern
    return AdapterConfig(int(rank), float(alpha), **patterns, rslora=bool(values.get("use_rslora")))


def _own(pattern: Mapping[str, float], name: str, default: float) -> float:
    for key, value in pattern.items():
        try:
            if len(key) <= _LONGEST_PATTERN and re.match(rf"(.*\.)?({key})$", name):
                return value
        except re.error as e:
            raise InputError(f"the file's own description has the pattern '{key}' ({e})") from e
    return default


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _json_object(text: str, where: str) -> dict[str, Any]:
    try:
        value: Any = json.loads(text)
    except ValueError as e:
        raise InputError(f"{where} is not JSON ({e})") from e
    if not isinstance(value, dict):
        raise InputError(f"{where} should be a JSON object")
    return value  # pyright: ignore[reportUnknownVariableType]
