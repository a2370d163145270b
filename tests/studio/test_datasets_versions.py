import io
import os
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import delete

from likeness.errors import InputError, NotFound
from likeness.service import datasets as service
from likeness.store.tables import Dataset, DatasetVersion
from likeness.studio import datasets
from likeness.studio.datasets import arrivals, captions, copying, crops, pairs, steps
from likeness.studio.workspace import Studio
from tests.studio.datasets_at_hand import EXAMPLES, put
from tests.studio.test_datasets_captions import by_machine


@pytest.fixture
def mika(studio: Studio) -> Dataset:
    row = datasets.create(studio, "Mika", trigger="mika_char")
    arrivals.take_folder(studio, row.id, EXAMPLES / "character" / "mika")
    return row


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_version_is_what_training_would_have_read(studio: Studio, mika: Dataset) -> None:
    crops.set_crop(studio, mika.id, "mika-02.png", (0.1, 0.1, 0.8, 0.8))
    made = datasets.freeze(studio, mika.id, "first")
    folder = datasets.version_folder(studio, "Mika", made.number)
    now, then = (service.check(f, base="starter") for f in (datasets.files_of(studio, mika.id), folder))
    known = lambda report: [(e.sha256, e.caption, e.crop) for e in report.examples]  # noqa: E731
    assert known(now) == known(then) and (made.number, made.pictures, made.note) == (1, 12, "first")
    assert any(e.crop for e in then.examples)


def test_the_same_content_is_the_same_version(studio: Studio, mika: Dataset) -> None:
    first = datasets.freeze(studio, mika.id)
    captions.set_caption(studio, mika.id, "mika-01.png", "mika_char, other words")
    assert datasets.freeze(studio, mika.id).number == 2
    steps.undo(studio, mika.id)
    again = datasets.freeze(studio, mika.id)
    assert (again.number, again.digest) == (first.number, first.digest)
    assert [v.number for v in datasets.versions(studio, mika.id)] == [2, 1]


def test_versions_take_no_room_and_nothing_done_later_reaches_them(
    studio: Studio, mika: Dataset, tmp_path: Path
) -> None:
    files = datasets.files_of(studio, mika.id)
    folder = datasets.version_folder(studio, mika.id, datasets.freeze(studio, mika.id).number)
    assert os.stat(folder / "mika-01.png").st_ino == os.stat(files / "mika-01.png").st_ino
    assert os.stat(folder / "mika-01.txt").st_ino != os.stat(files / "mika-01.txt").st_ino
    assert os.stat(files / "mika-01.png").st_mode & 0o222 == 0  # nobody writes into it
    before = contents(folder)
    captions.set_caption(studio, mika.id, "mika-01.png", "other words")
    captions.replace(studio, mika.id, "mika_char", "somebody")
    captions.add_trigger(studio, mika.id)
    crops.set_crop(studio, mika.id, "mika-02.png", (0, 0, 0.5, 0.5))
    with (files / "mika-05.txt").open("a") as f:  # an editor that writes in place
        f.write("more words")
    datasets.remove(studio, mika.id, ["mika-03.png"])
    put(studio, mika.id, tmp_path, "mika-03.png")
    steps.undo(studio, mika.id)
    assert contents(folder) == before


def test_what_a_captioner_adds_to_its_record_reaches_no_version(studio: Studio, tmp_path: Path) -> None:
    row = datasets.create(studio, "Mika")
    put(studio, row.id, tmp_path, "a.png")
    by_machine(studio, row, "a.png", "a boat")
    folder = datasets.version_folder(studio, row.id, datasets.freeze(studio, row.id).number)
    before = contents(folder)
    by_machine(studio, row, "a.png", "a red boat")
    assert contents(folder) == before and ".likeness/captions.jsonl" in before


def test_versions_are_compared(studio: Studio, mika: Dataset, tmp_path: Path) -> None:
    datasets.freeze(studio, mika.id)
    assert datasets.compare(studio, mika.id, 1).same
    captions.set_caption(studio, mika.id, "mika-01.png", "other words")
    crops.set_crop(studio, mika.id, "mika-02.png", (0, 0, 0.5, 0.5))
    datasets.remove(studio, mika.id, ["mika-03.png"])
    datasets.remove(studio, mika.id, ["mika-04.png"])
    put(studio, mika.id, tmp_path, "mika-04.png")
    put(studio, mika.id, tmp_path, "new.png", colour="red")
    datasets.freeze(studio, mika.id)
    for after in (2, None):
        found = datasets.compare(studio, mika.id, 1, after)
        assert (found.added, found.removed, found.replaced) == (["new.png"], ["mika-03.png"], ["mika-04.png"])
        assert {stem for stem, _, _ in found.captions} == {"mika-01", "mika-03", "mika-04"}
        assert found.others == ["mika-02.crop.json"]
    old = next(c for c in found.captions if c[0] == "mika-01")
    assert old[1].startswith("mika_char") and old[2] == "other words"


