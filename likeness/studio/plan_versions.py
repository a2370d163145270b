"""Versions of datasets that were frozen for a plan: those that no run came of are dropped, so that a dataset that is
worked on while its plan is looked at does not fill up with them."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import delete, select, update

from likeness.store.tables import DatasetVersion, Run
from likeness.studio.workspace import Studio

NOTE = "for a plan"  # of a version that nobody asked for


def drop_others(studio: Studio, dataset_id: str, number: int) -> None:
    """Drop the versions of a dataset that were made for plans alone, but for the one that is planned with now."""
    with studio.database.reading() as session:
        query = select(DatasetVersion.number).where(
            DatasetVersion.dataset_id == dataset_id, DatasetVersion.note == NOTE
        )
        made = [n for n in session.scalars(query) if n != number]
        if not made:
            return
        used = set(session.scalars(select(Run.dataset_version).where(Run.dataset_id == dataset_id)))
    folder = studio.datasets / dataset_id / "versions"
    free = [n for n in made if n not in used and not _named(studio, folder / str(n))]
    with studio.database.session() as session:
        session.execute(
            delete(DatasetVersion).where(
                DatasetVersion.dataset_id == dataset_id, DatasetVersion.number.in_(free), DatasetVersion.note == NOTE
            )
        )
    for n in free:
        shutil.rmtree(folder / str(n), ignore_errors=True)


def keep(studio: Studio, used: Sequence[tuple[str, int]], run: str) -> None:
    """Note that a run was trained on these (dataset, version): they stay."""
    with studio.database.session() as session:
        for dataset_id, number in used:
            row = (DatasetVersion.dataset_id == dataset_id, DatasetVersion.number == number)
            session.execute(update(DatasetVersion).where(*row, DatasetVersion.note == NOTE).values(note=f"run {run}"))


def _named(studio: Studio, folder: Path) -> bool:
    """Whether a run of the workspace, or of the bin, has files of this folder: it may have several datasets."""
    files = [*studio.workspace.glob("*/run.json"), *(studio.root / "bin").glob("*/run/run.json")]
    return any(_mentions(file, f"{folder}/") or _mentions(file, f'{folder}"') for file in files)


def _mentions(file: Path, text: str) -> bool:
    try:
        return text in file.read_text(encoding="utf-8")
    except OSError:
        return False
