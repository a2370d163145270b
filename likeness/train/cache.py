"""Latents and text embeddings, encoded once and kept by content.

An entry's key names everything that decides its value, so a changed picture or caption is a different entry and
nothing stale is ever served. The folder may be shared between runs and deleted at any time.

New entries are files of their own, so that an interruption costs at most one. Once there are many, they are packed into
shards: a hundred thousand small files are slow to list, to copy and to delete.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import safetensors
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from likeness import durable

MEMORY_BYTES = 1 << 30  # entries kept in memory; beyond, the file system's cache has to do
LOOSE_LIMIT = 256  # entries with files of their own, before they are packed
SHARD_BYTES = 256 << 20  # a shard is closed when it has reached this size
_BETWEEN = "/"  # in a shard, between an entry's key and the name of its tensor


def key_of(*parts: object) -> str:
    """A file name for whatever decides an entry's value."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:40]


class Cache:
    """Named tensors by key: one file each, or many to a shard."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._kept: dict[str, dict[str, Tensor]] = {}
        self._room = MEMORY_BYTES
        self._packed: dict[str, tuple[Path, tuple[str, ...]]] = {}  # key -> its shard and the names of its tensors
        self._index_shards()

    def has(self, key: str) -> bool:
        """Whether a whole entry is there; one that is cut short is removed, to be made again."""
        return key in self._packed or _is_whole(self._path(key))

    def get(self, key: str) -> dict[str, Tensor]:
        """The entry of `key`. Raises FileNotFoundError or SafetensorError where there is none."""
        if key in self._kept:
            return self._kept[key]
        entry = self._read(key)
        size = sum(t.nbytes for t in entry.values())
        if size <= self._room:
            self._room -= size
            self._kept[key] = entry
        return entry

    def put(self, key: str, tensors: dict[str, Tensor]) -> None:
        entry = {name: t.contiguous() for name, t in tensors.items()}
        durable.write_with(self._path(key), lambda partial: save_file(entry, partial))

    def pack(self) -> None:
        """Move loose entries into shards, if there are many. Cut short, it loses nothing: a file of its own goes only
        after the shard that holds its entry is on disk."""
        loose = [path for path in sorted(self.folder.glob("??/*.safetensors")) if _is_whole(path)]
        if len(loose) < LOOSE_LIMIT:
            return
        for group in _by_size(loose):
            self._write_shard(group)
            for path in group:
                path.unlink(missing_ok=True)

    def _write_shard(self, loose: Sequence[Path]) -> None:
        tensors = {f"{path.stem}{_BETWEEN}{name}": t for path in loose for name, t in load_file(path).items()}
        shard = self.folder / "shards" / f"{key_of(*sorted(tensors))}.safetensors"
        durable.write_with(shard, lambda partial: save_file(tensors, partial))
        self._index(shard, tensors)

    def _index_shards(self) -> None:
        for shard in sorted((self.folder / "shards").glob("*.safetensors")):
            if _is_whole(shard):
                self._index(shard, _names_in(shard))

    def _index(self, shard: Path, names: Sequence[str] | dict[str, Tensor]) -> None:
        found: dict[str, list[str]] = {}
        for full in names:
            key, _, name = full.partition(_BETWEEN)
            found.setdefault(key, []).append(name)
        self._packed |= {key: (shard, tuple(own)) for key, own in found.items()}

    def _read(self, key: str) -> dict[str, Tensor]:
        if key not in self._packed and not self._path(key).exists():
            self._index_shards()  # another run that shares the folder may have packed it
        if key not in self._packed:
            return load_file(self._path(key))
        shard, names = self._packed[key]
        with safetensors.safe_open(shard, framework="pt") as f:
            return {name: f.get_tensor(f"{key}{_BETWEEN}{name}") for name in names}

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.safetensors"


def _is_whole(path: Path) -> bool:
    if not path.exists():
        return False
    try:
        with safetensors.safe_open(path, framework="pt"):  # compares the header with the file's length
            return True
    except (SafetensorError, OSError):
        path.unlink(missing_ok=True)
        return False


def _names_in(shard: Path) -> list[str]:
    with shard.open("rb") as f:
        header: dict[str, object] = json.loads(f.read(int.from_bytes(f.read(8), "little")))
    return [name for name in header if name != "__metadata__"]


def _by_size(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Groups of files of about a shard's size together, or smaller."""
    group: list[Path] = []
    size = 0
    for path in paths:
        group.append(path)
        size += path.stat().st_size
        if size >= SHARD_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group
