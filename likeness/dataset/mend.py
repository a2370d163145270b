"""Safe repairs of a dataset's folder, each of which can be taken back: nothing is deleted, nothing is lost.

`.likeness/` in the folder keeps pictures that were set aside (`removed/`), captions as they were (`originals/`) and a
list of all that was done (`changes.jsonl`), each line written before its change.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from likeness import durable
from likeness.dataset.captions import CAPTION_SUFFIXES, apply_trigger
from likeness.dataset.checks.copies import copy_groups
from likeness.dataset.checks.trigger import find_variant, lacks_trigger
from likeness.dataset.manifest import Example
from likeness.dataset.metadata import find_metadata
from likeness.dataset.wording import one_line
from likeness.errors import InputError

KEPT = ".likeness"
CHANGES = "changes.jsonl"

_TEXT_SUFFIXES = CAPTION_SUFFIXES[:2]  # the last one, .json, may be anything


@dataclass(frozen=True)
class Change:
    """One thing done in a dataset's folder. Paths are relative to it."""

    action: str  # 'moved' or 'edited'
    file: str
    kept: str = ""  # where the picture, or the caption as it was, lies now
    sha256: str = ""  # of a caption as it was written
    why: str = ""

    def in_words(self) -> str:
        """For people."""
        where = f" to {self.kept}" if self.action == "moved" else ""
        return f"{self.action} {self.file}{where}: {self.why}"


def mend(folder: Path, examples: Sequence[Example]) -> list[Change]:
    """Set exact copies aside, and write the trigger into captions that lack it. Returns what was done.

    Captions in lists and in shared files are left as they are. Raises OSError where the folder cannot be written; what
    was done until then is in the list.
    """
    folder = folder.absolute()
    inside = [e for e in examples if Path(e.path).is_relative_to(folder)]
    listed = find_metadata(folder) is not None  # the list would name what is gone
    removed, moves = (set[str](), []) if listed else _copies_to_move(folder, inside)
    done = [_move(folder, file, why) for file, why in moves]
    for e in inside:
        if e.path not in removed and not e.references and lacks_trigger(e):
            done += _write_trigger(folder, e)
    return done


def undo(folder: Path) -> tuple[list[str], list[str]]:
    """Take back all changes, the last first: (what was done, what could not be).

    A caption that a person has edited since stays as it is. Raises InputError if there is nothing to take back.
    """
    folder = folder.absolute()
    changes = _read_changes(folder)
    done: list[str] = []
    left: list[str] = []
    for change in reversed(changes):
        problem = _take_back(folder, change)
        if problem:
            left.append(problem)
        else:
            done.append(f"{change.file}: as it was")
    stays = folder / KEPT / CHANGES
    stays.rename(stays.with_name(f"undone-{len(list(stays.parent.glob('undone-*'))) + 1}.jsonl"))
    return done, left


# --- copies


def _copies_to_move(folder: Path, examples: Sequence[Example]) -> tuple[set[str], list[tuple[Path, str]]]:
    """Paths of the examples that go, and the files to move with the reason, captions included."""
    removed: set[str] = set()
    moves: dict[Path, str] = {}
    for group in copy_groups(examples):
        first, *rest = (examples[i] for i in group)
        for e in rest:
            if e.path == first.path:  # one file read twice
                continue
            removed.add(e.path)
            why = f"the same as {_relative(folder, first.path)}"
            masks = (e.mask,) if e.mask else ()
            for picture in (e.path, *e.references, *masks):
                moves |= dict.fromkeys(_with_captions(Path(picture)), why)
    staying = {p for e in examples if e.path not in removed for p in (e.path, *e.references, e.mask or "")}
    return removed, [(file, why) for file, why in moves.items() if str(file) not in staying]


def _with_captions(picture: Path) -> Iterator[Path]:
    yield picture
    for suffix in _TEXT_SUFFIXES:
        for text in (picture.with_suffix(suffix), picture.with_suffix(suffix.upper())):
            if text.is_file():
                yield text


