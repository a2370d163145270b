import hashlib
import json
import os
from pathlib import Path

import pytest
from PIL import Image

from likeness.dataset.ingest import Reading
from likeness.dataset.manifest import read_manifest, write_manifest
from tests.dataset.conftest import Picture, Read


def told(reading: Reading, count: int = 1) -> list[str]:
    """The messages of as many problems as there should be."""
    assert len(reading.problems) == count, reading.problems
    return [p.message for p in reading.problems]


# --- folders ---


def test_a_folder_is_read_in_natural_order(tmp_path: Path, picture: Picture, read: Read):
    names = ["img10.png", "img2.JPG", "IMG1.webp", "more/b.bmp", "more/deep/a.jpeg"]
    for name in names:
        picture(name, caption=f"shows {name}")
    examples = read(tmp_path, subfolders=True, repeats=3).examples
    expected = ["IMG1.webp", "img2.JPG", "img10.png", "more/b.bmp", "more/deep/a.jpeg"]
    assert [Path(e.path).relative_to(tmp_path).as_posix() for e in examples] == expected
    assert [e.caption for e in examples] == [f"shows {name}" for name in expected]
    for e in examples:
        data = Path(e.path).read_bytes()
        assert e.sha256 == hashlib.sha256(data).hexdigest()
        assert e.id == e.sha256[:16]
        assert (e.width, e.height, e.repeats, e.dataset) == (24, 20, 3, 0)
        assert not e.references and not e.held_out


def test_sub_folders_that_are_not_read_are_told(tmp_path: Path, picture: Picture, read: Read):
    picture("a.png", caption="x")
    picture("inner/deep/b.png", caption="y")
    (tmp_path / "empty").mkdir()
    reading = read(tmp_path)
    assert [e.caption for e in reading.examples] == ["x"]
    (note,) = reading.notes
    assert "inner" in note and "empty" not in note and "subfolders: true" in note
    (tmp_path / "a.png").unlink()
    assert "subfolders: true" in told(read(tmp_path))[0]


