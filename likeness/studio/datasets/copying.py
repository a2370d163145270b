"""Datasets as they leave: a zip file that can be put into another, and a second dataset with the same pictures."""

import io
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from likeness.dataset.formats import is_picture
from likeness.errors import Conflict, InputError
from likeness.store.tables import Dataset
from likeness.studio.datasets import freezing, rows
from likeness.studio.datasets.rows import files_of, get, locked
from likeness.studio.file_names import file_stem
from likeness.studio.workspace import Studio

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

CHUNK_BYTES = 1 << 18


@dataclass(frozen=True)
class Export:
    """A zip file as it is made; it is never whole in memory or on disk."""

    name: str
    chunks: Iterator[bytes]


def duplicate(studio: Studio, dataset: str, name: str = "", version: int | None = None) -> Dataset:
    """Another dataset with the same pictures and captions, or those of a version. They share no file that changes."""
    row = get(studio, dataset)
    source = files_of(studio, row.id) if version is None else freezing.version_folder(studio, row.id, version)
    copy = _created(studio, row, name)
    try:
        with locked(studio, row.id):
            freezing.copy_files(source, files_of(studio, copy.id))
    except BaseException:
        rows.delete(studio, copy.id)
        rows.erase(studio, copy.id)
        raise
    return copy


def _created(studio: Studio, row: Dataset, name: str) -> Dataset:
    """With the name asked for, or else one that is free."""
    if name:
        return rows.create(studio, name, row.kind, row.trigger, row.base, row.description)
    for number in range(1, 1000):
        wanted = f"{row.name[: rows.LONGEST_NAME - 10]} copy{f' {number}' if number > 1 else ''}"
        try:
            return rows.create(studio, wanted, row.kind, row.trigger, row.base, row.description)
        except Conflict:
            continue
    raise Conflict("name: there are too many copies. Fix: choose a name")


def export(studio: Studio, dataset: str, version: int | None = None) -> Export:
    """All pictures and captions as a zip file, as they are now or in a version. Raises InputError where there is
    nothing."""
    row = get(studio, dataset)
    name = file_stem(row.name, "dataset") + (f"-v{version}" if version is not None else "") + ".zip"
    if version is not None:
        folder = freezing.version_folder(studio, row.id, version)
        return Export(name, _zipped(folder, None))
    if not freezing.names_in(files_of(studio, row.id)):
        raise InputError(f"dataset '{row.name}': is empty. Fix: add pictures first")
    studio.uploads.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(dir=studio.uploads, prefix="export-"))
    try:
        with locked(studio, row.id):  # as it is at one moment; pictures are linked, so it takes no room
            freezing.copy_files(files_of(studio, row.id), place / "files")
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    return Export(name, _zipped(place / "files", place))


def _zipped(folder: Path, temporary: Path | None) -> Iterator[bytes]:
    """Pictures are packed already, so they are stored as they are."""
    sink = _Sink()
    try:
        with zipfile.ZipFile(sink, "w") as pack:
            for name in freezing.names_in(folder):
                kind = zipfile.ZIP_STORED if is_picture(Path(name)) else zipfile.ZIP_DEFLATED
                entry = zipfile.ZipInfo.from_file(folder / name, name, strict_timestamps=False)
                entry.compress_type, entry.external_attr = kind, 0o644 << 16
                with (folder / name).open("rb") as source, pack.open(entry, "w") as target:
                    while data := source.read(CHUNK_BYTES):
                        target.write(data)
                        yield sink.taken()
        yield sink.taken()
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


class _Sink(io.RawIOBase):
    """Where the zip is written to, and taken from at once. It cannot go back, and zipfile knows how to do without."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: "ReadableBuffer") -> int:
        self._waiting += data
        return memoryview(data).nbytes

    def taken(self) -> bytes:
        data = bytes(self._waiting)
        self._waiting.clear()
        return data
