"""LoRA files of every key layout, read into one form and written from it, without changing what they do.

In memory each layer is a `Change` under its name in diffusers files, such as `transformer.layers.0.attention.to_q`.
The factor alpha / rank is folded in when a file is written: then readers that ignore alpha are right as well.
"""

import json
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors import SafetensorError
from torch import Tensor

from likeness import durable
from likeness.errors import InputError
from likeness.lora.adapter_config import METADATA_KEY, AdapterConfig, describe, read_metadata, read_text
from likeness.lora.change import Change, Kind, difference, fuse, split
from likeness.lora.io import MAX_HEADER_KEYS, write_tensors
from likeness.lora.keys import LAYOUTS, Key, check_family, choose_family, find, layout_of, take_apart
from likeness.lora.names import CLIP, Found, Layer, Names, Naming

ADAPTER_CONFIG = "adapter_config.json"
_LOKR = [(one, two) for one in (("w1",), ("w1_a", "w1_b")) for two in (("w2",), ("w2_a", "w2_b"))]
_FACTORS: list[tuple[Kind, set[str]]] = [  # which factors make a layer's change, and of which kind it is
    ("LoRA", {"lora_A", "lora_B"}),
    ("LoHa", {"hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"}),
    *(("LoKr", {f"lokr_{name}" for name in one + two}) for one, two in _LOKR),
]
_STALE = {"sshs_model_hash", "sshs_legacy_hash", "modelspec.hash_sha256", METADATA_KEY}  # true of the old tensors only
_CONTIGUOUS = torch.contiguous_format
_IMPLEMENTATION = {"diffusers": "diffusers", "peft": "peft", "comfyui": "comfyui", "bfl": "original", "kohya": "kohya"}


# Of a file: module ('' for the network, else the text encoder's prefix), name in the file's naming, change.
FileLayer = tuple[str, str, Change]


@dataclass(frozen=True, eq=False)
class Lora:
    """A LoRA file in memory. `told`: where alpha was found."""

    names: Names
    layout: str
    told: str
    changes: dict[str, Change]
    metadata: dict[str, str]

    @property
    def ranks(self) -> list[int]:
        return sorted({c.rank for c in self.changes.values() if c.rank is not None})

    @property
    def scales(self) -> list[float]:
        return sorted({c.scale for c in self.changes.values()})


# --- reading


def read_any(path: Path, families: Sequence[Names], metadata_words: str | None = None) -> Lora:
    """Read a file of any layout. With one family in `families` the file must be of it; else it is found out.

    `metadata_words` are what is known of its base besides the file's own metadata.
    Raises InputError naming the first keys that cannot be understood, and what was expected.
    """
    tensors, metadata = load_tensors(path)
    return understood(path, tensors, metadata, families, metadata_words)


def understood(
    path: Path,
    tensors: Mapping[str, Tensor],
    metadata: Mapping[str, str],
    families: Sequence[Names],
    metadata_words: str | None = None,
) -> Lora:
    """What `read_any` makes of the content of `path`."""
    try:
        keys = take_apart(tensors)
        words = " ".join((metadata_words or "", *(metadata.get(k, "") for k in _BASE_WORDS)))
        names = families[0] if len(families) == 1 else choose_family(keys, families, words)
        check_family(keys, names)
        layout = layout_of(keys, names)
        configs = _configs(path, layout, metadata, names)
        changes: dict[str, Change] = {}
        told: set[str] = set()
        for layer in _by_layer(keys):
            change, source = _change(layer, tensors, configs)
            told.add(source)
            _place(changes, layer[0], find(layer[0], names), change, names)
    except InputError as e:
        raise InputError(*(f"{path}: {problem}" for problem in e.problems)) from e
    return Lora(names, layout, " and ".join(sorted(told)), changes, dict(metadata))


