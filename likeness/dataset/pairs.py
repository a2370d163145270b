"""Pictures before and after with an instruction: the picture after is the one to learn, from one or more before.

Layouts are told apart by what is there: folders named in the settings, a list, folders called before and after, or
names that end so.
"""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from likeness.config.data import DatasetConfig
from likeness.dataset.formats import READ_FORMATS, is_picture
from likeness.dataset.masks import CONDITION_SUFFIX, FindMask
from likeness.dataset.metadata import (
    MASK_KEYS,
    METADATA_NAMES,
    PICTURE_KEYS,
    REFERENCE_KEYS,
    Row,
    find_metadata,
    leads_out,
    read_metadata,
    spoken,
)  # fmt: skip
from likeness.dataset.problems import Problem, Remarks
from likeness.dataset.sources import Candidate, Source, by_stem, is_inside, list_files
from likeness.errors import InputError

LAYOUTS = (
    "Pairs can be laid out as before/NAME.png with after/NAME.png; as NAME_before.png with NAME_after.png; as folders "
    'named in `controls:`; or as a list pairs.jsonl with rows {"before": "a.png", "after": "b.png", "instruction": '
    '"make it night"}'
)

_BEFORE = ("before", "source", "control", "controls", "input", "start")
_AFTER = ("after", "target", "targets", "output", "end")
_SIDE = re.compile(rf"({'|'.join((*_BEFORE, *_AFTER))})[_ -]?([0-9]{{0,3}})", re.IGNORECASE)
_ENDING = re.compile(rf"(.+)_({'|'.join((*_BEFORE, *_AFTER))})_?([0-9]{{0,3}})", re.IGNORECASE)


@dataclass(frozen=True)
class _Side:
    """A folder with the first, second … picture before, by name without ending."""

    folder: Path
    files: Mapping[str, Sequence[Path]]


@dataclass(frozen=True)
class Ending:
    """What a name that ends like 'NAME_before' or 'NAME_after' says; several before have numbers."""

    base: str
    side: Literal["before", "after"]
    number: int


def ending_of(stem: str) -> Ending | None:
    """Of a name without its ending such as '.png'; None where it does not say."""
    match = _ENDING.fullmatch(stem)
    if not match:
        return None
    side, number = _side_of(match[2], match[3])
    return Ending(match[1], "before" if side == "before" else "after", number)


def is_side(name: str) -> bool:
    """Whether a folder of that name holds one side of pairs: 'before', 'after', 'control_2' …"""
    return _SIDE.fullmatch(name) is not None


def find_pairs(settings: DatasetConfig, source: Source, find_mask: FindMask, remarks: Remarks) -> list[Candidate]:
    """The pairs of whichever layout is there. Single faults go to `remarks`; raises InputError if there is none."""
    if settings.controls:
        sides = [_named_side(Path(folder), remarks) for folder in settings.controls]
        return _matched(by_stem(source.pictures, source.root), sides, source, source.root, find_mask, remarks)
    listed_in = source.listed_in or find_metadata(source.root)
    if listed_in and (rows := read_metadata(listed_in, remarks.problems)):
        if source.listed_in or any(row.references for row in rows) or listed_in.name in METADATA_NAMES[:2]:
            return _from_rows(rows, listed_in, find_mask, remarks)
    elif source.listed_in:
        return []  # what is wrong with it is told

    in_folders = {f: m for f in source.pictures if (m := _folder_side(f.relative_to(source.root)))}
    by_ending = {f: m for f in source.pictures if f not in in_folders and (m := _ENDING.fullmatch(f.stem))}
    conditions = _conditions(source.pictures) if not in_folders and not by_ending else {}
    if in_folders and by_ending:
        raise InputError(f"{source.root} mixes two layouts: {next(iter(in_folders))} and {next(iter(by_ending))}. "
                         f"Fix: keep to one. {LAYOUTS}")  # fmt: skip
    if not (in_folders or by_ending or conditions):
        raise InputError(f"{source.root} holds {len(source.pictures)} pictures but no pairs. Fix: {LAYOUTS}")
    paired = {*in_folders, *by_ending, *conditions, *conditions.values()}
    for file in (f for f in source.pictures if f not in paired):
        _refuse(remarks, f"{file}: belongs to no pair. Fix: move it away, or name it like the others. {LAYOUTS}", file)
    if in_folders:
        return _from_folders(source, in_folders, find_mask, remarks)
    if by_ending:
        return _from_endings(source, by_ending, find_mask, remarks)
    return [_candidate(f, (before,), (_base(f),), f"{_base(f)}.txt", find_mask) for f, before in conditions.items()]


