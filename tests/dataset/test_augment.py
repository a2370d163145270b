"""Variations of pictures and captions."""

from collections import Counter

import numpy as np
import pytest
from PIL import Image

from likeness.config.augment import AugmentConfig, CaptionsConfig, FixedChanges, RandomChanges
from likeness.dataset.augment import View, show, show_mask, texts_of, views_of
from likeness.dataset.geometry import Frame

ALL = RandomChanges(flip=True, crop=0.2, rotate=10, brightness=0.2, contrast=0.2, saturation=0.2, hue=30)


def views(
    random: RandomChanges, *, fixed: FixedChanges | None = None, variations: int = 40, seed: int = 1, name: str = "a"
):
    return views_of(name, AugmentConfig(random=random, fixed=fixed or FixedChanges(), variations=variations), seed)


def test_without_changes_there_is_one_plain_view():
    assert views(RandomChanges()) == (View(),)


def test_views_are_drawn_from_seed_and_example_within_their_strength():
    drawn = views(ALL)
    assert len(drawn) == 40 and drawn[0] == View()
    assert drawn == views(ALL) and drawn[:10] == views(ALL, variations=10)
    assert drawn != views(ALL, seed=2) and drawn != views(ALL, name="b")
    assert sum(v.flip for v in drawn) == 20
    for v in drawn:
        assert 0.8 <= v.keep <= 1 and all(0 <= o <= 1 for o in v.offset)
        assert abs(v.rotate) <= 10 and abs(v.hue) <= 30
        assert all(0.8 <= f <= 1.2 for f in (v.brightness, v.contrast, v.saturation))


def test_mirroring_alone_has_two_sides_used_alike():
    assert views(RandomChanges(flip=True)) == (View(), View(flip=True))


def test_fixed_changes_are_in_every_view():
    fixed = FixedChanges(flip=True, rotate=3, brightness=1.5, contrast=0.5, saturation=0, hue=90)
    first = View(flip=True, rotate=3, brightness=1.5, contrast=0.5, saturation=0, hue=90)
    assert views(RandomChanges(), fixed=fixed) == (first,)
    both = views(RandomChanges(rotate=1, flip=True), fixed=fixed)
    assert both[0] == first and {v.flip for v in both} == {True, False}
    assert all(2 <= v.rotate <= 4 and v.hue == 90 for v in both)


def picture(size: tuple[int, int] = (60, 40)) -> Image.Image:
    levels = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(levels)


def shown(image: Image.Image, **changes: object) -> np.ndarray:
    return np.asarray(show(image, Frame(image.size), View(**changes)), dtype=float)  # type: ignore[arg-type]


def test_each_change_does_what_it_says():
    image = picture()
    plain = np.asarray(image, dtype=float)
    assert (shown(image) == plain).all()
    assert (shown(image, flip=True) == plain[:, ::-1]).all()
    assert (np.abs(shown(image, brightness=0.5) - plain * 0.5) <= 1).all()
    assert shown(image, contrast=0.5).std() == pytest.approx(plain.std() / 2, rel=0.05)
    assert (np.ptp(shown(image, saturation=0), axis=2) == 0).all()
    red = Image.new("RGB", (8, 8), (255, 0, 0))
    assert np.abs(shown(red, hue=120) - (0, 255, 0)).max() <= 6
    assert np.abs(shown(red, hue=-120) - (0, 0, 255)).max() <= 6


@pytest.mark.parametrize("degrees", [-45, -7, 3, 30])
@pytest.mark.parametrize("size", [(60, 40), (40, 90)])
def test_no_corner_from_outside_is_shown_after_a_turn(degrees: int, size: tuple[int, int]):
    white = show(Image.new("RGB", size, "white"), Frame(size), View(rotate=degrees))
    assert white.size == size and white.getcolors() == [(size[0] * size[1], (255, 255, 255))]


def test_a_turn_is_clockwise():
    image = Image.new("L", (90, 90))
    image.paste(255, (0, 0, 90, 45))  # the upper half is white; clockwise the border goes down on the right
    turned = np.asarray(show_mask(image, Frame((90, 90)), View(rotate=20)))
    assert turned[:, -5].mean() > turned[:, 5].mean()


def test_a_mask_moves_with_its_picture():
    frame, view = Frame((40, 30), (5.0, 3.0, 50.0, 35.0)), View((0.2, 0.9), 0.8, True, 6, brightness=0.3, hue=50)
    mask = picture().convert("L")
    as_picture = Image.merge("RGB", [mask] * 3)
    assert (np.asarray(show_mask(mask, frame, view)) == np.asarray(show(as_picture, frame, view.shape))[..., 0]).all()


# --- captions


def texts(caption: str, **settings: object) -> tuple[str, ...]:
    return texts_of((caption,), CaptionsConfig(variations=60, **settings), "a", 1)  # type: ignore[arg-type]


TAGS = "mika, Red hair, sea, Blue sky"


def test_captions_stay_as_they_are_unless_asked():
    assert texts(TAGS) == (TAGS,)
    assert texts_of(("one", "two", "one"), CaptionsConfig(), "a", 1) == ("one", "two")


def test_tags_are_shuffled_behind_the_first():
    varied = texts(TAGS, shuffle=True)
    assert varied[0] == TAGS and len(varied) == 6, "three tags have six orders"
    assert all(t.startswith("mika, ") and sorted(t.split(", ")) == sorted(TAGS.split(", ")) for t in varied)
    assert any(not t.startswith("mika") for t in texts(TAGS, shuffle=True, keep_first=0))
    assert all(t.startswith("mika, Red hair, ") for t in texts(TAGS, shuffle=True, keep_first=2))


def test_tags_are_dropped_in_their_share():
    kept = Counter(tag for t in texts("a, b, c, d, e, f, g, h, i, j", drop=0.5)[1:] for tag in t.split(", "))
    assert kept["a"] == max(kept.values())
    assert 0.35 < sum(n for tag, n in kept.items() if tag != "a") / (9 * kept["a"]) < 0.65
    assert texts(TAGS, drop=1.0) == (TAGS, "mika")


@pytest.mark.parametrize(
    ("style", "words"),
    [
        ("lower", "mika, red hair, sea, blue sky"),
        ("upper", "mika, RED HAIR, SEA, BLUE SKY"),
        ("title", "mika, Red Hair, Sea, Blue Sky"),
        ("first", "mika, Red hair, Sea, Blue sky"),
    ],
)
def test_capitals(style: str, words: str):
    assert texts(TAGS, caps=[style]) == (TAGS, words)


def test_random_capitals_leave_the_words_alone():
    varied = texts(TAGS, caps=["random"])
    assert len(varied) > 20 and all(t.lower() == TAGS.lower() and t.startswith("mika, ") for t in varied)


def test_another_separator():
    assert set(texts("a; b; c", shuffle=True, separator=";")) == {"a; b; c", "a; c; b"}


def test_each_of_several_captions_is_varied():
    varied = texts_of((TAGS, "mika, x, y"), CaptionsConfig(shuffle=True, variations=12), "a", 1)
    assert varied[:2] == (TAGS, "mika, x, y") and "mika, y, x" in varied and len(varied) > 4
