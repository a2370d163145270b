from pathlib import Path

import pytest

from likeness.errors import Conflict, InputError, NotFound
from likeness.service import datasets as service
from likeness.studio import datasets
from likeness.studio.workspace import Studio
from tests.studio.datasets_at_hand import EXAMPLES, put, put_folder


def test_a_dataset_is_made_found_and_renamed(studio: Studio) -> None:
    made = datasets.create(studio, "Mika", "character", "mika_char", "starter", "a girl with a red scarf")
    assert datasets.get(studio, made.id).name == datasets.get(studio, "Mika").name == "Mika"
    datasets.change(studio, "Mika", name="Mika 2", description="")
    assert datasets.get(studio, "Mika 2").description == ""
    with pytest.raises(NotFound, match="no dataset 'Mika'"):
        datasets.get(studio, "Mika")


def test_lists_search_name_trigger_and_description(studio: Studio) -> None:
    datasets.create(studio, "Mika", trigger="mika_char")
    datasets.create(studio, "Radio", "product", "radio_x", description="100% plastic")
    names = lambda **asked: [d.name for d in datasets.listed(studio, **asked)[0]]  # noqa: E731
    assert names() == ["Radio", "Mika"]
    assert names(search="mika") == names(kind="character") == ["Mika"]
    assert names(search="100%") == names(search="plastic radio") == ["Radio"]
    assert names(search="_") == ["Radio", "Mika"] and names(search="nobody") == []
    assert datasets.listed(studio, limit=1)[1] == 2


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"name": ""}, "name: should have 1 to 100"),
        ({"name": "a/b"}, "name: holds signs"),
        ({"name": "a\0b"}, "name: holds signs"),
        ({"name": "0123456789ab"}, "looks like an id"),
        ({"kind": "person"}, "kind: 'person' is not known"),
        ({"trigger": "x" * 101}, "trigger: should be a word"),
        ({"base": "no such base"}, "base: "),
    ],
)
def test_what_cannot_be_is_refused(studio: Studio, values: dict[str, str], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        datasets.create(studio, **{"name": "Mika", **values})
    assert datasets.listed(studio) == ([], 0)


def test_names_are_taken_once_but_free_again_in_the_bin(studio: Studio) -> None:
    first = datasets.create(studio, "Mika")
    with pytest.raises(Conflict, match="there is a dataset 'Mika' already"):
        datasets.create(studio, "Mika")
    datasets.delete(studio, "Mika")
    second = datasets.create(studio, "Mika")
    with pytest.raises(Conflict, match="already"):
        datasets.restore(studio, first.id)
    datasets.delete(studio, second.id)
    assert [d.id for d in datasets.listed(studio, deleted=True)[0]] == [second.id, first.id]
    assert datasets.restore(studio, first.id).name == "Mika"


def test_only_what_is_in_the_bin_is_erased(studio: Studio, tmp_path: Path) -> None:
    made = datasets.create(studio, "Mika")
    put(studio, made.id, tmp_path)
    datasets.freeze(studio, made.id)
    with pytest.raises(Conflict, match="not in the bin"):
        datasets.erase(studio, made.id)
    datasets.delete(studio, made.id)
    datasets.erase(studio, made.id)
    assert not (studio.datasets / made.id).exists() and datasets.listed(studio, deleted=True) == ([], 0)


def test_the_command_line_checks_the_folder_of_a_dataset(studio: Studio, tmp_path: Path) -> None:
    made = datasets.create(studio, "Mika", trigger="mika_char")
    put_folder(studio, made.id, EXAMPLES / "character" / "mika", tmp_path)
    ours, theirs = (
        service.check(folder, base="starter")
        for folder in (datasets.files_of(studio, made.id), EXAMPLES / "character" / "mika")
    )
    assert [(e.sha256, e.caption) for e in ours.examples] == [(e.sha256, e.caption) for e in theirs.examples]
    assert ours.trigger == "mika_char" and ours.findings == theirs.findings
