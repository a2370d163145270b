import sqlite3
import time
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import select

from likeness.errors import InputError
from likeness.store.database import NEWEST, Database
from likeness.store.tables import Setting, Table


@pytest.fixture
def database(tmp_path: Path):
    found = Database(tmp_path / "studio.db")
    yield found
    found.close()


def test_the_steps_lead_to_the_tables(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Table.metadata) == []


def test_the_newest_step_is_known_by_name(database: Database) -> None:
    with database.engine.connect() as connection:
        assert MigrationContext.configure(connection).get_current_revision() == NEWEST


def test_what_is_there_stays(tmp_path: Path) -> None:
    for turn in range(2):
        database = Database(tmp_path / "studio.db")
        with database.session() as session:
            session.merge(Setting(name=f"turn {turn}", value={"turn": turn}))
        with database.reading() as session:
            assert len(list(session.scalars(select(Setting)))) == turn + 1
        database.close()


def test_an_error_takes_all_back(database: Database) -> None:
    with pytest.raises(RuntimeError), database.session() as session:
        session.add(Setting(name="half", value={}))
        session.flush()
        raise RuntimeError
    with database.reading() as session:
        assert session.get(Setting, "half") is None


def test_readers_do_not_wait_for_a_writer(database: Database) -> None:
    with database.session() as session:
        session.add(Setting(name="slow", value={}))
        session.flush()
        began = time.monotonic()
        with database.reading() as other:
            assert other.get(Setting, "slow") is None
        assert time.monotonic() - began < 5, "a reader that waits gives up after ten seconds"


def test_a_newer_versions_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "studio.db"
    Database(path).close()
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(InputError, match=r"newer version.*Fix: upgrade"):
        Database(path)


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "studio.db"
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(InputError, match=r"cannot be opened.*Fix: put back a copy"):
        Database(path)
    assert path.read_bytes() == b"not a database" * 100
