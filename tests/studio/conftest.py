from collections.abc import Iterator
from pathlib import Path

import pytest

from likeness.studio.workspace import Studio


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    found = Studio(tmp_path / "workspace")
    yield found
    found.close()
