"""Before and after pictures with an instruction, read into examples: the picture after is the one to learn."""

import json
import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any, cast

from likeness.dataset.captions import one_line, read_sidecar
from likeness.dataset.ingest import Measured, list_images, measure_all
from likeness.dataset.manifest import Example, example_id
from likeness.errors import InputError

LAYOUTS = (
    "Pairs can be laid out as before/NAME.png with after/NAME.png; as NAME_before.png with NAME_after.png; "
    'or as a file pairs.jsonl with rows {"before": "a.png", "after": "b.png", "instruction": "make it night"}'
)
LISTS = ("pairs.jsonl", "metadata.jsonl")
MAX_ASPECT_RATIO = 1.02

_SIDES = ("before", "after")
_KEYS = {
    "before": ("before", "source", "control", "input"),
    "after": ("after", "target", "output", "image"),
    "instruction": ("instruction", "caption", "prompt", "text"),
}


@dataclass(frozen=True)
class _Pair:
    name: str  # for messages
    before: Path
    after: Path
    instruction: str | None  # empty where none was found; None where it is unusable, which is already told
    where_to_write: str  # the place for a missing instruction


def read_pairs(path: Path, *, repeats: int, instruction: str | None, dataset: int, label: str) -> list[Example]:
    """All pairs under `path`: a folder in one of three layouts (see `LAYOUTS`), or a `.jsonl` file.

    An instruction comes from the row or from a text file: in the layout of two folders after/NAME.txt, before/NAME.txt
    or NAME.txt; in the other NAME.txt or NAME_after.txt; else from `instruction`. `label` starts every problem.

    Raises InputError with all problems found.
    """
    problems: list[str] = []
    pairs = _find_pairs(path, label, problems)
    fallback = one_line(instruction or "")
    measured, broken = measure_all(file for p in pairs for file in (p.before, p.after))
    problems += broken
    examples: list[Example] = []
    for pair in pairs:
        text = pair.instruction or fallback
        if not text and pair.instruction is not None:
            problems.append(
                f"pair {pair.name} has no instruction. Write it into {pair.where_to_write}, or set `instruction:` "
                "for the whole dataset."
            )
        before, after = measured.get(pair.before), measured.get(pair.after)
        if before is None or after is None:
            continue
        if _aspect_ratio(before, after) > MAX_ASPECT_RATIO:
            problems.append(
                f"pair {pair.name}: {pair.before} is {before.width}x{before.height} and {pair.after} is "
                f"{after.width}x{after.height}; their shapes differ. Crop one so that both show the same frame."
            )
        examples.append(_example(pair, before, after, text, repeats, dataset))
    if problems:
        raise InputError(*(f"{label}: {p}" for p in problems))
    return examples


def _example(pair: _Pair, before: Measured, after: Measured, text: str, repeats: int, dataset: int) -> Example:
    return Example(
        id=example_id(after.sha256, before.sha256),
        path=os.path.abspath(pair.after),
        width=after.width,
        height=after.height,
        caption=text,
        repeats=repeats,
        dataset=dataset,
        sha256=after.sha256,
        reference=os.path.abspath(pair.before),
        reference_sha256=before.sha256,
    )


def _aspect_ratio(a: Measured, b: Measured) -> float:
    """How many times one picture is wider for its height than the other; 1 for the same shape."""
    ratio = (a.width * b.height) / (a.height * b.width)
    return max(ratio, 1 / ratio)


def _find_pairs(path: Path, label: str, problems: list[str]) -> list[_Pair]:
    """The pairs of whichever layout is there. Single faults go to `problems`; raises if there is no layout to read."""
    if path.suffix.lower() == ".jsonl" and not path.is_dir():
        return _pairs_from_list(path, label, problems)
    lists = [path / name for name in LISTS if (path / name).is_file()]
    if len(lists) > 1:
        raise InputError(f"{label}: {path} holds both {LISTS[0]} and {LISTS[1]}. Name the one to read as the path.")
    if lists:
        return _pairs_from_list(lists[0], label, problems)

    images = list_images(path, label)
    in_folders = {f: side for f in images if (side := _side_of_folder(f.relative_to(path)))}
    by_suffix = {f: side for f in images if f not in in_folders and (side := _side_of_stem(f.stem))}
    if in_folders and by_suffix:
        raise InputError(
            f"{label}: {path} mixes two layouts: {next(iter(in_folders))} and {next(iter(by_suffix))}. "
            f"Keep to one. {LAYOUTS}."
        )
    if not in_folders and not by_suffix:
        raise InputError(f"{label}: {path} holds {len(images)} pictures but no pairs. {LAYOUTS}.")
    for file in images:
        if file not in in_folders and file not in by_suffix:
            problems.append(f"{file}: belongs to no pair. Move it away or name it like the others. {LAYOUTS}.")
    if in_folders:
        return _pairs_from_folders(path, in_folders, problems)
    return _pairs_from_suffixes(path, by_suffix, problems)


def _side_of_folder(relative: Path) -> str | None:
    folder = relative.parts[0].lower()
    return folder if len(relative.parts) > 1 and folder in _SIDES else None


def _side_of_stem(stem: str) -> str | None:
    return next((side for side in _SIDES if stem.lower().endswith(f"_{side}") and len(stem) > len(side) + 1), None)


