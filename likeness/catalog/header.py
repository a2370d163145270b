"""What a file of weights says of its tensors, read without loading one of them."""

import json
import pickletools
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from likeness.errors import InputError

SAFETENSORS = ".safetensors"
PICKLES = (".ckpt", ".pt", ".pth", ".bin")
FILES = (SAFETENSORS, *PICKLES)
LARGEST_HEADER = 100_000_000  # bytes; the format's own limit
LARGEST_PICKLE = 100_000_000  # bytes of structure, without the tensors, which lie beside it in the archive


@dataclass(frozen=True)
class Tensor:
    """Number format as safetensors calls it ('F32', 'BF16', 'F8_E4M3'), and size; a pickle tells neither: '' and
    None."""

    dtype: str
    shape: tuple[int, ...] | None


Header = Mapping[str, Tensor]


def read_header(path: Path) -> dict[str, Tensor]:
    """The tensors of a weights file by name. A pickle is only looked through for names; nothing in it is executed.

    Raises InputError, beginning with the path, for a file that is damaged or of another kind.
    """
    try:
        return _from_safetensors(path) if path.suffix.lower() == SAFETENSORS else _from_pickle(path)
    except OSError as e:
        raise InputError(f"{path}: cannot be read ({e.strerror}). Fix: check the path and its permissions") from e


def read_headers(place: Path) -> dict[str, Tensor]:
    """The tensors of a file, or of all safetensors files in a folder (a network may be split over several)."""
    if place.is_file():
        return read_header(place)
    found: dict[str, Tensor] = {}
    for path in sorted(place.glob(f"*{SAFETENSORS}")):
        found |= read_header(path)
    return found


def _from_safetensors(path: Path) -> dict[str, Tensor]:
    size = path.stat().st_size
    with path.open("rb") as f:
        length = int.from_bytes(f.read(8), "little")
        if size < 8 or length > min(LARGEST_HEADER, size - 8):
            raise _damaged(path, "it is cut off, or no safetensors file")
        try:
            rows: Any = json.loads(f.read(length))
        except ValueError as e:
            raise _damaged(path, "its header is no JSON") from e
    try:
        tensors = {
            str(name): Tensor(str(row["dtype"]), tuple(int(n) for n in row["shape"]))
            for name, row in rows.items()
            if name != "__metadata__"
        }
        end = max((int(row["data_offsets"][1]) for name, row in rows.items() if name != "__metadata__"), default=0)
    except (AttributeError, KeyError, TypeError, ValueError, IndexError) as e:
        raise _damaged(path, "its header is not one of tensors") from e
    if size != 8 + length + end:
        raise _damaged(path, f"it has {size:,} bytes where its header tells of {8 + length + end:,}")
    return tensors


def _from_pickle(path: Path) -> dict[str, Tensor]:
    """All texts in the pickle's own structure: names of tensors are among them."""
    try:
        with zipfile.ZipFile(path) as archive:
            name = next(n for n in archive.namelist() if n.endswith("data.pkl"))
            if archive.getinfo(name).file_size > LARGEST_PICKLE:
                raise _damaged(path, "its structure is too large to be one of weights")
            codes = pickletools.genops(archive.read(name))
            texts = [value for code, value, _ in codes if isinstance(value, str) and "UNICODE" in code.name]
    except (zipfile.BadZipFile, StopIteration, ValueError) as e:
        raise InputError(
            f"{path}: is not a PyTorch file of today's form. Fix: load and save it again with a current PyTorch, best "
            "as .safetensors"
        ) from e
    return {text: Tensor("", None) for text in texts if "." in text}


def _damaged(path: Path, why: str) -> InputError:
    return InputError(f"{path}: cannot be used: {why}. Fix: download or save it again")
