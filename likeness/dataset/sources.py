"""Where a dataset lies: the files of a folder, an archive or a list, without anything that leads out of it."""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from likeness.config.data import DatasetConfig
from likeness.dataset.archives import ARCHIVE_SUFFIXES, is_archive, unpack
from likeness.dataset.captions import CAPTION_SUFFIXES
from likeness.dataset.formats import OTHER_PICTURES, READ_FORMATS, is_picture
from likeness.dataset.metadata import METADATA_SUFFIXES, Row
from likeness.dataset.problems import Remarks
from likeness.dataset.wording import is_plain
from likeness.errors import InputError

MOST_LOOKED_AT = 2000  # entries of a folder that is not read, to tell whether it holds pictures

_SYSTEM_FILES = {"thumbs.db", "desktop.ini"}
_REPEATS = re.compile(r"(\d{1,3})_(.+)")  # four digits are a year


@dataclass(frozen=True)
class Source:
    """A dataset's files, in natural order."""

    root: Path  # absolute
    files: list[Path]
    listed_in: Path | None = None  # the list that was named as the path
    skipped: list[Path] = field(default_factory=list[Path])  # folders with pictures that are not read

    def inside(self, file: Path) -> str:
        """The path of one of the files below the root."""
        return str(file)[len(str(self.root)) :].lstrip(os.sep)

    @cached_property
    def pictures(self) -> list[Path]:
        return [f for f in self.files if is_picture(f)]

    @cached_property
    def sidecars(self) -> dict[str, Path]:
        """By path without its ending; of several the first in the order of `CAPTION_SUFFIXES`."""
        found: dict[str, Path] = {}
        ranks = {suffix: rank for rank, suffix in enumerate(CAPTION_SUFFIXES)}
        texts = [(ranks[f.suffix.lower()], f) for f in self.files if f.suffix.lower() in ranks]
        for _, file in sorted(texts, key=lambda pair: pair[0], reverse=True):
            found[str(file)[: -len(file.suffix)]] = file
        return found


@dataclass(frozen=True, slots=True)
class Candidate:
    """A picture with what belongs to it, before any of it is opened."""

    picture: Path
    name: str  # for messages
    bases: tuple[str, ...]  # paths without ending, at which a text file is looked for
    write_to: str  # where a missing text should be written
    references: tuple[Path, ...] = ()
    mask: Path | None = None
    row: Row | None = None  # of a list

    @property
    def files(self) -> tuple[Path, ...]:
        own_mask = (self.mask,) if self.mask and self.mask != self.picture else ()
        return (self.picture, *self.references, *own_mask)


def open_source(
    settings: DatasetConfig, store: Path, remarks: Remarks, always: Callable[[str], bool] = lambda _: False
) -> Source:
    """The files of a dataset. Archives are unpacked below `store`.

    Folders inside are read where the settings say so, where their name sets repeats, and where `always` says so of the
    name. Raises InputError if there is nothing to read.
    """
    path = Path(os.path.abspath(settings.path))
    if is_archive(path):
        path = unpack(path, store)
    listed_in = None
    if path.suffix.lower() in METADATA_SUFFIXES and not path.is_dir():
        path, listed_in = path.parent, path
    elif not path.exists():
        raise InputError(f"the folder {path} does not exist. Fix: correct the path, or create the folder")
    elif not path.is_dir():
        raise InputError(f"{path} is a file, not a folder. Fix: name the folder that holds the pictures, one of "
                         f"{', '.join(ARCHIVE_SUFFIXES)}, or a list ({', '.join(METADATA_SUFFIXES)})")  # fmt: skip
    elsewhere = {os.path.realpath(folder) for folder in (settings.mask_folder, *settings.controls) if folder}

    def enter(folder: Path) -> bool:
        if os.path.realpath(folder) in elsewhere:
            return False
        top = folder.relative_to(path).parts[0]
        inner = folder.parent != path
        return (
            settings.subfolders
            or listed_in is not None  # what the list names decides
            or always(top)
            or (not inner and folder_repeats(folder) is not None)
        )

    files, passed = list_files(path, enter, remarks)
    skipped = [f for f in passed if os.path.realpath(f) not in elsewhere and _holds_pictures(f)]
    source = Source(path, files, listed_in, skipped)
    if not source.pictures and listed_in is None:
        raise InputError(_nothing_in(source, Path(os.path.abspath(settings.path))))
    return source


