"""Pictures are measured once, and what is measured is right."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from likeness.config.data import DatasetConfig
from likeness.dataset.checks import measuring
from likeness.dataset.checks.alignment import measure_pair
from likeness.dataset.checks.copies import near_groups
from likeness.dataset.checks.pixels import FIGURES, LOOK, measure_picture
from likeness.dataset.checks.subject import Rules, Subject
from likeness.dataset.geometry import write_crop
from likeness.dataset.index import Index
from likeness.dataset.ingest import read_dataset
from likeness.dataset.manifest import Box, Example
from likeness.errors import InputError
from tests.dataset.checks.conftest import look


def test_a_second_check_opens_no_picture(mika: Path, monkeypatch: pytest.MonkeyPatch):
    for file in mika.iterdir():  # the index takes nothing from files that were changed a moment ago
        os.utime(file, (1e9, 1e9))
    monkeypatch.setattr("likeness.dataset.index.FRESH_SECONDS", -10)
    measured: list[Path] = []

    def count(path: Path, crop: Box | None):
        measured.append(path)
        return measure_picture(path, crop)

    monkeypatch.setattr(measuring, "measure_picture", count)
    with Index(mika / ".likeness" / "index.sqlite") as index:
        first = look(mika, index=index)
        assert len(measured) == 12
        assert look(mika, index=index) == first == {}
        assert len(measured) == 12
        Image.new("RGB", (128, 128), "red").save(mika / "mika-04.png")
        assert set(look(mika, index=index)) == {"blur"}
        assert [p.name for p in measured[12:]] == ["mika-04.png"]


def test_a_crop_box_is_measured_and_another_one_anew(mika: Path, monkeypatch: pytest.MonkeyPatch):
    """The part that is shown, also where the picture itself is in the index already."""
    monkeypatch.setattr("likeness.dataset.index.FRESH_SECONDS", -10)
    image = Image.open(mika / "mika-04.png").convert("RGB")
    ImageDraw.Draw(image).rectangle((0, 0, 128, 11), "black")
    ImageDraw.Draw(image).rectangle((0, 117, 128, 128), "black")
    image.save(mika / "mika-04.png")
    measured: list[Path] = []

    def count(path: Path, crop: Box | None):
        measured.append(path)
        return measure_picture(path, crop)

    monkeypatch.setattr(measuring, "measure_picture", count)
    with Index(mika / ".likeness" / "index.sqlite") as index:
        assert set(look(mika, index=index, resolution=96)) == {"borders"} and len(measured) == 12
        for box, found in (((0, 12, 128, 105), set[str]()), ((0, 0, 128, 117), set[str]()), (None, {"borders"})):
            write_crop(mika / "mika-04.png", box, 128, 128)
            count_before = len(measured)
            assert set(look(mika, index=index, resolution=96)) == found
            assert [p.name for p in measured[count_before:]] == ["mika-04.png"]
            assert set(look(mika, index=index, resolution=96)) == found and len(measured) == count_before + 1


@pytest.mark.parametrize("quality", [10, 35, 60, 75, 90, 100])
def test_the_quality_of_a_jpeg_is_read_from_its_tables(tmp_path: Path, quality: int):
    file = tmp_path / "a.jpg"
    Image.effect_noise((64, 64), 80).convert("RGB").save(file, quality=quality)
    figures, _ = measure_picture(file)
    assert abs(int(figures["jpeg_quality"]) - quality) <= (6 if quality < 20 else 1)


def test_bars_are_measured(tmp_path: Path):
    image = Image.effect_noise((200, 100), 60).convert("RGB")
    ImageDraw.Draw(image).rectangle((0, 0, 19, 99), "black")
    ImageDraw.Draw(image).rectangle((170, 0, 199, 99), "white")
    image.save(tmp_path / "a.png")
    figures, _ = measure_picture(tmp_path / "a.png")
    assert figures["borders"].tolist() == pytest.approx([0.1, 0, 0.15, 0])


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
@pytest.mark.parametrize("size", [(16, 16), (16, 700), (17, 33)])
def test_any_picture_can_be_measured(tmp_path: Path, mode: str, size: tuple[int, int]):
    """The smallest that are read, the longest, and those of one colour."""
    file = tmp_path / ("a.tif" if mode in ("CMYK", "I;16") else "a.png")
    Image.new(mode, size).save(file)
    figures, _ = measure_picture(file)
    assert all(np.isfinite(figures[name]).all() for name in ("sharpness", "blocking", "borders"))
    pair = measure_pair(file, file)
    assert pair["difference"] == 0 and np.isfinite(pair["edges"]) and np.isfinite(pair["change"]).all()


@pytest.mark.parametrize(("right", "down"), [(0, 0), (5, 0), (-4, 7), (12, -12)])
def test_a_shift_is_measured_with_its_direction(tmp_path: Path, right: int, down: int):
    small = np.random.default_rng(1).integers(0, 255, (50, 50, 3), np.uint8)
    image = Image.fromarray(small).resize((200, 200), Image.Resampling.BICUBIC)
    image.crop((30, 30, 158, 158)).save(tmp_path / "before.png")
    image.crop((30 - right, 30 - down, 158 - right, 158 - down)).save(tmp_path / "after.png")
    record = measure_pair(tmp_path / "before.png", tmp_path / "after.png")
    assert (record["shift"] * 128).tolist() == pytest.approx([right, down], abs=0.5)
    assert record["peak"] > 0.3


def test_near_copies_are_found_among_many_as_by_comparing_all(example: Callable[..., Example]):
    """The buckets miss nothing: seven bits of 64 leave one of eight bytes as it was."""
    rng = np.random.default_rng(3)
    figures = np.zeros(300, FIGURES)
    figures["dhash"] = rng.integers(0, 1 << 63, 300, np.uint64)
    figures["mirrored"] = rng.integers(0, 1 << 63, 300, np.uint64)
    figures["thumb"] = rng.integers(0, 255, figures["thumb"].shape)
    for a, b in ((3, 250), (17, 18), (90, 200)):
        figures[b] = figures[a]
        for bit in rng.choice(64, 7, replace=False):
            figures["dhash"][b] ^= np.uint64(1) << np.uint64(bit)
    examples = [example(n) for n in range(300)]
    subject = Subject(examples, Rules(), figures, np.arange(0), np.zeros(0, LOOK), np.zeros(300))
    assert near_groups(subject) == [[3, 250], [17, 18], [90, 200]]


def test_a_picture_that_is_gone_is_told(mika: Path):
    with Index() as index:
        reading = read_dataset(DatasetConfig(path=str(mika)), index=index, store=mika / ".store", trigger="mika_char")
        (mika / "mika-02.png").write_bytes(b"no picture")
        with pytest.raises(InputError, match=r"mika-02\.png"):
            measuring.measure(reading.examples, Rules(), index)