def test_a_version_is_brought_back_and_that_can_be_undone(studio: Studio, tmp_path: Path) -> None:
    row = datasets.create(studio, "Night", "edit")
    arrivals.take_folder(studio, row.id, EXAMPLES / "edit" / "party-hat")
    files = datasets.files_of(studio, row.id)
    datasets.freeze(studio, row.id)
    first = contents(files)
    pairs.swap(studio, row.id, ["pair-01_after.png"])
    pairs.remove(studio, row.id, ["pair-02_after.png"])
    captions.set_caption(studio, row.id, "pair-03_after.png", "put on another hat")
    second = contents(files)
    datasets.bring_back(studio, row.id, 1)
    assert contents(files) == first
    assert datasets.versions(studio, row.id)[0].note == "before version 1 was brought back"
    steps.undo(studio, row.id)
    assert contents(files) == second
    datasets.bring_back(studio, row.id, 2)
    assert contents(files) == second and datasets.compare(studio, row.id, 2).same


def test_empty_datasets_and_unknown_versions_are_told(studio: Studio) -> None:
    row = datasets.create(studio, "Mika")
    with pytest.raises(InputError, match="has no pictures"):
        datasets.freeze(studio, row.id)
    for number in (0, 1, -1):
        with pytest.raises(NotFound, match="no version"):
            datasets.version_folder(studio, row.id, number)


def test_a_version_whose_row_was_lost_is_made_again(studio: Studio, mika: Dataset) -> None:
    datasets.freeze(studio, mika.id)
    with studio.database.session() as session:  # killed between the folder and the row
        session.execute(delete(DatasetVersion))
    captions.set_caption(studio, mika.id, "mika-01.png", "other words")
    assert datasets.freeze(studio, mika.id).number == 1
    assert (datasets.version_folder(studio, mika.id, 1) / "mika-01.txt").read_text() == "other words\n"


def test_freezing_at_once_gives_one_version(studio: Studio, mika: Dataset) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: datasets.freeze(studio, mika.id).number, range(8)))
    assert made == [1] * 8


def test_versions_of_a_dataset_in_the_bin_can_still_be_read(studio: Studio, mika: Dataset) -> None:
    datasets.freeze(studio, mika.id)
    datasets.delete(studio, mika.id)
    assert datasets.version_folder(studio, mika.id, 1).is_dir()


def test_a_duplicate_has_the_same_pictures_and_a_life_of_its_own(studio: Studio, mika: Dataset) -> None:
    copy = copying.duplicate(studio, mika.id)
    assert (copy.name, copy.trigger) == ("Mika copy", "mika_char")
    assert copying.duplicate(studio, mika.id).name == "Mika copy 2"
    before = contents(datasets.files_of(studio, mika.id))
    assert contents(datasets.files_of(studio, copy.id)) == before
    captions.set_caption(studio, copy.id, "mika-01.png", "other words")
    datasets.remove(studio, copy.id, ["mika-02.png"])
    assert contents(datasets.files_of(studio, mika.id)) == before


def test_an_export_holds_all_and_can_be_put_in_again(studio: Studio, mika: Dataset, tmp_path: Path) -> None:
    crops.set_crop(studio, mika.id, "mika-02.png", (0.25, 0, 0.5, 1))
    made = copying.export(studio, mika.id)
    (tmp_path / made.name).write_bytes(b"".join(made.chunks))
    with zipfile.ZipFile(tmp_path / "Mika.zip") as pack:
        assert pack.testzip() is None and len(pack.namelist()) == 25
    other = datasets.create(studio, "Mika 2")
    arrivals.take(studio, other.id, tmp_path / "Mika.zip", "Mika.zip")
    assert datasets.pictures(studio, other.id)[0][1].crop == pytest.approx((0.25, 0, 0.5, 1))
    assert contents(datasets.files_of(studio, other.id)) == contents(datasets.files_of(studio, mika.id))
    assert not [p for p in studio.uploads.iterdir() if p.name.startswith(("export-", "unpack-"))]


def test_a_version_is_exported_as_it_was(studio: Studio, mika: Dataset) -> None:
    datasets.freeze(studio, mika.id)
    datasets.remove(studio, mika.id, ["mika-01.png"])
    made = copying.export(studio, mika.id, 1)
    with zipfile.ZipFile(io.BytesIO(b"".join(made.chunks))) as pack:
        assert made.name == "Mika-v1.zip" and "mika-01.png" in pack.namelist()
    with pytest.raises(InputError, match="is empty"):
        copying.export(studio, datasets.create(studio, "Empty").id)
