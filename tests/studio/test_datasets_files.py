import io
import os
from pathlib import Path

import pytest
from PIL import Image

from likeness.errors import Conflict, InputError, NotFound
from likeness.store.tables import Dataset
from likeness.studio import datasets
from likeness.studio.datasets import captions, crops, steps
from likeness.studio.datasets.names import free_name, safe_name, with_folder
from likeness.studio.workspace import Studio
from tests.studio.datasets_at_hand import EXAMPLES, picture, put, put_folder


@pytest.fixture
def mika(studio: Studio) -> Dataset:
    return datasets.create(studio, "Mika", trigger="mika_char")


def names(studio: Studio, dataset: Dataset) -> list[str]:
    return [p.name for p in datasets.pictures(studio, dataset.id)[0]]


def raw(tmp_path: Path, data: bytes, name: str = "raw") -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


def test_pictures_are_told_with_caption_author_and_size(studio: Studio, mika: Dataset, tmp_path: Path) -> None:
    put(studio, mika.id, tmp_path, "b.png", size=(80, 40))
    put(studio, mika.id, tmp_path, "a.jpg")
    datasets.add_text(studio, mika.id, b"mika_char on a beach\n", "b.txt")
    (a, b), total = datasets.pictures(studio, mika.id)
    assert (a.name, a.caption, a.author, total) == ("a.png", "", "nobody", 2)
    assert (b.name, b.caption, b.author, b.width, b.height) == ("b.png", "mika_char on a beach", "person", 80, 40)
    assert datasets.pictures(studio, mika.id, limit=1, offset=1) == ([b], 2)
    assert datasets.find(studio, mika.id, "b.png") == b


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("a.PNG", "a.png"), ("a:b?.png", "a_b_.png"), (" a .png", "a.png"), ("CON.png", "picture-CON.png"),
        ("...png", "picture.png"), (".hidden.png", "hidden.png"), ("Mädchen 😀.png", "Mädchen 😀.png"),
        ("Ma\u0308dchen.png", "Mädchen.png"), ("ü" * 300 + ".png", "ü" * 75 + ".png"), ("a.txt", "a.txt"),
    ],
)  # fmt: skip
def test_names_are_made_safe(given: str, kept: str) -> None:
    assert safe_name(given) == kept


@pytest.mark.parametrize(
    "name",
    ["../a.png", "/etc/a.png", "..\\a.png", "a/b.png", "a\0.png", "a\n.png", "a.html", "a", "", "..", "\ud800.png"],
)
def test_names_that_lead_elsewhere_or_cannot_be_shown_are_refused(
    studio: Studio, mika: Dataset, tmp_path: Path, name: str
) -> None:
    with pytest.raises(InputError, match="name: "):
        put(studio, mika.id, tmp_path, name)
    for wanted in (name, f"{name}.png", "../files/a.png", ".likeness/removed/a.png"):
        with pytest.raises(NotFound):
            datasets.path_of(studio, mika.id, wanted)
    assert names(studio, mika) == []


def test_numbers_go_before_what_a_name_ends_with() -> None:
    assert free_name("a.png", ["A.jpg", "a-2.webp"]) == "a-3.png"
    assert free_name("a_before.png", ["a_before.jpg"]) == "a-2_before.png"
    assert free_name("a-masklabel.png", ["a-masklabel.png"]) == "a-2-masklabel.png"
    assert with_folder("a.png", "before") == "a_before.png" and with_folder("a.png", "Control 2") == "a_control_2.png"
    assert with_folder("a_after.png", "before") == "a_after.png" and with_folder("a.png", "holiday") == "a.png"


