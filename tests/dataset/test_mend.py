"""What --fix does in a folder, and that all of it can be taken back."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from likeness.config.data import DatasetConfig
from likeness.dataset.index import Index
from likeness.dataset.ingest import read_dataset
from likeness.dataset.manifest import Example
from likeness.dataset.mend import Change, mend, undo
from likeness.errors import InputError

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def read(folder: Path, kind: str = "character", trigger: str = "mika_char") -> list[Example]:
    with Index() as index:
        settings = DatasetConfig(path=str(folder), subfolders=kind != "edit")
        return read_dataset(settings, index=index, store=folder / ".store", kind=kind, trigger=trigger).examples


def files(folder: Path) -> dict[str, bytes]:
    """All that a person sees."""
    found = (f for f in folder.rglob("*") if f.is_file() and ".likeness" not in f.parts)
    return {f.relative_to(folder).as_posix(): f.read_bytes() for f in found}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures of which one is there twice, and captions of every sort."""
    source, folder = EXAMPLES / "character" / "mika", tmp_path / "data"
    (folder / "more").mkdir(parents=True)
    for name, path in (("mika-01", "a"), ("mika-01", "more/a"), ("mika-02", "b"), ("mika-03", "c")):
        shutil.copyfile(source / f"{name}.png", folder / f"{path}.png")
    (folder / "a.txt").write_text("mika_char smiling\n")
    (folder / "more" / "a.txt").write_text("a girl smiling\n")
    (folder / "b.txt").write_text("  a girl,\nangry\n")
    (folder / "c.txt").write_text("Mika_Char is sad")
    return folder


def test_copies_go_aside_and_triggers_come_in(folder: Path):
    before = files(folder)
    changes = mend(folder, read(folder))
    assert [(c.action, c.file) for c in changes] == [
        ("moved", "more/a.png"), ("moved", "more/a.txt"), ("edited", "b.txt"), ("edited", "c.txt"),
    ]  # fmt: skip
    after = files(folder)
    assert set(before) - set(after) == {"more/a.png", "more/a.txt"}
    assert after["b.txt"].decode() == "mika_char, a girl,\nangry\n"
    assert after["c.txt"].decode() == "mika_char is sad"
    assert (folder / ".likeness" / "removed" / "more" / "a.png").read_bytes() == before["more/a.png"]
    assert mend(folder, read(folder)) == []  # what is mended stays so
    done, left = undo(folder)
    assert files(folder) == before and len(done) == 4 and left == []
    with pytest.raises(InputError, match="nothing to undo"):
        undo(folder)


def test_what_a_person_wrote_since_stays(folder: Path):
    mend(folder, read(folder))
    (folder / "b.txt").write_text("mika_char, and she is angry")
    done, left = undo(folder)
    assert len(done) == 3 and len(left) == 1 and "b.txt: has been edited since" in left[0]
    assert (folder / "b.txt").read_text() == "mika_char, and she is angry"
    assert (folder / ".likeness" / "originals" / "b.txt").read_text() == "  a girl,\nangry\n"


def test_mending_twice_keeps_the_first_original(folder: Path):
    first = files(folder)
    mend(folder, read(folder))
    (folder / "b.txt").write_text("angry again")
    mend(folder, read(folder))
    assert (folder / "b.txt").read_text() == "mika_char, angry again\n"
    undo(folder)
    assert (folder / "b.txt").read_text() == "angry again"
    assert (folder / ".likeness" / "originals" / "b.txt").read_bytes() == first["b.txt"]


def test_a_place_that_is_taken_again_is_not_overwritten(folder: Path):
    mend(folder, read(folder))
    (folder / "more" / "a.png").write_bytes(b"mine")
    _, left = undo(folder)
    assert (folder / "more" / "a.png").read_bytes() == b"mine"
    assert any("another file has taken its place" in line for line in left)


