from collections.abc import Callable
from pathlib import Path

import pytest

from likeness.config.load import Loaded, read_config
from likeness.errors import InputError

SMALLEST = """\
name: maya
base: starter
data:
  datasets: [photos]
"""  # four lines; what a test adds starts at line 5

Read = Callable[..., Loaded]
Refuse = Callable[..., list[str]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Read YAML text as the file maya.yaml; further arguments are overrides."""

    def reading(text: str, *overrides: str) -> Loaded:
        path = tmp_path / "maya.yaml"
        path.write_text(text, encoding="utf-8")
        return read_config(path, overrides)

    return reading


@pytest.fixture
def refuse(read: Read) -> Refuse:
    """The problems that reading finds."""

    def refusing(text: str, *overrides: str) -> list[str]:
        with pytest.raises(InputError) as error:
            read(text, *overrides)
        assert all("\n" not in problem and "pydantic" not in problem for problem in error.value.problems)
        return list(error.value.problems)

    return refusing
