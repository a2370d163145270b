"""Lists of pictures: JSON, JSONL and CSV files that say which caption, and which source pictures, belong to a picture.

Every trainer has names of its own for the same few things; all are understood. A list never leads out of its folder.
"""

import csv
import io
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any, cast

from likeness.dataset.problems import Problem
from likeness.dataset.wording import is_plain, one_line
from likeness.errors import InputError

METADATA_SUFFIXES = (".json", ".jsonl", ".csv")
# Read by themselves where a folder has them, the first one found.
METADATA_NAMES = (
    "pairs.jsonl", "metadata.jsonl", "metadata.csv", "metadata.json", "captions.json", "meta_cap.json", "meta_lat.json",
    "dataset.json", "dataset.jsonl",
)  # fmt: skip
MAX_BYTES = 1 << 30
CELL_BYTES = 1 << 20

PICTURE_KEYS = (
    "after", "target", "output", "edited_image", "image", "image_path", "file_name", "file", "path", "end", "video",
)  # fmt: skip
REFERENCE_KEYS = (
    "before", "source", "control", "input", "edit_image", "control_path", "conditioning_image", "input_image", "start",
)  # fmt: skip
CAPTION_KEYS = ("instruction", "caption", "prompt", "text", "edit_prompt", "captions", "description")
MASK_KEYS = ("mask", "mask_path")
TAG_KEYS = ("tags",)

_NUMBERED = re.compile(r"(.+?)_?(\d+)")


@dataclass(frozen=True)
class Row:
    """One picture of a list. Paths are as written there."""

    where: str  # 'FILE:LINE', or 'FILE: KEY'
    picture: str | None
    captions: tuple[str, ...]  # several where one is to be drawn
    references: tuple[str, ...]
    mask: str | None
    is_key: bool = False  # `picture` is the key of a JSON object: a path, or a name without its ending


def find_metadata(folder: Path) -> Path | None:
    """The list in a folder. Raises InputError where there are both of the names that pairs are listed under."""
    both = [folder / name for name in METADATA_NAMES[:2]]
    if all(file.is_file() for file in both):
        raise InputError(f"{folder}: holds both {both[0].name} and {both[1].name}. Fix: name the one to read as path")
    return next((folder / name for name in METADATA_NAMES if (folder / name).is_file()), None)


def read_metadata(file: Path, problems: list[Problem]) -> list[Row]:
    """All rows of a list; those that cannot be read go to `problems`.

    Raises InputError if the file itself cannot be read.
    """
    text = _text_of(file)
    suffix = file.suffix.lower()
    if suffix == ".jsonl":
        found = _from_lines(text, file, problems)
    elif suffix == ".csv":
        found = _from_table(text, file)
    else:
        found = _from_json(text, file, problems)
    rows: list[Row] = []
    for where, key, values in found:
        try:
            rows.append(_row(where, key, values))
        except InputError as e:
            problems += [Problem("metadata", text) for text in e.problems]
    return rows


def read_object(file: Path) -> tuple[str, ...]:
    """The captions in a JSON file that belongs to one picture; none where it says other things.

    Raises InputError if the file cannot be read.
    """
    values = _parsed(_text_of(file), str(file), "the file must be one object")
    try:
        return _captions(cast(dict[str, Any], values), str(file)) if isinstance(values, dict) else ()
    except InputError:  # a download's own notes may call other things so
        return ()


def spoken(keys: Iterable[str]) -> str:
    """'"before" (or "source", "control")', for messages."""
    first, *others = keys
    return f'"{first}" (or ' + ", ".join(f'"{key}"' for key in others) + ")"


def leads_out(value: str) -> bool:
    """Whether a path is absolute or climbs. Read the Windows way, which knows both slashes and drive letters."""
    path = PureWindowsPath(value)
    return bool(path.anchor) or ".." in path.parts


def _text_of(file: Path) -> str:
    try:
        if file.stat().st_size > MAX_BYTES:
            raise InputError(f"{file}: is larger than {MAX_BYTES >> 30} GB. Fix: split the dataset")
        text = file.read_bytes().decode("utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{file}: the file does not exist. Fix: correct the path") from None
    except UnicodeDecodeError:
        raise InputError(f"{file}: is not UTF-8 text. Fix: save it again with the encoding UTF-8") from None
    except OSError as e:
        raise InputError(f"{file}: cannot be read ({e.strerror}). Fix: check its permissions") from None
    if not text.strip():
        raise InputError(f"{file}: has no rows. Fix: list the pictures in it, or delete it")
    return text


_Found = tuple[str, str | None, Any]  # where, the key that it stands under, what stands there


def _from_lines(text: str, file: Path, problems: list[Problem]) -> Iterator[_Found]:
    for number, line in enumerate(text.split("\n"), start=1):  # not splitlines: JSON strings may hold U+2028
        if not line.strip():
            continue
        where = f"{file}:{number}"
        try:
            yield where, None, _parsed(line, where, "each line must be one object")
        except InputError as e:
            problems += [Problem("metadata", text) for text in e.problems]


def _from_table(text: str, file: Path) -> Iterator[_Found]:
    csv.field_size_limit(CELL_BYTES)
    table = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in table:
            extra = cast(Any, row).pop(None, None)  # cells without a heading
            if extra:
                raise InputError(f"{file}:{table.line_num}: has more cells than the first line has names. Fix: put "
                                 "text with commas in double quotes")  # fmt: skip
            yield f"{file}:{table.line_num}", None, {k: _cell(v) for k, v in row.items() if k and v}
    except csv.Error as e:
        raise InputError(f"{file}:{table.line_num}: is not CSV ({e}). Fix: save the table again as CSV") from None