def test_pairs_go_aside_whole(tmp_path: Path):
    folder = Path(shutil.copytree(EXAMPLES / "edit" / "party-hat", tmp_path / "hats"))
    for side in ("before", "after"):
        shutil.copyfile(folder / side / "pair-02.png", folder / side / "copy.png")
    (folder / "after" / "copy.txt").write_text("put on a party hat")
    before = files(folder)
    changes = mend(folder, read(folder, "edit", ""))
    gone = {"before/pair-02.png", "after/pair-02.png", "after/pair-02.txt"}
    assert {c.file for c in changes} == gone == set(before) - set(files(folder))
    assert len(read(folder, "edit", "")) == 12
    undo(folder)
    assert files(folder) == before


def test_one_picture_before_of_two_pairs_stays(tmp_path: Path):
    """Two equal pairs that share the file before."""
    folder = Path(shutil.copytree(EXAMPLES / "edit" / "party-hat", tmp_path / "hats"))
    examples = read(folder, "edit", "")
    shutil.copyfile(examples[0].path, folder / "after" / "copy.png")
    twin = replace(examples[0], path=str(folder / "after" / "copy.png"))
    assert [c.file for c in mend(folder, [examples[0], twin])] == ["after/copy.png"]


def test_captions_that_are_not_files_stay_as_they_are(folder: Path):
    rows = [{"file_name": f"{name}.png", "text": "a girl"} for name in ("a", "more/a", "b", "c")]
    for text in folder.rglob("*.txt"):
        text.unlink()
    (folder / "metadata.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    before = files(folder)
    assert mend(folder, read(folder)) == []
    assert files(folder) == before


@pytest.mark.parametrize(
    "settings", [{"captions_from": "names"}, {"captions_from": "none", "caption": "a girl"}, {"captions_file": "x.txt"}]
)
def test_text_files_that_are_no_captions_stay_as_they_are(tmp_path: Path, settings: dict[str, str]):
    folder = tmp_path / "data"
    folder.mkdir()
    shutil.copyfile(EXAMPLES / "character" / "mika" / "mika-01.png", folder / "a_girl.png")
    (folder / "a_girl.txt").write_bytes(b"notes of mine, caf\xe9")
    if "captions_file" in settings:
        (tmp_path / "x.txt").write_text("a girl")
        settings = {"captions_file": str(tmp_path / "x.txt")}
    with Index() as index:
        config = DatasetConfig(path=str(folder), **settings)  # type: ignore[arg-type]
        examples = read_dataset(config, index=index, store=tmp_path, trigger="mika_char").examples
    assert [e.caption for e in examples] == ["a girl"]
    assert mend(folder, examples) == [] and not (folder / ".likeness").exists()


def test_of_a_file_with_notes_the_caption_gets_the_trigger(tmp_path: Path):
    shutil.copyfile(EXAMPLES / "character" / "mika" / "mika-01.png", tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("a girl smiling\nnotes of mine\n")
    with Index() as index:
        config = DatasetConfig(path=str(tmp_path), caption_lines="first")
        examples = read_dataset(config, index=index, store=tmp_path / ".store", trigger="mika_char").examples
    assert len(mend(tmp_path, examples)) == 1
    assert (tmp_path / "a.txt").read_text() == "mika_char, a girl smiling\nnotes of mine\n"


@pytest.mark.parametrize("name", ["../outside.txt", "/etc/hostname", "more/../../outside.txt"])
def test_a_strange_list_of_changes_leads_nowhere(folder: Path, name: str):
    outside = folder.parent / "outside.txt"
    outside.write_text("mine")
    (folder / ".likeness").mkdir()
    for change in (Change("moved", "x.txt", name), Change("moved", name, "a.txt"), Change("edited", name)):
        (folder / ".likeness" / "changes.jsonl").write_text(json.dumps(vars(change)))
        with pytest.raises(InputError, match="leads out of"):
            undo(folder)
    assert outside.read_text() == "mine"


def test_a_damaged_list_is_told(folder: Path):
    (folder / ".likeness").mkdir()
    (folder / ".likeness" / "changes.jsonl").write_text('{"action": "moved", "f')
    with pytest.raises(InputError, match="is damaged"):
        undo(folder)
