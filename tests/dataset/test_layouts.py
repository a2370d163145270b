import re
import tarfile
import zipfile
from pathlib import Path

import pytest

from likeness.dataset.ingest import Reading
from likeness.dataset.manifest import Example
from tests.dataset.conftest import Read
from tests.dataset.layouts import LAYOUTS, Layout, Shown

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "dataset-layouts.md"
PATHS = ("captions_file", "masks", "controls")


def read_layout(layout: Layout, root: Path, read: Read) -> Reading:
    """As the settings would have it, with absolute paths."""
    settings = dict(layout.settings)
    if "captions_file" in settings:
        settings["captions_file"] = str(root / settings["captions_file"])
    if "controls" in settings:
        settings["controls"] = [str(root / c) for c in settings["controls"]]
    if settings.get("masks", "_")[0] != "_":
        settings["masks"] = str(root / settings["masks"])
    return read(root / layout.path, kind=layout.kind, **settings)


def shown(e: Example, root: Path) -> Shown:
    def inside(path: str) -> str:
        return Path(path).relative_to(root).as_posix()

    mask = inside(e.mask) if e.mask else None
    return Shown(inside(e.path), e.caption, tuple(map(inside, e.references)), e.repeats, mask, e.captions)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_layouts_are_read(layout: Layout, tmp_path: Path, read: Read):
    layout.write(tmp_path)
    reading = read_layout(layout, tmp_path, read)
    assert reading.problems == []
    assert [shown(e, tmp_path) for e in reading.examples] == layout.expected


@pytest.mark.parametrize("inner", ["", "photos/"])
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_archives_are_read_as_what_they_hold(tmp_path: Path, read: Read, kind: str, inner: str):
    layout = next(la for la in LAYOUTS if la.name == "two folders")
    layout.write(tmp_path / "in")
    archive = tmp_path / f"set.{kind}"
    with zipfile.ZipFile(archive, "w") if kind == "zip" else tarfile.open(archive, "w") as pack:
        add = pack.write if isinstance(pack, zipfile.ZipFile) else pack.add
        for file in sorted((tmp_path / "in").rglob("*.*")):
            add(file, f"{inner}{file.relative_to(tmp_path / 'in')}")
    (example,) = read(archive, kind="edit").examples
    assert example.caption == "make it night"
    assert Path(example.path).read_bytes() == (tmp_path / "in/after/a.png").read_bytes()
    assert not Path(example.path).is_relative_to(tmp_path)


def test_the_page_lists_every_layout_that_is_tested():
    listed = re.findall(r"^\| ([^|]+?) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    named = [name for name in listed if name not in ("layout", "---")]
    # Those two have tests of their own: above, and test_ingest.test_alpha_may_be_the_mask.
    assert sorted(named) == sorted([*(layout.name for layout in LAYOUTS), "zip or tar", "transparency as mask"])
