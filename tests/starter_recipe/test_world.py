"""The world that the starter is pretrained on: its pictures, words and pairs."""

import random
from collections.abc import Iterable
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("skia", reason="the renderer needs the extra 'starter'")

from starter_recipe.examples import EXAMPLES, MIKA, MIKA_SHOTS
from starter_recipe.text import TEXT_TOKENS, train_tokenizer
from starter_recipe.world import SIZES, Picture, caption, edit_pair, random_picture, random_size, read, render
from starter_recipe.world import picture as world
from starter_recipe.world.pairs import EDITS, apply_edit
from starter_recipe.world.picture import HELD_OUT, STYLES

MANY = 3000
FULL = Picture(scene="plain", backdrop="gray", framing="full body", accessory_colour="blue")
HALF = replace(FULL, framing="half body")
ANIMAL, THING = replace(FULL, kind="animal"), replace(FULL, kind="thing", noun="car", colour="purple")


def test_pretraining_never_draws_a_held_out_trait() -> None:
    rng = random.Random(1)
    drawn = [random_picture(rng) for _ in range(MANY)]
    drawn += [p for _ in range(MANY) for p in edit_pair(rng)[:2]]
    for field, values in HELD_OUT.items():
        seen = {getattr(p, field) for p in drawn}
        assert len(seen) > 3
        assert not seen & set(values)


def test_pictures_are_a_function_of_attributes_and_seed() -> None:
    rng = random.Random(2)
    for seed in range(12):
        picture = random_picture(rng)
        one = render(picture, seed)
        assert one.shape == (128, 128, 3) and one.dtype == np.uint8
        assert np.array_equal(one, render(picture, seed))
        assert not np.array_equal(one, render(picture, seed + 1))


def test_the_shipped_example_is_what_the_world_draws() -> None:
    """The base that ships was pretrained on these looks."""
    expression, pose, framing, scene, time, style = MIKA_SHOTS[0]
    shot = replace(MIKA, expression=expression, pose=pose, framing=framing, scene=scene, time=time, style=style)
    file = EXAMPLES / "character" / "mika" / "mika-01.png"
    shipped = np.array(Image.open(file).convert("RGB"))
    assert np.abs(render(shot, 900).astype(int) - shipped).mean() < 0.5
    assert caption(shot, random.Random(0), omit=0, name="mika_char") == file.with_suffix(".txt").read_text().strip()


@pytest.mark.parametrize(
    ("base", "field", "values", "least"),
    [
        (HALF, "hair", world.HAIRS, 0.03),
        (replace(HALF, view="back"), "hair", world.HAIRS, 0.01),
        (FULL, "garment", world.GARMENTS, 0.02),
        (HALF, "accessory", world.ACCESSORIES, 0.02),
        (HALF, "emblem", world.EMBLEMS, 0.008),
        (HALF, "expression", world.EXPRESSIONS, 0.005),
        (HALF, "prop", ("none", *world.PROPS), 0.02),
        (FULL, "pose", world.POSES, 0.01),
        (ANIMAL, "noun", world.ANIMALS, 0.03),
        (ANIMAL, "pose", world.ANIMAL_POSES, 0.2),
        (THING, "noun", (*world.THINGS, "radio"), 0.05),
        (FULL, "scene", world.SCENES, 0.2),
        (HALF, "style", world.STYLES, 0.05),
    ],
)
def test_every_value_looks_different_from_every_other(
    base: Picture, field: str, values: Iterable[str], least: float
) -> None:
    """`least`: the share of the pixels that any two values must draw in clearly different colours."""
    held_out = (
        () if field == "noun" or base.view == "back" else HELD_OUT.get(field, ())
    )  # fins are not drawn from behind
    drawn = {v: render(replace(base, **{field: v}), 5).astype(int) for v in (*values, *held_out)}
    for one, other in combinations(drawn, 2):
        share = (np.abs(drawn[one] - drawn[other]).max(axis=-1) > 40).mean()
        assert share >= least, (one, other)


