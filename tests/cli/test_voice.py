import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.cli.conftest import Answer
from tests.voices.recordings import speech, write_lessons
from tests.voices.tiny_pocket import make_tiny_pocket

CONSENT = "I am the speaker and agree."
Likeness = Callable[..., Answer]


@pytest.fixture(scope="module")
def low(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 s of a low voice; leave it as it is."""
    path = tmp_path_factory.mktemp("recordings") / "low.wav"
    soundfile.write(path, speech(12, "en-gb+m3", 30), 24_000)
    return path


@pytest.fixture(scope="module")
def tiny_pocket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_pocket(tmp_path_factory.mktemp("pocket") / "tiny")


@pytest.fixture(scope="module")
def lessons(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lessons(tmp_path_factory.mktemp("lessons") / "clips")


def test_a_recording_is_cloned_and_speaks(likeness: Likeness, low: Path, tmp_path: Path) -> None:
    refused = likeness("voice", "clone", low, "--name", "ada")
    assert refused.code == 2 and "statement of consent" in refused.words and not (tmp_path / "voices").exists()
    made = likeness("voice", "clone", low, "--name", "ada", "--consent", CONSENT)
    assert made.code == 0 and "speech synthesiser wearing" in made.words
    said = likeness("voice", "say", "ada", "Good morning to all of you, dear friends.", "-o", "a.ogg", "--json")
    assert said.code == 0 and said.json["watermark"] and said.json["seconds"] > 1.5
    assert likeness("voice", "say", "ada", "Good morning.", "-o", "b.wav", "--no-watermark").code == 0
    found = likeness("voice", "verify", "a.ogg")
    assert found.code == 0 and "Watermark: found" in found.words and "voice ada" in found.words
    assert likeness("voice", "verify", low).code == 1
    listed = likeness("voice", "list", "--json").json
    assert [v["name"] for v in listed] == ["ada"] and listed[0]["consent"]["statement"] == CONSENT
    assert CONSENT in likeness("voice", "list").words
    again = likeness("voice", "clone", low, "--name", "ada", "--consent", CONSENT)
    assert again.code == 2 and "--replace" in again.words


def test_text_comes_from_a_file_or_the_command_and_not_from_both(likeness: Likeness, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_bytes(b"\xff\xfe\xff")
    assert "not UTF-8" in likeness("voice", "say", "x", "--text-file", "t.txt", "-o", "a.wav").words
    assert "given twice" in likeness("voice", "say", "x", "hi", "--text-file", "t.txt", "-o", "a.wav").words


def test_a_check_tells_what_is_wrong_and_mends_it(likeness: Likeness, low: Path, tmp_path: Path) -> None:
    good = likeness("voice", "check", low)
    assert good.code == 0 and "Nothing was found" in good.words
    x, rate = soundfile.read(low)
    soundfile.write(tmp_path / "soft.wav", np.concatenate([x * 0.01, np.zeros(15 * rate)]), rate, subtype="FLOAT")
    found = likeness("voice", "check", "soft.wav")
    assert found.code == 0 and "very quiet" in found.words and "--fix can mend" in found.words
    mended = likeness("voice", "check", "soft.wav", "--fix", "-o", "better.wav", "--json").json["recordings"][0]
    assert mended["mended"]["done"] == ["normalise", "trim"] and mended["mended"]["findings"] == []
    assert (tmp_path / "better.wav").exists()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.wav", b"", "is empty"),
        ("a.mp4", b"\0\0\0\x18ftypmp42" + bytes(99), "ffmpeg"),
        ("a.wav", b"text", "no sound"),
    ],
)
def test_bad_files_are_refused_with_the_fix(
    likeness: Likeness, tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(content)
    for command in (("check", name), ("clone", name, "--name", "x", "--consent", CONSENT)):
        answer = likeness("voice", *command)
        assert answer.code == 2 and words in answer.words and "Fix:" in answer.words
    assert not (tmp_path / "voices").exists()


def test_of_a_folder_every_recording_is_told(likeness: Likeness, low: Path, tmp_path: Path) -> None:
    folder = tmp_path / "several"
    folder.mkdir()
    (folder / "a.wav").write_bytes(low.read_bytes())
    (folder / "b.wav").write_bytes(low.read_bytes()[:9000])
    answer = likeness("voice", "check", folder, "--for", "trained", "--json")
    assert answer.code == 2
    assert [[f["check"] for f in r["findings"]] for r in answer.json["recordings"]] == [[], ["unreadable"]]
    assert [f["check"] for f in answer.json["findings"]] == ["amount"]


def test_a_voice_is_trained_kept_and_speaks(
    likeness: Likeness,
    lessons: Path,
    tiny_pocket: Path,
    tmp_path: Path,
) -> None:
    words = ("voice", "train", lessons, "--name", "ada", "--base", tiny_pocket, "--threads", "1", "--device", "cpu")
    assert "statement of consent" in likeness(*words).words
    words = (*words, "--consent", CONSENT, "--epochs", "1", "--rank", "2", "--sentence", "come here")
    assert likeness(*words, "--dry-run", "--json").json["steps"] == 1 and not (tmp_path / "runs").exists()
    trained = likeness(*words, "--json")
    assert trained.code == 0 and trained.json["voices"] == ["runs/ada/checkpoints/epoch-001"]
    assert "<audio" in (tmp_path / "runs" / "ada" / "report.html").read_text()
    assert "is there already" in likeness(*words).words
    assert likeness("voice", "keep", "runs/ada", "--name", "ada").code == 0
    said = likeness("voice", "say", "ada", "come here", "-o", "a.wav", "--speed", "2", "--device", "cpu")
    assert said.code == 0 and "--speed: Pocket TTS has no such setting" in said.words
    assert likeness("runs").code == 0


def test_a_run_that_its_worker_refuses_leaves_nothing(likeness: Likeness, lessons: Path, tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    answer = likeness("voice", "train", lessons, "--name", "x", "--base", "base", "--consent", CONSENT)
    assert answer.code == 2 and "no Pocket TTS" in answer.words
    assert not (tmp_path / "runs" / "x").exists()


def test_engines_say_honestly_how_they_sound(likeness: Likeness) -> None:
    told = likeness("voice", "engines", "--json")
    assert set(told.json) == {"espeak", "pocket", "script"} and "synthesiser" in told.json["espeak"]["sounds"]
    assert json.loads(told.out)
