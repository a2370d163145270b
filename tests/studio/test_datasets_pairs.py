import json
from pathlib import Path

import pytest

from likeness.errors import Conflict, InputError, NotFound
from likeness.service import datasets as service
from likeness.store.tables import Dataset
from likeness.studio import datasets
from likeness.studio.datasets import arrivals, captions, pairs, steps
from likeness.studio.datasets.pairs import Asked
from likeness.studio.workspace import Studio
from tests.studio.datasets_at_hand import EXAMPLES, picture, put


@pytest.fixture
def night(studio: Studio, tmp_path: Path) -> Dataset:
    row = datasets.create(studio, "Night", "edit")
    for name, colour in (("a.png", "white"), ("b.png", "black"), ("c.png", "grey")):
        put(studio, row.id, tmp_path, name, colour=colour)
    return row


def told(studio: Studio, row: Dataset) -> list[tuple[str, tuple[str, ...], str]]:
    return [(p.name, p.sources, p.caption) for p in datasets.pictures(studio, row.id)[0] if not p.loose]


def test_pictures_are_paired_and_training_reads_the_pairs(studio: Studio, night: Dataset) -> None:
    assert all(p.loose for p in datasets.pictures(studio, night.id)[0])
    pairs.add(studio, night.id, [Asked(["a.png"], "b.png", "make it night"), Asked(["a.png"], "c.png", "make it dim")])
    assert told(studio, night) == [("b.png", ("a.png",), "make it night"), ("c.png", ("a.png",), "make it dim")]
    captions.set_caption(studio, night.id, "c.png", "make it dusk")
    report = service.check(datasets.files_of(studio, night.id))  # as the command line does, with nothing said
    assert report.kind == "edit"
    assert [(Path(e.path).name, [Path(r).name for r in e.references], e.caption) for e in report.examples] == [
        ("b.png", ["a.png"], "make it night"), ("c.png", ["a.png"], "make it dusk"),
    ]  # fmt: skip


def test_all_pairs_are_set_at_once_and_that_can_be_repeated(studio: Studio, night: Dataset) -> None:
    pairs.add(studio, night.id, [Asked(["a.png"], "b.png", "make it night")])
    for _ in range(2):
        pairs.put(studio, night.id, [Asked(["b.png"], "a.png", "make it day"), Asked(["a.png", "b.png"], "c.png")])
    assert told(studio, night) == [("a.png", ("b.png",), "make it day"), ("c.png", ("a.png", "b.png"), "")]
    steps.undo(studio, night.id)
    steps.undo(studio, night.id)
    assert told(studio, night) == [("b.png", ("a.png",), "make it night")]


def test_pairs_that_cannot_be_are_refused(studio: Studio, night: Dataset) -> None:
    pairs.add(studio, night.id, [Asked(["a.png"], "b.png")])
    for asked, kind, problem in (
        (Asked(["c.png"], "b.png"), Conflict, "after of two pairs"),
        (Asked(["c.png"], "c.png"), InputError, "before and after"),
        (Asked([], "c.png"), InputError, "1 to 8"),
        (Asked(["nobody.png"], "c.png"), NotFound, "no picture"),
        (Asked(["../../a.png"], "c.png"), NotFound, "no picture"),
    ):
        with pytest.raises(kind, match=problem):
            pairs.add(studio, night.id, [asked])
    plain = datasets.create(studio, "Mika")
    with pytest.raises(Conflict, match="has no pairs"):
        pairs.add(studio, plain.id, [])
    assert told(studio, night) == [("b.png", ("a.png",), "")]


def test_swapping_keeps_the_instruction(studio: Studio, night: Dataset) -> None:
    pairs.add(studio, night.id, [Asked(["a.png"], "b.png", "make it night")])
    pairs.swap(studio, night.id, ["b.png"])
    assert told(studio, night) == [("a.png", ("b.png",), "make it night")]
    steps.undo(studio, night.id)
    assert told(studio, night) == [("b.png", ("a.png",), "make it night")]
    pairs.add(studio, night.id, [Asked(["b.png"], "a.png", "make it day")])
    with pytest.raises(Conflict, match="two pairs"):
        pairs.swap(studio, night.id, ["b.png"])


