"""What the pages show can be followed: links, pictures, settings, code."""

import re
from pathlib import Path
from textwrap import indent

import pytest

from likeness.config.load import read_config
from tests.docs.blocks import PAGES, ROOT, Block, blocks, prose

_LINK = re.compile(r"(?<!\\)\[[^\[\]]*\]\((?P<target>[^()\s]+)\)")
_NEEDED = {"name": "name: example", "base": "base: starter", "data": "data: {datasets: [pictures]}"}


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def anchors(page: Path) -> set[str]:
    """The names under which the headings of a page can be linked to."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_and_pictures_lead_somewhere(page: Path):
    wrong: list[str] = []
    for target in _LINK.findall(prose(page)):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        goal = (page.parent / path).resolve() if path else page
        known = goal.exists() and goal.is_relative_to(ROOT)
        if not known or (anchor and anchor not in anchors(goal)):
            wrong.append(target)
    assert wrong == []


def test_every_page_can_be_found_from_the_overview():
    targets = _LINK.findall(prose(ROOT / "docs" / "README.md"))
    linked = {(ROOT / "docs" / t).resolve() for t in targets}
    assert set((ROOT / "docs").rglob("*.md")) - linked == {ROOT / "docs" / "README.md"}


YAML = [b for page in PAGES for b in blocks(page) if b.language == "yaml"]


@pytest.mark.parametrize("block", YAML, ids=lambda b: b.place)
def test_settings_are_read(block: Block, tmp_path: Path):
    """Parts of a settings file are read with the least that is needed around them."""
    given = set(re.findall(r"^(\w+):", block.text, re.MULTILINE))
    missing = [line for key, line in _NEEDED.items() if key not in given]
    file = tmp_path / "settings.yaml"
    file.write_text("\n".join([block.text, *missing]), encoding="utf-8")
    loaded = read_config(file)
    assert given <= set(type(loaded.config).model_fields)


def test_there_are_settings_to_read():
    assert len(YAML) >= 8


PYTHON = [b for page in PAGES for b in blocks(page) if b.language == "python"]


@pytest.mark.parametrize("block", PYTHON, ids=lambda b: b.place)
def test_code_compiles(block: Block):
    compile(block.text, block.place, "exec")


QUOTED = [b for page in PAGES for b in blocks(page) if b.mark.startswith("from: ")]


@pytest.mark.parametrize("block", QUOTED, ids=lambda b: b.place)
def test_quoted_code_is_the_code(block: Block):
    source = (ROOT / block.mark.removeprefix("from: ")).read_text(encoding="utf-8")
    assert any(indent(block.text, " " * n) in source for n in (0, 4, 8))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_marks_are_known(page: Path):
    """A misspelled mark would be a block that is never run."""
    comments = re.findall(r"^<!-- (.+?) -->$", page.read_text(encoding="utf-8"), re.MULTILINE)
    known = re.compile(
        r"run|run: small|from: [\w./-]+|file: [\w.-]+|generated: [\w.-]+|end|Written by `python -m docs.generate`.*"
    )
    assert [c for c in comments if not known.fullmatch(c)] == []
    fences = page.read_text(encoding="utf-8").count("\n```")
    assert fences == 2 * len(blocks(page))
