"""Small copies of pictures with crop boxes."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from likeness.studio import datasets, thumbnails
from likeness.studio.datasets import crops
from likeness.studio.workspace import Studio
from tests.studio.datasets_at_hand import put


def size(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def test_a_thumbnail_follows_the_crop_box_and_needs_no_look_at_the_picture(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = datasets.create(studio, "Mika")
    put(studio, row.id, tmp_path, "a.png", size=(200, 100))
    path = datasets.path_of(studio, row.id, "a.png")
    whole = thumbnails.thumbnail(studio, path, 128)
    assert thumbnails.thumbnail(studio, path, 128, cropped=True) == whole and size(whole) == (128, 64)
    crops.set_crop(studio, row.id, "a.png", (0, 0, 0.5, 1))
    cropped = thumbnails.thumbnail(studio, path, 128, cropped=True)
    assert cropped != whole and size(cropped) == (100, 100)
    monkeypatch.setattr(thumbnails, "open_rgb", None)
    assert thumbnails.thumbnail(studio, path, 128, cropped=True) == cropped


def test_a_box_that_cannot_be_used_shows_the_whole(studio: Studio, tmp_path: Path) -> None:
    row = datasets.create(studio, "Mika")
    put(studio, row.id, tmp_path, "a.png", size=(200, 100))
    (datasets.files_of(studio, row.id) / "a.crop.json").write_text("no box")
    path = datasets.path_of(studio, row.id, "a.png")
    assert size(thumbnails.thumbnail(studio, path, 128, cropped=True)) == (128, 64)


def test_many_may_ask_for_one_at_once(studio: Studio, tmp_path: Path) -> None:
    row = datasets.create(studio, "Mika")
    for number in range(8):
        put(studio, row.id, tmp_path, f"{number}.png", size=(300, 300))
        path = datasets.path_of(studio, row.id, f"{number}.png")
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda _: thumbnails.thumbnail(studio, path, 256), range(8)))  # noqa: B023
        assert len(set(found)) == 1 and size(found[0]) == (256, 256)
