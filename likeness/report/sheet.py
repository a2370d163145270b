"""The contact sheet of a dataset: every picture with its caption and what the checks found, as one HTML file."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from likeness import durable
from likeness.report.document import read_asset, render_document
from likeness.report.pictures import data_uri, open_picture

THUMBNAIL_SIDE = 192  # pixels
MOST_PICTURES = 400  # those with findings first; about 10 KB each


class Entry(NamedTuple):
    """One row of the dataset."""

    path: str
    references: tuple[str, ...]
    caption: str
    width: int
    height: int
    repeats: int


class Remark(NamedTuple):
    """One finding: 'error', 'warning' or 'advice'. `images` are paths."""

    severity: str
    check: str
    images: tuple[str, ...]
    message: str
    fix: str


class _Card(NamedTuple):
    entry: Entry
    name: str
    pictures: list[tuple[str, str]]  # (what it is, data URI; '' where it cannot be shown)
    remarks: list[Remark]
    worst: str  # severity, '' for none


Show = Callable[[str], Image.Image | None]  # None where it cannot be shown


def _open(path: str) -> Image.Image | None:
    return open_picture(Path(path))


def write_sheet(
    path: Path,
    title: str,
    facts: Sequence[tuple[str, str]],
    entries: Sequence[Entry],
    remarks: Sequence[Remark],
    notes: Sequence[str],
    show: Show = _open,
) -> None:
    """Write the sheet. `remarks` come the worst first, and stay so; `show` opens the picture at a path as it should be
    seen. Raises OSError, for example for a full disk."""
    durable.write_text(path, render_sheet(title, facts, entries, remarks, notes, show))


def render_sheet(
    title: str,
    facts: Sequence[tuple[str, str]],
    entries: Sequence[Entry],
    remarks: Sequence[Remark],
    notes: Sequence[str],
    show: Show = _open,
) -> str:
    """The sheet as HTML text. At most 400 pictures are shown, those that something was found in first."""
    by_path: dict[str, list[Remark]] = defaultdict(list)
    for remark in remarks:
        for image in remark.images:
            by_path[image].append(remark)
    shown = (
        sorted(entries, key=lambda e: not by_path[e.path])[:MOST_PICTURES] if len(entries) > MOST_PICTURES else entries
    )
    cards = [_card(e, by_path[e.path], show) for e in shown]
    known = {e.path for e in entries}
    return render_document(
        "sheet.html",
        read_asset("sheet.css"),
        read_asset("sheet.js"),
        title=title,
        facts=facts,
        cards=cards,
        total=len(entries),
        remarks=remarks,
        others={r: [Path(i).name for i in r.images if i not in known] for r in remarks},
        names={e.path: _name(e) for e in entries},
        notes=notes,
        counts=[(s, sum(r.severity == s for r in remarks)) for s in ("error", "warning", "advice")],
    )


def _card(entry: Entry, remarks: list[Remark], show: Show) -> _Card:
    pictures = [("before", r) for r in entry.references]
    pictures.append(("after" if entry.references else "", entry.path))
    shown = [(what, _inlined(show(path))) for what, path in pictures]
    return _Card(entry, _name(entry), shown, remarks, remarks[0].severity if remarks else "")


def _name(entry: Entry) -> str:
    return entry.path.replace("\\", "/").rpartition("/")[2]  # a mailed sheet need not tell whole paths


def _inlined(picture: Image.Image | None) -> str:
    return data_uri(picture, THUMBNAIL_SIDE) if picture else ""
