from collections.abc import Callable
from pathlib import Path

import pytest

from likeness.config.data import DatasetConfig
from likeness.dataset.index import Index
from likeness.dataset.ingest import Reading, read_dataset
from likeness.dataset.manifest import Example
from tests.dataset.samples import write_picture

Picture = Callable[..., Path]
Read = Callable[..., Reading]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Reads a dataset by its settings, with nothing kept; archives are unpacked beside `tmp_path`."""

    def reading(
        path: Path, *, kind: str = "character", trigger: str = "", own_trigger: str | None = None, **settings: object
    ) -> Reading:
        dataset = DatasetConfig.model_validate({"path": str(path), "trigger": own_trigger, **settings})
        store = tmp_path.with_name(f"{tmp_path.name}-kept")
        with Index() as index:
            found = read_dataset(dataset, index=index, store=store, kind=kind, trigger=trigger)
        lines = [*(p.message for p in found.problems), *found.notes]
        assert all("\n" not in line for line in lines)
        assert all("Fix: " in p.message for p in found.problems)
        return found

    return reading


@pytest.fixture
def picture(tmp_path: Path) -> Picture:
    """Writes a small picture, each with other pixels, under `tmp_path`; with a caption beside it if one is given."""

    def write(name: str, size: tuple[int, int] = (24, 20), caption: str | None = None) -> Path:
        file = write_picture(tmp_path / name, size)
        if caption is not None:
            file.with_suffix(".txt").write_text(caption, encoding="utf-8")
        return file

    return write


@pytest.fixture
def example() -> Callable[..., Example]:
    """An example without files; `n` makes it differ from others."""

    def make(n: int, **changes: object) -> Example:
        values: dict[str, object] = {
            "id": f"{n:016x}",
            "path": f"/data/{n}.png",
            "width": 512,
            "height": 512,
            "caption": "maya_char smiling on a beach",
            "repeats": 10,
            "dataset": 0,
            "sha256": f"{n:064x}",
        }
        return Example(**{**values, **changes})  # type: ignore[arg-type]

    return make
