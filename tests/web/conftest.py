from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from likeness.api.app import create_app
from likeness.studio.workspace import Studio

ADDRESS = "http://127.0.0.1:8188"
FROM_PAGE = {"HX-Request": "true", "Origin": ADDRESS}  # as htmx sends what a page's form says


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    found = Studio(tmp_path / "workspace")
    yield found
    found.close()


@pytest.fixture
def client(studio: Studio) -> Iterator[TestClient]:
    with TestClient(create_app(studio), base_url=ADDRESS) as found:
        yield found