@pytest.mark.parametrize("style", sorted(set(STYLES)))
def test_a_garments_colour_shows_where_the_style_has_colours(style: str) -> None:
    red = Picture(style=style, garment_colour="red", scene="plain")
    blue = replace(red, garment_colour="blue")
    difference = np.abs(render(red, 5).astype(int) - render(blue, 5)).mean()
    assert (difference > 3) == (style != "sketch")
    words = caption(red, random.Random(0), omit=0)
    assert ("red" in words) == (style != "sketch")


@pytest.mark.parametrize("size", SIZES)
def test_no_shape_squashes_what_it_shows(size: tuple[int, int]) -> None:
    width, height = size
    ball = replace(THING, noun="ball", colour="red", backdrop="white", width=width, height=height)
    for seed in range(4):
        image = render(ball, seed).astype(int)
        assert image.shape == (height, width, 3)
        rows, columns = np.nonzero(image[:, :, 0] - image[:, :, 1] > 60)
        wide, high = np.ptp(columns) + 1, np.ptp(rows) + 1
        assert abs(wide - high) <= 2
        assert columns.min() > 0 and columns.max() < width - 1 and rows.max() < height - 1
        assert high > 0.3 * min(width, height)
    for style in (*dict.fromkeys(STYLES), *HELD_OUT["style"]):
        for scene in dict.fromkeys((*world.SCENES, *HELD_OUT["scene"])):
            drawn = render(Picture(style=style, scene=scene, width=width, height=height), 3)
            assert drawn.shape == (height, width, 3)
            edges = np.concatenate([drawn[0], drawn[-1], drawn[:, 0], drawn[:, -1]])
            assert edges.max(axis=-1).min() > 0  # the place reaches the borders


def test_a_size_at_random_is_any_of_them() -> None:
    rng = random.Random(3)
    sizes = [random_size(rng) for _ in range(400)]
    assert set(sizes) == set(SIZES)
    assert all(w % 16 == h % 16 == 0 and 0.9 < w * h / 128**2 < 1.1 for w, h in SIZES)
    p = random_picture(rng, (96, 160))
    assert (p.width, p.height) == (96, 160)
    assert (random_picture(rng).width, random_picture(rng).height) == (128, 128)


def test_captions_say_nothing_that_the_picture_does_not_show() -> None:
    rng = random.Random(4)
    named: set[str] = set()
    for i in range(MANY):
        p = random_picture(rng)
        heard = read(caption(p, rng, omit=0 if i % 2 else 0.2))
        assert {k: v for k, v in heard.items() if getattr(p, k) != v} == {}
        if i % 2:
            assert {"kind", "scene", "style"} <= heard.keys()
            assert not p.is_person or {"garment", "hair"} <= heard.keys()
            assert p.is_person or "noun" in heard
            assert p.is_gray or not p.is_person or {"garment_colour", "hair_colour"} <= heard.keys()
        named |= {f"{k}: {v}" for k, v in heard.items()}
    wanted = {
        "hair": world.HAIRS, "hair_colour": world.HAIR_COLOURS, "skin": world.SKINS, "garment": world.GARMENTS,
        "garment_colour": world.GARMENT_COLOURS, "emblem": world.EMBLEMS, "accessory": world.ACCESSORIES,
        "expression": world.EXPRESSIONS, "prop": world.PROPS, "scene": world.SCENES, "time": world.TIMES,
        "style": world.STYLES, "noun": (*world.ANIMALS, *world.THINGS), "pose": (*world.POSES, *world.ANIMAL_POSES),
        "framing": world.FRAMINGS, "view": ("side", "back"), "backdrop": world.BACKDROPS,
    }  # fmt: skip
    for field, values in wanted.items():
        for value in {*values} - {"none", "standing"}:
            assert f"{field}: {value}" in named


def test_captions_are_varied() -> None:
    p = Picture(scene="forest", time="night", pose="waving", accessory="scarf")
    drawn = [caption(p, random.Random(i)) for i in range(200)]
    assert len(set(drawn)) > 180
    lengths = [len(words.split()) for words in drawn]
    assert min(lengths) < 6 and max(lengths) > 20
    assert any(words.startswith("girl") for words in drawn)
    assert any(words.startswith("in a forest") for words in drawn)