def test_a_pair_goes_with_the_picture_before_that_no_other_needs(studio: Studio, night: Dataset) -> None:
    pairs.add(studio, night.id, [Asked(["a.png"], "b.png", "x"), Asked(["a.png"], "c.png", "y")])
    pairs.remove(studio, night.id, ["b.png"])
    assert told(studio, night) == [("c.png", ("a.png",), "y")]
    pairs.remove(studio, night.id, ["c.png"])
    assert datasets.pictures(studio, night.id)[1] == 0
    steps.undo(studio, night.id)
    steps.undo(studio, night.id)
    assert [t[0] for t in told(studio, night)] == ["b.png", "c.png"]


def test_names_and_folders_pair_as_they_come(studio: Studio, tmp_path: Path) -> None:
    row = datasets.create(studio, "Night", "edit")
    for name, colour in (
        ("drop/before/1.png", "white"), ("drop/after/1.png", "black"), ("2_before.png", "red"), ("2_after.png", "navy"),
        ("drop/before/1.png", "pink"), ("drop/after/1.png", "brown"),
    ):  # fmt: skip
        arrivals.take(studio, row.id, picture(tmp_path / "in" / "x.png", colour=colour), name)
    assert [(name, sources) for name, sources, _ in told(studio, row)] == [
        ("1_after.png", ("1_before.png",)), ("2_after.png", ("2_before.png",)), ("1-2_after.png", ("1-2_before.png",)),
    ]  # fmt: skip
    pairs.separate(studio, row.id, ["1_after.png"])
    arrivals.take(studio, row.id, picture(tmp_path / "in" / "x.png", colour="gold"), "3.png")
    assert [t[0] for t in told(studio, row)] == ["2_after.png", "1-2_after.png"]  # taken apart, and it stays so


@pytest.mark.parametrize("example", ["party-hat", "glass"])
def test_a_folder_of_pairs_keeps_its_instructions(studio: Studio, example: str) -> None:
    row = datasets.create(studio, example, "edit")
    arrived = arrivals.take_folder(studio, row.id, EXAMPLES / "edit" / example)
    theirs = service.check(EXAMPLES / "edit" / example).examples
    ours = service.check(datasets.files_of(studio, row.id)).examples
    assert arrived.pairs == len(theirs) and not arrived.refused
    key = lambda e: (e.sha256, e.reference_sha256s, e.caption)  # noqa: E731
    assert sorted(map(key, ours)) == sorted(map(key, theirs))


def test_lists_and_shared_instructions_of_other_hands_are_understood(studio: Studio, tmp_path: Path) -> None:
    folder = tmp_path / "made elsewhere"
    for name, colour in (("x.png", "white"), ("y.png", "black")):
        picture(folder / name, colour=colour)
    line = {"input_image": "x.png", "edited_image": "y.png", "edit_prompt": "make it night"}
    (folder / "metadata.jsonl").write_text(json.dumps(line))
    row = datasets.create(studio, "Night", "edit")
    arrivals.take_folder(studio, row.id, folder)
    assert told(studio, row) == [("y.png", ("x.png",), "make it night")]


def test_a_folder_that_was_filled_by_hand_is_read_too(studio: Studio, tmp_path: Path) -> None:
    row = datasets.create(studio, "Night", "edit")
    files = datasets.files_of(studio, row.id)
    picture(files / "before" / "1.png", colour="white")
    picture(files / "after" / "1.png", colour="black")
    (files / "1.txt").write_text("make it night")
    assert told(studio, row) == [("after/1.png", ("before/1.png",), "make it night")]
    put(studio, row.id, tmp_path, "2.png")
    put(studio, row.id, tmp_path, "3.png", colour="red")
    pairs.add(studio, row.id, [Asked(["2.png"], "3.png", "make it red")])
    assert sorted(told(studio, row)) == [
        ("3.png", ("2.png",), "make it red"), ("after/1.png", ("before/1.png",), "make it night"),
    ]  # fmt: skip