def test_the_same_upload_twice_is_one_picture_and_another_one_gets_a_number(
    studio: Studio, mika: Dataset, tmp_path: Path
) -> None:
    assert [put(studio, mika.id, tmp_path, "a.png") for _ in range(2)] == ["a.png", "a.png"]
    assert put(studio, mika.id, tmp_path, "a.png", colour="red") == "a-2.png"
    assert put(studio, mika.id, tmp_path, "A.png", colour="blue") == "A-3.png"
    source = Image.new("RGB", (64, 48), "teal")
    source.save(tmp_path / "a.jpg", "JPEG")
    assert datasets.add(studio, mika.id, tmp_path / "a.jpg", "a.jpg") == "a-4.jpg"  # a.txt would be the caption of both
    assert len(names(studio, mika)) == 4


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "empty file"),
        (b"<html><script>alert(1)</script></html>", "is none of PNG"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "damaged|none of"),
        ((EXAMPLES / "character" / "mika" / "mika-01.png").read_bytes()[:-900], "damaged or cut off"),
    ],
)
def test_what_is_no_sound_picture_is_refused(
    studio: Studio, mika: Dataset, tmp_path: Path, data: bytes, problem: str
) -> None:
    with pytest.raises(InputError, match=problem) as error:
        datasets.add(studio, mika.id, raw(tmp_path, data), "a.png")
    assert str(tmp_path) not in str(error.value) and "a.png" in str(error.value)
    assert names(studio, mika) == []


def test_a_picture_that_claims_too_many_pixels_is_refused_before_it_is_decoded(
    studio: Studio, mika: Dataset, tmp_path: Path
) -> None:
    out = io.BytesIO()
    Image.new("1", (12_000, 12_000)).save(out, "PNG")
    with pytest.raises(InputError, match="megapixels"):
        datasets.add(studio, mika.id, raw(tmp_path, out.getvalue()), "bomb.png")


def test_a_mislabelled_picture_is_named_for_what_it_is(studio: Studio, mika: Dataset, tmp_path: Path) -> None:
    Image.new("RGB", (32, 32)).save(tmp_path / "x", "WEBP")
    assert datasets.add(studio, mika.id, tmp_path / "x", "photo.jpg") == "photo.webp"


def test_texts_never_write_over_what_a_person_wrote(studio: Studio, mika: Dataset, tmp_path: Path) -> None:
    datasets.add_text(studio, mika.id, b"before its picture", "a.txt")
    put(studio, mika.id, tmp_path, "a.png")
    assert datasets.add_text(studio, mika.id, b"before its picture\n", "a.txt") == "a.txt"
    for name in ("a.txt", "a.caption"):
        with pytest.raises(Conflict, match="another caption"):
            datasets.add_text(studio, mika.id, b"other words", name)
    for data in (b"\xff\xfe\x00", b"", b"a\0b"):
        with pytest.raises(InputError, match=r"b\.txt: "):
            datasets.add_text(studio, mika.id, data, "b.txt")
    assert datasets.find(studio, mika.id, "a.png").caption == "before its picture"


def test_removed_pictures_come_back_with_all_that_belongs_to_them(
    studio: Studio, mika: Dataset, tmp_path: Path
) -> None:
    put_folder(studio, mika.id, EXAMPLES / "character" / "mika", tmp_path)
    crops.set_crop(studio, mika.id, "mika-03.png", (0.25, 0.25, 0.5, 0.5))
    put(studio, mika.id, tmp_path, "mika-03-masklabel.png", size=(128, 128))
    before = {p.name: p.read_bytes() for p in datasets.files_of(studio, mika.id).iterdir() if p.is_file()}
    datasets.remove(studio, mika.id, ["mika-03.png", "mika-04.png"])
    gone = {"mika-03.png", "mika-03.txt", "mika-03.crop.json", "mika-03-masklabel.png", "mika-04.png", "mika-04.txt"}
    assert set(before) - {p.name for p in datasets.files_of(studio, mika.id).iterdir()} == gone
    step, left = steps.undo(studio, mika.id)
    assert (step.what, left) == ("removed 2 pictures", [])
    assert {p.name: p.read_bytes() for p in datasets.files_of(studio, mika.id).iterdir() if p.is_file()} == before