def _refuse(remarks: Remarks, message: str, *images: Path) -> None:
    remarks.problems.append(Problem("pair", message, tuple(map(str, images))))


def _base(file: Path) -> str:
    return str(file.with_suffix(""))


def _candidate(
    after: Path, before: tuple[Path, ...], bases: tuple[str, ...], write_to: str, find_mask: FindMask, name: str = ""
) -> Candidate:
    return Candidate(after, f"pair {name or after.stem}", bases, write_to, before, find_mask(after))


# --- folders


def _folder_side(relative: Path) -> tuple[str, int] | None:
    """('before' or 'after', number) of a picture in a folder called so."""
    match = _SIDE.fullmatch(relative.parts[0]) if len(relative.parts) > 1 else None
    return _side_of(match[1], match[2]) if match else None


def _side_of(word: str, number: str) -> tuple[str, int]:
    return "before" if word.lower() in _BEFORE else "after", int(number or 0)


def _from_folders(
    source: Source, sides: Mapping[Path, tuple[str, int]], find_mask: FindMask, remarks: Remarks
) -> list[Candidate]:
    folders: dict[tuple[str, int], set[Path]] = {}
    for file, side in sides.items():
        folders.setdefault(side, set()).add(source.root / file.relative_to(source.root).parts[0])
    for (side, _), same in folders.items():
        if len(same) > 1 or (side == "after" and sum(s == "after" for s, _ in folders) > 1):
            shown = " and ".join(str(f) for f in sorted({f for (s, _), fs in folders.items() if s == side for f in fs}))
            raise InputError(f"{shown} both hold pictures {side}. Fix: keep one")

    def files_in(folder: Path) -> dict[str, list[Path]]:
        return by_stem((f for f in sides if f.is_relative_to(folder)), folder)

    after = next((next(iter(same)) for (side, _), same in folders.items() if side == "after"), source.root / "after")
    first = source.root / "before"
    before = [next(iter(same)) for (side, _), same in sorted(folders.items()) if side == "before"] or [first]
    return _matched(files_in(after), [_Side(f, files_in(f)) for f in before], source, after, find_mask, remarks)


def _named_side(folder: Path, remarks: Remarks) -> _Side:
    if not folder.is_dir():
        raise InputError(f"controls: the folder {folder} does not exist. Fix: correct the path")
    files, _ = list_files(folder, lambda _: True, remarks)
    return _Side(folder, by_stem((f for f in files if is_picture(f)), folder))


def _matched(
    after: Mapping[str, Sequence[Path]],
    sides: Sequence[_Side],
    source: Source,
    after_folder: Path,
    find_mask: FindMask,
    remarks: Remarks,
) -> list[Candidate]:
    """Pairs by equal names; where a folder has none of that name, NAME_0, NAME_1 … are taken, in order."""
    numbered = [_by_name_before_number(side.files) for side in sides]
    used: list[set[str]] = [set() for _ in sides]
    found: list[Candidate] = []
    for name, pictures in after.items():
        before: list[Path] = []
        whole = _only_one(name, "after", pictures, remarks)
        for side, numbers, names in zip(sides, numbered, used, strict=True):
            stems = [name] if name in side.files else [s for s in numbers.get(name, ()) if s not in after]
            names.update(stems)
            if not stems:
                where = f"{side.folder / name}.png"
                what = (
                    f"pair {name} is not whole: there is {pictures[0]}, but no {where} (or another of the formats read)"
                )
                _refuse(remarks, f"{what}. Fix: add the picture before, or delete the one after", pictures[0])
                whole = False
            for stem in stems:
                whole = _only_one(stem, "before", side.files[stem], remarks) and whole
                before.append(side.files[stem][0])
        if whole:
            picture = pictures[0]
            bases = (_base(picture), _base(before[0]), str(source.root / name))
            found.append(_candidate(picture, tuple(before), bases, f"{_base(picture)}.txt", find_mask, name))
    for side, names in zip(sides, used, strict=True):
        for name in (n for n in side.files if n not in names):
            where = f"{after_folder / name}.png"
            _refuse(remarks, f"pair {name} is not whole: there is {side.files[name][0]}, but no {where} (or another of "
                             "the formats read). Fix: add the picture after, or delete the one before",
                    side.files[name][0])  # fmt: skip
    return found


def _by_name_before_number(files: Mapping[str, Sequence[Path]]) -> dict[str, list[str]]:
    """'a' -> ['a_0', 'a_1'], by number."""
    found: dict[str, list[tuple[int, str]]] = {}
    for stem in files:
        name, _, number = stem.rpartition("_")
        if name and number.isascii() and number.isdecimal() and len(number) < 9:
            found.setdefault(name, []).append((int(number), stem))
    return {name: [stem for _, stem in sorted(stems)] for name, stems in found.items()}