def _move(folder: Path, file: Path, why: str) -> Change:
    name = _relative(folder, file)
    kept = _free(folder, f"{KEPT}/removed/{name}")
    change = Change("moved", name, kept, why=why)
    _note(folder, change)
    (folder / kept).parent.mkdir(parents=True, exist_ok=True)
    os.replace(file, folder / kept)
    return change


# --- captions


def _write_trigger(folder: Path, e: Example) -> Iterator[Change]:
    """A misspelled trigger is set right, a missing one put in front."""
    own = None if e.captions else _own_text(e)
    if own is None:
        return  # drawn from several, or from a list, a name or the settings: not ours to write into
    file, before = own
    after, why = with_trigger(before, e.trigger)
    name = _relative(folder, file)
    kept = _free(folder, f"{KEPT}/originals/{name}")
    durable.write_bytes(folder / kept, file.read_bytes())
    change = Change("edited", name, kept, hashlib.sha256(after.encode()).hexdigest(), why)
    _note(folder, change)
    durable.write_text(file, after)
    yield change


def with_trigger(text: str, trigger: str) -> tuple[str, str]:
    """A caption that lacks the trigger, with it; and what was done to it."""
    variant = find_variant(text, trigger)
    if variant:
        return text.replace(variant, trigger), f"'{variant}' is now '{trigger}'"
    return f"{trigger}, {text.strip()}\n", f"'{trigger}' put in front"


def _own_text(e: Example) -> tuple[Path, str] | None:
    """The text file beside a picture from which its caption came, and what it says; None where it came from elsewhere,
    whatever else lies there."""
    _, *files = _with_captions(Path(e.path))
    for file in files:
        try:
            text = file.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError):
            continue
        whole, first = one_line(text), one_line(next(filter(str.strip, text.splitlines()), ""))
        if e.caption and e.caption in (apply_trigger(whole, e.trigger), apply_trigger(first, e.trigger)):
            return file, text
    return None


# --- the list of changes


def _note(folder: Path, change: Change) -> None:
    (folder / KEPT).mkdir(exist_ok=True)
    durable.append_line(folder / KEPT / CHANGES, json.dumps(asdict(change), ensure_ascii=False))


def _read_changes(folder: Path) -> list[Change]:
    file = folder / KEPT / CHANGES
    try:
        rows: list[Any] = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line]
        changes = [Change(**row) for row in rows]
    except FileNotFoundError:
        raise InputError(f"{folder}: nothing was changed here by --fix, so there is nothing to undo") from None
    except (ValueError, TypeError):
        raise InputError(f"{file}: is damaged. Fix: move the files in {folder / KEPT} back by hand") from None
    for change in changes:  # the folder may come from somebody else
        for name in filter(None, (change.file, change.kept)):
            if not (folder / name).resolve().is_relative_to(folder.resolve()):
                raise InputError(f"{file}: '{name}' leads out of {folder}. Fix: this list was not written by Likeness")
    return changes


def _take_back(folder: Path, change: Change) -> str | None:
    """Why it cannot be taken back, or None."""
    file, kept = folder / change.file, folder / change.kept
    if change.action == "moved":
        if file.exists():
            return f"{change.file}: another file has taken its place; the old one is {kept}"
        if not kept.is_file():
            return f"{change.file}: {kept} is gone"
        file.parent.mkdir(parents=True, exist_ok=True)
        os.replace(kept, file)
        return None
    if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != change.sha256:
        return f"{change.file}: has been edited since and stays; as it was: {kept}"
    if not kept.is_file():
        return f"{change.file}: {kept} is gone"
    os.replace(kept, file)
    return None


def _relative(folder: Path, file: str | Path) -> str:
    return Path(file).relative_to(folder).as_posix()


def _free(folder: Path, name: str) -> str:
    """`name`, or one like it that no file has."""
    path, number = Path(name), 1
    while (folder / path).exists():
        number += 1
        path = Path(name).with_name(f"{Path(name).stem}-{number}{Path(name).suffix}")
    return path.as_posix()
