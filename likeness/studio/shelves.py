"""Rows of the library with a folder each, by the row's id: what is done alike with models and with voices."""

import shutil
import time
from collections.abc import Callable, Container
from contextlib import suppress
from pathlib import Path

from sqlalchemy import select

from likeness.store.tables import Model, Voice
from likeness.studio.workspace import Studio


def empty_bin(
    studio: Studio, table: type[Model] | type[Voice], shelf: Path, remove: Callable[[Studio, str], None], seconds: float
) -> int:
    """`remove` what has lain in the bin for more than so many seconds; how many rows that were.

    Folders of the shelf that a killed server left without a row go too.
    """
    before = time.time() - seconds
    with studio.database.reading() as session:
        old = list(session.scalars(select(table.id).where(table.deleted <= before)))
        known = set(session.scalars(select(table.id)))
    for row_id in old:
        remove(studio, row_id)
    _remove_strays(shelf, known, before)
    return len(old)


def _remove_strays(shelf: Path, known: Container[str], before: float) -> None:
    for folder in shelf.glob("*"):
        with suppress(OSError):  # gone meanwhile
            if folder.name not in known and folder.stat().st_mtime < before:
                shutil.rmtree(folder, ignore_errors=True)
