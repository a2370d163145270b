"""Runs that were deleted: whole, out of the way, and ready to come back."""

import json
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from likeness import durable
from likeness.errors import Conflict, NotFound
from likeness.store.tables import Run, new_id
from likeness.studio import queue
from likeness.studio.run_summaries import folder_of, job_of, row_of, summary_of
from likeness.studio.workspace import Studio

_ROW, _RUN = "row.json", "run"  # in a place of the bin
_KEPT = ("dataset_id", "dataset_version", "parent_run", "parent_epoch", "chosen_epoch", "plan_digest", "note",
         "created", "archived")  # fmt: skip


@dataclass(frozen=True)
class Deleted:
    """A run in the bin."""

    id: str
    name: str
    deleted: float  # seconds since 1970
    size_bytes: int


def delete(studio: Studio, name: str) -> Deleted:
    """Put a run into the bin; one that waits is taken out of the queue. Raises NotFound, Conflict while it trains."""
    folder = folder_of(studio, name)
    if summary_of(studio, name).state == "running":
        raise Conflict(f"run '{name}' is being trained. Fix: stop it first")
    job = job_of(studio, name)
    if job is not None and job.state in ("queued", "paused"):
        queue.ask_to_stop(studio, job.id, "canceled")
        if queue.get(studio, job.id).state == "running":  # it was its turn just now
            raise Conflict(f"run '{name}' is being trained. Fix: wait until it has stopped")
    bin_id = new_id()
    place = _place(studio, bin_id)
    row = row_of(studio, name)
    values = {column: getattr(row, column) for column in _KEPT} if row else None
    durable.write_text(place / _ROW, json.dumps({"name": name, "deleted": time.time(), "row": values}))
    os.replace(folder, place / _RUN)
    with studio.database.session() as session:
        if found := session.get(Run, name):
            found.deleted = time.time()
    return _read(place)


def restore(studio: Studio, bin_id: str) -> str:
    """Take a run out of the bin; returns its name. Raises NotFound, Conflict where another has the name now."""
    place = _place(studio, bin_id)
    found = _read(place)
    target = studio.run_folder(found.name)
    if target.exists():
        raise Conflict(f"there is another run '{found.name}' by now. Fix: delete that one first")
    os.replace(place / _RUN, target)
    values: dict[str, Any] | None = json.loads((place / _ROW).read_text())["row"]
    with studio.database.session() as session:
        if old := session.get(Run, found.name):
            session.delete(old)
            session.flush()
        if values:
            session.add(Run(name=found.name, **values))
    shutil.rmtree(place, ignore_errors=True)
    return found.name


def listed(studio: Studio) -> list[Deleted]:
    """What is in the bin, deleted last first."""
    places = [p for p in (studio.root / "bin").glob("*") if (p / _ROW).is_file()]
    found: list[Deleted] = []
    for place in places:
        try:
            found.append(_read(place))
        except NotFound:
            continue
    return sorted(found, key=lambda run: -run.deleted)


def erase(studio: Studio, bin_id: str) -> None:
    """Delete a run for good. Raises NotFound."""
    place = _place(studio, bin_id)
    name = _read(place).name
    shutil.rmtree(place)
    with studio.database.session() as session:
        row = session.get(Run, name)
        if row is not None and row.deleted is not None:
            session.delete(row)


def empty(studio: Studio, seconds: float) -> int:
    """Delete for good what has been in the bin for so long; how many runs."""
    old = [gone for gone in listed(studio) if gone.deleted < time.time() - seconds]
    for gone in old:
        erase(studio, gone.id)
    return len(old)


def _read(place: Path) -> Deleted:
    try:
        told = json.loads((place / _ROW).read_text())
    except (OSError, ValueError) as e:
        raise NotFound(f"nothing in the bin is called '{place.name}'. Fix: take an id from the list") from e
    folder = place / _RUN
    if not folder.is_dir():
        raise NotFound(f"nothing in the bin is called '{place.name}'. Fix: take an id from the list")
    size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    return Deleted(place.name, told["name"], told["deleted"], size)


def _place(studio: Studio, bin_id: str) -> Path:
    if not bin_id.isalnum():
        raise NotFound("nothing in the bin is called so. Fix: take an id from the list")
    return studio.root / "bin" / bin_id
