"""The studio's SQLite file: opened, brought up to date, used in sessions."""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, event, inspect
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session

from likeness.errors import InputError

BUSY_SECONDS = 10  # that a writer waits for another
CACHE_KB = 256  # of pages, for each connection; the system keeps the file in memory anyway
NEWEST = "0001"  # the last step in migrations/versions


class Database:
    """Raises InputError for a file that is no database, is damaged, or was made by a newer version."""

    def __init__(self, path: Path):
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self.engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": BUSY_SECONDS})
        event.listen(self.engine, "connect", _on_connect)
        event.listen(self.engine, "begin", _on_begin)
        try:
            with self.engine.begin() as connection:
                if _version(connection) != NEWEST:
                    _migrate(connection, path)
        except DatabaseError as e:
            raise InputError(f"{path}: cannot be opened ({e.orig}). Fix: put back a copy, or move it away") from e

    @contextmanager
    def session(self) -> Generator[Session]:
        """One transaction: kept at the end of the block, taken back where it raises. What was read stays usable."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def reading(self) -> Generator[Session]:
        """A view of the data at one moment, which waits for no writer. What is changed in it is not kept."""
        with Session(self.engine.execution_options(reads_only=True), expire_on_commit=False) as session:
            yield session

    def close(self) -> None:
        self.engine.dispose()


def _on_connect(raw: sqlite3.Connection, record: Any) -> None:
    raw.isolation_level = None  # transactions are begun below, not by the driver
    raw.execute("PRAGMA journal_mode=WAL")
    raw.execute("PRAGMA synchronous=NORMAL")
    raw.execute("PRAGMA foreign_keys=ON")
    raw.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")
    raw.execute(f"PRAGMA cache_size=-{CACHE_KB}")


def _on_begin(connection: Connection) -> None:
    # A transaction that reads first and writes then would fail at once when another has written in between.
    reads_only = connection.get_execution_options().get("reads_only")
    connection.exec_driver_sql("BEGIN" if reads_only else "BEGIN IMMEDIATE")


def _version(connection: Connection) -> str | None:
    """The last step that was taken; None for a file without any."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()


def _migrate(connection: Connection, path: Path) -> None:
    # Imported here: most of the time there is nothing to do, and a server that runs for weeks need not hold it.
    from alembic import command
    from alembic.config import Config
    from alembic.util.exc import CommandError

    config = Config()
    config.set_main_option("script_location", str(resources.files("likeness.store") / "migrations"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as e:
        raise InputError(
            f"{path}: was made by a newer version of likeness. Fix: upgrade likeness, or choose another --workspace"
        ) from e
