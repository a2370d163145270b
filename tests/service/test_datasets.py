"""Datasets checked on their own, and before a training."""

import base64
import io
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from likeness.dataset.geometry import write_crop
from likeness.errors import InputError
from likeness.service import datasets, runs
from tests.dataset.samples import HEIC
from tests.tiny_run import write_config, write_pairs, write_pictures

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def test_the_trigger_and_the_kind_are_guessed(tmp_path: Path):
    report = datasets.check(EXAMPLES / "character" / "mika")
    assert (report.kind, report.trigger, len(report.examples)) == ("character", "mika_char", 12)
    assert any("mika_char" in note and "--trigger" in note for note in report.notes)
    pairs = datasets.check(write_pairs(tmp_path / "pairs", 3))
    assert (pairs.kind, pairs.trigger) == ("edit", "")


def test_what_is_said_comes_before_what_is_guessed(tmp_path: Path):
    report = datasets.check(EXAMPLES / "character" / "mika", trigger="zoe_char", kind="product")
    assert (report.kind, report.trigger) == ("product", "zoe_char")
    assert {f.check: f.severity for f in report.findings} == {"trigger": "error"}


def test_a_base_sets_the_size_and_the_length_of_captions():
    folder = EXAMPLES / "character" / "mika"
    assert datasets.check(folder, base="starter").findings == []
    big = datasets.check(folder, base="flux2-klein-base-4b").findings
    assert {f.check: f.severity for f in big} == {"size": "error"} and "1024x1024" in big[0].message
    with pytest.raises(InputError, match="no-such-base"):
        datasets.check(folder, base="no-such-base")


def test_what_cannot_be_read_is_a_finding_too(tmp_path: Path):
    folder = Path(shutil.copytree(EXAMPLES / "character" / "mika", tmp_path / "mika"))
    (folder / "mika-03.png").write_bytes(b"no picture")
    (folder / "mika-05.txt").write_text("")
    (folder / "mika-06.txt").unlink()
    report = datasets.check(folder)
    found = {f.check: f for f in report.findings}
    assert found["unreadable"].severity == "error" and "mika-03.png" in found["unreadable"].message
    assert "mika-05" in found["caption"].message or any("mika-05" in f.message for f in report.findings)
    assert all(f.fix for f in report.findings)
    assert len(report.examples) == 10


def test_no_folder_and_an_empty_one(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "nowhere", tmp_path / "empty"):
        report = datasets.check(path)
        assert [f.severity for f in report.findings] == ["error"] and report.examples == []


def test_a_settings_file_says_what_the_options_leave_open():
    config = EXAMPLES / "character" / "mika.yaml"
    report = datasets.check(config)
    assert (report.kind, report.trigger, report.findings) == ("character", "mika_char", [])
    assert {f.check for f in datasets.check(config, kind="style").findings} == {"caption_style"}
    assert {f.check for f in datasets.check(config, base="flux2-klein-base-4b").findings} == {"size"}


def test_mended_and_checked_again(tmp_path: Path):
    folder = Path(shutil.copytree(EXAMPLES / "bad" / "mika-careless", tmp_path / "mika"))
    report = datasets.check(folder, trigger="mika_char", base="starter", fix=True)
    assert len(report.fixed) == 5 and len(report.examples) == 13
    left = {f.check for f in report.findings}
    assert not left & {"duplicates", "trigger", "trigger_spelling"} and "size" in left
    done, _ = datasets.undo(folder)
    assert len(done) == 5
    again = datasets.check(folder, trigger="mika_char", base="starter")
    assert "trigger" in {f.check for f in again.findings} and again.fixed == []


def test_a_clean_dataset_is_left_alone(tmp_path: Path):
    folder = Path(shutil.copytree(EXAMPLES / "character" / "mika", tmp_path / "mika"))
    assert datasets.check(folder, fix=True).fixed == []
    assert not (folder / ".likeness").exists()


def test_a_training_gets_the_same_findings(tmp_path: Path, tiny_base: Path):
    folder = write_pictures(tmp_path / "pictures", 6)
    shutil.copyfile(folder / "0.png", folder / "copy.png")
    config = write_config(tmp_path / "tiny.yaml", tiny_base, folder)
    prepared = runs.prepare(config)
    assert {f.check for f in prepared.findings} >= {"duplicates", "caption"}
    assert prepared.findings == datasets.check(config).findings


