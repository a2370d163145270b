"""Files on their way in: written to a partial file as they come, and gone on with where they were cut off.

An upload is known by its owner ('dataset:ID'), the name that the sender gives it, its size, and a stamp that tells it
from another file of that name and size, such as when it was last changed. Its bytes lie in `uploads/`; what became of
it is kept for a while, so that a sender who missed the answer can ask again.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from errno import ENOSPC
from pathlib import Path
from typing import Any

from likeness import durable
from likeness.errors import Conflict, InputError, NotFound
from likeness.studio.workspace import Studio

KEEP_SECONDS = 7 * 24 * 3600  # what was neither finished nor gone on with for so long is given up
SPARE_BYTES = 256 << 20  # that stay free on the disk
OPEN = "open"  # folder with one for each owner
MOST_KEPT = 2000  # uploads of one owner that are remembered; of more the older half of those that ended is forgotten


@dataclass(frozen=True)
class Upload:
    """One file on its way, or arrived."""

    owner: str
    name: str  # as the sender calls it
    total: int  # bytes
    received: int
    changed: float
    result: dict[str, Any] | None = None  # what became of it, once all had arrived
    problem: str | None = None  # why it could not be used
    stamp: str = ""

    @property
    def ended(self) -> bool:
        return self.result is not None or self.problem is not None


class Busy(Conflict):
    """Another sender has this upload."""


class Incoming:
    """The partial file, held by one sender. `write` takes bytes as they come; raises InputError for more than told."""

    def __init__(self, path: Path, name: str, total: int | None, most: int, stamp: str = ""):
        self.path, self.name, self.total, self._most, self.stamp = path, name, total, most, stamp
        self._file = path.open("ab")
        self.received = self._file.tell()

    def write(self, data: bytes) -> None:
        if self.received + len(data) > (self._most if self.total is None else self.total):
            raise InputError(f"{self.name}: has more bytes than were told or are taken. Fix: send at most "
                             f"{self._most if self.total is None else self.total:,}")  # fmt: skip
        self._file.write(data)
        self.received += len(data)

    @property
    def whole(self) -> bool:
        """Whether all that was told has come."""
        return self.total is None or self.received == self.total

    def flush(self) -> None:
        """So that others can read what has come."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


@contextmanager
def receiving(studio: Studio, name: str, most: int, told: int | None = None) -> Generator[Incoming]:
    """A file that comes in one go: whatever happens, its partial file is gone at the end, unless it was moved away.

    `told`: bytes that the sender announced. Raises InputError for more than `most`, OSError where the disk is full.
    """
    _refuse_large(name, told, most)
    _need_room(studio, told or 0)
    path = studio.uploads / f"{os.urandom(8).hex()}.part"
    path.parent.mkdir(parents=True, exist_ok=True)
    incoming = Incoming(path, name, None, most)
    try:
        yield incoming
    finally:
        incoming.close()
        path.unlink(missing_ok=True)


