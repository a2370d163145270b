"""A run folder as training leaves it, with pictures of one colour each."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from likeness.events import (
    CheckpointSaved,
    Event,
    EventLog,
    ProbesMeasured,
    RunFinished,
    RunStarted,
    SampleSaved,
    StepDone,
)

PROMPTS = ["maya_char, portrait, smiling", "maya_char on a beach at sunset", "a red car in a city"]
SEED = 42


def colour(epoch: int, prompt: int) -> tuple[int, int, int]:
    """The colour of a sample, different for every one."""
    return 20 + 12 * epoch, 60 + 30 * prompt, 120


def step_done(step: int, epoch: int, loss: float) -> StepDone:
    return StepDone(
        step=step, epoch=epoch, loss=loss, learning_rate=1e-4, gradient_norm=1.0, images_per_second=2.0, memory_bytes=1
    )


class RunWriter:
    """Writes a run folder piece by piece."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.log = EventLog(folder / "events.jsonl")
        folder.mkdir(parents=True)

    def write(self, *events: Event) -> None:
        for event in events:
            self.log.write(event)

    def run_json(self, prompts: list[dict[str, Any]], **config: Any) -> None:
        tree = {
            "likeness": "0.1.0",
            "name": self.folder.name,
            "config": {
                "kind": "character",
                "base": "starter",
                "trigger": "maya_char",
                "data": {"datasets": [{"path": "photos/maya", "repeats": 20}], "resolution": 128},
                "optim": {"learning_rate": 0.0001, "weight_decay": 0.01, "betas": [0.9, 0.99], "fused": False},
                "sampling": {"prompts": prompts, "seed": SEED, "steps": 20, "guidance": 4.0},
                **config,
            },
            "sources": {
                "kind": "maya.yaml:2",
                "base": "maya.yaml:3",
                "trigger": "maya.yaml:4",
                "data.datasets.0.path": "maya.yaml:6",
                "data.datasets.0.repeats": "card starter",
                "data.resolution": "default",
                "optim.learning_rate": "card starter",
                "optim.weight_decay": "default",
                "optim.betas.0": "--set",
                "optim.betas.1": "--set",
                "optim.fused": "default",
                "sampling": "maya.yaml:9",
            },
            "plan": {"images": 8, "held_out": 1, "steps": 60},
            "base": {
                "name": "starter",
                "location": "/models/starter",
                "family": "flux2",
                "pipeline_arguments": {"max_sequence_length": 40, "text_encoder_out_layers": [1, 2, 3]},
            },
        }
        (self.folder / "run.json").write_text(json.dumps(tree))

    def picture(self, relative: str, shade: tuple[int, int, int], size: tuple[int, int] = (128, 128)) -> str:
        path = self.folder / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, shade).save(path)
        return relative

    def sample(self, epoch: int, prompt: int, text: str, size: tuple[int, int] = (128, 128)) -> None:
        relative = f"samples/epoch-{epoch:03d}/prompt-{prompt}-seed-{SEED}.png"
        self.picture(relative, colour(epoch, prompt), size)
        self.write(
            SampleSaved(epoch=epoch, step=epoch * 10, prompt_index=prompt, prompt=text, seed=SEED, path=relative)
        )

    def checkpoint(self, epoch: int) -> None:
        relative = f"checkpoints/epoch-{epoch:03d}.safetensors"
        (self.folder / relative).parent.mkdir(exist_ok=True)
        (self.folder / relative).write_bytes(b"\0" * 2_500_000)
        self.write(CheckpointSaved(epoch=epoch, step=epoch * 10, path=relative))

    def manifest(self, rows: list[dict[str, Any]]) -> None:
        (self.folder / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def new_run(tmp_path: Path) -> Callable[[str], RunWriter]:
    return lambda name="maya": RunWriter(tmp_path / "runs" / name)


@pytest.fixture
def finished_run(new_run: Callable[[str], RunWriter]) -> RunWriter:
    """Six epochs of ten steps, three prompts, a held-out image."""
    run = new_run("maya")
    run.run_json([{"prompt": p} for p in PROMPTS])
    run.write(RunStarted(name="maya", steps=60, epochs=6, images=8, device="cpu", precision="fp32"))
    for epoch in range(7):
        for step in range(10 * epoch - 9, 10 * epoch + 1) if epoch else ():
            run.write(step_done(step, epoch, 1 / (1 + step)))
        for i, text in enumerate(PROMPTS, start=1):
            run.sample(epoch, i, text)
        train, held_out = 1 - 0.1 * epoch, 1 - 0.05 * epoch
        run.write(ProbesMeasured(epoch=epoch, step=10 * epoch, train_loss=train, held_out_loss=held_out, per_image=[]))
        if epoch:
            run.checkpoint(epoch)
    run.write(RunFinished(step=60, seconds=125.0))
    run.manifest(
        [
            {
                "id": f"{i}",
                "path": str(run.folder / run.picture(f"data/{i}.png", (200, 10 * i, 90))),
                "width": 128,
                "height": 128,
                "caption": f"maya_char, pose {i}",
                "repeats": 20,
                "held_out": i == 7,
            }
            for i in range(8)
        ]
    )
    return run


@pytest.fixture
def edit_run(new_run: Callable[[str], RunWriter]) -> RunWriter:
    """Two prompts, of which only the first has a source image; one epoch."""
    run = new_run("hats")
    source = run.picture("sources/1.png", (250, 0, 0))
    run.run_json([{"prompt": "add a hat", "reference": source}, {"prompt": "make it night"}], kind="edit", trigger=None)
    for epoch in (0, 1):
        for i, text in ((1, "add a hat"), (2, "make it night")):
            run.sample(epoch, i, text)
    return run
