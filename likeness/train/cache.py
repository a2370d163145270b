"""Latents and text embeddings, encoded once and kept by content.

An entry's key names everything that decides its value, so a changed picture or caption is a different entry and
nothing stale is ever served. The folder may be shared between runs and deleted at any time.
"""

import hashlib
from pathlib import Path

import safetensors
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from likeness import durable

MEMORY_BYTES = 1 << 30  # entries kept in memory; beyond, the file system's cache has to do


def key_of(*parts: object) -> str:
    """A file name for whatever decides an entry's value."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:40]


class Cache:
    """Named tensors by key, one file each."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._kept: dict[str, dict[str, Tensor]] = {}
        self._room = MEMORY_BYTES

    def has(self, key: str) -> bool:
        """Whether a whole entry is there; one that is cut short is removed, to be made again."""
        path = self._path(key)
        if not path.exists():
            return False
        try:
            with safetensors.safe_open(path, framework="pt"):  # compares the header with the file's length
                return True
        except (SafetensorError, OSError):
            path.unlink(missing_ok=True)
            return False

    def get(self, key: str) -> dict[str, Tensor]:
        """The entry of `key`. Raises FileNotFoundError or SafetensorError where there is none."""
        if key in self._kept:
            return self._kept[key]
        entry = load_file(self._path(key))
        size = sum(t.nbytes for t in entry.values())
        if size <= self._room:
            self._room -= size
            self._kept[key] = entry
        return entry

    def put(self, key: str, tensors: dict[str, Tensor]) -> None:
        entry = {name: t.contiguous() for name, t in tensors.items()}
        durable.write_with(self._path(key), lambda partial: save_file(entry, partial))

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.safetensors"
