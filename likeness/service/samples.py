"""Pictures on request: any base, any number of LoRAs."""

import json
import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from likeness.catalog import Card, Choice, resolve_base
from likeness.config.hardware import HardwareConfig
from likeness.config.sampling import SEED_LIMIT
from likeness.dataset.buckets import drawing_size
from likeness.dataset.formats import open_rgb
from likeness.errors import InputError
from likeness.service.workers import Order, Worker, begin

JOBS_FOLDER = Path("samples")
MOST_GUIDANCE = 100


@dataclass(frozen=True)
class LoraUse:
    path: Path
    strength: float = 1.0

    @classmethod
    def parse(cls, text: str) -> "LoraUse":
        """'FILE' or 'FILE:0.8'. Raises InputError for a strength that is no number, or a missing file."""
        path, strength = Path(text), 1.0
        if not path.exists() and ":" in text:
            name, _, number = text.rpartition(":")
            path = Path(name)
            try:
                strength = float(number)
            except ValueError as e:
                raise InputError(f"--lora {text}: '{number}' is no strength. Fix: write FILE:0.8") from e
        if not path.is_file():
            raise InputError(f"--lora {text}: {path} is not there. Fix: give the path of a .safetensors file")
        return cls(path.resolve(), strength)


@dataclass(frozen=True)
class SampleJob:
    """What to draw. None stands for the base's own value."""

    base: str
    prompts: tuple[str, ...]
    loras: tuple[LoraUse, ...] = ()
    negative_prompt: str = ""
    seeds: tuple[int, ...] = (42,)
    width: int | None = None
    height: int | None = None
    steps: int | None = None
    guidance: float | None = None
    references: tuple[Path, ...] = ()
    output: Path | None = None  # a .png for one picture, else a folder
    parts_from: str | None = None  # where the parts are that a `base` of one file lacks
    hardware: HardwareConfig = field(default_factory=lambda: HardwareConfig(precision="fp32"))
    strengths: tuple[float, ...] = ()  # of the first LoRA, each picture at every one of them; none: its own
    go_on: bool = False  # leave pictures alone that are there already: an earlier worker of this job drew them


def start(job: SampleJob, workspace: Path) -> Worker:
    """Check the request and start a worker on it. Raises InputError; loads no model."""
    folder = workspace.resolve() / JOBS_FOLDER / time.strftime("%Y%m%d-%H%M%S")
    number = 1
    while folder.exists():
        number += 1
        folder = folder.with_name(f"{folder.name.split('_')[0]}_{number}")
    return begin(order(job, folder), folder)


def order(job: SampleJob, folder: Path) -> Order:
    """Check the request; pictures go to `folder`, unless the job names another. Raises InputError; loads no model."""
    card = resolve_base(job.base, choice=Choice(parts_from=job.parts_from))
    if not job.prompts:
        raise InputError("--prompt: nothing to draw. Fix: give at least one prompt")
    _check_numbers(job, card)
    width, height = _size(job, card)
    requests: list[dict[str, Any]] = [
        {
            "prompt": prompt,
            "negative_prompt": job.negative_prompt,
            "width": width,
            "height": height,
            "steps": job.steps or card.steps,
            "guidance": card.guidance if job.guidance is None else job.guidance,
            "seed": seed,
            "references": [str(path.resolve()) for path in job.references],
        }
        for prompt in job.prompts
        for seed in job.seeds
        for _ in job.strengths or (None,)
    ]
    content: dict[str, Any] = {
        "base": job.base,
        "parts_from": job.parts_from,
        "loras": [{"path": str(use.path), "strength": use.strength} for use in job.loras],
        "requests": requests,
        "outputs": [str(p) for p in _outputs(job, len(requests), folder)],
        "hardware": job.hardware.model_dump(mode="json"),
    }
    if job.strengths:
        others = [use.strength for use in job.loras[1:]]
        rounds = len(requests) // len(job.strengths)
        content["strengths"] = [[strength, *others] for strength in job.strengths] * rounds
    if job.go_on:
        content["go_on"] = True
    return Order("sample", content)


def result(folder: Path) -> dict[str, Any]:
    """What a finished worker drew, and how anyone can draw the same with stock diffusers."""
    return json.loads((folder / "result.json").read_text())


def _check_numbers(job: SampleJob, card: Card) -> None:
    if job.steps is not None and job.steps < 1:
        raise InputError(f"--steps: {job.steps} are too few. Fix: at least 1")
    if job.guidance is not None and not 0 <= job.guidance <= MOST_GUIDANCE:
        raise InputError(
            f"--guidance: {job.guidance} is out of range. Fix: from 0 to {MOST_GUIDANCE}; "
            f"usual is {card.guidance_words}"
        )
    for seed in job.seeds:
        if not 0 <= seed <= SEED_LIMIT:
            raise InputError(f"--seed: {seed} is out of range. Fix: from 0 to {SEED_LIMIT}")
    for use in job.loras:
        if not math.isfinite(use.strength):
            raise InputError(f"--lora {use.path}:{use.strength}: no strength. Fix: a plain number such as 0.8")
    if job.strengths and not job.loras:
        raise InputError("--strengths: there is no LoRA to be compared. Fix: name one")
    if not all(map(math.isfinite, job.strengths)):
        raise InputError("--strengths: not all are numbers. Fix: write them as 0.5,0.75,1")


def _size(job: SampleJob, card: Card) -> tuple[int, int]:
    for name, side in (("--width", job.width), ("--height", job.height)):
        if side is not None and (side < card.multiple or side % card.multiple):
            raise InputError(f"{name}: {side} is not a multiple of {card.multiple}, which base '{card.name}' needs")
    if not job.references:
        return drawing_size(job.width, job.height, None, card.resolution, card.multiple)
    if not card.edits:
        raise InputError(f"--reference: base '{card.name}' takes no source pictures. Fix: leave it out")
    if len(job.references) > card.max_references:
        raise InputError(f"--reference: base '{card.name}' takes at most {card.max_references} source pictures")
    source = [open_rgb(path) for path in job.references][-1]
    width, height = drawing_size(job.width, job.height, source, card.resolution, card.multiple)
    if problem := card.edit_size_problem(width, height):
        raise InputError(f"--reference: {problem} (--width, --height)")
    return width, height


def _outputs(job: SampleJob, count: int, folder: Path) -> list[Path]:
    if job.output is not None and job.output.suffix.lower() == ".png":
        if count > 1:
            raise InputError(f"--output: {job.output} is one file for {count} pictures. Fix: name a folder")
        return [job.output.resolve()]
    target = job.output.resolve() if job.output else folder
    return [target / f"picture-{i:03d}.png" for i in range(1, count + 1)]
