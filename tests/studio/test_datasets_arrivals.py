import io
import json
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from likeness.errors import Conflict, InputError
from likeness.store.tables import Dataset
from likeness.studio import datasets
from likeness.studio.datasets import arrivals
from likeness.studio.datasets.arrivals import flat_name
from likeness.studio.workspace import Studio
from tests.studio.datasets_at_hand import EXAMPLES, picture

PICTURE = (EXAMPLES / "character" / "mika" / "mika-01.png").read_bytes()
OTHER = (EXAMPLES / "character" / "mika" / "mika-02.png").read_bytes()


@pytest.fixture
def mika(studio: Studio) -> Dataset:
    return datasets.create(studio, "Mika", trigger="mika_char")


def zipped(tmp_path: Path, files: dict[str, bytes]) -> Path:
    path = tmp_path / "upload"
    with zipfile.ZipFile(path, "w") as pack:
        for name, data in files.items():
            pack.writestr(name, data)
    return path


def told(studio: Studio, row: Dataset) -> list[tuple[str, str]]:
    return [(p.name, p.caption) for p in datasets.pictures(studio, row.id)[0]]


def test_an_archive_gives_pictures_captions_crops_and_masks(studio: Studio, mika: Dataset, tmp_path: Path) -> None:
    crop = json.dumps({"x": 0, "y": 0, "width": 0.5, "height": 0.5}).encode()
    archive = zipped(tmp_path, {
        "set/a.png": PICTURE, "set/a.txt": b"one", "set/a.crop.json": crop, "set/a-masklabel.png": OTHER,
        "set/more/a.png": OTHER, "set/more/a.txt": b"two", "set/readme.md": b"#", "__MACOSX/set/._a.png": b"x",
    })  # fmt: skip
    arrived = arrivals.take(studio, mika.id, archive, "set.zip")
    assert arrived.pictures == ["a.png", "more-a.png"] and arrived.refused == []
    assert told(studio, mika) == [("a.png", "one"), ("more-a.png", "two")]
    assert datasets.find(studio, mika.id, "a.png").crop == (0, 0, 0.5, 0.5)
    assert (datasets.files_of(studio, mika.id) / "a-masklabel.png").read_bytes() == OTHER


def test_captions_of_lists_become_files_of_their_own(studio: Studio, mika: Dataset, tmp_path: Path) -> None:
    rows = "\n".join(json.dumps(row) for row in (
        {"file_name": "a.png", "text": "from the list"}, {"file_name": "b.png", "text": "never read"},
    ))  # fmt: skip
    archive = zipped(tmp_path, {
        "a.png": PICTURE, "b.png": OTHER, "b.txt": b"beside it", "metadata.jsonl": rows.encode(),
    })  # fmt: skip
    arrivals.take(studio, mika.id, archive, "set.zip")
    assert told(studio, mika) == [("a.png", "from the list"), ("b.png", "beside it")]


def test_the_same_archive_twice_changes_nothing(studio: Studio, mika: Dataset, tmp_path: Path) -> None:
    for _ in range(2):
        arrivals.take(studio, mika.id, zipped(tmp_path, {"a.png": PICTURE, "a.txt": b"one"}), "set.zip")
    assert told(studio, mika) == [("a.png", "one")]
    arrived = arrivals.take(studio, mika.id, zipped(tmp_path, {"a.png": OTHER, "a.txt": b"two"}), "set.zip")
    assert arrived.pictures == ["a-2.png"]
    assert sorted(told(studio, mika)) == [("a-2.png", "two"), ("a.png", "one")]  # the caption goes with its own picture


def test_single_files_that_cannot_be_used_are_told_and_the_others_stay(
    studio: Studio, mika: Dataset, tmp_path: Path
) -> None:
    archive = zipped(tmp_path, {"a.png": PICTURE, "b.png": PICTURE[:500], "c.png": OTHER, "c.txt": b"\xff\xfe"})
    arrived = arrivals.take(studio, mika.id, archive, "set.zip")
    assert arrived.pictures == ["a.png", "c.png"]
    assert [text.split(":")[0] for text in arrived.refused] == ["b.png", "c.txt"]


def test_a_crop_box_that_leads_out_is_told_and_left_out(studio: Studio, mika: Dataset, tmp_path: Path) -> None:
    crop = json.dumps({"x": 0.5, "y": 0, "width": 0.9, "height": 0.5}).encode()
    arrived = arrivals.take(studio, mika.id, zipped(tmp_path, {"a.png": PICTURE, "a.crop.json": crop}), "set.zip")
    assert "leads out of the picture" in arrived.refused[0] and str(studio.root) not in arrived.refused[0]
    assert datasets.find(studio, mika.id, "a.png").crop is None


