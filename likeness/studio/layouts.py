"""A model's file with the key names that another program reads. Made when it is asked for, by a job, and then kept."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from likeness.catalog import find_card, place_of
from likeness.errors import Conflict, InputError
from likeness.service import conversions
from likeness.service.conversions import PEFT_CONFIG, PEFT_WEIGHTS, Conversion, Layout
from likeness.store.tables import Job
from likeness.studio import lora_choice, models, queue
from likeness.studio.file_names import file_stem
from likeness.studio.lora_choice import Chosen, LoraChoice
from likeness.studio.queue import Entry
from likeness.studio.workspace import Studio

LAYOUTS: tuple[Layout, ...] = get_args(Layout)
READ_BY: dict[Layout, str] = {
    "diffusers": "diffusers, PEFT, Likeness",
    "comfyui": "ComfyUI",
    "bfl": "the model's original code",
    "kohya": "kohya's scripts, Forge, A1111",
    "peft": "PEFT, as a folder of two files",
}
State = Literal["ready", "made", "failed", "none"]


@dataclass(frozen=True)
class Converted:
    """`state`: ready to be fetched (`path`), being made (`job`), failed (`job` tells why), or not asked for yet."""

    state: State
    file_name: str
    path: Path | None = None
    job: Job | None = None

    @property
    def is_being_made(self) -> bool:
        return self.state == "made"


def converted(studio: Studio, lora: str, layout: Layout) -> Converted:
    """How it stands with a LoRA ('model:ID' or 'run:NAME/EPOCH') in a layout. Raises NotFound, InputError."""
    chosen = _chosen(studio, lora, layout)
    target = _target(studio, chosen, layout)
    name = _file_name(chosen, layout)
    if target.is_file() and (layout != "peft" or target.with_name(PEFT_CONFIG).is_file()):
        return Converted("ready", name, target)
    job = next(iter(queue.listed(studio, subject=_subject(chosen, layout), limit=1)), None)
    if job is None:
        return Converted("none", name)
    return Converted("failed" if job.state in queue.ENDED else "made", name, None, job)


def convert(studio: Studio, lora: str, layout: Layout) -> Converted:
    """Have it made, unless it is there or on its way. Raises NotFound, InputError."""
    now = converted(studio, lora, layout)
    if now.state in ("ready", "made"):
        return now
    chosen = _chosen(studio, lora, layout)
    target = _target(studio, chosen, layout)
    target.parent.mkdir(parents=True, exist_ok=True)
    known = find_card(chosen.base) or place_of(chosen.base) if chosen.base else None
    base = chosen.base if known else None
    order = conversions.order(Conversion(chosen.path, layout, target, base, force=True))
    job = queue.submit(
        studio, order, Entry(f"{chosen.name} for {READ_BY[layout]}", _subject(chosen, layout), light=True)
    )
    return Converted("made", now.file_name, None, job)


def file_of(studio: Studio, lora: str, layout: Layout) -> Converted:
    """One that is ready. Raises Conflict where it is not yet."""
    now = converted(studio, lora, layout)
    if now.state == "ready":
        return now
    if now.state == "failed" and now.job is not None:
        raise Conflict(f"layout: it cannot be had as '{layout}': {now.job.error or now.job.state}")
    raise Conflict(f"layout: '{layout}' is not there yet. Fix: ask for it, and fetch it when its job has finished")


def _chosen(studio: Studio, lora: str, layout: str) -> Chosen:
    if layout not in LAYOUTS:
        raise InputError(f"layout: there is no '{layout[:20]}'. Fix: one of {', '.join(LAYOUTS)}")
    return lora_choice.choose(studio, [LoraChoice(lora)])[0]


def _target(studio: Studio, chosen: Chosen, layout: Layout) -> Path:
    """By content, so that a model and the epoch that it came from share it. PEFT's is a folder of two files."""
    folder = models.layouts_folder(studio, chosen.sha256) / layout
    return folder / (PEFT_WEIGHTS if layout == "peft" else "lora.safetensors")


def _file_name(chosen: Chosen, layout: Layout) -> str:
    return f"{file_stem(chosen.name, 'lora')}-{layout}" + (".zip" if layout == "peft" else ".safetensors")


def _subject(chosen: Chosen, layout: Layout) -> str:
    return f"layout:{layout}:{chosen.sha256[:32]}"
