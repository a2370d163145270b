"""Names of runs: each is of one run, and which are free."""

import time
from collections.abc import Iterator

from likeness.errors import Conflict
from likeness.store.tables import Run
from likeness.studio.workspace import Studio

STARTING_SECONDS = 60.0  # that a start may take, between its row and its folder


def subject_of(name: str) -> str:
    """What jobs say that are for a run."""
    return f"run:{name}"


def free_name(studio: Studio, name: str) -> str:
    """`name`, or that name with a number that no run has yet."""
    stem, _, number = name.rpartition("-")
    stem = stem if stem and number.isdecimal() and len(number) < 4 else name
    candidates: Iterator[str] = (f"{stem[:95]}-{n}" for n in range(2, 10**6))
    taken = studio.run_folder(name).exists()
    return next(c for c in candidates if not studio.run_folder(c).exists()) if taken else name


def claim(studio: Studio, row: Run) -> None:
    """Put the row in, and with it the name: two that start at once cannot both have it; one in the bin leaves its name
    to others. Raises Conflict where it is taken."""
    taken = Conflict(f"name: there is a run '{row.name}' already. Fix: choose another name, such as {row.name}-2")
    with studio.database.session() as session:  # one writer at a time
        old = session.get(Run, row.name)
        # A row without a folder is of one that starts just now; or of one that was killed over it, a while ago.
        starting = old is not None and old.deleted is None and time.time() - old.created < STARTING_SECONDS
        if studio.run_folder(row.name).exists() or starting:
            raise taken
        if old is not None:
            session.delete(old)
            session.flush()
        session.add(row)


def release(studio: Studio, name: str) -> None:
    """Let go of a name whose run did not come about."""
    with studio.database.session() as session:
        if row := session.get(Run, name):
            session.delete(row)
