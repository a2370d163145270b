import random

import pytest
from PIL import Image

from likeness.dataset.buckets import bucket_size, drawing_size, fit


def cases() -> list[tuple[int, int, int, int]]:
    draw = random.Random(1)
    sizes = [(draw.randint(16, 6000), draw.randint(16, 6000)) for _ in range(3000)]
    sizes += [(16, 6000), (6000, 16), (128, 128), (1, 10_000), (1920, 1080)]
    return [(w, h, draw.choice((128, 500, 512, 768, 1024)), draw.choice((8, 16, 32, 64))) for w, h in sizes]


def test_areas_are_near_and_never_a_step_above():
    for width, height, resolution, multiple in cases():
        w, h = bucket_size(width, height, resolution, multiple)
        step = multiple * max(w, h)
        assert w % multiple == h % multiple == 0
        assert w >= multiple and h >= multiple
        assert w * h <= resolution**2 + step, (width, height, resolution, multiple)
        assert w * h >= resolution**2 - step - multiple**2, (width, height, resolution, multiple)


def test_aspects_are_kept_within_half_a_step_per_side():
    for width, height, resolution, multiple in cases():
        w, h = bucket_size(width, height, resolution, multiple)
        if min(w, h) == multiple:  # beyond the most extreme bucket
            continue
        lowest = (w - multiple / 2) / (h + multiple / 2)
        highest = (w + multiple / 2) / (h - multiple / 2)
        assert lowest <= width / height <= highest


def test_buckets_turn_with_the_picture_and_do_not_depend_on_its_scale():
    for width, height, resolution, multiple in cases():
        w, h = bucket_size(width, height, resolution, multiple)
        assert bucket_size(height, width, resolution, multiple) == (h, w)
        assert bucket_size(4 * width, 4 * height, resolution, multiple) == (w, h)


def test_known_buckets():
    assert bucket_size(300, 300, 128, 16) == (128, 128)
    assert bucket_size(1500, 1000, 128, 16) == (160, 112)
    assert bucket_size(1, 10_000, 128, 16) == (16, 1024)


@pytest.mark.parametrize("arguments", [(0, 10, 128, 16), (10, -1, 128, 16), (10, 10, 8, 16), (10, 10, 128, 0)])
def test_nonsense_is_refused(arguments: tuple[int, int, int, int]):
    with pytest.raises(ValueError):
        bucket_size(*arguments)


def test_a_drawing_takes_what_is_asked_for_then_its_source_then_a_square():
    source = Image.new("RGB", (200, 100))
    assert drawing_size(None, None, None, 128, 16) == (128, 128)
    assert drawing_size(None, None, source, 128, 16) == bucket_size(200, 100, 128, 16)
    assert drawing_size(64, None, source, 128, 16) == (64, bucket_size(200, 100, 128, 16)[1])
    assert drawing_size(64, 96, source, 128, 16) == (64, 96)


def test_fit_gives_the_size_asked_for():
    draw = random.Random(2)
    for _ in range(200):
        image = Image.new("RGB", (draw.randint(1, 300), draw.randint(1, 300)), (10, 200, 30))
        size = (draw.randint(1, 200), draw.randint(1, 200))
        fitted = fit(image, size, (draw.random(), draw.random()))
        assert fitted.size == size
        assert fitted.getcolors() == [(size[0] * size[1], (10, 200, 30))]


def test_fit_changes_nothing_where_nothing_is_to_do():
    image = Image.effect_noise((48, 32), 90).convert("RGB")
    assert fit(image, (48, 32)).tobytes() == image.tobytes()


def test_the_offset_chooses_what_is_kept():
    wide = Image.new("RGB", (300, 100), "white")
    wide.paste((255, 0, 0), (0, 0, 100, 100))
    wide.paste((0, 0, 255), (200, 0, 300, 100))
    middle = (25, 25)
    assert fit(wide, (50, 50), (0, 0)).getpixel(middle) == (255, 0, 0)
    assert fit(wide, (50, 50)).getpixel(middle) == (255, 255, 255)
    assert fit(wide, (50, 50), (1, 1)).getpixel(middle) == (0, 0, 255)
    tall = wide.transpose(Image.Transpose.ROTATE_270)
    assert fit(tall, (50, 50), (0, 0)).getpixel(middle) == (255, 0, 0)
    assert fit(tall, (50, 50), (0, 1)).getpixel(middle) == (0, 0, 255)
