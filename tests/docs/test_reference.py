"""Pages that describe code say what the code says."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs import generate
from tests.docs.blocks import ROOT

PAGES = (
    "reference/settings.md",
    "reference/cli.md",
    "reference/models.md",
    "reference/events.md",
    "reference/run-folder.md",
    "reference/lora-file.md",
    "reference/rest.md",
    "reference/mcp.md",
    "explanation/architecture.md",
)


@pytest.fixture(scope="module")
def made() -> dict[Path, str]:
    return generate.pages()


@pytest.mark.parametrize("page", PAGES)
def test_it_is_up_to_date(made: dict[Path, str], page: str):
    path = ROOT / "docs" / page
    assert path.read_text(encoding="utf-8") == made[path], "stale: run `make docs` and commit what it writes"


def test_all_generated_pages_are_in_the_list(made: dict[Path, str]):
    assert set(made) == {ROOT / "docs" / page for page in PAGES}


def test_a_stale_page_would_be_seen(made: dict[Path, str]):
    """Generation reads the settings themselves: what is changed by hand is undone."""
    path = ROOT / "docs" / "reference" / "run-folder.md"
    assert generate.filled(made[path].replace("| `digest` |", "| `digset` |")) == made[path]


def test_an_unknown_part_is_refused():
    with pytest.raises(KeyError):
        generate.filled("<!-- generated: nothing -->\n<!-- end -->")


def _literals() -> Iterator[str]:
    """Every piece of text in the package, whole where it is written over several lines."""
    for path in (ROOT / "likeness").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_quoted_messages_exist():
    page = (ROOT / "docs" / "guides" / "troubleshooting.md").read_text(encoding="utf-8")
    quoted = re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)
    literals = list(_literals())
    assert len(quoted) > 40
    assert [q for q in quoted if not any(q in text for text in literals)] == []


def test_every_dependency_is_explained():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *(d for extra in project["optional-dependencies"].values() for d in extra)]
    names = {re.split(r"[<>=!\[ ]", d)[0] for d in wanted}
    page = (ROOT / "docs" / "explanation" / "dependencies.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `([\w-]+)` \|", page, re.MULTILINE))
    assert listed == names
