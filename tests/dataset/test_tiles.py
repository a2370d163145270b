"""Detail crops: where tiles lie, which are left out, and what becomes of the picture they were cut from."""

import random
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from likeness.config.crops import DetailCropsConfig
from likeness.dataset.manifest import Example
from likeness.dataset.tiles import Cut, cut_all, edge_share, is_blank, moved_box, tile_grid, tile_moves, tile_starts

MakeExample = Callable[..., Example]


def cases() -> list[tuple[int, int, float]]:
    draw = random.Random(3)
    return [(draw.randint(1, 5000), draw.randint(16, 1100), draw.choice((0, 0.1, 0.25, 0.5, 0.9))) for _ in range(600)]


def noise(size: tuple[int, int], seed: int = 0) -> Image.Image:
    levels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(levels)


def crops(**settings: object) -> DetailCropsConfig:
    return DetailCropsConfig(enabled=True, **settings)  # type: ignore[arg-type]


def cut(e: Example, image: Image.Image, side: int = 64, **settings: object) -> Cut:
    e = replace(e, width=image.width, height=image.height)
    return cut_all([e], crops(**settings), (side,), lambda _: image)


def tiles_of(result: Cut) -> list[Example]:
    return [e for e in result.examples if e.moves is not None]


# --- places


def test_tiles_cover_a_side_with_the_overlap_and_without_doubles():
    for length, tile, overlap in cases():
        starts = tile_starts(length, tile, overlap)
        if length < tile:
            assert starts == []
            continue
        assert starts[0] == 0 and starts[-1] == length - tile, "edge tiles are of full size and inside"
        gaps = np.diff(starts)
        assert (gaps > 0).all()
        assert (gaps <= max(1, tile * (1 - overlap))).all(), "neighbours share what was asked for"
        assert not len(gaps) or gaps.max() - gaps.min() <= 1, "evenly spread"


def test_no_more_tiles_than_needed():
    for length, tile, overlap in cases():
        if length > tile:
            step = max(1, int(tile * (1 - overlap)))
            assert tile + (len(tile_starts(length, tile, overlap)) - 2) * step < length


def test_every_pixel_is_in_a_tile():
    draw = random.Random(4)
    for _ in range(60):
        size, tile = (draw.randint(40, 300), draw.randint(40, 300)), draw.randint(16, 90)
        grid = tile_grid(size, tile, draw.choice((0, 0.3)))
        seen = np.zeros((size[1], size[0]), bool)
        for x, y in grid:
            assert 0 <= x <= size[0] - tile and 0 <= y <= size[1] - tile
            seen[y : y + tile, x : x + tile] = True
        assert len(set(grid)) == len(grid)
        assert seen.all() if grid else min(size) < tile or size == (tile, tile)


def test_known_grid():
    assert tile_starts(1000, 400, 0) == [0, 300, 600]  # two of 400 would not cover it; three share it evenly
    assert tile_grid((512, 512), 512, 0.25) == []


def test_moved_neighbours_still_touch_and_never_fall_together():
    for length, tile, overlap in cases():
        starts = tile_starts(length, tile, overlap)
        moves = [tile_moves(starts, i, tile) for i in range(len(starts))]
        for i in range(len(starts) - 1):
            assert starts[i + 1] + moves[i + 1][1] <= starts[i] - moves[i][0] + tile
            assert starts[i] + moves[i][1] < starts[i + 1] - moves[i + 1][0]
        if starts:
            assert moves[0][0] == moves[-1][1] == 0


# --- blank tiles


def test_blank_is_what_lacks_contrast_or_edges():
    flat = np.full((64, 64), 200, np.uint8)
    ramp = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (64, 1))  # much contrast, no edge
    busy = np.asarray(noise((64, 64)).convert("L"))
    assert [is_blank(g, crops()) for g in (flat, ramp, busy)] == [True, True, False]
    assert not is_blank(ramp, crops(blank_edge_threshold=0))
    assert not is_blank(flat, crops(blank_edge_threshold=0, blank_std_threshold=0))
    assert is_blank(busy, crops(blank_std_threshold=128))


def test_the_share_of_edges_is_counted():
    half = np.zeros((10, 10), np.uint8)
    half[:, 5:] = 255
    assert edge_share(half) == pytest.approx(0.1)  # one column of ten
    assert edge_share(half.T) == pytest.approx(0.1)


def test_blank_tiles_are_left_out(example: MakeExample):
    image = noise((192, 64))
    image.paste((250, 250, 250), (0, 0, 64, 64))
    result = cut(example(1), image, overlap=0.0)
    assert [e.crop for e in tiles_of(result)] == [(64, 0, 64, 64), (128, 0, 64, 64)]
    assert (result.pictures, result.tiles, result.blank) == (1, 2, 1)


# --- what is shown


