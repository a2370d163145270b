"""Runs of a workspace: started from a plan, followed, stopped, gone on with, chosen from, put away."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import IntegrityError

from likeness.errors import Conflict
from likeness.service import runs
from likeness.store.tables import Job, Run
from likeness.studio import queue
from likeness.studio.planning import Planned, plan
from likeness.studio.queue import Entry
from likeness.studio.workspace import Studio

__all__ = ["Planned", "Started", "plan", "start"]


@dataclass(frozen=True)
class Started:
    """A run that is in the queue."""

    name: str
    job: Job
    planned: Planned


def start(
    studio: Studio,
    config: dict[str, Any],
    digest: str,
    *,
    parent_run: str | None = None,
    parent_epoch: int | None = None,
    note: str = "",
    priority: int = 0,
    mock: bool = False,
) -> Started:
    """Freeze the run of a plan and queue it: exactly the one that `plan` told `digest` of.

    `parent_run`: whose settings it was made from; one whose LoRA it goes on from is known anyway. `mock`: walk through
    all states and events in seconds and learn nothing. Raises Conflict where the plan is no longer that one, the name
    is taken or the queue is full; InputError as `plan` does.
    """
    planned = plan(studio, config)
    if planned.digest != digest:
        raise Conflict(
            "digest: settings, pictures or captions have changed since this plan was made, or it is another's. Fix: "
            "plan again and start that"
        )
    name, prepared = planned.name, planned.prepared
    origin = runs.parent_of(prepared.config.lora.start_from)
    row = Run(
        name=name,
        dataset_id=planned.datasets[0].dataset_id if planned.datasets else None,
        dataset_version=planned.datasets[0].version if planned.datasets else None,
        parent_run=origin["run"] if origin else parent_run,
        parent_epoch=origin["epoch"] if origin else parent_epoch,
        plan_digest=digest,
        note=note,
    )
    _claim_name(studio, row)
    folder = None
    try:
        folder = runs.start(prepared, studio.workspace, mock=mock)
        entry = Entry(f"Train {name}", subject_of(name), {"run": name}, light=mock, priority=priority)
        job = queue.submit_training(studio, folder, entry, "mock" if mock else "train")
    except BaseException:
        if folder is not None:
            runs.discard(folder)
        _forget(studio, name)
        raise
    return Started(name, job, planned)


def subject_of(name: str) -> str:
    """What jobs say that are for a run."""
    return f"run:{name}"


def _claim_name(studio: Studio, row: Run) -> None:
    """Two that start at once cannot both have a name; one in the bin leaves its name to others."""
    taken = Conflict(f"name: there is a run '{row.name}' already. Fix: choose another name, such as {row.name}-2")
    if studio.run_folder(row.name).exists():
        raise taken
    try:
        with studio.database.session() as session:
            old = session.get(Run, row.name)
            if old is not None and old.deleted is not None:
                session.delete(old)
                session.flush()
            session.add(row)
    except IntegrityError as e:
        raise taken from e


def _forget(studio: Studio, name: str) -> None:
    with studio.database.session() as session:
        if row := session.get(Run, name):
            session.delete(row)