_BASE_WORDS = ("modelspec.architecture", "ss_base_model_version", "ss_sd_model_name", "ss_network_module")


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and metadata of a safetensors file. Raises InputError where it is missing or damaged."""
    if not path.is_file():
        raise InputError(f"{path}: no such LoRA file. Fix: give the path of a .safetensors file")
    try:
        with safetensors.safe_open(path, framework="pt") as f:
            metadata: dict[str, str] = f.metadata() or {}
            keys = list(f.keys())
            if not 0 < len(keys) <= MAX_HEADER_KEYS:
                raise InputError(f"{path}: holds {len(keys)} tensors, which no LoRA does. Fix: give another file")
            return {k: f.get_tensor(k) for k in keys}, metadata
    except SafetensorError as e:
        raise InputError(f"{path}: not a readable safetensors file ({e}). Fix: copy or download it again") from e


def _configs(path: Path, layout: str, metadata: Mapping[str, str], names: Names) -> dict[str, AdapterConfig]:
    """PEFT's descriptions, by module ('' for the network)."""
    beside = path.with_name(ADAPTER_CONFIG)
    if layout in ("peft", "bare") and beside.is_file():
        return {"": read_text(beside.read_text(encoding="utf-8", errors="replace"))}
    return {("" if prefix == names.network else prefix): c for prefix, c in read_metadata(metadata).items()}


def _by_layer(keys: Sequence[Key]) -> list[list[Key]]:
    layers: dict[str, list[Key]] = {}
    for key in keys:
        layers.setdefault(key.layer, []).append(key)
    return list(layers.values())


def _change(
    layer: Sequence[Key], tensors: Mapping[str, Tensor], configs: Mapping[str, AdapterConfig]
) -> tuple[Change, str]:
    """The change of one layer, and where its alpha is from."""
    held: dict[str, Tensor] = {}
    for key in layer:
        if key.holds in held:
            raise InputError(f"'{key.text}' is there twice, under another ending as well")
        held[key.holds] = _number_checked(key.text, tensors[key.text])
    here = layer[0].name
    alpha, magnitude = held.pop("alpha", None), held.pop("magnitude", None)
    kind: Kind | None = next((kind for kind, needed in _FACTORS if needed == held.keys()), None)
    if kind is None:
        raise InputError(
            f"layer '{here}' has {', '.join(sorted(held)) or 'no factors'}; expected lora_A and lora_B (or lora_down "
            "and lora_up), or all factors of a LoKr or LoHa. Fix: download it again"
        )
    change = Change(kind, held, 1.0, None if magnitude is None else magnitude.flatten())
    try:
        change.check()
    except ValueError as e:
        raise InputError(f"layer '{here}': {e}. Fix: download it again") from e
    if magnitude is not None and magnitude.numel() != change.outputs:
        raise InputError(f"layer '{here}': a magnitude of {magnitude.numel()} values for {change.outputs} outputs")
    rank, source, scale = change.rank, "alpha = rank", 1.0
    if alpha is not None:
        if alpha.numel() != 1:
            raise InputError(f"layer '{here}': alpha has {alpha.numel()} values, expected one")
        # A LoKr of two whole factors has no rank, and its writers mean scale 1 whatever alpha they write.
        source, scale = ".alpha tensors", float(alpha) / rank if rank else 1.0
    elif layer[0].module in configs:
        source, scale = "PEFT metadata", configs[layer[0].module].scale(here, rank)
    return Change(kind, held, scale, change.magnitude), source


def _number_checked(text: str, w: Tensor) -> Tensor:
    if text.endswith(".alpha"):
        w = w.double()
    if not w.is_floating_point():
        raise InputError(f"'{text}' holds {w.dtype}, expected floating-point numbers")
    if w.element_size() == 1:
        w = w.half()  # fp8 cannot be computed with; fp16 holds its values exactly
    if not torch.isfinite(w).all():
        raise InputError(f"'{text}' has values that are not finite. Fix: download it again, or use another epoch")
    return w


def _place(changes: dict[str, Change], key: Key, found: Found | None, change: Change, names: Names) -> None:
    """Put a change under the diffusers names of its layers, split where the file has them fused."""
    assert found is not None, key
    pieces: Sequence[Change | None] = [change]
    try:
        if found.part is None:
            whole = change.halves_swapped() if found.layer.swapped else change
            pieces = split(whole, found.layer.shares) if len(found.layer.parts) > 1 else [whole]
    except InputError as e:
        raise InputError(f"layer '{key.name}': {e}. Fix: a LoRA of plain matrices can be converted") from e
    for name, piece in zip(found.diffusers, pieces, strict=True):
        full = f"{key.module or names.network}.{name}"
        if full in changes:
            raise InputError(f"layer {full} is changed twice, the second time by '{key.text}'")
        if piece is not None:
            changes[full] = piece