def _cell(text: str) -> Any:
    """Several source pictures are written into one cell as a JSON list."""
    if text.lstrip().startswith("["):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            pass
    return text


def _from_json(text: str, file: Path, problems: list[Problem]) -> Iterator[_Found]:
    tree = _parsed(text, str(file), "the file must be a list of objects, or an object by picture")
    if isinstance(tree, list):
        for number, values in enumerate(cast(list[Any], tree)):
            yield f"{file}[{number}]", None, values
    elif isinstance(tree, dict):
        for key, values in cast(dict[str, Any], tree).items():
            yield f"{file}: {one_line(key)[:200]}", key, values
    else:
        raise InputError(f"{file}: is neither a list nor an object. Fix: write one object for each picture")


def _parsed(text: str, where: str, form: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as e:
        reason = f"{e.msg}, column {e.colno}"
    except (ValueError, RecursionError):  # a number of thousands of digits; brackets in brackets without end
        reason = "nested too deep, or a number too long"
    raise InputError(f"{where}: not JSON ({reason}). Fix: {form}")


def _row(where: str, key: str | None, values: Any) -> Row:
    if key is not None and isinstance(values, str | list):
        values = {"caption": values}
    if not isinstance(values, dict):
        raise InputError(f'{where}: not a JSON object. Fix: write {{"file_name": "a.png", "text": "…"}}')
    if key is not None and not is_plain(key):
        raise InputError(f"{where}: its key is no path of a picture. Fix: give its path as text")
    values = cast(dict[str, Any], values)
    picture = _path(values, PICTURE_KEYS, where, "the picture")
    mask = _path(values, MASK_KEYS, where, "the mask")
    references = _references(values, where)
    return Row(where, picture or key, _captions(values, where), references, mask, picture is None)


def _path(values: dict[str, Any], keys: tuple[str, ...], where: str, what: str) -> str | None:
    key = next((key for key in keys if values.get(key) is not None), None)
    if key is None:
        return None
    value = values[key]
    if isinstance(value, dict):  # how a library writes out a picture that it holds: bytes and path
        value = cast(dict[str, Any], value).get("path")
    if not isinstance(value, str) or not value.strip() or not is_plain(value):
        raise InputError(f'{where}: "{key}" is no path of {what}. Fix: give its path as text')
    return value


def _references(values: dict[str, Any], where: str) -> tuple[str, ...]:
    """In order: those of a key without a number, then by number, as control_path_0, control_path_1."""
    found: list[tuple[int, str]] = []
    for key, value in values.items():
        match = _NUMBERED.fullmatch(key)
        if value is None or not (key in REFERENCE_KEYS or (match and match[1] in REFERENCE_KEYS)):
            continue
        number = int(match[2][:9]) if match and key not in REFERENCE_KEYS else -1
        for one in cast(list[Any], value) if isinstance(value, list) else [value]:
            if not isinstance(one, str) or not one.strip() or not is_plain(one):
                raise InputError(f'{where}: "{key}" is no path of a picture. Fix: give its path as text')
            found.append((number, one))
    return tuple(path for _, path in sorted(found, key=lambda pair: pair[0]))


def _captions(values: dict[str, Any], where: str) -> tuple[str, ...]:
    """Texts in one list are drawn from; tags come behind the text, or stand for it."""
    key = next((key for key in CAPTION_KEYS if values.get(key) is not None), None)
    texts = _texts(values[key], f'{where}: "{key}"') if key else ()
    for tags in (values[key] for key in TAG_KEYS if values.get(key) is not None):
        joined = ", ".join(_texts(tags, f'{where}: "tags"'))
        texts = tuple(f"{text}, {joined}" for text in texts) if texts else (joined,)
    if key and not all(texts):
        raise InputError(f'{where}: the text of "{key}" is empty. Fix: say what is to be seen, or leave the key out')
    return tuple(dict.fromkeys(text for text in texts if text))


def _texts(value: Any, where: str) -> tuple[str, ...]:
    values = cast(list[Any], value) if isinstance(value, list) else [value]
    if not all(isinstance(one, str) for one in values):
        raise InputError(f"{where} is not text. Fix: put it in quotes")
    return tuple(one_line(one) for one in values) or ("",)


class Lookup:
    """Finds the rows that belong to pictures. Goes from pictures to rows, so that no row can lead to other files."""

    def __init__(self, rows: Iterable[Row], base: Path):
        self.rows = list(rows)
        self._base = base
        self._by_name: dict[str, list[Row]] = {}
        for row in self.rows:
            for name in _names(row.picture or ""):
                self._by_name.setdefault(name, []).append(row)

    def row_of(self, picture: Path) -> Row | None:
        """By path below the list's folder, with or without its ending; else by file name, where only one row has it."""
        try:
            inside = picture.relative_to(self._base).as_posix()
        except ValueError:
            inside = picture.name
        stem = os.path.splitext(inside)[0]
        for name in (inside, stem):
            if rows := [r for r in self._by_name.get(name, ()) if _plain(r.picture or "") == name]:
                return rows[-1]
        for name in (picture.name, picture.stem):
            if len(rows := self._by_name.get(f"*/{name}", ())) == 1:
                return rows[0]
        return None


def _plain(picture: str) -> str:
    return picture.replace("\\", "/").removeprefix("./")


def _names(picture: str) -> tuple[str, ...]:
    """The path, and its last part: lists often come from a machine where the folder lay elsewhere."""
    plain = _plain(picture)
    last = plain.rpartition("/")[2]
    return plain, f"*/{last}"
