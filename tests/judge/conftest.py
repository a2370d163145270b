from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from likeness.config.run import RunConfig
from likeness.dataset.manifest import Example
from likeness.judge.scorecard import Drawn


def run_config(**changes: object) -> RunConfig:
    values = {"name": "a", "base": "b", "trigger": "tiny_char", "data": {"datasets": ["p"]}}
    return RunConfig.model_validate({**values, **changes})


@pytest.fixture
def example(tmp_path: Path) -> Callable[..., Example]:
    """A training example of a picture; with `before`, a pair."""

    def make(name: str, picture: Image.Image, caption: str = "tiny_char", before: Image.Image | None = None) -> Example:
        path, source = tmp_path / "data" / f"{name}.png", tmp_path / "data" / f"{name}-before.png"
        path.parent.mkdir(exist_ok=True)
        picture.save(path)
        if before is not None:
            before.save(source)
        references = (str(source),) if before is not None else ()
        return Example(name, str(path), *picture.size, caption, 1, 0, name, references=references)

    return make


@pytest.fixture
def drawn(tmp_path: Path) -> Callable[..., Drawn]:
    """A drawn picture, by key and epoch."""

    def make(key: str, epoch: int, picture: Image.Image, prompt: str = "", source: str = "") -> Drawn:
        path = tmp_path / f"epoch-{epoch}" / f"{key}.png"
        path.parent.mkdir(exist_ok=True)
        picture.save(path)
        return Drawn(key, prompt or f"tiny_char at {key}", path, (source,) if source else ())

    return make