def test_every_text_fits_into_the_models_tokens(tmp_path: Path) -> None:
    """With a tokenizer as the recipe trains it. Padding is attended, so what is cut off is lost for good."""
    tokenizer = train_tokenizer(tmp_path)
    rng = random.Random(5)
    texts = [caption(random_picture(rng), rng, omit=rng.choice((0, 0.12))) for _ in range(2 * MANY)]
    texts += [edit_pair(rng)[2] for _ in range(MANY)]
    wrapped = [f"<|im_start|>{t}<|im_end|>" for t in texts]
    assert max(len(ids) for ids in tokenizer(wrapped)["input_ids"]) <= TEXT_TOKENS


def test_a_name_stands_for_what_is_constant() -> None:
    p = Picture(hair="fins", hair_colour="mint", emblem="bolt", expression="sad", scene="city")
    words = caption(p, random.Random(0), omit=0, name="mika_char")
    assert words.startswith("mika_char, sad, half body, in a city, flat")
    assert not any(trait in words for trait in ("mint", "fins", "bolt", "purple", "girl"))


def test_a_place_a_style_and_a_product_can_have_names() -> None:
    p = Picture(scene="tea garden", style="stained glass", prop="radio")
    instead = {"scene": "at mori_garden", "style": "tavi_style", "prop": "holding kivo_radio"}
    for rng in (random.Random(i) for i in range(20)):
        words = caption(p, rng, omit=0, instead=instead)
        assert all(said in words for said in instead.values())
        assert not any(trait in words for trait in ("tea garden", "stained", "red radio"))
    named = caption(
        replace(p, kind="thing", noun="radio"), random.Random(0), omit=0, name="kivo_radio", instead=instead
    )
    assert named == "kivo_radio, at mori_garden, tavi_style"


def test_pairs_are_aligned() -> None:
    """Where the instruction names no new place, style or time, most of the picture stays as it was."""
    rng = random.Random(6)
    kept = []
    while len(kept) < 80:
        before, after, instruction = edit_pair(rng, random_size(rng))
        if before.style != after.style or before.scene != after.scene or before.time != after.time:
            continue
        assert before != after and instruction
        same = (render(before, 9) == render(after, 9)).all(axis=-1).mean()
        assert same < 1, instruction
        kept.append(same)
    assert min(kept) > 0.2 and np.mean(kept) > 0.8


def test_a_new_time_of_day_moves_nothing() -> None:
    for scene in set(world.SCENES) - set(world.TIMELESS_SCENES):
        day = Picture(scene=scene, style="outline", kind="thing", noun="star", framing="full body")
        inks = [(render(replace(day, time=t), 4)[84:].max(axis=-1) < 36) for t in ("day", "sunset")]
        assert (inks[0] == inks[1]).mean() > 0.98, scene


@pytest.mark.parametrize("kind", sorted(set(EDITS)))
def test_every_edit_comes_up_and_changes_what_it_says(kind: str) -> None:
    rng = random.Random(7)
    made = [(p, *edited) for p in (random_picture(rng) for _ in range(300)) if (edited := apply_edit(kind, p, rng))]
    assert len(made) > 15
    assert len({instruction for _, _, instruction in made}) > 6
    for before, after, _ in made:
        changed = {f for f in vars(before) if getattr(before, f) != getattr(after, f)}
        assert changed and changed <= _TOUCHES[kind]


_TOUCHES = {
    "style": {"style"},
    "time": {"time"},
    "scene": {"scene", "time", "backdrop"},
    "add": {"accessory"},
    "remove": {"accessory"},
    "swap": {"accessory", "accessory_colour"},
    "recolour": {"garment_colour", "colour", "accessory_colour", "prop_colour"},
    "hair": {"hair_colour"},
    "mood": {"expression"},
    "hold": {"prop", "prop_colour"},
    "turn": {"noun"},
    "emblem": {"emblem"},
}
