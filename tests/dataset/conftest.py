import random
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from likeness.dataset.manifest import Example

Picture = Callable[..., Path]


@pytest.fixture
def picture(tmp_path: Path) -> Picture:
    """Writes a small picture, each with other pixels, under `tmp_path`; with a caption beside it if one is given."""

    def write(name: str, size: tuple[int, int] = (24, 20), caption: str | None = None) -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        noise = random.Random(name).randbytes(size[0] * size[1] * 3)
        Image.frombytes("RGB", size, noise).save(file)
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
