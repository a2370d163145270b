from collections.abc import Iterator
from pathlib import Path

import pytest

from likeness.studio.supervisor import Supervisor
from likeness.studio.workspace import Studio
from tests.studio.runs_at_hand import a_machine, supervising


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    found = Studio(tmp_path / "workspace")
    yield found
    found.close()


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    a_machine(monkeypatch)


@pytest.fixture
def supervised(studio: Studio) -> Iterator[Supervisor]:
    """Real workers do what is asked for."""
    with supervising(studio) as supervisor:
        yield supervisor