def test_crop_boxes_count_as_they_do_in_a_training(tmp_path: Path, tiny_base: Path):
    """Checks and contact sheet look at what is shown; a box that is wrong is told like anything else."""
    folder = write_pictures(tmp_path / "pictures", 6, (120, 90))
    config = write_config(tmp_path / "tiny.yaml", tiny_base, folder)
    whole = datasets.check(config)
    write_crop(folder / "2.png", (0, 0, 120, 30), 120, 90)
    for report in (datasets.check(config), datasets.check(folder)):
        (cropped,) = [e for e in report.examples if e.crop]
        assert cropped.crop == (0, 0, 120, 30)
        assert any("2.png" in image for f in report.findings if f.check == "aspect" for image in f.images)
    assert "aspect" not in {f.check for f in whole.findings}
    assert runs.prepare(config).findings == datasets.check(config).findings
    datasets.write_contact_sheet(datasets.check(folder), tmp_path / "sheet.html")
    shown = re.findall(r"data:image/webp;base64,([^\"]+)", (tmp_path / "sheet.html").read_text())
    sizes = [Image.open(io.BytesIO(base64.b64decode(data))).size for data in shown]
    assert sizes.count((120, 30)) == 1
    (folder / "2.crop.json").write_text('{"x": 2}')
    for report in (datasets.check(config), datasets.check(folder)):
        (wrong,) = [f for f in report.findings if f.check == "crop"]
        assert wrong.severity == "error" and "2.crop.json" in wrong.message and wrong.fix


def test_the_contact_sheet_shows_every_format_that_is_read(tmp_path: Path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a.heic").write_bytes(HEIC)
    deep = Image.fromarray(np.full((40, 40), 128 * 257, np.uint16))
    deep.save(tmp_path / "set" / "b.png")
    datasets.write_contact_sheet(datasets.check(tmp_path / "set"), tmp_path / "sheet.html")
    shown = re.findall(r"data:image/webp;base64,([^\"]+)", (tmp_path / "sheet.html").read_text())
    assert len(shown) == 2
    middle = Image.open(io.BytesIO(base64.b64decode(shown[1]))).convert("RGB").getpixel((20, 20))
    assert middle == pytest.approx((128, 128, 128), abs=2)


def test_the_contact_sheet_does_not_tell_where_the_dataset_lies(tmp_path: Path):
    folder = Path(shutil.copytree(EXAMPLES / "character" / "mika", tmp_path / "private" / "mika"))
    (folder / "mika-03.png").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("of nothing")
    datasets.write_contact_sheet(datasets.check(folder), tmp_path / "sheet.html")
    html = (tmp_path / "sheet.html").read_text()
    assert "mika/mika-03.png: is none" in html and "mika/notes.txt is left out" in html
    assert "private" not in html and str(tmp_path) not in html


def test_folders_inside_are_checked_where_asked(tmp_path: Path):
    shutil.copytree(EXAMPLES / "character" / "mika", tmp_path / "set" / "mika")
    report = datasets.check(tmp_path / "set")
    assert "--subfolders" in report.findings[0].fix and report.examples == []
    found = datasets.check(tmp_path / "set", subfolders=True)
    assert len(found.examples) == 12 and found.findings == []
    shutil.copyfile(tmp_path / "set" / "mika" / "mika-01.png", tmp_path / "set" / "copy.png")
    mended = datasets.check(tmp_path / "set", subfolders=True, fix=True)
    assert any("moved" in line for line in mended.fixed) and len(mended.examples) == 12


def test_an_error_keeps_a_training_from_starting(tmp_path: Path, tiny_base: Path):
    folder = write_pictures(tmp_path / "pictures", 6)
    Image.new("RGB", (16, 16)).save(folder / "3.png")
    config = write_config(tmp_path / "tiny.yaml", tiny_base, folder)
    with pytest.raises(InputError) as refused:
        runs.prepare(config, ["data.resolution=64"])
    problem, others = refused.value.problems
    assert problem.startswith("tiny.yaml: data.datasets: size: ") and "3.png" in problem and "Fix: " in problem
    assert others.endswith("see all with `likeness dataset check tiny.yaml`") and "other finding" in others
    assert runs.prepare(config, ["data.resolution=32"]).findings  # blurred, but it can be trained