def list_files(root: Path, enter: Callable[[Path], bool], remarks: Remarks) -> tuple[list[Path], list[Path]]:
    """The files below a folder in natural order, and the folders that were not entered.

    Hidden and system files are passed over. Links that lead out of the folder, and names that cannot be shown, are set
    aside with a note; linked folders are not followed, since those inside are read anyway.
    Raises InputError if the folder cannot be read.
    """
    real_root = os.path.realpath(root)
    files: list[Path] = []
    passed: list[Path] = []
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                found = list(entries)
        except OSError as e:
            raise InputError(f"{folder}: cannot be read ({e.strerror}). Fix: check its permissions") from None
        for entry in found:
            if entry.name.startswith(".") or entry.name.lower() in _SYSTEM_FILES:
                continue
            path = Path(entry.path)
            if not is_plain(entry.name):
                shown = ascii(entry.path)
                remarks.notes.append(f"{shown} is left out: its name has signs that cannot be shown. Fix: rename it")
            elif entry.is_symlink():
                if not is_inside(path, real_root):
                    fix = "Fix: put the file itself there"
                    remarks.notes.append(f"{path} is left out: the link leads out of {root}. {fix}")
                elif not os.path.isdir(path):
                    files.append(path)
            elif entry.is_dir():
                (waiting if enter(path) else passed).append(path)
            else:
                files.append(path)
    start = len(str(root)) + 1
    in_order = sorted(files, key=lambda f: natural_key(str(f)[start:]))
    return in_order, sorted(passed, key=lambda f: natural_key(f.name))


def is_inside(path: Path, real_root: str) -> bool:
    """Whether a path, with all links followed, lies in a folder that is given by its real path."""
    real = os.path.realpath(path)
    return real == real_root or real.startswith(real_root.rstrip(os.sep) + os.sep)


def natural_key(name: str) -> tuple[list[str | int], str]:
    """Sorts img2 before img10, and the same on every machine."""
    pieces = re.split(r"([0-9]+)", name.casefold())  # text and digits take turns
    return [int(p[:300]) if i % 2 else p for i, p in enumerate(pieces)], name


def folder_repeats(folder: Path) -> tuple[int, str] | None:
    """(repeats, class) of a folder called like '40_maya woman'; None for other names."""
    match = _REPEATS.fullmatch(folder.name)
    return (int(match[1]), match[2].strip()) if match and int(match[1]) > 0 else None


def by_stem(files: Iterable[Path], root: Path) -> dict[str, list[Path]]:
    """Files by their path below `root`, without its ending."""
    found: dict[str, list[Path]] = {}
    for file in files:
        found.setdefault(file.relative_to(root).with_suffix("").as_posix(), []).append(file)
    return found


def _holds_pictures(folder: Path) -> bool:
    seen = 0
    for _, _, names in os.walk(folder):
        if any(is_picture(Path(name)) for name in names):
            return True
        seen += len(names) + 1
        if seen > MOST_LOOKED_AT:
            return False
    return False


def _nothing_in(source: Source, named: Path) -> str:
    """`named`: the folder or archive as it was asked for."""
    kinds = Counter(f.suffix.lower() or "without suffix" for f in source.files)
    found = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(6)) or "nothing"
    what = f"{named} holds no pictures. {READ_FORMATS} are read; found {found} instead."
    if source.skipped:
        return (
            f"{what} There are some in its sub-folders. Fix: set `subfolders: true` (--subfolders on the command "
            "line), or name the folder that is meant"
        )
    if any(f.suffix.lower() in OTHER_PICTURES for f in source.files):
        return f"{what} Fix: convert the files"
    return f"{what} Fix: name another {'archive' if named.suffix.lower() in ARCHIVE_SUFFIXES else 'folder'}"