# --- writing


def write_layout(path: Path, lora: Lora, layout: str) -> None:
    """Write `lora` durably with the key names of `layout`, one of LAYOUTS.

    Raises InputError where the layout does not exist for the family or cannot say the same exactly.
    """
    write_layers(path, lora, layout, file_layers(lora, layout))


def write_layers(path: Path, lora: Lora, layout: str, layers: Sequence[FileLayer]) -> None:
    """Write these layers (as from `file_layers`) durably, with the family and the metadata of `lora`."""
    tensors: dict[str, Tensor] = {}
    ranks: dict[str, dict[str, int]] = {}  # module -> layer's name -> rank
    for module, name, change in layers:
        prefix = _prefix(lora.names, module, layout)
        stem = prefix + (name.replace(".", "_") if layout == "kohya" else name)
        # Parts of a fused layer may share a factor, which safetensors does not write.
        for end, w in _tensors(change, layout).items():
            # transformers, which loads text encoders, wants an ending that diffusers does without.
            end += ".weight" if module and end == "lora_magnitude_vector" else ""
            tensors[f"{stem}.{end}"] = w.clone(memory_format=_CONTIGUOUS)
        if change.kind == "LoRA":
            ranks.setdefault(module, {})[name] = change.rank or 0
    doras = {module for module, _, change in layers if change.magnitude is not None}
    if layout == "diffusers" and len({w.dtype for w in tensors.values()}) > 1 and doras:
        # safetensors puts wide numbers first, and diffusers 0.42 misreads a DoRA that does not begin with a lora_A.
        tensors = {k: w.float() for k, w in tensors.items()}
    if layout == "peft":
        config = {"peft_type": "LORA", **describe(ranks[""], bool(doras))}
        durable.write_text(path.with_name(ADAPTER_CONFIG), json.dumps(config, indent=2, sort_keys=True))
    write_tensors(path, tensors, _metadata(lora, layout, ranks, doras))


def available(names: Names) -> list[str]:
    return [layout for layout in LAYOUTS if layout != "bfl" or names.has_original]


def _naming(names: Names, layout: str) -> Naming:
    if layout not in available(names):
        known = ", ".join(available(names))
        raise InputError(f"--to {layout}: there is no such layout for family {names.family}. Fix: one of {known}")
    table: dict[str, Naming] = {"comfyui": names.comfyui, "bfl": "original", "kohya": names.kohya}
    return table.get(layout, "diffusers")


def file_layers(lora: Lora, layout: str) -> list[FileLayer]:
    """Every layer as a file of this layout has it: fused where its naming fuses, of scale 1.

    Raises InputError where the layout does not exist for the family or cannot say the same exactly.
    """
    naming = _naming(lora.names, layout)
    rows: list[FileLayer] = []
    fused: dict[str, tuple[Layer, list[Change | None]]] = {}
    for full, change in lora.changes.items():
        module, _, name = full.partition(".")
        module = "" if module == lora.names.network else module
        found = CLIP.find(name) if module else lora.names.index.find(name)
        assert found is not None and found.part is not None, full
        if module or naming == "diffusers":
            rows.append((module, name, change.folded()))
        else:
            _, parts = fused.setdefault(found.original, (found.layer, [None] * len(found.layer.parts)))
            parts[found.part] = change
    for name, (layer, parts) in fused.items():
        try:
            whole = fuse(parts, layer.shares) if len(parts) > 1 else parts[0].folded()  # pyright: ignore[reportOptionalMemberAccess]
            rows.append(("", name, whole.halves_swapped() if layer.swapped else whole))
        except InputError as e:
            raise InputError(
                f"--to {layout}: {' and '.join(layer.parts)} cannot become {name} exactly ({e}). "
                "Fix: --to diffusers leaves them as they are"
            ) from e
    return rows


