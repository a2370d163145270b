"""Runs for tests: a dataset of the studio, settings for the starter, a machine that needs no asking."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from likeness import events
from likeness.service import machine
from likeness.studio import datasets, queue, runs
from likeness.studio.endings import ENDINGS
from likeness.studio.runs import Started
from likeness.studio.supervisor import Supervisor
from likeness.studio.workspace import Studio
from tests import waiting
from tests.studio.datasets_at_hand import EXAMPLES, put_folder

wait = partial(waiting.wait, seconds=120)  # for trainings
CPU = {"devices": [], "cpu": {"bf16": False, "threads": 2, "flops": 1e11}}


def a_machine(monkeypatch: pytest.MonkeyPatch, *gigabytes: int) -> None:
    """One without a GPU, or with GPUs of so much memory; torch is not asked."""
    gpus = [
        {"name": f"cuda:{n}", "kind": "CUDA", "title": f"GPU of {size} GB", "memory": size * 10**9, "bf16": True,
         "flops": 1e14}
        for n, size in enumerate(gigabytes)
    ]  # fmt: skip
    monkeypatch.setattr(machine, "asked_torch", lambda: (CPU | {"devices": gpus}, ""))


def mika(studio: Studio, tmp_path: Path, name: str = "mika") -> str:
    """The example character as a dataset; its id."""
    dataset = datasets.create(studio, name, "character", trigger="mika_char").id
    put_folder(studio, dataset, EXAMPLES / "character" / "mika", tmp_path)
    return dataset


def settings(name: str = "mika", **groups: Any) -> dict[str, Any]:
    """A short run on the starter; groups such as `train` in addition."""
    tree: dict[str, Any] = {
        "name": name,
        "base": "starter",
        "trigger": "mika_char",
        "data": {"datasets": [{"path": "dataset:mika", "repeats": 2}]},
        "train": {"epochs": 3},
        "sampling": {"prompts": ["mika_char at sea", "mika_char in a wood"]},
    }
    return tree | groups


def start(studio: Studio, config: dict[str, Any] | None = None, **how: Any) -> Started:
    """Plan and start."""
    config = config or settings()
    return runs.start(studio, config, runs.plan(studio, config).digest, **how)


def told(folder: Path, *what: events.Event) -> None:
    """Add to a run's events."""
    log = events.EventLog(folder / "events.jsonl")
    for event in what:
        log.write(event)


def step(number: int, epoch: int = 1, **values: Any) -> events.StepDone:
    usual = {"loss": 1 / number, "learning_rate": 1e-3, "gradient_norm": 1.0, "images_per_second": 20.0}
    return events.StepDone(**usual | {"step": number, "epoch": epoch, "memory_bytes": 10**9} | values)


def began(steps: int = 30, epochs: int = 3, **values: Any) -> events.RunStarted:
    return events.RunStarted(**{"name": "mika", "steps": steps, "epochs": epochs, "images": 10, "device": "cpu",
                                "precision": "fp32"} | values)  # fmt: skip


def frozen(studio: Studio, name: str = "mika") -> dict[str, Any]:
    return json.loads((studio.run_folder(name) / "run.json").read_text())


@contextmanager
def supervising(studio: Studio) -> Iterator[Supervisor]:
    """Real workers do what is asked for; those that still run in the end are canceled."""
    supervisor = Supervisor(studio, ["cpu"], ENDINGS)
    supervisor.start()
    yield supervisor
    for job in queue.listed(studio, states=["running"]):
        queue.ask_to_stop(studio, job.id, "canceled")
        queue.ask_to_stop(studio, job.id, "canceled")
    wait(lambda: not queue.listed(studio, states=["running"]))
    supervisor.stop()
