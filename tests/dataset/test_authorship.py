"""Who wrote which caption, and where the next one belongs."""

from pathlib import Path
from zipfile import ZipFile

import pytest
from PIL import Image

from likeness.config.data import DatasetConfig
from likeness.dataset.authorship import RECORD, Authorship, Place, find_places
from likeness.errors import InputError


def draw(*files: Path) -> None:
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 20), "red").save(file)


def places(folder: Path, kind: str = "character") -> dict[str, str]:
    """By last picture: where its caption belongs, below the folder."""
    found = find_places(DatasetConfig(path=str(folder)), kind)
    return {p.pictures[-1].name: p.file.relative_to(folder).as_posix() for p in found.places}


def test_captions_belong_beside_pictures(tmp_path: Path):
    draw(tmp_path / "a.png", tmp_path / "b.png", tmp_path / "b.jpg", tmp_path / "c.png", tmp_path / "d.png")
    (tmp_path / "c.caption").write_text("a cat")
    (tmp_path / "d.json").write_text('{"caption": "a dog"}')
    found = find_places(DatasetConfig(path=str(tmp_path)), "character")
    assert [p.file.name for p in found.places] == ["a.txt", "b.txt", "c.caption", "d.txt"]
    assert found.places[3].listed == "a dog" and "shares b.txt" in found.notes[0]
    record = Authorship(tmp_path)
    assert [record.author(p) for p in found.places] == ["nobody", "nobody", "person", "person"]
    assert [record.text(p) for p in found.places] == ["", "", "a cat", "a dog"]


def test_instructions_belong_where_pairs_are_looked_for(tmp_path: Path):
    draw(tmp_path / "1/before/x.png", tmp_path / "1/after/x.png")
    draw(tmp_path / "2/x_before.png", tmp_path / "2/x_after.png")
    draw(tmp_path / "3/in.png", tmp_path / "3/out.png", tmp_path / "3/in2.png", tmp_path / "3/out2.png")
    rows = ['{"before": "in.png", "after": "out.png"}']
    rows += ['{"before": "in2.png", "after": "out2.png", "instruction": "make it night"}']
    (tmp_path / "3/pairs.jsonl").write_text("\n".join(rows))
    draw(tmp_path / "4/a.png", tmp_path / "4/a-condlabel.png")
    assert places(tmp_path / "1", "edit") == {"x.png": "after/x.txt"}
    assert places(tmp_path / "2", "edit") == {"x_after.png": "x.txt"}
    assert places(tmp_path / "4", "edit") == {"a.png": "a.txt"}
    first, second = find_places(DatasetConfig(path=str(tmp_path / "3")), "edit").places
    assert (first.file.name, first.fixed, first.listed) == ("out.txt", False, None)
    assert second.fixed and second.listed == "make it night"


def test_archives_cannot_be_written_into(tmp_path: Path):
    with ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.txt", "no picture")
    with pytest.raises(InputError, match="Fix: unpack it"):
        find_places(DatasetConfig(path=str(tmp_path / "a.zip")), "character")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    draw(tmp_path / "a.png")
    return Place((tmp_path / "a.png",), tmp_path / "a.txt")


def test_a_machines_text_stays_a_machines_until_its_words_change(tmp_path: Path, place: Place):
    Authorship(tmp_path).write(place, "a red square", engine="ollama")
    for text, author in (
        ("a red square\r\n", "machine"),  # an editor's line ending
        ("a red  square", "person"),
        ("a red square, framed", "person"),
        ("", "nobody"),
    ):
        place.file.write_bytes(text.encode())
        assert Authorship(tmp_path).author(place) == author, text
    place.file.write_bytes(b"\xff\xfe\x00")
    assert Authorship(tmp_path).author(place) == "person"


def test_words_of_a_person_that_are_replaced_are_kept(tmp_path: Path, place: Place):
    place.file.write_text("my own words\n")
    record = Authorship(tmp_path)
    record.write(place, "a red square", job="1")
    assert place.file.read_text() == "a red square\n" and record.author(place) == "machine"
    assert '"author": "person", "text": "my own words"' in (tmp_path / RECORD).read_text()
    assert Authorship(tmp_path).written_by("1") == {"a.txt"} and not record.written_by("2")


def test_a_record_that_was_cut_short_can_be_read_and_written(tmp_path: Path, place: Place):
    Authorship(tmp_path).write(place, "a red square")
    with (tmp_path / RECORD).open("a") as f:
        f.write('{"file": "a.txt", "auth')
    record = Authorship(tmp_path)
    assert record.author(place) == "machine"
    record.write(place, "a square")
    assert Authorship(tmp_path).author(place) == "machine"
