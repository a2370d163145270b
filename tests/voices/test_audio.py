from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from likeness.errors import InputError
from likeness.voices.audio import FORMATS, LONGEST, read_clip, read_tags, write_sound

NOISE = np.random.default_rng(0).normal(size=24_000) * 0.1


def write(path: Path, samples: np.ndarray = NOISE, rate: int = 24_000, **how: str) -> Path:
    soundfile.write(path, samples, rate, **how)
    return path


@pytest.mark.parametrize("ending", FORMATS)
def test_what_is_written_is_read_again_with_its_tags(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    write_sound(path, NOISE, 24_000, {"title": "One", "comment": "Two"})
    clip = read_clip(path)
    assert clip.rate == 24_000 and clip.seconds == pytest.approx(1, abs=0.1)
    assert (read_tags(path)["title"], read_tags(path)["comment"]) == ("One", "Two")


def test_an_unknown_ending_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="ends in"):
        write_sound(tmp_path / "a.aac", NOISE, 24_000)
    assert not list(tmp_path.iterdir())


def cut(path: Path) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    return path


def hold(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


REFUSED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "empty": (lambda p: hold(p / "a.wav", b""), "0 bytes"),
    "folder": (lambda p: p, "is a folder"),
    "missing": (lambda p: p / "no.wav", "no such file"),
    "text": (lambda p: hold(p / "a.wav", b"hello, this is text"), "no sound file"),
    "video": (lambda p: hold(p / "a.mp4", b"\0\0\0\x18ftypmp42" + bytes(99)), "ffmpeg"),
    "webm": (lambda p: hold(p / "a.webm", b"\x1a\x45\xdf\xa3" + bytes(99)), "ffmpeg"),
    "picture": (lambda p: hold(p / "a.wav", b"\x89PNG\r\n\x1a\n" + bytes(99)), "is a picture"),
    "wrong ending": (lambda p: write(p / "a.flac").rename(p / "a.wav"), "rename it to a.flac"),
    "no ending": (lambda p: write(p / "a.wav").rename(p / "a"), "rename it to a.wav"),
    "no samples": (lambda p: write(p / "a.wav", np.zeros(0)), "0 samples"),
    "cut wav": (lambda p: cut(write(p / "a.wav")), "cut off after 0.5 s of 1.0 s"),
    "cut flac": (lambda p: cut(write(p / "a.flac")), "cannot be decoded|cut off"),
    "cut ogg": (lambda p: cut(write(p / "a.ogg", np.tile(NOISE, 5))), "cut off"),
    "cut mp3": (lambda p: cut(write(p / "a.mp3", np.tile(NOISE, 5))), "cut off"),
    "header alone": (lambda p: hold(p / "a.wav", write(p / "b.wav").read_bytes()[:30]), "cut off before any sound"),
    "nan": (lambda p: write(p / "a.wav", np.where(np.arange(24_000) % 9 == 0, np.nan, NOISE), subtype="FLOAT"), "NaN"),
    "too slow": (lambda p: write(p / "a.wav", NOISE, 4_000), "4000 Hz"),
    "channels": (lambda p: write(p / "a.wav", np.zeros((100, 12))), "12 channels"),
    "an hour": (lambda p: write(p / "a.flac", np.zeros((LONGEST + 60) * 8_000), 8_000), "16 minutes long"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_used_is_refused_with_what_to_do(tmp_path: Path, name: str) -> None:
    make, words = REFUSED[name]
    with pytest.raises(InputError, match=words) as caught:
        read_clip(make(tmp_path))
    assert "Fix: " in str(caught.value)


def test_channels_that_cancel_each_other_out_are_not_added_up(tmp_path: Path) -> None:
    clip = read_clip(write(tmp_path / "a.wav", np.stack([NOISE, -NOISE], axis=1)))
    assert clip.channels == 2 and clip.samples.std() > 0.09
    same = read_clip(write(tmp_path / "b.wav", np.stack([NOISE, NOISE], axis=1)))
    assert np.allclose(same.samples, NOISE, atol=1e-4)


def test_a_wav_that_was_written_into_a_pipe_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav")
    data = bytearray(path.read_bytes())
    at = data.index(b"data")
    data[at + 4 : at + 8] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    assert read_clip(path).seconds == pytest.approx(1)
