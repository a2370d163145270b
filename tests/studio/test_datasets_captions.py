from pathlib import Path

import pytest

from likeness.config.data import DatasetConfig
from likeness.dataset.authorship import Authorship, find_places
from likeness.errors import Conflict, InputError
from likeness.store.tables import Dataset
from likeness.studio import datasets
from likeness.studio.datasets import captions, steps
from likeness.studio.workspace import Studio
from tests.studio.datasets_at_hand import put


@pytest.fixture
def mika(studio: Studio, tmp_path: Path) -> Dataset:
    """Three pictures: one captioned by a person, one by a machine, one not at all."""
    row = datasets.create(studio, "Mika", trigger="mika_char")
    for number, name in enumerate(("a.png", "b.png", "c.png")):
        put(studio, row.id, tmp_path, name, colour=("red", "green", "blue")[number])
    captions.set_caption(studio, row.id, "a.png", "mika_char on a red boat")
    by_machine(studio, row, "b.png", "a boat, red")
    return row


def by_machine(studio: Studio, row: Dataset, name: str, text: str) -> None:
    files = datasets.files_of(studio, row.id)
    place = next(p for p in find_places(DatasetConfig(path=str(files)), "character").places if p.file.stem == name[0])
    Authorship(files).write(place, text, engine="test")


def told(studio: Studio, row: Dataset) -> list[tuple[str, str]]:
    return [(p.caption, p.author) for p in datasets.pictures(studio, row.id)[0]]


def test_who_wrote_a_caption_is_known(studio: Studio, mika: Dataset) -> None:
    assert told(studio, mika) == [("mika_char on a red boat", "person"), ("a boat, red", "machine"), ("", "nobody")]
    captions.set_caption(studio, mika.id, "b.png", "a boat, red")  # looked at, not changed
    assert told(studio, mika)[1] == ("a boat, red", "machine")
    captions.set_caption(studio, mika.id, "b.png", "mika_char in\na  boat\x07")
    assert told(studio, mika)[1] == ("mika_char in a  boat", "person")
    captions.set_caption(studio, mika.id, "b.png", " ")
    assert told(studio, mika)[1] == ("", "nobody")
    steps.undo(studio, mika.id)
    steps.undo(studio, mika.id)
    assert told(studio, mika)[1] == ("a boat, red", "machine")


def test_find_and_replace(studio: Studio, mika: Dataset) -> None:
    assert captions.replace(studio, mika.id, "red", "blue") == ["a.png", "b.png"]
    assert captions.replace(studio, mika.id, "BOAT", "ship", case=False, names=["a.png"]) == ["a.png"]
    assert captions.replace(studio, mika.id, "a", "the", words=True) == ["a.png", "b.png"]
    assert told(studio, mika) == [
        ("mika_char on the blue ship", "person"),
        ("the boat, blue", "person"),
        ("", "nobody"),
    ]
    assert captions.replace(studio, mika.id, ".*", "") == []  # no pattern
    assert captions.replace(studio, mika.id, "the ", r"\1 ") == ["a.png", "b.png"]
    assert told(studio, mika)[1][0] == r"\1 boat, blue"
    with pytest.raises(InputError, match="find: is empty"):
        captions.replace(studio, mika.id, "", "x")
    steps.undo(studio, mika.id)
    assert told(studio, mika)[1][0] == "the boat, blue"


def test_a_prefix_is_put_in_front_once(studio: Studio, mika: Dataset) -> None:
    assert captions.prefix(studio, mika.id, "photo of") == ["a.png", "b.png"]
    assert captions.prefix(studio, mika.id, "photo of") == []
    assert [text for text, _ in told(studio, mika)] == ["photo of mika_char on a red boat", "photo of a boat, red", ""]


def test_the_trigger_is_audited_and_written(studio: Studio, mika: Dataset) -> None:
    captions.set_caption(studio, mika.id, "c.png", "Mika Char asleep")
    found = captions.audit(studio, mika.id)
    assert (found.has, found.lacks, found.spelled_otherwise) == (["a.png"], ["b.png"], {"c.png": "Mika Char"})
    assert captions.add_trigger(studio, mika.id) == ["b.png", "c.png"]
    assert told(studio, mika)[1:] == [("mika_char, a boat, red", "machine"), ("mika_char asleep", "person")]
    assert captions.audit(studio, mika.id).lacks == []
    datasets.change(studio, mika.id, trigger="girl")
    assert captions.audit(studio, mika.id).is_a_word
    datasets.change(studio, mika.id, trigger="")
    with pytest.raises(Conflict, match="has no trigger"):
        captions.audit(studio, mika.id)


def test_too_long_a_caption_is_refused_and_bulk_changes_are_all_or_nothing(studio: Studio, mika: Dataset) -> None:
    before = told(studio, mika)
    with pytest.raises(InputError, match="longer than"):
        captions.set_caption(studio, mika.id, "a.png", "x" * 10_001)
    with pytest.raises(InputError, match="longer than"):
        captions.replace(studio, mika.id, "boat", "x" * 10_000)
    assert told(studio, mika) == before