def test_a_tile_is_an_example_of_its_own(example: MakeExample):
    whole = example(1, caption="mika at sea", loss_weight=0.5, repeats=3)
    result = cut(whole, noise((150, 100)))
    assert result.examples[0].crop is None and result.examples[0].id == whole.id
    tiles = tiles_of(result)
    assert len({e.id for e in result.examples}) == len(result.examples) == 1 + len(tiles) == 7
    assert {(e.caption, e.loss_weight, e.repeats, e.side) for e in tiles} == {("mika at sea", 0.5, 3, 64)}


@pytest.mark.parametrize(
    ("full", "context", "sides"),
    [(True, True, [None, 32]), (True, False, [None]), (False, True, [32]), (False, False, [])],
)
def test_the_whole_and_its_context(example: MakeExample, full: bool, context: bool, sides: list[int | None]):
    result = cut(example(1), noise((100, 70)), 64, tile_resolution=32, include_full_images=full,
                 include_context_tiles=context)  # fmt: skip
    around = [e for e in result.examples if e.moves is None]
    assert [e.side for e in around] == sides
    assert all(e.crop in (None, (0, 0, 100, 70)) for e in around)


def test_a_context_tile_that_would_be_the_whole_again_is_left_out(example: MakeExample):
    result = cut(example(1), noise((100, 70)), 64, include_context_tiles=True)
    assert [e.side for e in result.examples if e.moves is None] == [None]


def test_scales_show_more_in_a_tile_and_double_nothing(example: MakeExample):
    one = tiles_of(cut(example(1), noise((300, 200))))
    both = tiles_of(cut(example(1), noise((300, 200)), scales=[1.0, 0.5, 1.0]))
    wide = [e.crop for e in both if e.crop not in [t.crop for t in one]]
    assert len(both) == len(one) + len(wide) and len(wide) == 3 * 2
    assert all(c is not None and c[2:] == (128, 128) for c in wide)


@pytest.mark.parametrize("size", [(64, 64), (63, 500), (20, 20)])
def test_what_cannot_be_cut_stays_whole(example: MakeExample, size: tuple[int, int]):
    result = cut(example(1), noise(size), include_full_images=False)
    assert [e.crop for e in result.examples] == [None] and result.tiles == 0


def test_held_out_pictures_are_not_cut_and_blank_ones_are_not_lost(example: MakeExample):
    assert cut(example(1, held_out=True), noise((300, 300))).tiles == 0
    flat = cut(example(1), Image.new("RGB", (300, 300)), include_full_images=False)
    assert len(flat.examples) == 1 and flat.blank == 36


def test_a_crop_box_is_cut_within(example: MakeExample):
    result = cut(example(1, crop=(10.0, 20.0, 130.0, 70.0)), noise((300, 200)), overlap=0.0)
    boxes = [e.crop for e in tiles_of(result) if e.crop]
    assert min(b[0] for b in boxes) == 10 and max(b[0] + b[2] for b in boxes) == 140
    assert min(b[1] for b in boxes) == 20 and max(b[1] + b[3] for b in boxes) == 90


def test_pairs_of_one_shape_alone_are_cut(example: MakeExample):
    for size, count in (((600, 400), 24), ((400, 400), 0)):
        pair = example(1, references=("b.png",), reference_sha256s=("b",), reference_sizes=(size,))
        assert cut(pair, noise((300, 200))).tiles == count


# --- from epoch to epoch


def test_tiles_move_by_the_draw_of_seed_and_epoch(example: MakeExample):
    image, settings = noise((300, 300)), crops(regenerate_each_epoch=True)
    tiles = tiles_of(cut(example(1), image, regenerate_each_epoch=True))
    boxes = [[moved_box(t, image, settings, seed, epoch) for t in tiles] for seed, epoch in ((1, 2), (1, 3), (2, 2))]
    assert boxes[0] != boxes[1] != boxes[2]
    assert boxes[0] == [moved_box(t, image, settings, 1, 2) for t in tiles]
    for box in (b for each in boxes for b in each):
        assert box[2:] == (64, 64) and min(box[:2]) >= 0 and max(box[:2]) <= 300 - 64


def test_a_tile_does_not_move_onto_something_blank(example: MakeExample):
    image = noise((300, 300))
    settings = crops(regenerate_each_epoch=True)
    tile = tiles_of(cut(example(1), image, regenerate_each_epoch=True))[7]
    assert tile.crop is not None
    x, y, side = round(tile.crop[0]), round(tile.crop[1]), 64
    hidden = Image.new("RGB", image.size)
    hidden.paste(image.crop((x, y, x + side, y + side)), (x, y))
    own = np.asarray(hidden.crop((x, y, x + side, y + side)).convert("L"))
    strict = settings.model_copy(update={"blank_edge_threshold": edge_share(own)})
    assert moved_box(tile, hidden, strict, 1, 2) == tile.crop, "only its own place is full of edges"
