"""The list of an edit dataset's pairs: `files/pairs.jsonl`, a row for each with the pictures before and the one after.

Instructions lie in text files beside the pictures after, as captions do, so that they have authors.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from likeness import durable
from likeness.config.data import DatasetConfig
from likeness.dataset.authorship import Authorship, Place, find_places
from likeness.dataset.metadata import METADATA_NAMES
from likeness.errors import InputError
from likeness.studio.datasets.steps import Recorder

NAME = METADATA_NAMES[0]


@dataclass(frozen=True)
class Row:
    """Names of pictures below `files/`."""

    sources: Sequence[str]  # before, at least one
    target: str  # after


def read(files: Path) -> list[Row]:
    """The pairs that training would see, in whatever layout they are."""
    return [_row(place, files) for place in _places(files)]


def ensure(files: Path, step: Recorder | None = None) -> None:
    """Write the list where pairs are told from names or folders: what they are called may change then."""
    if not (files / NAME).exists() and (rows := read(files)):
        write(files, rows, step)


def write(files: Path, rows: Sequence[Row], step: Recorder | None = None) -> None:
    """Replace the list. Instructions that other layouts keep elsewhere go where this one looks for them: beside the
    pictures after."""
    record = Authorship(files)
    for place in _places(files):
        _move_text(place, record, step)
    if step:
        step.keep(NAME)
    lines = ({"before": list(r.sources) if len(r.sources) > 1 else r.sources[0], "after": r.target} for r in rows)
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    if text:
        durable.write_text(files / NAME, text)
    else:
        (files / NAME).unlink(missing_ok=True)


def forget(files: Path, names: Iterable[str], step: Recorder) -> None:
    """Take the pairs out that use one of these pictures."""
    gone = set(names)
    rows = read(files)
    staying = [row for row in rows if not gone.intersection((*row.sources, row.target))]
    if len(staying) < len(rows):
        write(files, staying, step)


def rename(files: Path, names: dict[str, str], step: Recorder) -> None:
    """Pictures have other names now."""
    rows = read(files)
    renamed = [Row(tuple(names.get(s, s) for s in r.sources), names.get(r.target, r.target)) for r in rows]
    if renamed != rows:
        write(files, renamed, step)


def _move_text(place: Place, record: Authorship, step: Recorder | None) -> None:
    """The instruction of a pair to where the list looks for it."""
    own = replace(place, file=place.pictures[-1].with_suffix(place.file.suffix), fixed=False)
    in_list = place.listed if place.fixed else None
    text = in_list or record.text(place)
    if not text or (not in_list and own.file == place.file):
        return
    if step:
        step.keep(record.name(own))
    if not in_list and record.author(place) == "machine":
        record.write(own, text, moved_from=record.name(place))
    else:
        durable.write_text(own.file, text + "\n")
    if own.file != place.file and place.file.exists():
        if step:
            step.keep(record.name(place))
        place.file.unlink()


def _places(files: Path) -> list[Place]:
    try:
        return find_places(DatasetConfig(path=str(files)), "edit").places
    except InputError:  # no pictures, or no pairs yet
        return []


def _row(place: Place, files: Path) -> Row:
    *sources, target = (p.relative_to(files).as_posix() for p in place.pictures)
    return Row(tuple(sources), target)