@contextmanager
def going_on(
    studio: Studio, owner: str, name: str, total: int, offset: int, most: int, stamp: str = ""
) -> Generator[Incoming]:
    """Part of an upload, from `offset` on; from 0 it begins anew. What has come stays, however it ends.

    To be ended by `end` within the block. Raises Conflict where the offset is not how much there is, and Busy where
    another sender is at it.
    """
    _refuse_large(name, total, most)
    place = _place(studio, owner, name, total, stamp)
    if not place.exists() and len(listed(studio, owner)) >= MOST_KEPT:
        _forget_ended(studio, owner)
    place.mkdir(parents=True, exist_ok=True)
    with (place / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as e:
            raise Busy(f"{name}: is being sent by another. Fix: wait for it") from e
        if offset == 0:
            _need_room(studio, total)
            (place / "data").unlink(missing_ok=True)
            _write(place, Upload(owner, name, total, 0, time.time(), stamp=stamp))
        elif (before := _read(place)) is None or before.ended:
            raise Conflict(f"offset: nothing of {name} is here. Fix: send it from 0")
        incoming = Incoming(place / "data", name, total, most, stamp)
        try:
            if incoming.received != offset:
                raise Conflict(f"offset: {incoming.received:,} bytes have arrived, not {offset:,}. Fix: go on from "
                               f"{incoming.received}")  # fmt: skip
            yield incoming
        finally:
            incoming.close()


def find(studio: Studio, owner: str, name: str, total: int, stamp: str = "") -> Upload:
    """Raises NotFound."""
    found = _read(_place(studio, owner, name, total, stamp))
    if found is None:
        raise NotFound(f"nothing of {name} is here. Fix: send it from 0")
    return found


def end(
    studio: Studio, owner: str, incoming: Incoming, *, result: dict[str, Any] | None = None, problem: str | None = None
) -> None:
    """Write down what became of an upload that came whole, and let go of its bytes."""
    total = incoming.received
    place = _place(studio, owner, incoming.name, total, incoming.stamp)
    _write(place, Upload(owner, incoming.name, total, total, time.time(), result, problem, incoming.stamp))
    incoming.path.unlink(missing_ok=True)


def listed(studio: Studio, owner: str) -> list[Upload]:
    """Those of an owner, the latest first."""
    return [upload for upload, _ in _found(studio, owner)]


def unfinished(studio: Studio, owner: str, for_seconds: float = 0) -> list[Upload]:
    """Those that are not whole, and of which nothing has come for so long; the latest first."""
    places = (studio.uploads / OPEN / _folder_name(owner)).glob("*/data")  # what has ended has let go of its bytes
    found = (_read(data.parent) for data in places)
    late = time.time() - for_seconds
    return sorted((u for u in found if u and not u.ended and u.changed <= late), key=lambda u: -u.changed)


def forget(studio: Studio, owner: str) -> None:
    """Let go of all uploads of an owner, finished or not; but not of one that is being sent."""
    folder = studio.uploads / OPEN / _folder_name(owner)
    for place in list(folder.iterdir()) if folder.is_dir() else []:
        with (place / "lock").open("w") as lock, suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(place, ignore_errors=True)


def sweep(studio: Studio) -> int:
    """Remove what nobody has gone on with for long, and what killed processes left; how many that were."""
    removed, limit = 0, time.time() - KEEP_SECONDS
    others = (place for place in studio.uploads.glob("*") if place.name != OPEN)
    for place in [*others, *studio.uploads.glob(f"{OPEN}/*/*")]:
        with suppress(OSError):
            if max(f.stat().st_mtime for f in (place, *place.rglob("*"))) < limit:
                shutil.rmtree(place) if place.is_dir() else place.unlink()
                removed += 1
    return removed


def _refuse_large(name: str, told: int | None, most: int) -> None:
    if told is not None and not 0 <= told <= most:
        raise InputError(f"{name}: has {told:,} bytes, and at most {most:,} are taken. Fix: make it smaller")


def _need_room(studio: Studio, wanted: int) -> None:
    free = shutil.disk_usage(studio.root).free
    if wanted + SPARE_BYTES > free:
        raise OSError(ENOSPC, f"No space left on the disk: {wanted:,} bytes are to come and {free:,} are free")


def _found(studio: Studio, owner: str) -> list[tuple[Upload, Path]]:
    folder = studio.uploads / OPEN / _folder_name(owner)
    found = [(_read(place), place) for place in folder.iterdir()] if folder.is_dir() else []
    return sorted(((u, p) for u, p in found if u), key=lambda pair: -pair[0].changed)


def _forget_ended(studio: Studio, owner: str) -> None:
    for upload, place in _found(studio, owner)[MOST_KEPT // 2 :]:
        if upload.ended:
            shutil.rmtree(place, ignore_errors=True)


def _place(studio: Studio, owner: str, name: str, total: int, stamp: str) -> Path:
    key = hashlib.sha256(f"{total} {stamp} {name}".encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return studio.uploads / OPEN / _folder_name(owner) / key


def _folder_name(owner: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "-", owner)


def _write(place: Path, upload: Upload) -> None:
    durable.write_text(place / "upload.json", json.dumps(asdict(upload)))


def _read(place: Path) -> Upload | None:
    try:
        kept = Upload(**json.loads((place / "upload.json").read_text(encoding="utf-8")))
        if kept.ended:
            return kept
        data = place / "data"
        facts = data.stat() if data.exists() else None
    except (OSError, ValueError, TypeError):
        return None
    return replace(kept, received=facts.st_size, changed=facts.st_mtime) if facts else kept
