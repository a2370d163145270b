"""The job 'sample': draw pictures with any LoRAs on a base. Reads `job.json`, writes PNGs and `result.json`."""

import json
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from likeness import durable
from likeness.catalog import Choice, resolve_base
from likeness.config.hardware import HardwareConfig
from likeness.errors import InputError
from likeness.events import EventLog, Stage
from likeness.families import names_of
from likeness.families.base import Family
from likeness.families.hub import fetch_now
from likeness.families.placement import choose_placement, precision_name, set_up_torch
from likeness.lora.apply import add_file, set_strengths
from likeness.lora.io import read_lora
from likeness.lora.keys import take_apart
from likeness.sample.sampler import Request, draw, encode_texts, save_png
from likeness.worker.held_base import held_base


def run(folder: Path) -> int:
    """`job.json`: base, parts_from, loras [{path, strength}], requests [Request], outputs [path], hardware; it may have
    strengths of all LoRAs for each request, and `go_on`, to leave pictures alone that are there already."""
    job: dict[str, Any] = json.loads((folder / "job.json").read_text())
    log = EventLog(folder / "events.jsonl")
    card = resolve_base(job["base"], choice=Choice(parts_from=job.get("parts_from")))
    hardware = HardwareConfig.model_validate(job["hardware"])
    placement = choose_placement(hardware)
    set_up_torch(placement, hardware.threads)
    requests = [Request(**r) for r in job["requests"]]
    loras = [(Path(item["path"]), float(item["strength"])) for item in job["loras"]]
    words = [changes_words(path) for path, _ in loras]  # a broken file is told before the base is loaded
    placement = replace(placement, train_text_encoder=any(words) and card.trains_text_encoder)
    card = fetch_now(card, log.write)
    log.write(Stage(name="loading"))
    family = held_base(card, placement)
    conditions = [encode_texts(family, r) for r in requests]
    apply_loras(family, loras)
    own = [strength for _, strength in loras]
    strengths: list[list[float]] = job.get("strengths") or [own] * len(requests)
    began = time.monotonic()
    for number, (request, output) in enumerate(zip(requests, job["outputs"], strict=True)):
        log.write(Stage(name="sampling", done=number, total=len(requests)))
        if job.get("go_on") and Path(output).exists():
            continue
        if strengths[number] != own:
            own = strengths[number]
            set_strengths(family.networks, {f"lora{n}": strength for n, strength in enumerate(own)})
        save_png(Path(output), draw(family, request, conditions[number]), request)
    result = {
        "base": {"name": card.name, "location": card.location},
        "pipeline": card.pipeline,
        "pipeline_arguments": card.pipeline_arguments,
        "precision": precision_name(placement.dtype),
        "device": str(placement.device),
        "loras": job["loras"],
        "pictures": [
            {**asdict(r), "path": o, "generator": f"torch.Generator().manual_seed({r.seed})", "strengths": s}
            for r, o, s in zip(requests, job["outputs"], strengths, strict=True)
        ],
        "seconds": round(time.monotonic() - began, 3),
    }
    durable.write_text(folder / "result.json", json.dumps(result, indent=2))
    return 0


def changes_words(path: Path) -> bool:
    """Whether a LoRA file is for a text encoder too: then prompts are encoded after it has been put in."""
    tensors, _ = read_lora(path)
    return any(key.module for key in take_apart(tensors))


def apply_loras(family: Family, loras: list[tuple[Path, float]]) -> None:
    """Load LoRA files and set their strengths. Raises InputError for one that is broken or does not fit."""
    for number, (path, _) in enumerate(loras):
        add_lora(family, path, f"lora{number}")
    set_strengths(family.networks, {f"lora{n}": strength for n, (_, strength) in enumerate(loras)})


def add_lora(family: Family, path: Path, name: str) -> None:
    """Load a LoRA file under `name`, at strength 1. Raises InputError for one that is broken or does not fit."""
    try:
        add_file(family.networks, path, name, names_of(family.card))
    except InputError as e:
        problems = (problem.removeprefix(f"{path}: ") for problem in e.problems)
        raise InputError(*(f"{path}: does not fit base '{family.card.name}': {p}" for p in problems)) from e
