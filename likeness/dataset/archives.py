"""Datasets in a zip or tar file, unpacked once into a folder named after the file's content.

An archive may come from a stranger. Nothing is taken from its own words: names are checked before a file is made, sizes
are counted while it is written, and anything but plain files is refused. Files that no dataset uses are passed over.
"""

import errno
import hashlib
import shutil
import stat
import tarfile
import tempfile
import unicodedata
import zipfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

from likeness import durable
from likeness.dataset.captions import CAPTION_SUFFIXES
from likeness.dataset.formats import IMAGE_SUFFIXES
from likeness.dataset.metadata import METADATA_SUFFIXES
from likeness.dataset.wording import is_plain, one_line
from likeness.errors import InputError

ARCHIVE_SUFFIXES = (".zip", ".tar")
MAX_FILES = 200_000
MAX_BYTES = 64 << 30  # of all files together, unpacked
MAX_RATIO = 200  # unpacked to packed, of one file: pictures are packed already, and text reaches about 20
FREE_BYTES = 16 << 20  # up to this the ratio does not matter
CHUNK_BYTES = 1 << 20

_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO}


@dataclass(frozen=True)
class _Entry:
    name: str
    plain: bool  # a file, and no link or device
    size: int  # as the archive says
    packed: int
    open: Callable[[], IO[bytes]]


def is_archive(path: Path) -> bool:
    """By its name, and being a file."""
    return path.suffix.lower() in ARCHIVE_SUFFIXES and path.is_file()


def unpack(archive: Path, store: Path) -> Path:
    """The folder under `store` with the dataset files of an archive; made now, or found from an earlier time.

    Where everything lies in one folder inside the archive, it is that folder. Raises InputError for an archive that is
    damaged, has a password, leads out of its folder, or would be too large.
    """
    try:
        with archive.open("rb") as f:
            digest = hashlib.file_digest(f, "sha256").hexdigest()
    except OSError as e:
        raise InputError(f"{archive}: cannot be read ({e.strerror}). Fix: check its permissions") from None
    folder = store / digest[:32]
    if not folder.is_dir():
        store.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=durable.PARTIAL, dir=store))
        try:
            _unpack_into(archive, partial)
            with suppress(OSError):  # another process was faster: its folder holds the same
                partial.rename(folder)
        except OSError as e:
            raise InputError(f"{archive}: cannot be unpacked into {store} ({e.strerror}). Fix: make room there, or "
                             "unpack it yourself and name the folder") from None  # fmt: skip
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return _inner(folder)


def _inner(folder: Path) -> Path:
    """People pack a folder rather than what is in it."""
    while len(inside := list(folder.iterdir())) == 1 and inside[0].is_dir():
        folder = inside[0]
    return folder


def _unpack_into(archive: Path, folder: Path) -> None:
    with _read(archive) as entries:
        taken: dict[str, str] = {}  # the name as any file system may see it -> as it is written
        most = min(MAX_BYTES, max(FREE_BYTES, archive.stat().st_size * MAX_RATIO))  # entries may share their bytes
        total = count = 0
        for entry in entries:
            count += 1
            if count > MAX_FILES:
                raise InputError(f"{archive}: holds more than {MAX_FILES:,} entries. Fix: split it")
            target = _target(archive, entry)
            if target is None:
                continue
            same = unicodedata.normalize("NFC", str(target)).casefold()
            if same in taken:
                raise InputError(f"{archive}: holds both {taken[same]} and {entry.name}, which some systems take for "
                                 "one. Fix: rename one of them")  # fmt: skip
            taken[same] = entry.name
            if total + entry.size > shutil.disk_usage(folder).free:
                raise InputError(f"{archive}: takes more room than there is on the disk. Fix: free space first")
            total += _copy(archive, entry, folder / target, most - total)


def _target(archive: Path, entry: _Entry) -> PurePosixPath | None:
    """Where an entry belongs, below the folder; None for what no dataset uses. Raises InputError for a trap."""
    name = entry.name
    shown = one_line(name)[:200]
    parts = PureWindowsPath(name).parts  # knows both slashes, and drives
    if PureWindowsPath(name).anchor or name.startswith("/") or ".." in parts:
        raise InputError(f"{archive}: '{shown}' leads out of its folder. Fix: do not use this archive, or pack it anew")
    if not entry.plain:
        raise InputError(f"{archive}: '{shown}' is a link or a device. Fix: pack the files themselves")
    suffix = PurePosixPath(name).suffix.lower()
    if suffix not in IMAGE_SUFFIXES + CAPTION_SUFFIXES + METADATA_SUFFIXES:
        return None
    if any(part.startswith(".") or part == "__MACOSX" for part in parts):
        return None
    device = any(part.split(".")[0].strip().casefold() in _DEVICES for part in parts)
    long = any(len(part.encode("utf-8", "replace")) > 255 for part in parts) or len(name) > 1000
    if device or long or not is_plain(name) or "\\" in name or any(part != part.strip() for part in parts):
        raise InputError(f"{archive}: '{shown}' is no name that every system can hold. Fix: rename it and pack anew")
    return PurePosixPath(*parts)


def _copy(archive: Path, entry: _Entry, target: Path, room: int) -> int:
    """Write one file; the bytes written. Raises InputError once it is larger than what it may be."""
    room = min(room, max(FREE_BYTES, entry.packed * MAX_RATIO))
    written = 0
    target.parent.mkdir(parents=True, exist_ok=True)
    with entry.open() as source, target.open("xb") as sink:
        while chunk := source.read(CHUNK_BYTES):
            written += len(chunk)
            if written > room:
                raise InputError(
                    f"{archive}: '{entry.name}' unpacks to over {room:,} bytes, more than a dataset needs. "
                    "Fix: do not use this archive, or unpack it yourself and name the folder"
                )
            sink.write(chunk)
    return written


@contextmanager
def _read(archive: Path) -> Generator[Iterator[_Entry], None, None]:
    """The entries, with whatever a broken archive does told as an InputError."""
    try:
        if archive.suffix.lower() == ".tar":
            with tarfile.open(archive, "r:") as tar:
                yield _tar_entries(tar)
        else:
            with zipfile.ZipFile(archive) as pack:
                yield _zip_entries(pack)
    except InputError:
        raise
    except Exception as e:  # readers meet hostile bytes with many kinds of error
        if isinstance(e, OSError) and e.errno in _DISK:
            raise
        if isinstance(e, RuntimeError) and "encrypted" in str(e):
            raise InputError(f"{archive}: needs a password. Fix: unpack it yourself and name the folder") from None
        reason = one_line(str(e))[:200] or type(e).__name__
        raise InputError(f"{archive}: is damaged, or no archive of its kind ({reason}). Fix: get it again, or unpack "
                         "it yourself and name the folder") from None  # fmt: skip


def _zip_entries(pack: zipfile.ZipFile) -> Iterator[_Entry]:
    for info in pack.infolist():
        kind = stat.S_IFMT(info.external_attr >> 16)
        if not info.is_dir():
            plain = kind in (0, stat.S_IFREG)
            yield _Entry(info.filename, plain, info.file_size, info.compress_size, lambda i=info: pack.open(i))


def _tar_entries(tar: tarfile.TarFile) -> Iterator[_Entry]:
    for info in tar:
        if not info.isdir():
            yield _Entry(info.name, info.isreg(), info.size, info.size, lambda i=info: _opened(tar, i))


def _opened(tar: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    source = tar.extractfile(info)
    if source is None:
        raise tarfile.ReadError(f"{info.name} is no file")
    return source