def _only_one(name: str, side: str, files: Sequence[Path], remarks: Remarks) -> bool:
    if len(files) > 1:
        shown = " and ".join(map(str, files))
        _refuse(remarks, f"pair {name} has two pictures {side}: {shown}. Fix: keep one", *files)
    return len(files) == 1


# --- names


def _from_endings(
    source: Source, endings: Mapping[Path, re.Match[str]], find_mask: FindMask, remarks: Remarks
) -> list[Candidate]:
    groups: dict[Path, dict[tuple[str, int], list[Path]]] = {}
    for file, match in endings.items():
        groups.setdefault(file.with_name(match[1]), {}).setdefault(_side_of(match[2], match[3]), []).append(file)
    found: list[Candidate] = []
    for base, files in groups.items():
        name = base.relative_to(source.root).as_posix()
        after = [f for (side, _), same in files.items() if side == "after" for f in same]
        before = [same for (side, _), same in sorted(files.items()) if side == "before"]
        for side, there in (("after", after), ("before", before)):
            if not there:
                _refuse(remarks, f"pair {name} is not whole: there is {next(iter(files.values()))[0]}, but no "
                                 f"{base}_{side}.png (or another of the formats read). Fix: add the picture {side}, or "
                                 "delete the other", next(iter(files.values()))[0])  # fmt: skip
        single = [_only_one(name, side, same, remarks) for (side, _), same in files.items()]
        if after and before and all(single):
            bases = (str(base), _base(after[0]))
            firsts = tuple(same[0] for same in before)
            found.append(_candidate(after[0], firsts, bases, f"{base}.txt", find_mask, name))
    return found


def _conditions(pictures: Iterable[Path]) -> dict[Path, Path]:
    """NAME.png -> NAME-condlabel.png."""
    by_base = {_base(f): f for f in pictures}
    return {
        f: by_base[base + CONDITION_SUFFIX] for base, f in by_base.items() if base + CONDITION_SUFFIX in by_base
    }  # fmt: skip


# --- lists


def _from_rows(rows: Iterable[Row], listed_in: Path, find_mask: FindMask, remarks: Remarks) -> list[Candidate]:
    real_root = os.path.realpath(listed_in.parent)
    sides: list[tuple[Row, Path, tuple[Path, ...]]] = []
    for row in rows:
        after, *before = _row_paths(row, listed_in.parent, real_root, remarks)
        if after is not None and before and None not in before:
            sides.append((row, after, tuple(f for f in before if f)))
    outcomes = {after for _, after, _ in sides}
    found: list[Candidate] = []
    for row, after, references in sides:
        mask = row_mask(row, listed_in.parent, real_root, remarks) if row.mask else find_mask(after)
        # A text beside the picture before is of the pair that leads to that one, where there is such a pair.
        own = (after,) if references[0] in outcomes else (after, references[0])
        bases = () if row.captions else tuple(map(_base, own))
        found.append(Candidate(after, row.where, bases, 'its row as "instruction"', references, mask, row))
    return found


def _row_paths(row: Row, folder: Path, real_root: str, remarks: Remarks) -> list[Path | None]:
    """The picture after and those before; None for each that cannot be had, which is then told."""
    paths: list[Path | None] = []
    for side, values, keys in (
        ("before", row.references, REFERENCE_KEYS),
        ("after", (row.picture,) if row.picture else (), PICTURE_KEYS),
    ):
        if not values:
            _refuse(remarks, f"{row.where}: no picture {side}. Fix: give its path as {spoken(keys[:4])}")
            paths.append(None)
        paths += [_inside(value, f"{row.where}: {side}", folder, real_root, remarks) for value in values]
    return [paths[-1], *paths[:-1]]


def row_mask(row: Row, folder: Path, real_root: str, remarks: Remarks) -> Path | None:
    """The mask that a row names."""
    return _inside(row.mask or "", f"{row.where}: {MASK_KEYS[0]}", folder, real_root, remarks)


def _inside(value: str, where: str, folder: Path, real_root: str, remarks: Remarks) -> Path | None:
    file = folder / value
    if leads_out(value) or not is_inside(file, real_root):
        _refuse(remarks, f"{where}: '{value}' leads out of {folder}. Fix: use a path inside that folder")
    elif not os.path.isfile(file):  # unlike Path.is_file, False for names too long
        _refuse(remarks, f"{where}: {file} is not there. Fix: correct the path, or add the file")
    elif not is_picture(file):
        _refuse(remarks, f"{where}: {file} is no picture by its name. Fix: use one of {READ_FORMATS}")
    else:
        return file
    return None
