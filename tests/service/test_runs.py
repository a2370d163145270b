import json
from collections.abc import Callable
from pathlib import Path

import pytest

from likeness.dataset.manifest import read_manifest
from likeness.events import RunStarted, StepDone, read_events
from likeness.service import runs
from likeness.worker import training
from tests.tiny_run import write_config, write_pictures


@pytest.mark.parametrize(
    ("batch", "accumulation", "repeats", "pictures"), [(1, 1, 2, 3), (2, 1, 3, 3), (2, 2, 1, 5), (4, 3, 2, 4)]
)
def test_the_plan_is_what_happens(
    tiny_base: Path, tmp_path: Path, batch: int, accumulation: int, repeats: int, pictures: int
) -> None:
    folder = write_pictures(tmp_path / "pictures", pictures)
    write_pictures(folder / "tall", 2, size=(32, 64))  # another size: batches of their own
    config = write_config(tmp_path / "tiny.yaml", tiny_base, folder)
    overrides = [
        f"train.batch_size={batch}", f"train.gradient_accumulation={accumulation}", "train.sample_every=0",
        f"data.datasets.0.repeats={repeats}", "train.probe_every=0",
        "data.datasets.0.subfolders=true",
    ]  # fmt: skip
    prepared = runs.prepare(config, overrides)
    run = runs.start(prepared, tmp_path / "runs")
    assert training.run(run) == 0
    told = list(read_events(run / "events.jsonl"))
    steps = [e for e in told if isinstance(e, StepDone)]
    assert [e.step for e in steps] == list(range(1, prepared.plan.steps + 1))
    assert [e.epoch for e in steps] == [1] * prepared.plan.steps_per_epoch + [2] * prepared.plan.steps_per_epoch
    started = next(e for e in told if isinstance(e, RunStarted))
    assert started.steps == prepared.plan.steps == json.loads((run / "run.json").read_text())["plan"]["steps"]


def test_held_out_pictures_are_not_trained(make_run: Callable[..., Path]) -> None:
    run = make_run(data__hold_out=1)
    assert training.run(run) == 0
    assert sum(e.held_out for e in read_manifest(run / "manifest.jsonl")) == 1
    started = next(e for e in read_events(run / "events.jsonl") if isinstance(e, RunStarted))
    assert started.images == 2 and started.steps == 8


def test_discarding_takes_only_what_starting_made(make_run: Callable[..., Path]) -> None:
    run = make_run()
    runs.discard(run)
    assert not run.exists()
    run = make_run()
    (run / "mine").touch()
    runs.discard(run)
    assert [p.name for p in run.iterdir()] == ["mine"]


@pytest.mark.parametrize("begun", ["state", "checkpoints"])
def test_a_run_that_has_begun_is_never_discarded(make_run: Callable[..., Path], begun: str) -> None:
    run = make_run()
    (run / begun).mkdir()
    before = sorted(run.iterdir())
    runs.discard(run)
    assert sorted(run.iterdir()) == before
