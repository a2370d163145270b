"""Datasets by name: made, found, renamed, put into the bin and taken out of it.

`datasets/ID/` holds `files/` (the pictures and captions, as `likeness dataset check` reads them), `versions/`,
`steps/` (what can be undone) and `lock`.
"""

import fcntl
import re
import shutil
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

from sqlalchemy import Select, func, select, update
from sqlalchemy.orm import Session

from likeness.catalog import resolve_base
from likeness.config.run import RunConfig
from likeness.dataset.wording import is_plain
from likeness.errors import Conflict, InputError, NotFound
from likeness.store.tables import Dataset, DatasetVersion, Run, new_id
from likeness.studio.workspace import Studio

KINDS: tuple[str, ...] = get_args(RunConfig.model_fields["kind"].annotation)
LONGEST_NAME, LONGEST_TRIGGER, LONGEST_DESCRIPTION = 100, 100, 5000

_LIKE_AN_ID = re.compile(r"[0-9a-f]{12}")
_FIELDS = ("name", "kind", "trigger", "base", "description")
_held = threading.local()  # the datasets whose lock this thread has


def create(
    studio: Studio, name: str, kind: str = "character", trigger: str = "", base: str = "", description: str = ""
) -> Dataset:
    """An empty dataset. Raises InputError for what cannot be its name, kind, trigger or base, Conflict where another
    has the name."""
    values = _checked(name=name, kind=kind, trigger=trigger, base=base, description=description)
    row = Dataset(id=new_id(), **values)
    files_of(studio, row.id).mkdir(parents=True)
    with studio.database.session() as session:
        _refuse_taken(session, row.name, row.id)
        session.add(row)
    return row


def get(studio: Studio, dataset: str, *, deleted: bool = False) -> Dataset:
    """By id, or by name. `deleted`: also one that is in the bin, by its id. Raises NotFound."""
    with studio.database.reading() as session:
        row = session.get(Dataset, dataset)
        if row is None:
            row = session.scalar(select(Dataset).where(Dataset.name == dataset, Dataset.deleted.is_(None)))
    if row is None:
        raise NotFound(f"no dataset '{dataset}'. Fix: take an id or a name from the list of datasets")
    if row.deleted is not None and not deleted:
        raise NotFound(f"dataset '{row.name}' is in the bin. Fix: restore it first")
    return row


def listed(
    studio: Studio, *, search: str = "", kind: str | None = None, deleted: bool = False, limit: int = 100,
    offset: int = 0,
) -> tuple[list[Dataset], int]:  # fmt: skip
    """Datasets whose name, trigger or description holds `search`, those changed last first; and how many there are in
    all. `deleted`: those in the bin."""

    def chosen(query: Select[Any]) -> Select[Any]:
        query = query.where(Dataset.deleted.is_not(None) if deleted else Dataset.deleted.is_(None))
        for word in search.split():
            texts = (Dataset.name, Dataset.trigger, Dataset.description)
            here = texts[0].icontains(word, autoescape=True)
            for text in texts[1:]:
                here |= text.icontains(word, autoescape=True)
            query = query.where(here)
        return query.where(Dataset.kind == kind) if kind else query

    newest = chosen(select(Dataset)).order_by(Dataset.updated.desc(), Dataset.id)
    with studio.database.reading() as session:
        found = list(session.scalars(newest.offset(offset).limit(limit)))
        total = session.scalar(chosen(select(func.count()).select_from(Dataset))) or 0
    return found, total


def change(studio: Studio, dataset: str, **values: str) -> Dataset:
    """Set its name, kind, trigger, base or description. Raises as `create` does."""
    row_id = get(studio, dataset).id
    checked = _checked(**values)
    with studio.database.session() as session:
        row = session.get_one(Dataset, row_id)
        if "name" in checked:
            _refuse_taken(session, checked["name"], row_id)
        for field, value in checked.items():
            setattr(row, field, value)
    return row


def touch(studio: Studio, dataset_id: str) -> None:
    """Note that its files have changed."""
    with studio.database.session() as session:
        session.execute(update(Dataset).where(Dataset.id == dataset_id).values(updated=time.time()))