def _pairs_from_folders(path: Path, sides: dict[Path, str], problems: list[str]) -> list[_Pair]:
    found: dict[Path, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))  # name, side -> files
    for file, side in sides.items():
        name = Path(*file.relative_to(path).parts[1:]).with_suffix("")
        found[name][side].append(file)
    pairs: list[_Pair] = []
    for name, files in found.items():
        partners = _partners(name.as_posix(), files, {s: f"{path / s / name}.png" for s in _SIDES}, problems)
        if partners:
            before, after = partners
            places = [after.with_suffix(""), before.with_suffix(""), path / name]
            text = _instruction(places, problems)
            pairs.append(_Pair(name.as_posix(), before, after, text, f"{places[0]}.txt"))
    return pairs


def _pairs_from_suffixes(path: Path, sides: dict[Path, str], problems: list[str]) -> list[_Pair]:
    found: dict[Path, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for file, side in sides.items():
        base = file.with_name(file.stem[: -len(side) - 1])
        found[base][side].append(file)
    pairs: list[_Pair] = []
    for base, files in found.items():
        name = base.relative_to(path).as_posix()
        partners = _partners(name, files, {s: f"{base}_{s}.png" for s in _SIDES}, problems)
        if partners:
            before, after = partners
            text = _instruction([base, after.with_suffix("")], problems)
            pairs.append(_Pair(name, before, after, text, f"{base}.txt"))
    return pairs


def _partners(
    name: str, files: dict[str, list[Path]], expected: dict[str, str], problems: list[str]
) -> tuple[Path, Path] | None:
    """The one file before and the one after; anything else is a problem."""
    for side, other in (_SIDES, _SIDES[::-1]):
        if len(files[side]) > 1:
            names = " and ".join(str(f) for f in files[side])
            problems.append(f"pair {name} has two pictures {side}: {names}. Keep one.")
            return None
        if not files[side]:
            problems.append(
                f"pair {name} is not whole: there is {files[other][0]}, but no {expected[side]} (or another of the "
                f"formats read). Add the picture {side}, or delete the one {other}."
            )
            return None
    return files["before"][0], files["after"][0]


def _instruction(places: list[Path], problems: list[str]) -> str | None:
    """The first text found; '' if there is none; None if it cannot be used, which is then in `problems`."""
    try:
        return next((text for place in places if (text := read_sidecar(place))), "")
    except InputError as e:
        problems.extend(e.problems)
        return None


def _pairs_from_list(file: Path, label: str, problems: list[str]) -> list[_Pair]:
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{label}: the file {file} does not exist. Correct the path.") from None
    except UnicodeDecodeError:
        raise InputError(f"{label}: {file} is not UTF-8 text. Save it again with the encoding UTF-8.") from None
    except OSError as e:
        raise InputError(f"{label}: {file}: cannot be read ({e.strerror}). Check its permissions.") from None
    pairs: list[_Pair] = []
    rows = 0
    for number, line in enumerate(text.split("\n"), start=1):  # not splitlines: JSON strings may hold U+2028
        if not line.strip():
            continue
        rows += 1
        try:
            pairs.append(_pair_of_row(line, file, f"{file}:{number}"))
        except InputError as e:
            problems.extend(e.problems)
    if not rows:
        raise InputError(f"{label}: {file} has no rows. {LAYOUTS}.")
    return pairs


def _pair_of_row(line: str, file: Path, where: str) -> _Pair:
    """Raises InputError with all problems of one row."""
    try:
        row: Any = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as e:
        reason = f"{e.msg}, column {e.colno}" if isinstance(e, json.JSONDecodeError) else "nested too deep"
        raise InputError(f"{where}: not JSON ({reason}). Each line must be one object. {LAYOUTS}.") from None
    if not isinstance(row, dict):
        raise InputError(f"{where}: not a JSON object. {LAYOUTS}.")
    values = {field: _value(cast(dict[str, Any], row), keys) for field, keys in _KEYS.items()}
    problems: list[str] = []
    for field in _SIDES:
        value = values[field]
        if not isinstance(value, str) or not value.strip():
            problems.append(f"{where}: no picture {field}. Give its path as {_spoken(_KEYS[field])}.")
        elif _escapes(value):
            problems.append(f"{where}: {field}: '{value}' leads out of {file.parent}. Use a path inside that folder.")
        elif not os.path.isfile(file.parent / value):  # unlike Path.is_file, False for names too long
            problems.append(f"{where}: {field}: {file.parent / value} is not there. Correct the path or add the file.")
    instruction = values["instruction"]
    if instruction is not None and (not isinstance(instruction, str) or not one_line(instruction)):
        problems.append(f"{where}: the instruction is empty or not text. Say what changes, or leave the key out.")
    if problems:
        raise InputError(*problems)
    return _Pair(
        name=where,
        before=file.parent / str(values["before"]),
        after=file.parent / str(values["after"]),
        instruction=one_line(str(instruction or "")),
        where_to_write='its row as "instruction"',
    )


def _value(row: dict[str, Any], keys: tuple[str, ...]) -> Any:
    return next((row[key] for key in keys if key in row), None)


def _spoken(keys: tuple[str, ...]) -> str:
    return f'"{keys[0]}" (or ' + ", ".join(f'"{key}"' for key in keys[1:]) + ")"


def _escapes(value: str) -> bool:
    """Whether a path is absolute or climbs. Read the Windows way, which knows both slashes and drive letters."""
    path = PureWindowsPath(value)
    return bool(path.anchor) or ".." in path.parts
