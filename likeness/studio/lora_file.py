"""A LoRA file from anywhere, looked into without loading it: is it sound, and what does it say of itself?

The file is a stranger's text until it has been checked: sizes, names and numbers are held against each other, nothing
is executed, and nothing larger than the header is read.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

from likeness.catalog import FAMILIES, find_card
from likeness.dataset.wording import is_plain, one_line
from likeness.errors import InputError

MOST_BYTES = 16 << 30  # of a file; the largest LoRAs take a few
MOST_HEADER_BYTES = 16 << 20
MOST_TENSORS = 50_000
LONGEST_NAME = 1000  # of a tensor
MOST_METADATA = 200  # entries that are kept in mind; kohya's scripts write about 80
LONGEST_KEPT = 2000  # characters of an entry

_BITS = {"F64": 64, "F32": 32, "F16": 16, "BF16": 16, "F8_E4M3": 8, "F8_E5M2": 8}
_LORA = re.compile(r"\.(lora(_linear_layer)?[._](A|B|down|up)|lokr_w[12](_[ab])?|hada_w[12]_[ab])(\.|$)")
_DOWN = re.compile(r"\.(lora_A|lora_down|lora[._]down|lora_linear_layer\.down)(\.|$)")  # first axis: the rank
_PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


@dataclass(frozen=True)
class LoraFacts:
    """What a sound file tells. Empty where it does not say. `base` is a name or repository that Likeness knows, or
    empty; `base_words` is the base as the file calls it."""

    tensors: int
    size_bytes: int
    numbers: dict[str, int]  # number format -> tensors of it
    rank: int | None  # of most layers
    type: str  # lora, dora, lokr or loha, as the tensors are named; rslora where the file says so
    name: str
    base: str
    base_words: str
    family: str
    trigger: str
    epoch: int | None
    description: str
    metadata: dict[str, str]


def read_facts(path: Path) -> LoraFacts:
    """Check a file whole and read what it tells. Raises InputError for one that is no sound LoRA file."""
    rows, metadata, size = _header(path)
    return LoraFacts(
        tensors=len(rows),
        size_bytes=size,
        numbers=dict(sorted(Counter(str(row["dtype"]) for row in rows.values()).items())),
        rank=_rank(rows),
        type=_type(rows, metadata),
        metadata={k: v[:LONGEST_KEPT] for k, v in sorted(metadata.items())[:MOST_METADATA]},
        **_words(metadata),
    )


def sha256_of(path: Path) -> str:
    """Of the file's bytes, in hex."""
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


# --- the header


