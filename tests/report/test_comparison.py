"""The comparison as a page and as a picture."""

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from likeness.errors import InputError
from likeness.report.comparison import Comparison, Row, Table, render_page, save_picture, write_page

COLOURS = {(0, 0): (200, 0, 0), (1, 0): (0, 200, 0), (2, 0): (0, 0, 200), (0, 1): (90, 90, 0)}


@pytest.fixture
def comparison(tmp_path: Path) -> Comparison:
    """Three columns and two rows, in which two pictures are missing."""
    pictures: dict[tuple[int, int], Path] = {}
    for place, colour in COLOURS.items():
        pictures[place] = tmp_path / f"{place}.png"
        Image.new("RGB", (64, 64), colour).save(pictures[place])
    rows = [Row("maya_char <b>waves</b>", 42), Row("a red car", 43)]
    return Comparison(
        "maya: choice", ["character"], ["base", "epoch 4 · 0.5", "epoch 4 · 1"], rows, pictures, "maya_char"
    )


def test_the_page_holds_every_picture_and_fetches_nothing(comparison: Comparison, tmp_path: Path):
    page = render_page(comparison)
    assert page.count("data:image/webp") == 4 and page.count('class="empty"') == 2
    assert "<b>waves" not in page and "&lt;b&gt;waves" in page and "default-src &#39;none&#39;" in page
    assert "Which strength" not in page and "Measures" not in page
    path = tmp_path / "a.html"
    write_page(comparison, path)
    assert path.read_text() == page
    with pytest.raises(InputError, match=r"ends in \.html"):
        write_page(comparison, tmp_path / "a.pdf")


def test_measures_and_a_verdict_are_shown(comparison: Comparison):
    table = Table(["strength", "likeness"], [["base", "0.40"], ["0.5", "0.61 ±0.02"]], 1, ["± is an interval"])
    page = render_page(replace(comparison, table=table, verdict="Suggested: 0.5.", reasons=["It is enough."]))
    assert "Suggested: 0.5." in page and "It is enough." in page and "0.61 ±0.02" in page
    assert page.count('<span class="mark">suggested</span>') == 1


def test_many_pictures_are_inlined_smaller(comparison: Comparison, tmp_path: Path):
    large = tmp_path / "large.png"
    Image.effect_noise((1024, 1024), 60).save(large)
    few = replace(comparison, pictures={(0, 0): large})
    many = replace(comparison, pictures={(0, 0): large, **{(9, n): large for n in range(200)}})
    assert len(render_page(many)) < len(render_page(few)) / 2


def test_columns_run_across_the_picture(comparison: Comparison, tmp_path: Path):
    path = tmp_path / "a.png"
    save_picture(comparison, path, cell=64)
    image = Image.open(path).convert("RGB")
    places: dict[object, list[tuple[int, int]]] = {colour: [] for colour in COLOURS.values()}
    for i, pixel in enumerate(image.get_flattened_data()):
        if pixel in places:
            places[pixel].append((i % image.width, i // image.width))
    middles = {c: (sum(x for x, _ in at) / len(at), sum(y for _, y in at) / len(at)) for c, at in places.items()}
    red, green, blue, brown = (middles[c] for c in COLOURS.values())
    assert red[0] < green[0] < blue[0] and red[1] == pytest.approx(green[1], abs=1)
    assert red[0] == pytest.approx(brown[0], abs=1) and red[1] < brown[1]
    with pytest.raises(InputError, match=r"ends in \.png"):
        save_picture(comparison, tmp_path / "a.jpg")


def test_only_the_first_rows_are_drawn_and_it_is_said(comparison: Comparison, tmp_path: Path):
    save_picture(comparison, tmp_path / "all.png")
    save_picture(comparison, tmp_path / "some.png", most_rows=1)
    heights = [Image.open(tmp_path / f"{name}.png").height for name in ("all", "some")]
    assert heights[1] < heights[0]


def test_an_edit_has_its_source_in_front(comparison: Comparison, tmp_path: Path):
    source = tmp_path / "source.png"
    Image.new("RGB", (64, 64), (1, 2, 250)).save(source)
    edit = replace(comparison, rows=[Row("add a hat", 42, source), Row("add a hat", 43)])
    page = render_page(edit)
    assert page.count('data-label="source"') == 1 and page.count('class="empty"') == 3
    save_picture(edit, tmp_path / "edit.png", cell=64)
    save_picture(comparison, tmp_path / "plain.png", cell=64)
    widths = [Image.open(tmp_path / f"{name}.png").width for name in ("edit", "plain")]
    assert widths[0] > widths[1] + 64
