"""How much each token of a picture counts: attributes alike, however small they are drawn."""

import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from starter_recipe.details import SHARE, mixed, weights_of, weights_of_change
from starter_recipe.world import Picture, random_picture, random_size

FIGURE = Picture(scene="plain", framing="full body")


def test_every_picture_has_weights_of_a_mean_of_one() -> None:
    rng = random.Random(0)
    for _ in range(100):
        p = random_picture(rng, random_size(rng))
        weights = weights_of(p)
        assert weights.shape == (p.width // 16 * (p.height // 16),) and weights.dtype == np.float32
        assert weights.mean() == pytest.approx(1, abs=1e-5) and weights.min() >= (1 - SHARE) * 0.999


def test_the_face_counts_for_more_than_the_ground_beside_it() -> None:
    front, back = (weights_of(replace(FIGURE, view=view)).reshape(8, 8) for view in ("front", "back"))
    assert front[3, 3:5].min() > 4 * front[7, 0] and front[7, 0] == pytest.approx(1 - SHARE)
    assert back[3, 3:5].mean() < 0.8 * front[3, 3:5].mean()  # there is no expression to be seen


def test_what_is_worn_or_held_draws_weight_to_where_it_is() -> None:
    bare = weights_of(FIGURE).reshape(8, 8)
    crowned = weights_of(replace(FIGURE, accessory="crown")).reshape(8, 8)
    assert crowned[:3].sum() > bare[:3].sum() + 2 and crowned.sum() == pytest.approx(bare.sum(), rel=1e-4)
    held = weights_of(replace(FIGURE, prop="balloon")).reshape(8, 8)
    assert np.abs(held - bare).max() > 1


def test_colours_scene_and_style_change_no_weight() -> None:
    same = replace(FIGURE, scene="forest", time="night", style="sketch", hair_colour="pink", garment_colour="teal")
    assert np.array_equal(weights_of(same), weights_of(FIGURE))
    assert np.array_equal(mixed([], 4), np.ones(4))


def test_an_edit_counts_where_it_changes_something() -> None:
    before = torch.zeros(2, 4, 3)
    after = before.clone()
    after[0, 1] = 2.0
    weights = weights_of_change(before, after)
    assert weights.shape == (2, 4)
    assert weights[0].tolist() == pytest.approx([1 - SHARE, 1 - SHARE + 4 * SHARE, 1 - SHARE, 1 - SHARE])
    assert weights[1].tolist() == pytest.approx([1 - SHARE] * 4)  # nothing changes
