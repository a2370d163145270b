"""Which files of a model repository loading takes, and whether they are all there."""

import json
import re
from collections.abc import Iterable, Set
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from likeness.catalog.header import PICKLES, SAFETENSORS
from likeness.catalog.source import DENOISERS, PARTS
from likeness.errors import InputError

PIPELINE_INDEXES = ("model_index.json", "modular_model_index.json")
INDEXES = (*PIPELINE_INDEXES, "likeness.json")
NETWORKS = (*DENOISERS, *PARTS[1:])
FOLDERS = (*NETWORKS, "tokenizer", "tokenizer_2", "processor", "scheduler")
SMALL = (".json", ".txt", ".jinja", ".model")  # what belongs to a part besides its weights
VARIANTS = ("", "bf16", "fp16", "fp32")  # number formats of the same weights, the one to take first
_SHARD = re.compile(r"-\d{5}-of-\d{5}$")


@dataclass(frozen=True)
class File:
    path: str  # in the repository
    size: int  # bytes

    @property
    def name(self) -> PurePosixPath:
        return PurePosixPath(self.path)


def needed_files(files: Iterable[File], replaced: Set[str], *, allow_pickle: bool) -> list[File]:
    """Of a repository in the diffusers layout: each part's configuration, and its weights once, unless the part is in
    `replaced`: as safetensors, in the main number format where there are several.

    Raises InputError where a part is there as a pickle alone, and pickles are not allowed.
    """
    files = list(files)
    needed = [f for f in files if f.path in INDEXES]
    for folder in FOLDERS:
        inside = [f for f in files if str(f.name.parent) == folder]
        needed += [f for f in inside if f.name.suffix in SMALL and not _is_index(f)]
        if folder in NETWORKS and setting_of(folder) not in replaced:
            needed += _weights(inside, allow_pickle=allow_pickle)
    return needed


def setting_of(folder: str) -> str:
    """The setting that replaces the part in this folder of a model."""
    return "transformer" if folder in DENOISERS else folder


def missing_parts(folder: Path, replaced: Set[str]) -> list[str]:
    """Parts that a model's index names and its folder has not, or not whole."""
    index: dict[str, Any] = next((read_json(folder / n) for n in PIPELINE_INDEXES if (folder / n).is_file()), {})
    found: list[str] = []
    for name in FOLDERS:
        entry = index.get(name)
        named = isinstance(entry, list) and bool(entry) and entry[0] is not None  # pyright: ignore[reportUnknownArgumentType]
        here = folder / name
        weights = name in NETWORKS and setting_of(name) not in replaced
        if (named and not here.is_dir()) or (here.is_dir() and weights and not _has_weights(here)):
            found.append(name)
    return found


def variant_in(folder: Path) -> str | None:
    """The number format to ask loaders for, where the weights are there in another than the main one."""
    files = [File(p.name, 0) for p in folder.glob(f"*{SAFETENSORS}")]
    here = {_variant(f) for f in files}
    return None if not here or "" in here else next((v for v in VARIANTS if v in here), None)


def read_json(path: Path) -> Any:
    """Raises InputError where the file is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as e:
        raise InputError(f"base: {path} cannot be read ({e}). Fix: fetch or save the model again") from e


def _weights(inside: list[File], *, allow_pickle: bool) -> list[File]:
    for kinds in ((SAFETENSORS,), PICKLES):
        formats: dict[str, list[File]] = {}
        for file in inside:
            if file.name.suffix in kinds or (_is_index(file) and any(kind in file.path for kind in kinds)):
                formats.setdefault(_variant(file), []).append(file)
        chosen = next((formats[v] for v in VARIANTS if v in formats), None)
        if chosen is None:
            continue
        if kinds == PICKLES and not allow_pickle:
            raise InputError(
                f"base: {chosen[0].path} is a pickle, which can run code of its own when it is opened, and the "
                "repository has no .safetensors of it. Fix: name another repository, or, if you trust this one, set "
                "model.allow_pickle: true"
            )
        split = [f for f in chosen if _is_index(f) or _SHARD.search(f.name.stem)]
        return split or chosen[:1]  # a repository may have the same weights whole and split
    return []


def _variant(file: File) -> str:
    """'fp16' of 'model.fp16.safetensors' and 'model.fp16-00001-of-00002.safetensors'; '' for the main format."""
    if _is_index(file):  # model.safetensors.index.fp16.json
        return file.path.partition(".index.")[2].removesuffix("json").removesuffix(".")
    stem = file.name.name
    for kind in (SAFETENSORS, *PICKLES):
        stem = stem.split(kind)[0]
    return _SHARD.sub("", stem).partition(".")[2]


def _is_index(file: File) -> bool:
    return ".index." in file.path


def _has_weights(folder: Path) -> bool:
    names = {p.name for p in folder.iterdir() if p.is_file()}
    for index in folder.glob("*.index.*json"):
        shards: dict[str, str] = read_json(index).get("weight_map", {})
        if not set(shards.values()) <= names:
            return False
    return any(PurePosixPath(name).suffix in (SAFETENSORS, *PICKLES) for name in names)