def _header(path: Path) -> tuple[dict[str, dict[str, Any]], dict[str, str], int]:
    """Rows of tensors, metadata, and the file's size."""
    size = path.stat().st_size
    with path.open("rb") as f:
        start = f.read(8)
        length = int.from_bytes(start, "little")
        if len(start) < 8 or not 2 <= length <= size - 8:
            if start.startswith(_PICKLES):
                raise _bad("is a pickle or an archive, which can run code of its own when it is opened", "give the "
                           "LoRA as a .safetensors file")  # fmt: skip
            raise _bad("is cut off, or no safetensors file", "copy or download it again")
        if length > MOST_HEADER_BYTES:
            raise _bad(f"has a header of {length:,} bytes, more than any LoRA needs", "give another file")
        text = f.read(length)
    if size > MOST_BYTES:
        raise _bad(f"has {size:,} bytes, more than any LoRA needs", "give another file")
    try:
        tree: Any = json.loads(text.decode("utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError) as e:
        raise _bad(f"has a header that is no JSON ({one_line(str(e))[:200]})", "copy or download it again") from None
    if not isinstance(tree, dict):
        raise _bad("has a header that tells of no tensors", "copy or download it again")
    rows = cast(dict[str, Any], tree)
    metadata = _metadata(rows.pop("__metadata__", {}))
    _check_rows(rows, size - 8 - length)
    return rows, metadata, size


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object in which no key stands twice: readers differ in which of the two they take."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands in it twice")
    return found


def _metadata(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in cast(dict[str, Any], value).values()):
        raise _bad("has metadata that are not text", "save it again")
    return cast(dict[str, str], value)


def _check_rows(rows: dict[str, Any], data: int) -> None:
    """Tensors must fill the rest of the file, `data` bytes, without gap or overlap."""
    if not 0 < len(rows) <= MOST_TENSORS:
        raise _bad(f"holds {len(rows):,} tensors, which no LoRA does", "give another file")
    places: list[tuple[int, int]] = []
    for name, row in rows.items():
        if not name or len(name) > LONGEST_NAME or not is_plain(name) or ".." in name or "/" in name:
            raise _bad(f"names a tensor '{one_line(name)[:100]}', which no LoRA does", "give another file")
        places.append(_place(name, row))
    places.sort()
    if any(a[1] != b[0] for a, b in pairwise(places)) or places[0][0] != 0 or places[-1][1] != data:
        raise _bad("has other data than its header tells of", "copy or download it again")
    if not any(_LORA.search(name) for name in rows):
        raise _bad(f"holds no LoRA (first tensor: {next(iter(rows))[:100]})", "give the file of a LoRA; a base model "
                   "is named as `base`")  # fmt: skip


def _place(name: str, row: Any) -> tuple[int, int]:
    """Where a tensor's bytes begin and end."""
    odd = _bad(f"has no sound description of tensor '{name[:100]}'", "copy or download it again")
    if not isinstance(row, dict) or set(cast(dict[str, Any], row)) != {"dtype", "shape", "data_offsets"}:
        raise odd
    told = cast(dict[str, Any], row)
    if told["dtype"] not in _BITS:
        raise _bad(f"holds numbers in {str(told['dtype'])[:20]} ('{name[:100]}')", "save it in fp16, bf16 or fp32")
    shape, offsets = told["shape"], told["data_offsets"]
    if not (_counts(shape, 8) and _counts(offsets, 2) and len(offsets) == 2 and offsets[0] <= offsets[1]):
        raise odd
    values = 1
    for side in cast(list[int], shape):
        values *= side
    if values * _BITS[told["dtype"]] != (offsets[1] - offsets[0]) * 8:
        raise odd
    return offsets[0], offsets[1]


def _counts(value: Any, most: int) -> bool:
    """A list of at most that many whole numbers, none of them negative or beyond any file."""
    if not isinstance(value, list) or len(cast(list[Any], value)) > most:
        return False
    return all(type(n) is int and 0 <= n < 1 << 48 for n in cast(list[Any], value))


def _bad(what: str, fix: str) -> InputError:
    return InputError(f"file: {what}. Fix: {fix}")


# --- what it says of itself


def _rank(rows: Mapping[str, Mapping[str, Any]]) -> int | None:
    found = Counter(row["shape"][0] for name, row in rows.items() if _DOWN.search(name) and len(row["shape"]) >= 2)
    return found.most_common(1)[0][0] if found else None


def _type(rows: Mapping[str, Any], metadata: Mapping[str, str]) -> str:
    if any(".lokr_w" in name for name in rows):
        return "lokr"
    if any(".hada_w" in name for name in rows):
        return "loha"
    if any("magnitude_vector" in name or ".dora_scale" in name for name in rows):
        return "dora"
    return "rslora" if _object(metadata.get("likeness")).get("type") == "rslora" else "lora"


def _words(metadata: Mapping[str, str]) -> dict[str, Any]:
    """Metadata of Likeness, of the modelspec convention, and of kohya's scripts; their own words come first."""
    own = _object(metadata.get("likeness"))
    comment = metadata.get("ss_training_comment", "")
    said = comment.removeprefix("trigger: ") if comment.startswith("trigger: ") else ""
    kinds = metadata.get("modelspec.architecture"), metadata.get("ss_base_model_version")
    base_words = _first(own.get("base"), metadata.get("ss_sd_model_name"), *kinds)
    card = find_card(base_words) if base_words else None
    epoch = _first(str(own.get("epoch", "")), metadata.get("ss_epoch"))
    return {
        "name": _first(own.get("name"), metadata.get("modelspec.title"), metadata.get("ss_output_name")),
        "base": card.name if card else "",
        "base_words": base_words,
        "family": card.family if card else _family(*kinds),
        "trigger": _first(own.get("trigger"), metadata.get("modelspec.trigger_phrase"),
                          _listed(metadata.get("trained_words")), said),
        "epoch": int(epoch) if epoch.isdecimal() and len(epoch) < 9 else None,
        "description": _first(metadata.get("modelspec.description")),
    }  # fmt: skip


def _family(*kinds: str | None) -> str:
    """'flux2' of 'flux2/lora': files of Likeness say so even where their base is a folder."""
    return next((f for kind in kinds for f in FAMILIES if kind and kind.partition("/")[0] == f), "")


def _listed(text: str | None) -> str:
    """A list of words as JSON, or plain."""
    try:
        value: Any = json.loads(text or "")
    except ValueError:
        return text or ""
    return ", ".join(map(str, cast(list[Any], value))) if isinstance(value, list) else str(value)


def _first(*texts: Any) -> str:
    """The first that says something, on one line and no longer than anybody reads."""
    plain = (one_line(t)[:LONGEST_KEPT] for t in texts if isinstance(t, str))
    return next((t for t in plain if t not in ("", "None")), "")


def _object(text: str | None) -> dict[str, Any]:
    try:
        value: Any = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}
