"""`likeness dataset` on the command line."""

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Answer

Likeness = Callable[..., Answer]
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
BAD = EXAMPLES / "bad" / "mika-careless"


def test_json_has_the_findings_and_the_exit_code_tells_of_errors(likeness: Likeness):
    answer = likeness("dataset", "check", BAD, "--trigger", "mika_char", "--base", "starter", "--json")
    assert answer.code == 2
    assert all(set(f) == {"check", "severity", "images", "message", "fix"} for f in answer.json["findings"])
    severities = [f["severity"] for f in answer.json["findings"]]
    assert severities == sorted(severities, key=["error", "warning", "advice"].index)
    assert answer.json["counts"] == {s: severities.count(s) for s in ("error", "warning", "advice")}
    size = answer.json["findings"][0]
    assert (size["check"], size["images"]) == ("size", [str(BAD / "mika-02.png")])


def test_warnings_are_no_errors(likeness: Likeness, tmp_path: Path):
    folder = Path(shutil.copytree(EXAMPLES / "character" / "mika", tmp_path / "mika"))
    shutil.copyfile(folder / "mika-01.png", folder / "mika-13.png")
    shutil.copyfile(folder / "mika-01.txt", folder / "mika-13.txt")
    answer = likeness("dataset", "check", folder, "--json")
    assert (answer.code, [f["check"] for f in answer.json["findings"]]) == (0, ["duplicates"])


def test_text_says_what_and_which_and_what_to_do(likeness: Likeness):
    answer = likeness("dataset", "check", EXAMPLES / "bad" / "mika.yaml")
    assert answer.code == 2
    for words in ("error size", "mika-02.png", "→ Use originals", "1 error", "--fix can mend some of it"):
        assert words in answer.words
    assert answer.words.index("error size") < answer.words.index("warning trigger") < answer.words.index("advice")
    clean = likeness("dataset", "check", EXAMPLES / "character" / "mika.yaml")
    assert clean.code == 0 and "Nothing was found." in clean.words


def test_fix_says_what_it_did_and_undo_takes_it_back(likeness: Likeness, tmp_path: Path):
    folder = Path(shutil.copytree(BAD, tmp_path / "mika [1]"))  # a name that looks like markup
    answer = likeness("dataset", "check", folder, "--trigger", "mika_char", "--base", "starter", "--fix", "--json")
    assert answer.code == 2 and len(answer.json["fixed"]) == 5
    assert "duplicates" not in {f["check"] for f in answer.json["findings"]}
    undone = likeness("dataset", "undo", folder, "--json")
    assert undone.code == 0 and len(undone.json["undone"]) == 5 and undone.json["left"] == []
    again = likeness("dataset", "check", folder, "--trigger", "mika_char", "--fix")
    assert "mended moved mika-13.png" in again.words and "likeness dataset undo" in again.words
    assert "mika-13.png: as it was" in likeness("dataset", "undo", folder).words
    nothing = likeness("dataset", "undo", folder)
    assert nothing.code == 2 and "nothing to undo" in nothing.words


def test_of_very_many_findings_of_a_kind_some_are_shown(likeness: Likeness, tmp_path: Path):
    for number in range(30):
        (tmp_path / f"{number}.png").write_bytes(b"no picture")
    answer = likeness("dataset", "check", tmp_path)
    assert answer.words.count("error unreadable") == 20 and "and 10 more of unreadable" in answer.words
    assert "30 errors" in answer.words and len(likeness("dataset", "check", tmp_path, "--json").json["findings"]) == 30


def test_folders_inside(likeness: Likeness, tmp_path: Path):
    shutil.copytree(EXAMPLES / "character" / "mika", tmp_path / "set" / "mika")
    without = likeness("dataset", "check", tmp_path / "set")
    assert without.code == 2 and "--subfolders" in without.words
    answer = likeness("dataset", "check", tmp_path / "set", "--subfolders")
    assert answer.code == 0 and "12 pictures" in answer.words


def test_an_archive_without_pictures_is_named(likeness: Likeness, tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as pack:
        pack.writestr("readme.md", "nothing here")
    answer = likeness("dataset", "check", tmp_path / "empty.zip")
    assert answer.code == 2 and "empty.zip holds no pictures" in answer.words and "sizes were" not in answer.words


def test_a_contact_sheet_is_written(likeness: Likeness, tmp_path: Path):
    sheet = tmp_path / "sheets" / "mika.html"
    answer = likeness("dataset", "check", BAD, "--report", sheet)
    assert str(sheet) in answer.out.replace("\n", "") and sheet.read_text().count('<li class="card') == 14
    wrong = likeness("dataset", "check", BAD, "--report", tmp_path / "mika.pdf")
    assert wrong.code == 2 and ".html" in wrong.words


@pytest.mark.parametrize("arguments", [["--base", "nothing-like-it"], ["--kind", "sculpture"]])
def test_what_cannot_be_meant_is_refused(likeness: Likeness, arguments: list[str]):
    answer = likeness("dataset", "check", EXAMPLES / "character" / "mika", *arguments)
    assert answer.code == 2 and arguments[1] in answer.words


def test_a_training_that_is_stopped_says_why(likeness: Likeness):
    answer = likeness("train", EXAMPLES / "bad" / "mika.yaml", "--dry-run")
    assert answer.code == 2 and "mika-02.png" in answer.words and "128x128" in answer.words
