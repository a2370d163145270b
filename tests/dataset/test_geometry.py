"""Sizes, frames, and crop boxes beside pictures."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from likeness.config.data import DataConfig
from likeness.dataset.buckets import bucket_size
from likeness.dataset.geometry import (
    Frame,
    crop_file,
    frame_of,
    frame_size,
    place,
    read_crop,
    reference_frame,
    shown_sizes,
    with_crops,
    write_crop,
)
from likeness.dataset.manifest import Example

MakeExample = Callable[..., Example]
Picture = Callable[..., Path]


def data(**settings: object) -> DataConfig:
    return DataConfig(datasets=["x"], **settings)  # type: ignore[arg-type]


def cases() -> list[tuple[tuple[int, int], int, int]]:
    draw = random.Random(5)
    return [
        ((draw.randint(64, 4000), draw.randint(64, 4000)), draw.choice((128, 500, 1024)), draw.choice((8, 16, 64)))
        for _ in range(1000)
    ]


def test_nothing_is_enlarged_unless_asked():
    for shown, side, multiple in cases():
        for fit in ("crop", "square-crop"):
            w, h = frame_size(shown, side, multiple, data(fit=fit))
            assert w <= shown[0] and h <= shown[1]
            assert w % multiple == h % multiple == 0
            large = frame_size(shown, side, multiple, data(fit=fit, upscale=True))
            assert w <= large[0] and h <= large[1]
            if large[0] <= shown[0] and large[1] <= shown[1]:
                assert (w, h) == large


def test_a_padded_picture_lies_within_its_size_and_is_not_enlarged():
    draw = random.Random(6)
    for fit in ("pad", "square-pad"):
        for _ in range(40):
            shown = draw.randint(16, 90), draw.randint(16, 90)
            size = frame_size(shown, 48, 16, data(fit=fit))
            image = place(Image.new("L", shown, 255), Frame(size, None, True, False), fill=0)
            box = image.getbbox()
            assert image.size == size and box is not None
            inner = box[2] - box[0], box[3] - box[1]
            assert inner[0] <= shown[0] and inner[1] <= shown[1]
            scale = min(size[0] / shown[0], size[1] / shown[1], 1)
            assert abs(inner[0] - shown[0] * scale) <= 1 and abs(inner[1] - shown[1] * scale) <= 1
            assert fit == "pad" or size[0] == size[1]


def test_one_size_for_each_resolution_and_equal_ones_once(example: MakeExample):
    large, small = example(1, width=1500, height=1000), example(2, width=80, height=80)
    sizes = shown_sizes(large, (64, 128), 16, data())
    assert sizes == (bucket_size(1500, 1000, 64, 16), bucket_size(1500, 1000, 128, 16))
    assert shown_sizes(small, (64, 128, 256), 16, data()) == ((64, 64), (80, 80))
    assert shown_sizes(example(3, crop=(0.0, 0.0, 64.0, 64.0), side=64), (128, 256), 16, data()) == ((64, 64),)


def test_a_box_alone_is_shown(example: MakeExample):
    image = Image.new("RGB", (100, 60), "white")
    image.paste((255, 0, 0), (20, 10, 60, 50))
    frame = frame_of(example(1, width=100, height=60, crop=(20.0, 10.0, 40.0, 40.0)), (32, 32), data())
    shown = place(image, frame)
    assert shown.size == (32, 32) and shown.crop((2, 2, 30, 30)).getcolors() == [(28 * 28, (255, 0, 0))]
    assert all(level < 20 for _, (_, level, _) in shown.getcolors() or []), "the filter sees a little of the border"


def test_references_are_cropped_alike_where_they_have_the_same_shape(example: MakeExample):
    pair = example(
        1, width=100, height=60, crop=(20.0, 10.0, 40.0, 40.0), references=("a", "b"), reference_sha256s=("a", "b"),
        reference_sizes=((200, 120), (50, 50)),
    )  # fmt: skip
    frame = frame_of(pair, (32, 32), data())
    assert reference_frame(pair, 0, (16, 16), frame).box == (40, 20, 80, 80)
    assert reference_frame(pair, 1, (16, 16), frame) == Frame((16, 16))


def test_crop_boxes_are_kept_beside_pictures(picture: Picture, example: MakeExample):
    file = picture("ünter/1.png", (80, 40))
    assert read_crop(file, 80, 40) is None
    write_crop(file, (20.0, 0.0, 40.0, 40.0), 80, 40)
    assert crop_file(file).name == "1.crop.json"
    assert json.loads(crop_file(file).read_text()) == {"x": 0.25, "y": 0, "width": 0.5, "height": 1}
    assert read_crop(file, 80, 40) == (20, 0, 40, 40)
    assert read_crop(file, 800, 400) == (200, 0, 400, 400), "shares fit the picture after it was enlarged"
    crop_file(file).write_text('{"x": 20, "y": 4, "width": 30, "height": 30}')
    other = example(2, path=str(file.parent / "2.png"))
    cropped, problems = with_crops([example(1, path=str(file), width=80, height=40), other])
    assert [e.crop for e in cropped] == [(20, 4, 30, 30), None] and problems == []
    write_crop(file, None, 80, 40)
    assert not crop_file(file).exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not a crop box"),
        ("[]", "is not a crop box"),
        ('{"x": 0, "y": 0, "width": 0.5}', "is not a crop box"),
        ('{"x": null, "y": 0, "width": 0.5, "height": 1}', "is not a crop box"),
        ('{"x": 0, "y": 0, "width": NaN, "height": 1}', "leads out"),
        ('{"x": -0.1, "y": 0, "width": 0.5, "height": 1}', "leads out"),
        ('{"x": 50, "y": 0, "width": 50, "height": 30}', "leads out"),
        ('{"x": 0, "y": 0, "width": 0.1, "height": 1}', "leaves 8x40"),
    ],
)
def test_a_wrong_crop_box_is_told(picture: Picture, example: MakeExample, text: str, words: str):
    file = picture("1.png", (80, 40))
    crop_file(file).write_text(text)
    cropped, problems = with_crops([example(1, path=str(file), width=80, height=40)])
    assert cropped == [] and len(problems) == 1
    assert words in problems[0] and str(crop_file(file)) in problems[0] and "Fix: " in problems[0]