def _prefix(names: Names, module: str, layout: str) -> str:
    if layout == "diffusers":
        return f"{module or names.network}."
    if not module:
        return {"kohya": "lora_unet_", "peft": "base_model.model."}.get(layout, "diffusion_model.")
    if layout == "peft":
        raise InputError("--to peft: the file changes a text encoder too. Fix: --to diffusers holds several networks")
    encoder = next(t for t in names.text_encoders if t.prefix == module)
    return f"{encoder.kohya}_" if layout == "kohya" else f"{encoder.comfyui}."


def _tensors(change: Change, layout: str) -> dict[str, Tensor]:
    """Tensors of one folded change by the ends of their keys. There are `.alpha` tensors only where the readers of a
    layout expect them; several of the others refuse files that have some."""
    if layout == "peft" and change.kind != "LoRA":
        raise InputError(f"--to peft: PEFT cannot be told a {change.kind} of this form. Fix: choose another layout")
    plain = {"lora_A": "lora_A.weight", "lora_B": "lora_B.weight"}
    kohya = {"lora_A": "lora_down.weight", "lora_B": "lora_up.weight"}
    ends = kohya if layout == "kohya" else plain
    tensors = {ends.get(name, name): w for name, w in change.factors.items()}
    elsewhere = layout not in ("diffusers", "peft")
    if layout == "kohya" or (elsewhere and change.kind != "LoRA"):
        tensors["alpha"] = torch.tensor(float(change.rank or 1))
    if change.magnitude is not None:
        extra = [1] * (change.dimensions - 2)
        if elsewhere:
            tensors["dora_scale"] = change.magnitude.reshape(-1, 1, *extra)
        else:
            tensors["lora_magnitude_vector"] = change.magnitude.reshape([1, -1, *extra] if extra else [-1])
    return tensors


def _metadata(
    lora: Lora, layout: str, ranks: Mapping[str, Mapping[str, int]], doras: Collection[str]
) -> dict[str, str]:
    metadata = {k: v for k, v in lora.metadata.items() if k not in _STALE}
    metadata["format"] = "pt"
    if "modelspec.implementation" in metadata:
        metadata["modelspec.implementation"] = _IMPLEMENTATION[layout]
    network = ranks.get("") or next(iter(ranks.values()), {})
    if network and (layout == "kohya" or "ss_network_dim" in metadata):
        rank = str(describe(network, dora=False)["r"])
        metadata |= {"ss_network_dim": rank, "ss_network_alpha": rank}
    if layout == "kohya":
        metadata.setdefault("ss_network_module", "networks.lora")
        metadata.setdefault("ss_base_model_version", lora.names.family)
    if layout == "diffusers" and ranks:
        told: dict[str, Any] = {}
        for module, own in ranks.items():
            prefix = module or lora.names.network
            told |= {f"{prefix}.{k}": v for k, v in describe(own, module in doras).items()}
        metadata[METADATA_KEY] = json.dumps(told, sort_keys=True)
    return metadata


# --- converting


def convert(path: Path, output: Path, layout: str, families: Sequence[Names], metadata_words: str = "") -> "Conversion":
    """Read `path` and write it to `output` in another layout, checking what was written before it gets its name.

    Raises InputError where that is not possible exactly.
    """
    before = read_any(path, families, metadata_words)
    unchecked = output.with_name(f"{durable.PARTIAL}{os.getpid()}-{output.name}")
    try:
        write_layout(unchecked, before, layout)
        after = read_any(unchecked, [before.names])
        far, largest = compare(before.changes, after.changes)
        if far > 1e-6 * largest:
            raise RuntimeError(f"{output}: what was written differs by {far:g}, of {largest:g}")
        os.replace(unchecked, output)
        durable.flush_folder(output.parent)
    finally:
        unchecked.unlink(missing_ok=True)
    return Conversion(before, after, far)


@dataclass(frozen=True, eq=False)
class Conversion:
    before: Lora
    after: Lora
    difference: float  # no element of any layer's weight change differs by more


def compare(one: Mapping[str, Change], other: Mapping[str, Change]) -> tuple[float, float]:
    """Bounds for the difference of any element of any layer's change, and for the elements of layers that differ."""
    rows = [difference(one.get(name), other.get(name)) for name in one.keys() | other.keys()]
    return max(d for d, _ in rows), max(m for _, m in rows)