def delete(studio: Studio, dataset: str) -> Dataset:
    """Put it into the bin, from which `restore` takes it. Versions stay, for the runs that were trained on them."""
    row_id = get(studio, dataset).id
    return _set_deleted(studio, row_id, time.time())


def restore(studio: Studio, dataset_id: str) -> Dataset:
    """Take it out of the bin. Raises Conflict where another has its name by now."""
    return _set_deleted(studio, get(studio, dataset_id, deleted=True).id, None)


def erase(studio: Studio, dataset_id: str) -> None:
    """Delete what is in the bin for good. Raises Conflict for one that is not, or that runs were trained on."""
    row = get(studio, dataset_id, deleted=True)
    if row.deleted is None:
        raise Conflict(f"dataset '{row.name}' is not in the bin. Fix: delete it first")
    with studio.database.session() as session:
        runs = session.scalars(select(Run.name).where(Run.dataset_id == row.id)).all()
        if runs:
            shown = ", ".join(runs[:3]) + (" …" if len(runs) > 3 else "")
            raise Conflict(
                f"dataset '{row.name}': {shown} was trained on it, and needs it to be resumed. Fix: leave it in the bin"
            )
        session.query(DatasetVersion).where(DatasetVersion.dataset_id == row.id).delete()
        session.delete(session.get_one(Dataset, row.id))
    shutil.rmtree(folder_of(studio, row.id), ignore_errors=True)


def folder_of(studio: Studio, dataset_id: str) -> Path:
    """All that belongs to a dataset, by its id."""
    return studio.datasets / dataset_id


def files_of(studio: Studio, dataset_id: str) -> Path:
    """Its pictures and captions, by its id."""
    return folder_of(studio, dataset_id) / "files"


@contextmanager
def locked(studio: Studio, dataset_id: str) -> Generator[None]:
    """Be the only one to change its files, over threads and processes. A thread that has the lock may take it again."""
    held: set[str] = _held.__dict__.setdefault("ids", set())
    key = str(folder_of(studio, dataset_id))
    if key in held:
        yield
        return
    with (folder_of(studio, dataset_id) / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        held.add(key)
        try:
            yield
        finally:
            held.discard(key)


def _set_deleted(studio: Studio, row_id: str, when: float | None) -> Dataset:
    with studio.database.session() as session:
        row = session.get_one(Dataset, row_id)
        if when is None:
            _refuse_taken(session, row.name, row_id)
        row.deleted = when
    return row


def _refuse_taken(session: Session, name: str, own_id: str) -> None:
    query = select(Dataset.id).where(Dataset.name == name, Dataset.deleted.is_(None), Dataset.id != own_id)
    if session.scalar(query):
        raise Conflict(f"name: there is a dataset '{name}' already. Fix: choose another name")


def _checked(**values: str) -> dict[str, str]:
    """The values as they are kept. Raises InputError with all that is wrong."""
    problems: list[str] = []
    values = {field: value.strip() for field, value in values.items() if field in _FIELDS}
    name = values.get("name")
    if name is not None:
        if not name or len(name) > LONGEST_NAME:
            problems.append(f"name: should have 1 to {LONGEST_NAME} letters. Fix: give a short name")
        elif not is_plain(name) or set(name) & set("/\\") or _LIKE_AN_ID.fullmatch(name):
            problems.append("name: holds signs that a name cannot have, or looks like an id. Fix: use words")
    if values.get("kind", KINDS[0]) not in KINDS:
        problems.append(f"kind: '{values['kind']}' is not known. Fix: one of {', '.join(KINDS)}")
    trigger = values.get("trigger", "")
    if len(trigger) > LONGEST_TRIGGER or not is_plain(trigger):
        problems.append(f"trigger: should be a word of up to {LONGEST_TRIGGER} letters. Fix: such as 'maya_char'")
    if len(values.get("description", "")) > LONGEST_DESCRIPTION:
        problems.append(f"description: is longer than {LONGEST_DESCRIPTION} letters. Fix: shorten it")
    if values.get("base"):
        try:
            resolve_base(values["base"])
        except InputError as e:
            problems += [text if text.startswith("base: ") else f"base: {text}" for text in e.problems]
    if problems:
        raise InputError(*problems)
    return values