def test_paths_are_absolute_even_where_the_folder_was_not(
    picture: Picture, read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file = picture("photos/a.png", caption="x")
    monkeypatch.chdir(tmp_path)
    assert read(Path("photos")).examples[0].path == str(file)


def test_hidden_and_system_files_are_skipped(tmp_path: Path, picture: Picture, read: Read):
    picture("a.png", caption="x")
    for name in [".b.png", "._a.png", ".cache/c.png", ".DS_Store", "Thumbs.db", "a_0024x0020_flux.npz"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"no picture")
    reading = read(tmp_path, subfolders=True)
    assert len(reading.examples) == 1 and reading.notes == []


def test_links_inside_are_read_and_links_out_are_set_aside(tmp_path: Path, picture: Picture, read: Read):
    secret = picture("secret/s.png", caption="secret")
    picture("data/a.png", caption="own words")
    inside = tmp_path / "data"
    os.symlink(inside / "a.png", inside / "b.png")
    os.symlink(secret, inside / "c.png")
    os.symlink(secret.with_suffix(".txt"), inside / "b.txt")
    os.symlink(tmp_path / "secret", inside / "folder")
    for name in ["circle", "second_circle"]:  # two, so that following them blindly would never end
        os.symlink(inside, inside / name)
    reading = read(inside, subfolders=True, caption="of the set")
    assert [(Path(e.path).name, e.caption) for e in reading.examples] == [
        ("a.png", "own words"),
        ("b.png", "of the set"),
    ]
    assert sorted(note.split(" is left out")[0].rpartition("/")[2] for note in reading.notes) == [
        "b.txt", "c.png", "folder",
    ]  # fmt: skip


# --- captions ---


def test_captions_fall_back_to_the_dataset_then_to_the_trigger(tmp_path: Path, picture: Picture, read: Read):
    picture("a.png", caption="own words, [Trigger]")
    picture("b.png")
    captions = [e.caption for e in read(tmp_path, caption=" of the\nset ", trigger="mia").examples]
    assert captions == ["own words, mia", "of the set"]
    examples = read(tmp_path, trigger="mia").examples
    assert [e.caption for e in examples] == ["own words, mia", "mia"]
    assert {e.trigger for e in examples} == {"mia"}


def test_a_dataset_may_have_its_own_trigger_or_none(tmp_path: Path, picture: Picture, read: Read):
    picture("a.png", caption="[trigger] and her dog")
    picture("b.png", caption="a street")
    own = read(tmp_path, trigger="mia", own_trigger="rex")
    assert [e.caption for e in own.examples] == ["rex and her dog", "a street"]
    none = read(tmp_path, trigger="mia", own_trigger="")
    assert [e.caption for e in none.examples] == ["a street"] and "there is no trigger" in told(none)[0]


def test_regularisation_has_no_trigger_and_a_weight_of_its_own(tmp_path: Path, picture: Picture, read: Read):
    picture("a.png", caption="a woman")
    picture("b.png")
    reading = read(tmp_path, trigger="mia", type="regularisation", loss_weight=0.5)
    (e,) = reading.examples
    assert (e.type, e.loss_weight, e.trigger, e.held_out) == ("regularisation", 0.5, "", False)
    assert "b.png: has no caption" in told(reading)[0]


def test_validation_pictures_are_held_out(tmp_path: Path, picture: Picture, read: Read):
    picture("a.png", caption="mia")
    (e,) = read(tmp_path, type="validation").examples
    assert e.held_out and e.type == "validation"


def test_captions_from_elsewhere_are_left_alone_where_asked(tmp_path: Path, picture: Picture, read: Read):
    picture("a_cat.png", caption="beside")
    (tmp_path / "metadata.jsonl").write_text(json.dumps({"file_name": "a_cat.png", "text": "listed"}))
    expected = {"auto": "beside", "sidecars": "beside", "names": "a cat", "none": "for all"}
    for source, caption in expected.items():
        assert [e.caption for e in read(tmp_path, captions_from=source, caption="for all").examples] == [caption]
    (tmp_path / "a_cat.txt").unlink()
    assert read(tmp_path, caption="for all").examples[0].caption == "listed"
    assert read(tmp_path, captions_from="sidecars", caption="for all").examples[0].caption == "for all"


def test_many_shared_lines_are_drawn_from_by_content(tmp_path: Path, picture: Picture, read: Read):
    for name in "ab":
        picture(f"in/{name}.png")
    lines = tmp_path / "lines.txt"
    lines.write_text("\n".join(f"line {n}" for n in range(500)))
    first, second = (read(tmp_path / "in", captions_file=str(lines)).examples for _ in range(2))
    assert first == second
    assert first[0].captions != first[1].captions and len(set(first[0].captions)) == 32
    assert first[0].caption == first[0].captions[0]


def test_repeats_in_settings_come_before_those_in_names(tmp_path: Path, picture: Picture, read: Read):
    picture("40_mia/a.png", caption="x")
    reading = read(tmp_path)
    assert reading.examples[0].repeats == 40 and any("40 repeats" in note for note in reading.notes)
    assert read(tmp_path, repeats=3).examples[0].repeats == 3
    picture("2024_holiday/b.png", caption="x")  # a year
    reading = read(tmp_path)
    assert len(reading.examples) == 1 and any("2024_holiday" in note for note in reading.notes)


# --- refused input ---


def test_a_missing_folder_is_told(tmp_path: Path, read: Read):
    assert "nowhere does not exist" in told(read(tmp_path / "nowhere"))[0]


def test_a_file_in_place_of_a_folder_is_told(picture: Picture, read: Read):
    assert "is a file, not a folder" in told(read(picture("a.png")))[0]


def test_a_folder_without_pictures_says_what_it_holds(tmp_path: Path, read: Read):
    assert "found nothing instead" in told(read(tmp_path))[0]
    for name in ["a.psd", "b.PSD", "c.mp4", "LICENSE", ".hidden.png"]:
        (tmp_path / name).write_bytes(b"x")
    (problem,) = told(read(tmp_path))
    assert "BMP and GIF are read; found 2 .psd, 1 .mp4, 1 without suffix instead" in problem


def test_a_broken_picture_costs_no_other(tmp_path: Path, picture: Picture, read: Read):
    picture("good.png", caption="x")
    bad = picture("bad.png", caption="x")
    bad.write_bytes(bad.read_bytes()[:200])
    reading = read(tmp_path)
    assert [Path(e.path).name for e in reading.examples] == ["good.png"]
    assert "bad.png: is damaged" in told(reading)[0]
    assert (reading.problems[0].check, reading.problems[0].images) == ("unreadable", (str(bad),))


def test_links_to_nothing_and_pipes_are_told(tmp_path: Path, read: Read):
    os.symlink(tmp_path / "gone.png", tmp_path / "link.png")
    os.mkfifo(tmp_path / "pipe.png")
    assert all("not a plain file" in p for p in told(read(tmp_path, caption="x"), 2))


def test_all_problems_are_told_at_once(tmp_path: Path, picture: Picture, read: Read):
    picture("a.png", caption=" ")
    picture("b.png").with_suffix(".txt").write_bytes(b"\xff\xfe")
    picture("c.png")
    picture("d.png", caption="x").write_bytes(b"junk")
    picture("e.png", caption="fine")
    found = told(read(tmp_path), 4)
    for file, what in [
        ("a.txt", "the caption is empty"),
        ("b.txt", "not UTF-8"),
        ("c.png", "has no caption. Fix: write c.txt beside it, or set `caption:`"),
        ("d.png", "none of PNG"),
    ]:
        assert any(f"{file}: " in p and what in p for p in found), (file, found)


def test_settings_that_do_not_go_together_are_told(tmp_path: Path, picture: Picture, read: Read):
    picture("a.png", caption="x")
    assert "kind: edit" in told(read(tmp_path, controls=[str(tmp_path)]))[0]
    assert "captions_from" in told(read(tmp_path, captions_file=str(tmp_path / "a.txt"), captions_from="none"))[0]
    assert "does not exist" in told(read(tmp_path, masks=str(tmp_path / "nowhere")))[0]


def test_rows_without_their_picture_are_told(tmp_path: Path, picture: Picture, read: Read):
    picture("a.png")
    file = tmp_path / "list.jsonl"
    lines = [{"image": "a.png", "text": "x"}, {"image": "../b.png", "text": "x"}, {"image": "c.png", "text": 3}, []]
    file.write_text("\n".join(map(json.dumps, lines)))
    reading = read(file)
    assert len(reading.examples) == 1
    found = told(reading, 3)
    for line, words in [(2, "no picture '../b.png'"), (3, "not text"), (4, "not a JSON object")]:
        assert any(f"list.jsonl:{line}: " in p and words in p for p in found), found


NAMES = (
    *("猫", "кошка", "قطة", "बिल्ली", "แมว", "γάτα", "고양이", "חתול", "👩‍🎨", "e\u0301", "\u202egnp"),
    *("[red][bold", "a'b\"c", "%s{0}", "-rf", "a b", "$HOME", "CON", "x" * 200, "a;b", "#1", "~"),
)


def test_names_in_every_script_are_read(tmp_path: Path, picture: Picture, read: Read):
    for name in NAMES:
        picture(f"{name}.png", caption=f"shows {name}")
    examples = read(tmp_path).examples
    assert {Path(e.path).stem: e.caption for e in examples} == {name: f"shows {name}" for name in NAMES}
    write_manifest(tmp_path / "manifest.jsonl", examples)
    assert read_manifest(tmp_path / "manifest.jsonl") == examples


def test_names_that_cannot_be_shown_are_set_aside(tmp_path: Path, picture: Picture, read: Read):
    data = picture("a.png", caption="x").read_bytes()
    for name in [b"b\xff.png", b"c\n.png", b"d\x1b[31m.png"]:
        (tmp_path / os.fsdecode(name)).write_bytes(data)
    reading = read(tmp_path)
    assert len(reading.examples) == 1 and len(reading.notes) == 3
    assert all(note.isascii() and note.isprintable() and "rename it" in note for note in reading.notes)


# --- notes ---


def test_unused_files_are_named_with_a_guess(tmp_path: Path, picture: Picture, read: Read):
    picture("portrait_01.png")
    picture("b.png", caption="x")
    for name in ["portrait_1.txt", "b.png.txt", "README.md", "c.PSD"]:
        (tmp_path / name).write_text("x")
    notes = read(tmp_path, caption="x").notes
    assert len(notes) == 3
    assert any("b.png.txt is left out" in note and "the name of a picture" in note for note in notes)
    assert any("did you mean portrait_01.txt?" in note for note in notes)
    assert any("c.PSD" in note and "convert" in note for note in notes)


# --- masks ---


def test_alpha_may_be_the_mask(tmp_path: Path, picture: Picture, read: Read):
    picture("a.png", caption="x")
    Image.new("RGBA", (24, 20), (200, 0, 0, 100)).save(tmp_path / "b.png")
    (tmp_path / "b.txt").write_text("x")
    reading = read(tmp_path, masks="alpha")
    assert [(e.mask, e.mask_sha256) for e in reading.examples] == [
        (None, None), (reading.examples[1].path, reading.examples[1].sha256),
    ]  # fmt: skip
    assert "1 of 2 pictures have no mask" in reading.notes[0]
    assert all(e.mask is None for e in read(tmp_path).examples)


def test_masks_must_have_the_shape_of_their_picture(tmp_path: Path, picture: Picture, read: Read):
    picture("a.png", size=(100, 50), caption="x")
    picture("a-masklabel.png", size=(50, 25))
    reading = read(tmp_path)
    (e,) = reading.examples
    assert e.mask_sha256 == hashlib.sha256((tmp_path / "a-masklabel.png").read_bytes()).hexdigest()
    picture("a-masklabel.png", size=(50, 50))
    assert "shapes differ" in told(read(tmp_path))[0]
    assert read(tmp_path, masks="none").problems == []
