import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from likeness.config.data import DatasetConfig
from likeness.dataset.checks import Finding, Rules, findings, measure
from likeness.dataset.geometry import with_crops
from likeness.dataset.index import Index
from likeness.dataset.ingest import read_dataset

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
Look = Callable[..., dict[str, Finding]]


@pytest.fixture
def mika(tmp_path: Path) -> Path:
    """A copy of the example character, to plant a fault in: 12 pictures, mika-01 to mika-12."""
    return Path(shutil.copytree(EXAMPLES / "character" / "mika", tmp_path / "mika"))


@pytest.fixture
def hats(tmp_path: Path) -> Path:
    """A copy of the example edit: 12 pairs."""
    return Path(shutil.copytree(EXAMPLES / "edit" / "party-hat", tmp_path / "hats"))


def look(folder: Path, trigger: str = "mika_char", index: Index | None = None, **rules: object) -> dict[str, Finding]:
    """What is found in a folder, by check, each of which finds one thing at most."""
    found = all_found(folder, trigger, index, **rules)
    assert len({f.check for f in found}) == len(found)
    return {f.check: f for f in found}


def all_found(folder: Path, trigger: str = "mika_char", index: Index | None = None, **rules: object) -> list[Finding]:
    """What is found in a folder."""
    rule = Rules(**{"kind": "character", "resolution": 128, "caption_tokens": 48, **rules})  # type: ignore[arg-type]
    index = index or Index()
    word = "" if rule.kind == "edit" else trigger
    reading = read_dataset(
        DatasetConfig(path=str(folder)), index=index, store=folder / ".store", kind=rule.kind, trigger=word,
        require_captions=False,
    )  # fmt: skip
    assert reading.problems == []
    examples, wrong_crops = with_crops(reading.examples)
    assert wrong_crops == []
    return findings(measure(examples, rule, index))


def names(finding: Finding) -> set[str]:
    return {Path(path).stem for path in finding.images}
