"""`likeness dataset enhance`."""

from collections.abc import Callable
from pathlib import Path

from likeness.dataset.formats import measure
from tests.cli.conftest import Answer
from tests.tiny_run import write_pictures


def test_small_pictures_are_doubled_in_a_copy(likeness: Callable[..., Answer], tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "maya", 1, (24, 20))
    said = likeness("dataset", "enhance", folder, "--under", 64, "--device", "cpu")
    assert said.code == 0 and "1 picture enlarged 2 times by likeness/upscaler, 1 other file copied" in said.words
    facts = measure(tmp_path / "maya-enhanced" / "0.png")
    assert (facts.width, facts.height) == (48, 40)


def test_what_cannot_be_done_is_told(likeness: Callable[..., Answer], tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "maya", 1, (24, 20))
    refused = likeness("dataset", "enhance", folder, "--model", folder, "--device", "cpu")
    assert refused.code == 2 and "0 model files" in refused.words
    assert not (tmp_path / "maya-enhanced").exists()
    assert "below 16x16; nothing was written" in likeness("dataset", "enhance", folder, "--under", 16).words