def test_nothing_is_removed_where_one_name_is_wrong(studio: Studio, mika: Dataset, tmp_path: Path) -> None:
    put(studio, mika.id, tmp_path, "a.png")
    with pytest.raises(NotFound):
        datasets.remove(studio, mika.id, ["a.png", "b.png"])
    assert names(studio, mika) == ["a.png"] and steps.listed(studio, mika.id) == []


def test_steps_are_undone_one_by_one_and_later_changes_stay(studio: Studio, mika: Dataset, tmp_path: Path) -> None:
    put(studio, mika.id, tmp_path, "a.png")
    captions.set_caption(studio, mika.id, "a.png", "one")
    captions.set_caption(studio, mika.id, "a.png", "two")
    crops.set_crop(studio, mika.id, "a.png", (0, 0, 0.5, 0.5))
    crop_step, second, first = steps.listed(studio, mika.id)
    assert steps.undo(studio, mika.id, first.number)[1] == ["a.txt"]  # the second step came over it
    with pytest.raises(Conflict, match="already"):
        steps.undo(studio, mika.id, first.number)
    steps.undo(studio, mika.id, second.number)
    assert datasets.find(studio, mika.id, "a.png").caption == "one"
    assert steps.undo(studio, mika.id)[0] == crop_step
    assert datasets.find(studio, mika.id, "a.png").crop is None
    with pytest.raises(NotFound, match="nothing to undo"):
        steps.undo(studio, mika.id)


def test_a_step_that_was_killed_over_can_be_undone(studio: Studio, mika: Dataset, tmp_path: Path) -> None:
    put(studio, mika.id, tmp_path, "a.png")
    before = datasets.path_of(studio, mika.id, "a.png").read_bytes()

    class Killed(BaseException):
        pass

    with pytest.raises(Killed), pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps.Recorder, "close", lambda self: None)
        with steps.taking(studio, mika.id, "removed a.png") as step:
            step.set_aside("a.png")
            raise Killed
    log = next((datasets.files_of(studio, mika.id).parent / "steps").glob("*/step.jsonl"))
    with log.open("ab") as f:
        f.write(b'{"file": "half a li')
    assert steps.undo(studio, mika.id)[1] == []
    assert datasets.path_of(studio, mika.id, "a.png").read_bytes() == before


def test_crops_are_shares_and_squares_lie_in_the_middle(studio: Studio, mika: Dataset, tmp_path: Path) -> None:
    put(studio, mika.id, tmp_path, "wide.png", size=(120, 60))
    put(studio, mika.id, tmp_path, "square.png", size=(60, 60))
    assert crops.square(studio, mika.id, ["wide.png", "square.png"]) == 1
    assert datasets.find(studio, mika.id, "wide.png").crop == pytest.approx((0.25, 0, 0.5, 1))
    crops.set_crop(studio, mika.id, "wide.png", None)
    assert datasets.find(studio, mika.id, "wide.png").crop is None
    for box in ((0.5, 0, 0.6, 1), (-0.1, 0, 1, 1), (0, 0, 0.05, 1), (float("nan"), 0, 1, 1), (0, 0, 0, 0)):
        with pytest.raises(InputError, match=r"crop: wide\.png"):
            crops.set_crop(studio, mika.id, "wide.png", box)


def test_links_and_folders_are_no_pictures(studio: Studio, mika: Dataset, tmp_path: Path) -> None:
    secret = picture(tmp_path / "secret.png")
    (datasets.files_of(studio, mika.id) / "link.png").symlink_to(secret)
    (datasets.files_of(studio, mika.id) / "folder.png").mkdir()
    os.mkfifo(datasets.files_of(studio, mika.id) / "pipe.png")
    for name in ("link.png", "folder.png", "pipe.png"):
        with pytest.raises(NotFound):
            datasets.path_of(studio, mika.id, name)
