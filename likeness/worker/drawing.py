"""The job 'draw': pictures of a run's prompts with any LoRAs. Reads `job.json`; pictures that are there are kept."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from likeness.config.sampling import PromptConfig
from likeness.errors import Interrupted
from likeness.events import Event, EventLog, Note, Stage
from likeness.families import Family
from likeness.families.base import Condition
from likeness.families.hub import fetch_now
from likeness.families.placement import choose_placement, set_up_torch
from likeness.lora.apply import set_strengths
from likeness.lora.inject import tuned_layers
from likeness.sample.sampler import Request, draw, encode_texts, save_png, settle
from likeness.train.loop import Job
from likeness.worker.held_base import held_base
from likeness.worker.sampling import add_lora, changes_words
from likeness.worker.signals import StopRequest
from likeness.worker.training import read_job

Loras = tuple[tuple[Path, float], ...]


@dataclass(frozen=True)
class Wanted:
    """A picture to draw, with LoRA files at their strengths."""

    prompt: PromptConfig
    seed: int
    loras: Loras
    output: Path


def run(folder: Path) -> int:
    """`job.json`: run, device, shots [{prompt, seed, loras [{path, strength}], output}]."""
    asked: dict[str, Any] = json.loads((folder / "job.json").read_text())
    log = EventLog(folder / "events.jsonl")
    stop = StopRequest()
    job = read_job(Path(asked["run"]))
    draw_missing(job, wanted_in(asked), str(asked["device"]), log, stop)
    return 0


def wanted_in(asked: dict[str, Any]) -> list[Wanted]:
    """The shots of a `job.json`."""
    return [
        Wanted(
            PromptConfig.model_validate(shot["prompt"]),
            int(shot["seed"]),
            tuple((Path(use["path"]), float(use["strength"])) for use in shot["loras"]),
            Path(shot["output"]),
        )
        for shot in asked["shots"]
    ]


def draw_missing(job: Job, wanted: Sequence[Wanted], device: str, log: EventLog, stop: StopRequest) -> None:
    """Draw what is not there yet. The base is loaded only where something is missing.

    Raises InputError where the base or a LoRA cannot be had, Interrupted when asked to stop: what is drawn stays.
    """
    missing = [w for w in wanted if not w.output.exists()]
    if not missing:
        return
    # A broken file is told before the base is loaded.
    words = {path: changes_words(path) for path in sorted({path for w in missing for path, _ in w.loras})}
    log.write(Note(message=f"drawing {len(missing)} {'picture' if len(missing) == 1 else 'pictures'}"))
    hardware = job.config.hardware.model_copy(update={"device": device} if device != "auto" else {})
    placement = choose_placement(hardware)
    set_up_torch(placement, hardware.threads)
    card = fetch_now(job.card, log.write)
    log.write(Stage(name="loading"))
    placement = replace(placement, train_text_encoder=any(words.values()) and card.trains_text_encoder)
    family = held_base(card, placement)
    for event in _draw(family, replace(job, card=card), missing, stop):
        log.write(event)


def _draw(family: Family, job: Job, missing: Sequence[Wanted], stop: StopRequest) -> Iterator[Event]:
    """One set of LoRAs after the other, so that each file is read once."""
    conditions: dict[Request, dict[str, Condition]] = {}
    wardrobe = _Wardrobe(family)
    for done, wanted in enumerate(sorted(missing, key=_by_loras)):
        yield Stage(name="sampling", done=done, total=len(missing))
        if stop():
            raise Interrupted(f"stopped as asked; {done} of {len(missing)} pictures are drawn and kept")
        wardrobe.wear(wanted.loras)
        unseeded = settle(wanted.prompt, job.config.sampling, job.card)
        if unseeded not in conditions:
            conditions[unseeded] = encode_texts(family, unseeded)
        request = replace(unseeded, seed=wanted.seed)
        save_png(wanted.output, draw(family, request, conditions[unseeded]), request)
    yield Stage(name="sampling", done=len(missing), total=len(missing))


def _by_loras(wanted: Wanted) -> list[tuple[str, float]]:
    return [(str(path), strength) for path, strength in wanted.loras]


class _Wardrobe:
    """The LoRA files that are on a base's networks."""

    def __init__(self, family: Family):
        self._family, self._names, self._count = family, dict[Path, str](), 0

    def wear(self, loras: Loras) -> None:
        """Put these on at their strengths, and take off all others. Raises InputError for one that does not fit."""
        wanted = {path for path, _ in loras}
        networks = self._family.networks
        for path in [path for path in self._names if path not in wanted]:
            name = self._names.pop(path)
            for layer in tuned_layers(networks):
                if name in layer.scaling:
                    layer.delete_adapter(name)
        for path in sorted(wanted - self._names.keys()):
            self._count += 1
            add_lora(self._family, path, f"lora{self._count}")
            self._names[path] = f"lora{self._count}"
        set_strengths(networks, {self._names[path]: strength for path, strength in loras})