@pytest.mark.parametrize(
    "name", ["../../evil.png", "/etc/evil.png", "..\\evil.png", "C:\\evil.png", "a/../../evil.png"]
)
def test_an_archive_that_leads_out_is_refused_whole(studio: Studio, mika: Dataset, tmp_path: Path, name: str) -> None:
    archive = zipped(tmp_path, {"a.png": PICTURE, name: OTHER})
    with pytest.raises(InputError, match="leads out of its folder"):
        arrivals.take(studio, mika.id, archive, "set.zip")
    assert told(studio, mika) == [] and not list(tmp_path.rglob("evil.png")) and not list(studio.uploads.iterdir())


def test_links_in_archives_are_refused(studio: Studio, mika: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "upload"
    with zipfile.ZipFile(path, "w") as pack:
        link = zipfile.ZipInfo("a.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        pack.writestr(link, "/etc/passwd")
    with pytest.raises(InputError, match="link or a device"):
        arrivals.take(studio, mika.id, path, "set.zip")
    with tarfile.open(path, "w") as tar:
        info = tarfile.TarInfo("a.png")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(info)
    with pytest.raises(InputError, match="link or a device"):
        arrivals.take(studio, mika.id, path, "set.tar")


def test_a_bomb_is_refused(studio: Studio, mika: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "upload"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as pack:
        pack.writestr("a.png", bytes(64 << 20))
    with pytest.raises(InputError, match=r"set\.zip: 'a\.png' unpacks to over"):
        arrivals.take(studio, mika.id, path, "set.zip")


def test_what_is_no_archive_is_refused(studio: Studio, mika: Dataset, tmp_path: Path) -> None:
    for data in (b"", b"PK\x03\x04 and no more", PICTURE):
        (tmp_path / "upload").write_bytes(data)
        with pytest.raises(InputError, match=r"set\.zip: is damaged"):
            arrivals.take(studio, mika.id, tmp_path / "upload", "set.zip")
    with pytest.raises(InputError, match="holds no pictures"):
        arrivals.take(studio, mika.id, zipped(tmp_path, {"a.txt": b"words alone"}), "set.zip")


def test_a_tar_of_pairs(studio: Studio, tmp_path: Path) -> None:
    row = datasets.create(studio, "Hats", "edit")
    with tarfile.open(tmp_path / "upload", "w") as tar:
        tar.add(EXAMPLES / "edit" / "party-hat", "party-hat")
    arrived = arrivals.take(studio, row.id, tmp_path / "upload", "party-hat.tar")
    assert arrived.pairs == 12 and len(datasets.pictures(studio, row.id)[0]) == 12


def test_pictures_of_no_pair_are_taken_as_loose_ones(studio: Studio, tmp_path: Path) -> None:
    row = datasets.create(studio, "Hats", "edit")
    arrived = arrivals.take(studio, row.id, zipped(tmp_path, {"a.png": PICTURE, "b.png": OTHER}), "set.zip")
    assert arrived.pairs == 0 and [p.loose for p in datasets.pictures(studio, row.id)[0]] == [True, True]
    mixed = {"1_before.png": PICTURE, "1_after.png": OTHER, "c.png": OTHER}
    assert arrivals.take(studio, row.id, zipped(tmp_path, mixed), "set.zip").pairs == 1


def test_folders_become_part_of_names(studio: Studio) -> None:
    assert flat_name("a.png", "character") == flat_name("dropped/a.png", "character") == "a.png"
    assert flat_name("dropped/hats/red/a.png", "style") == "hats-red-a.png"
    assert flat_name("dropped/before/a.png", "edit") == flat_name("before/a.png", "edit") == "a_before.png"
    for name in ("../a.png", "a/../../b.png", "/a.png", "C:/a.png", "a\\b.png"):
        with pytest.raises(InputError, match="leads out"):
            flat_name(name, "character")


def test_a_caption_file_arrives_by_itself(studio: Studio, mika: Dataset, tmp_path: Path) -> None:
    (tmp_path / "upload").write_bytes(b"mika_char asleep")
    arrivals.take(studio, mika.id, tmp_path / "upload", "a.txt")
    arrivals.take(studio, mika.id, picture(tmp_path / "a.png"), "a.png")
    assert told(studio, mika) == [("a.png", "mika_char asleep")]
    (tmp_path / "upload").write_bytes(b"other words")
    with pytest.raises(Conflict):
        arrivals.take(studio, mika.id, tmp_path / "upload", "a.txt")
    (tmp_path / "upload").write_bytes(b"x" * 70_000)
    with pytest.raises(InputError, match="larger than 64 KB"):
        arrivals.take(studio, mika.id, tmp_path / "upload", "b.txt")


def test_a_folder_of_this_machine_stays_as_it_is(studio: Studio, mika: Dataset, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    for name in ("a.png", "b.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(io.BytesIO(PICTURE if name == "a.png" else OTHER).read())
    before = {p: (p.read_bytes(), p.stat().st_mode) for p in folder.iterdir()}
    arrivals.take_folder(studio, mika.id, folder)
    assert {p: (p.read_bytes(), p.stat().st_mode) for p in folder.iterdir()} == before
    assert [name for name, _ in told(studio, mika)] == ["a.png", "b.png"]
