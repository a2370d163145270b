"""A comparison as one HTML file and as one picture: any columns (epochs, strengths, LoRAs) by prompts and seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from likeness import durable
from likeness.errors import InputError
from likeness.report.document import read_asset, render_document
from likeness.report.grid import Stage, draw_table, fitted
from likeness.report.history import Prompt
from likeness.report.pictures import data_uri, open_picture

# Longest side in pixels at which pictures are inlined, by how many there are at most: the file should stay mailable.
_SIDES = ((40, 768), (120, 512), (1_000_000, 320))


class Row(NamedTuple):
    """A prompt with its seed; `reference` is the source picture of an edit."""

    text: str
    seed: int
    reference: Path | None = None


class Table(NamedTuple):
    """Measures to show above the pictures. `marked` is the number of the row that is suggested."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    marked: int | None
    notes: Sequence[str]


@dataclass(frozen=True)
class Comparison:
    """`pictures` by (column, row) position; a place without one stays empty."""

    title: str
    facts: Sequence[str]
    columns: Sequence[str]
    rows: Sequence[Row]
    pictures: Mapping[tuple[int, int], Path]
    trigger: str = ""
    verdict: str = ""
    reasons: Sequence[str] = field(default_factory=list[str])
    table: Table | None = None


class _Shown(NamedTuple):
    row: Row
    cells: list[tuple[int, str, str]]  # number, label and data URI ('' where there is none)


def write_page(comparison: Comparison, path: Path) -> None:
    """Write it as HTML. Raises InputError for another ending, OSError for example for a full disk."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{path}: the comparison is HTML. Fix: give it a name that ends in .html")
    durable.write_text(path, render_page(comparison))


def render_page(comparison: Comparison) -> str:
    """The comparison as HTML text that holds all its pictures."""
    columns = list(comparison.columns)
    has_source = any(row.reference for row in comparison.rows)
    count = len(comparison.pictures)
    side = next(side for most, side in _SIDES if count <= most)
    shown: list[_Shown] = []
    for r, row in enumerate(comparison.rows):
        cells = [(c, label, _inlined(comparison.pictures.get((c, r)), side)) for c, label in enumerate(columns)]
        if has_source:
            cells.insert(0, (len(columns), "source", _inlined(row.reference, side)))
        shown.append(_Shown(row, cells))
    style = read_asset("page.css").replace("COLUMNS", str(max(len(columns) + has_source, 1)))
    return render_document(
        "comparison.html",
        style + read_asset("comparison.css"),
        read_asset("comparison.js"),
        comparison=comparison,
        shown=shown,
        last=len(columns) - 1,
        several_seeds=len({row.seed for row in comparison.rows}) > 1,
    )


def save_picture(comparison: Comparison, path: Path, most_rows: int = 24, cell: int = 160) -> None:
    """Write it as one PNG, columns across; of many rows only the first. Raises InputError for another ending."""
    if path.suffix.lower() != ".png":
        raise InputError(f"{path}: the grid is written as PNG; give a file name that ends in .png")
    rows = list(comparison.rows)[:most_rows]
    # Stage numbers only say where the grid leaves a wider gap: after the base and after a source.
    stages = [Stage(label, 0 if label == "base" else 1) for label in comparison.columns]
    pictures = {
        (c, r): fitted(picture, cell) if (picture := open_picture(comparison.pictures.get((c, r)))) else None
        for c in range(len(stages))
        for r in range(len(rows))
    }
    if any(row.reference for row in rows):
        opened = [open_picture(row.reference) for row in rows]
        pictures = {(c + 1, r): picture for (c, r), picture in pictures.items()}
        pictures |= {(0, r): fitted(picture, cell) if picture else None for r, picture in enumerate(opened)}
        stages.insert(0, Stage("source", None))
    prompts = [Prompt(r + 1, row.text, row.seed, None) for r, row in enumerate(rows)]
    left_out = len(comparison.rows) - len(rows)
    facts = [*comparison.facts, *([f"{left_out} more rows in the page"] if left_out else [])]
    image = draw_table(comparison.title, " · ".join(facts), stages, prompts, pictures, comparison.trigger, across=True)
    durable.write_with(path, lambda partial: image.save(partial, "PNG", optimize=True))


def _inlined(path: Path | None, side: int) -> str:
    picture = open_picture(path)
    return data_uri(picture, side) if picture else ""
