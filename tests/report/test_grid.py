"""The epochs-by-prompts picture."""

from pathlib import Path

import numpy as np
import pytest
from conftest import PROMPTS, RunWriter, colour
from PIL import Image

from likeness.errors import InputError
from likeness.report.grid import draw_grid, save_grid
from likeness.report.history import read_history
from likeness.report.lettering import find_typeface, wrap


def patches(image: Image.Image, shade: tuple[int, int, int]) -> int:
    """How many pixels have exactly this colour."""
    return int((np.asarray(image) == shade).all(-1).sum())


def corner(image: Image.Image, shade: tuple[int, int, int]) -> tuple[int, int]:
    """(x, y) where this colour begins."""
    ys, xs = (np.asarray(image) == shade).all(-1).nonzero()
    return int(xs.min()), int(ys.min())


def test_every_sample_is_drawn_pixel_for_pixel(finished_run: RunWriter):
    image = draw_grid(read_history(finished_run.folder))
    for epoch in range(7):
        for prompt in (1, 2, 3):
            assert 128 * 128 - 100 < patches(image, colour(epoch, prompt)) <= 128 * 128, "only corners are rounded"


def test_more_epochs_than_prompts_run_across_and_fewer_run_down(finished_run: RunWriter):
    history = read_history(finished_run.folder)
    across, down = draw_grid(history), draw_grid(history, epochs=[1, 2])
    x, y = corner(across, colour(1, 1))
    assert corner(across, colour(2, 1))[0] > x + 128 and corner(across, colour(2, 1))[1] == y
    x, y = corner(down, colour(1, 1))
    assert corner(down, colour(2, 1))[1] > y + 128 and corner(down, colour(2, 1))[0] == x


def test_chosen_epochs_alone_are_drawn(finished_run: RunWriter):
    image = draw_grid(read_history(finished_run.folder), epochs=[5, 3])
    assert patches(image, colour(3, 1)) and patches(image, colour(5, 2))
    assert not patches(image, colour(4, 1))


def test_an_unknown_epoch_is_refused_with_those_that_exist(finished_run: RunWriter):
    with pytest.raises(InputError, match=r"no samples of epoch 9, 12; choose from 0, 1, 2, 3, 4, 5, 6"):
        draw_grid(read_history(finished_run.folder), epochs=[3, 9, 12])
    with pytest.raises(InputError, match="no epochs given"):
        draw_grid(read_history(finished_run.folder), epochs=[])


def test_a_missing_or_broken_sample_leaves_an_empty_frame(finished_run: RunWriter):
    whole = draw_grid(read_history(finished_run.folder))
    (finished_run.folder / "samples/epoch-002/prompt-1-seed-42.png").unlink()
    (finished_run.folder / "samples/epoch-003/prompt-1-seed-42.png").write_bytes(b"not a picture")
    image = draw_grid(read_history(finished_run.folder))
    assert image.size == whole.size
    for epoch in (2, 3):
        assert not patches(image, colour(epoch, 1)) and patches(image, colour(epoch, 2))
        x, y = corner(whole, colour(epoch, 1))
        assert image.getpixel((x + 60, y + 60)) == (0xF3, 0xF0, 0xEB)


def test_an_edit_shows_its_source_first(edit_run: RunWriter):
    image = draw_grid(read_history(edit_run.folder))
    source, base = corner(image, (250, 0, 0)), corner(image, colour(0, 1))
    assert source[1] == base[1] and source[0] < base[0], "three stages of two prompts run across"
    assert draw_grid(read_history(edit_run.folder), epochs=[1]).height > 2 * 128


def test_large_samples_are_reduced_and_small_ones_grow_by_whole_numbers(new_run):
    run = new_run("sizes")
    run.run_json([])
    run.sample(0, 1, "large", size=(1024, 512))
    run.sample(0, 2, "small", size=(40, 40))
    image = draw_grid(read_history(run.folder), cell=160)
    assert 160 * 80 - 100 < patches(image, colour(0, 1)) <= 160 * 80
    assert 160 * 160 - 100 < patches(image, colour(0, 2)) <= 160 * 160


def test_a_run_without_samples_is_refused(new_run):
    run = new_run("none")
    run.run_json([{"prompt": "p"}])
    with pytest.raises(InputError, match="has no samples"):
        draw_grid(read_history(run.folder))


def test_saving_writes_a_png_and_refuses_other_names(finished_run: RunWriter, tmp_path: Path):
    history = read_history(finished_run.folder)
    save_grid(history, tmp_path / "out" / "grid.png", epochs=[0, 6])
    with Image.open(tmp_path / "out" / "grid.png") as image:
        assert image.format == "PNG" and patches(image.convert("RGB"), colour(6, 3))
    with pytest.raises(InputError, match=r"ends in \.png"):
        save_grid(history, tmp_path / "grid.jpg")


def test_long_prompts_wrap_and_end_in_an_ellipsis():
    font = find_typeface(PROMPTS)(15)
    text = "a very long prompt about " + "many " * 40 + "x" * 80
    lines = wrap(text, font, 150, 4)
    assert len(lines) == 4 and lines[-1].endswith("…")
    assert all(font.getlength(line) <= 150 for line in lines)
    assert " ".join(wrap(text, font, 150, 99)).replace(" ", "") == text.replace(" ", "")
    assert wrap("", font, 150, 4) == []


def test_letters_that_the_built_in_font_lacks_come_from_a_system_font_where_there_is_one(monkeypatch):
    built_in = find_typeface(["abc"])
    assert built_in(12).getname()[0] == "Aileron"
    asked: list[str] = []

    def truetype(name: str, size: int):
        asked.append(name)
        raise OSError("cannot open resource")

    monkeypatch.setattr("PIL.ImageFont.truetype", truetype)
    assert find_typeface(["žluťoučký 猫"]) is built_in, "better some boxes than no picture"
    assert "DejaVuSans.ttf" in asked
