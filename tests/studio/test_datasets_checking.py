from pathlib import Path

import pytest

from likeness.errors import InputError
from likeness.store.tables import Dataset
from likeness.studio import datasets, queue
from likeness.studio.datasets import arrivals, checking, steps
from likeness.studio.workspace import Studio
from tests.studio.datasets_at_hand import EXAMPLES, put


@pytest.fixture
def careless(studio: Studio) -> Dataset:
    row = datasets.create(studio, "Careless", trigger="mika_char", base="starter")
    arrivals.take_folder(studio, row.id, EXAMPLES / "bad" / "mika-careless")
    return row


def found(studio: Studio, row: Dataset) -> dict[str, tuple[list[str], list[str]]]:
    return {f.check: (f.images, f.fixes) for f in checking.check(studio, row.id).findings}


def test_findings_stand_beside_their_pictures_with_their_fix(studio: Studio, careless: Dataset) -> None:
    told = found(studio, careless)
    assert told["size"] == (["mika-02.png"], ["enlarge"])
    assert told["duplicates"] == (["mika-01.png", "mika-13.png"], ["remove_copies"])
    assert told["borders"] == (["mika-05.png"], ["trim"])
    assert told["trigger"] == (["mika-06.png", "mika-07.png"], ["add_trigger"])
    checked = checking.check(studio, careless.id)
    assert checked.count == 14 and next(f.check for f in checked.of("mika-02.png")) == "size"
    assert not any(str(studio.root) in f.message + f.fix for f in checked.findings)


def test_each_fix_mends_what_it_is_offered_for_and_can_be_undone(studio: Studio, careless: Dataset) -> None:
    before = found(studio, careless)
    for what, checks in (
        ("remove_copies", ["duplicates"]), ("add_trigger", ["trigger", "trigger_spelling"]), ("trim", ["borders"]),
    ):  # fmt: skip
        assert checking.fix(studio, careless.id, what).words
        assert not {*checks} & {*found(studio, careless)}
    assert "mika-13.png" not in [p.name for p in datasets.pictures(studio, careless.id)[0]]
    for _ in range(3):
        assert steps.undo(studio, careless.id)[1] == []
    assert found(studio, careless) == before


def test_bars_are_cut_off_to_the_pixel(studio: Studio, careless: Dataset) -> None:
    checking.fix(studio, careless.id, "trim", ["mika-05.png"])
    crop = datasets.find(studio, careless.id, "mika-05.png").crop
    assert crop is not None and crop[0] == 0 and crop[2] == 1 and 0.05 < crop[1] < 0.2 and 0.6 < crop[3] < 0.9
    checking.fix(studio, careless.id, "uncrop", ["mika-05.png"])
    assert datasets.find(studio, careless.id, "mika-05.png").crop is None


def test_small_pictures_are_queued_to_be_enlarged(studio: Studio, careless: Dataset) -> None:
    done = checking.fix(studio, careless.id, "enlarge")
    assert done.job is not None and done.job.extra["pictures"] == ["mika-02.png"]
    assert [job.verb for job in queue.listed(studio)] == ["enhance"]


def test_fixes_that_are_not_known_or_too_sweeping_are_refused(studio: Studio, careless: Dataset) -> None:
    for what, problem in (("explode", "is not known"), ("remove", "has to be named")):
        with pytest.raises(InputError, match=problem):
            checking.fix(studio, careless.id, what)
    assert len(datasets.pictures(studio, careless.id)[0]) == 14


def test_a_word_that_looks_like_a_trigger_can_be_taken(studio: Studio, careless: Dataset) -> None:
    datasets.change(studio, careless.id, trigger="")
    assert found(studio, careless)["trigger_unset"][1] == ["set_trigger"]
    checking.fix(studio, careless.id, "set_trigger")
    assert datasets.get(studio, careless.id).trigger == "mika_char"


def test_pairs_are_checked_and_swapped(studio: Studio) -> None:
    row = datasets.create(studio, "Night", "edit", base="starter")
    arrivals.take_folder(studio, row.id, EXAMPLES / "bad" / "night-careless")
    told = found(studio, row)
    assert told["pair_swapped"] == (["pair-06_after.png"], ["swap"])
    assert told["pair_same"] == (["pair-02_after.png"], ["remove"])
    checking.fix(studio, row.id, "swap")
    checking.fix(studio, row.id, "remove", told["pair_same"][0])
    assert not {"pair_swapped", "pair_same", "loose"} & {*found(studio, row)}
    job = checking.fix(studio, row.id, "enlarge", ["pair-01_after.png"]).job
    assert job is not None and sorted(job.extra["pictures"]) == ["pair-01_after.png", "pair-01_before.png"]


def test_empty_datasets_say_so_and_damaged_pictures_are_told(studio: Studio, tmp_path: Path) -> None:
    row = datasets.create(studio, "Mika")
    assert found(studio, row) == {"empty": ([], [])}
    put(studio, row.id, tmp_path, "a.png")
    (datasets.files_of(studio, row.id) / "b.png").write_bytes(b"no picture")  # by hand
    assert found(studio, row)["unreadable"] == (["b.png"], ["remove"])
    edit = datasets.create(studio, "Night", "edit")
    put(studio, edit.id, tmp_path, "a.png")
    assert "no pairs yet" in checking.check(studio, edit.id).findings[0].message


def test_prompts_are_suggested(studio: Studio) -> None:
    row = datasets.create(studio, "Mika", trigger="mika_char")
    with pytest.raises(InputError, match="nothing to learn from"):
        checking.suggest(studio, row.id)
    arrivals.take_folder(studio, row.id, EXAMPLES / "character" / "mika")
    ideas = checking.suggest(studio, row.id).ideas
    assert len(ideas) >= 4 and sum("mika_char" in idea.prompt for idea in ideas) >= 3
