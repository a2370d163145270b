"""The world that the starter is pretrained on: its pictures, words and pairs."""

import random
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("skia", reason="the renderer needs the extra 'starter'")

from starter_recipe.world import Picture, caption, edit_pair, random_picture, render
from starter_recipe.world.picture import HELD_OUT, STYLES

MANY = 3000


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


@pytest.mark.parametrize("style", sorted(set(STYLES)))
def test_a_garments_colour_shows_where_the_style_has_colours(style: str) -> None:
    red = Picture(style=style, garment_colour="red", scene="plain")
    blue = replace(red, garment_colour="blue")
    difference = np.abs(render(red, 5).astype(int) - render(blue, 5)).mean()
    assert (difference > 3) == (style != "sketch")
    words = caption(red, random.Random(0), omit=0)
    assert ("red" in words) == (style != "sketch")


def test_captions_name_what_is_drawn() -> None:
    rng = random.Random(4)
    for _ in range(200):
        p = replace(random_picture(rng), kind="girl", style="flat", view="front", scene="beach", time="night")
        words = caption(p, rng, omit=0)
        assert "on a beach at night" in words
        assert p.garment in words and p.garment_colour in words
        assert p.expression in words


def test_a_name_stands_for_what_is_constant() -> None:
    p = Picture(hair="fins", hair_colour="mint", emblem="bolt", expression="sad", scene="city")
    words = caption(p, random.Random(0), omit=0, name="mika_char")
    assert words.startswith("mika_char, sad, half body, in a city, flat")
    assert not any(trait in words for trait in ("mint", "fins", "bolt", "purple", "girl"))


def test_pairs_are_aligned() -> None:
    """Where the instruction names no new place, style or time, most of the picture stays as it was."""
    rng = random.Random(6)
    kept = []
    while len(kept) < 40:
        before, after, instruction = edit_pair(rng)
        if before.style != after.style or before.scene != after.scene or before.time != after.time:
            continue
        assert before != after and instruction
        same = (render(before, 9) == render(after, 9)).all(axis=-1).mean()
        kept.append(same)
    assert min(kept) > 0.3 and np.mean(kept) > 0.8
