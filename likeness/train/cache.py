"""Latents and text embeddings, encoded once and kept by content.

An entry's key names everything that decides its value, so a changed picture or caption is a different entry and
nothing stale is ever served. The folder may be shared between runs and deleted at any time.
"""

import functools
import hashlib
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from likeness import durable

MEMORY_ENTRIES = 4096  # kept in memory; for larger datasets the file system's cache has to do


def key_of(*parts: object) -> str:
    """A file name for whatever decides an entry's value."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:40]


class Cache:
    """Named tensors by key, one file each."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.get = functools.lru_cache(maxsize=MEMORY_ENTRIES)(self._read)

    def has(self, key: str) -> bool:
        """Whether a readable entry is there; a damaged one is removed, to be made again."""
        path = self._path(key)
        if not path.exists():
            return False
        try:
            self.get(key)
        except (SafetensorError, OSError):
            path.unlink(missing_ok=True)
            return False
        return True

    def put(self, key: str, tensors: dict[str, Tensor]) -> None:
        entry = {name: t.contiguous() for name, t in tensors.items()}
        durable.write_with(self._path(key), lambda partial: save_file(entry, partial))

    def _read(self, key: str) -> dict[str, Tensor]:
        return load_file(self._path(key))

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.safetensors"
