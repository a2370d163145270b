"""What was done to a dataset's files, in steps that can each be taken back.

A step is a folder `steps/NUMBER/`: `step.jsonl` says which files it changed, each line written before its change, and
the files as they were lie beside it. Nothing that a step takes away is deleted.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from likeness import durable
from likeness.dataset.formats import is_picture
from likeness.errors import Conflict, NotFound
from likeness.studio.datasets.rows import files_of, folder_of, get, locked, touch
from likeness.studio.workspace import Studio

MOST_TEXT_STEPS = 500  # older ones are forgotten; never one that keeps a picture

PICTURE_MODE = 0o444  # versions share the file: nothing may write into it

_LOG, _UNDONE = "step.jsonl", "undone"


@dataclass(frozen=True)
class Step:
    """One thing that was done."""

    number: int
    what: str  # for people: 'removed 3 pictures'
    time: float
    files: list[str]
    undone: bool


class Recorder:
    """Says, before each change, which file is about to be changed. Names are paths below `files/`."""

    def __init__(self, files: Path, place: Path):
        self._files, self._place = files, place
        self._kept: dict[str, str | None] = {}  # name -> where the file as it was lies, None where there was none

    def keep(self, name: str) -> None:
        """The file is about to be replaced or made."""
        if name in self._kept:
            return
        file = self._files / name
        kept = f"{len(self._kept)}{file.suffix}" if file.is_file() else None
        if kept:
            preserve(file, self._place / kept)
        self._note(name, kept)

    def set_aside(self, name: str) -> None:
        """Take the file away, where there is one."""
        self.keep(name)
        (self._files / name).unlink(missing_ok=True)

    def _note(self, name: str, kept: str | None) -> None:
        self._kept[name] = kept
        durable.append_line(self._place / _LOG, json.dumps({"file": name, "kept": kept}))

    def close(self) -> None:
        after = {name: _digest(self._files / name) for name in self._kept}
        durable.append_line(self._place / _LOG, json.dumps({"after": after}))

    @property
    def empty(self) -> bool:
        return not self._kept


@contextmanager
def taking(studio: Studio, dataset_id: str, what: str) -> Generator[Recorder]:
    """A step, with the dataset's lock held. One that changes nothing leaves no trace."""
    with locked(studio, dataset_id):
        folder = _folder(studio, dataset_id)
        place = folder / str(max(_numbers(folder), default=0) + 1)
        place.mkdir(parents=True)
        durable.append_line(place / _LOG, json.dumps({"what": what, "time": time.time()}))
        recorder = Recorder(files_of(studio, dataset_id), place)
        try:
            yield recorder
        finally:
            if recorder.empty:
                shutil.rmtree(place, ignore_errors=True)
            else:
                recorder.close()
                touch(studio, dataset_id)
                _forget_old(folder)


def listed(studio: Studio, dataset: str, limit: int = 20) -> list[Step]:
    """The last steps, newest first."""
    folder = _folder(studio, get(studio, dataset).id)
    found = (_read(folder / str(number)) for number in sorted(_numbers(folder), reverse=True))
    return [step for step, _, _ in (f for f in found if f)][:limit]


def undo(studio: Studio, dataset: str, number: int | None = None) -> tuple[Step, list[str]]:
    """Take back a step, or the last one that stands: (what it was, which files were left as they are).

    A file that has been changed since stays. Raises NotFound where there is no such step, Conflict where it has been
    taken back.
    """
    dataset_id = get(studio, dataset).id
    with locked(studio, dataset_id):
        folder, files = _folder(studio, dataset_id), files_of(studio, dataset_id)
        if number is None:
            number = next((s.number for s in listed(studio, dataset_id, 10**6) if not s.undone), 0)
        place = folder / str(number)
        found = _read(place)
        if found is None:
            raise NotFound("there is nothing to undo. Fix: take a number from the list of steps")
        step, kept, after = found
        if step.undone:
            raise Conflict(f"'{step.what}' has been taken back already. Fix: take another step")
        left: list[str] = []
        for name, old in reversed(kept.items()):
            if after is not None and _digest(files / name) != after.get(name):
                left.append(name)
            else:
                _put_back(files / name, place / old if old else None)
        durable.write_text(place / _UNDONE, "")
        touch(studio, dataset_id)
    return step, left


def preserve(file: Path, target: Path) -> None:
    """The same file under another name: a picture is linked where the disk can, for it is only ever replaced whole;
    anything else is copied, as an editor may write into it. Raises FileExistsError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if is_picture(file):
        try:
            os.link(file, target)
            return
        except FileExistsError:
            raise
        except OSError:
            pass  # a disk without links
    with file.open("rb") as source, target.open("xb") as copy:
        shutil.copyfileobj(source, copy)
        copy.flush()
        os.fsync(copy.fileno())
    if is_picture(file):
        os.chmod(target, PICTURE_MODE)


def _put_back(file: Path, kept: Path | None) -> None:
    if kept is None:
        file.unlink(missing_ok=True)
        return
    partial = file.with_name(f"{durable.PARTIAL}{os.getpid()}-{file.name}")
    partial.unlink(missing_ok=True)
    preserve(kept, partial)
    os.replace(partial, file)
    partial.unlink(missing_ok=True)  # a rename onto another name of the same file does nothing
    durable.flush_folder(file.parent)


def _folder(studio: Studio, dataset_id: str) -> Path:
    return folder_of(studio, dataset_id) / "steps"


def _numbers(folder: Path) -> list[int]:
    return [int(p.name) for p in folder.iterdir() if p.name.isdecimal()] if folder.is_dir() else []


def _read(place: Path) -> tuple[Step, dict[str, str | None], dict[str, str | None] | None] | None:
    """A step, where each of its files as it was lies, and the digests that it left; None of the last for a step that
    was cut short."""
    rows: list[dict[str, Any]] = []
    try:
        for line in (place / _LOG).read_text(encoding="utf-8").splitlines():
            rows.append(json.loads(line))
    except OSError:
        return None
    except ValueError:
        pass  # the last line of a killed process
    if not rows:
        return None
    kept = {str(row["file"]): row["kept"] for row in rows if "file" in row}
    after = next((row["after"] for row in rows if "after" in row), None)
    undone = (place / _UNDONE).exists()
    return Step(int(place.name), str(rows[0]["what"]), float(rows[0]["time"]), list(kept), undone), kept, after


def _forget_old(folder: Path) -> None:
    for number in sorted(_numbers(folder), reverse=True)[MOST_TEXT_STEPS:]:
        found = _read(folder / str(number))
        if found and not any(is_picture(Path(name)) and kept for name, kept in found[1].items()):
            shutil.rmtree(folder / str(number), ignore_errors=True)


def _digest(file: Path) -> str | None:
    try:
        with file.open("rb") as f:
            return hashlib.file_digest(f, "sha256").hexdigest()
    except OSError:
        return None
