"""What a run will show, told before it starts."""

from collections.abc import Callable
from pathlib import Path

import pytest

from likeness.dataset.geometry import crop_file
from likeness.errors import InputError
from likeness.service.runs import Prepared, prepare
from tests.tiny_run import write_config, write_pictures

Prepare = Callable[..., Prepared]


@pytest.fixture
def prepared(tiny_base: Path, tmp_path: Path) -> Prepare:
    """A checked run over three pictures of 80 x 60, of which the tiny base sees 32 x 32."""
    folder = write_pictures(tmp_path / "pictures", 3, (80, 60))
    config = write_config(tmp_path / "tiny.yaml", tiny_base, folder)
    return lambda *overrides, batch=1: prepare(config, [f"train.batch_size={batch}", *(f"data.{o}" for o in overrides)])


def test_several_resolutions_do_not_multiply_the_data(prepared: Prepare):
    one, three = prepared().plan, prepared("resolutions=[32, 48, 64]").plan
    assert three.steps == one.steps == 3 * 2 * 2
    assert three.examples_per_epoch == one.examples_per_epoch == 6
    assert three.arithmetic.startswith(one.arithmetic)
    assert "each showing at 32, 48 or 64, all equally often: the number of steps is not multiplied" in three.arithmetic


def test_tiles_are_counted_and_told(prepared: Prepare):
    run = prepared("detail_crops={enabled: true, tile_resolution: 40, overlap: 0}")
    assert run.plan.images == 3 + 3 * 4 and run.plan.steps == 15 * 2 * 2
    assert "12 of the images are tiles of 3 larger pictures" in run.plan.arithmetic
    assert not prepared("detail_crops.enabled=false").plan.arithmetic.count("tiles")


def test_held_out_pictures_are_not_among_the_tiles(prepared: Prepare):
    run = prepared("detail_crops={enabled: true, tile_resolution: 40}", "hold_out=1")
    held_out = [e for e in run.examples if e.held_out]
    assert len(held_out) == 1 and held_out[0].crop is None
    assert all(e.sha256 != held_out[0].sha256 for e in run.examples if not e.held_out)


def test_small_pictures_keep_their_size_and_a_batch_of_their_own(prepared: Prepare, tmp_path: Path):
    crop_file(tmp_path / "pictures" / "1.png").write_text('{"x": 0, "y": 0, "width": 24, "height": 24}')
    run = prepared("datasets.0.repeats=1", batch=3)
    assert [e.crop for e in run.examples] == [None, (0, 0, 24, 24), None]
    assert run.plan.steps_per_epoch == 2 and "4 with one size per batch" in run.plan.arithmetic
    assert prepared("datasets.0.repeats=1", "upscale=true", batch=3).plan.steps_per_epoch == 1


def test_a_wrong_crop_box_stops_the_run(prepared: Prepare, tmp_path: Path):
    crop_file(tmp_path / "pictures" / "1.png").write_text("{}")
    with pytest.raises(InputError, match="is not a crop box"):
        prepared()
