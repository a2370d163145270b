"""The job 'sample' on the tiny base."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from likeness.service import samples
from likeness.service.samples import LoraUse, SampleJob
from likeness.worker import sampling, training


@pytest.fixture
def lora(make_run: Callable[..., Path]) -> Path:
    run = make_run(train__epochs=1)
    training.run(run)
    return run / "checkpoints/epoch-001.safetensors"


def drawn(folder: Path, job: SampleJob) -> list[bytes]:
    order = samples.order(job, folder)
    sampling.run(order.write(folder))
    return [Path(p).read_bytes() for p in order.content["outputs"]]


def test_strengths_side_by_side_are_those_drawn_alone(tiny_base: Path, lora: Path, tmp_path: Path) -> None:
    def job(strength: float = 1.0, **values: object) -> SampleJob:
        loras = (LoraUse(lora, strength),)
        return SampleJob(str(tiny_base), ("tiny_char",), loras, width=32, height=32, steps=2, **values)  # type: ignore[arg-type]

    together = drawn(tmp_path / "all", job(strengths=(0.0, 0.5, 1.0), seeds=(1, 2)))
    alone = [drawn(tmp_path / f"at-{s}", job(s, seeds=(1, 2))) for s in (0.0, 0.5, 1.0)]
    assert together == [pictures[seed] for seed in (0, 1) for pictures in alone]
    assert len(set(together)) == 6
    told = json.loads((tmp_path / "all/result.json").read_text())["pictures"]
    assert [row["strengths"] for row in told] == [[0.0], [0.5], [1.0]] * 2


def test_a_job_that_goes_on_draws_what_is_missing(tiny_base: Path, tmp_path: Path) -> None:
    job = SampleJob(str(tiny_base), ("a", "b"), width=32, height=32, steps=1, go_on=True)
    whole = drawn(tmp_path / "job", job)
    first, second = (tmp_path / f"job/picture-00{n}.png" for n in (1, 2))
    second.unlink()
    before = os.stat(first).st_mtime_ns
    sampling.run(tmp_path / "job")
    assert os.stat(first).st_mtime_ns == before and second.read_bytes() == whole[1]
