"""The job 'sample': draw pictures with any LoRAs on a base. Reads `job.json`, writes PNGs and `result.json`."""

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from likeness import durable
from likeness.catalog import resolve_base
from likeness.config.hardware import HardwareConfig
from likeness.errors import InputError
from likeness.events import EventLog, Stage
from likeness.families import open_family
from likeness.families.base import Family
from likeness.families.placement import choose_placement, precision_name, set_up_torch
from likeness.lora.io import read_lora
from likeness.sample.sampler import Request, draw, save_png


def run(folder: Path) -> int:
    """`job.json`: base, loras [{path, strength}], requests [Request], outputs [path], hardware."""
    job: dict[str, Any] = json.loads((folder / "job.json").read_text())
    log = EventLog(folder / "events.jsonl")
    card = resolve_base(job["base"])
    hardware = HardwareConfig.model_validate(job["hardware"])
    placement = choose_placement(hardware)
    set_up_torch(placement, hardware.threads)
    requests = [Request(**r) for r in job["requests"]]
    loras = [(Path(item["path"]), float(item["strength"])) for item in job["loras"]]
    for path, _ in loras:
        read_lora(path)  # a broken file is told before the base is loaded
    log.write(Stage(name="loading"))
    family = open_family(card, placement)
    texts = dict.fromkeys(t for r in requests for t in r.texts)
    conditions = {t: family.encode_text([t])[0] for t in texts}
    apply_loras(family, loras)
    began = time.monotonic()
    for number, (request, output) in enumerate(zip(requests, job["outputs"], strict=True)):
        log.write(Stage(name="sampling", done=number, total=len(requests)))
        save_png(Path(output), draw(family, request, conditions), request)
    result = {
        "base": {"name": card.name, "location": card.location},
        "pipeline": type(family).pipeline_class,
        "pipeline_arguments": card.pipeline_arguments,
        "precision": precision_name(placement.dtype),
        "device": str(placement.device),
        "loras": job["loras"],
        "pictures": [
            {**asdict(r), "path": o, "generator": f"torch.Generator().manual_seed({r.seed})"}
            for r, o in zip(requests, job["outputs"], strict=True)
        ],
        "seconds": round(time.monotonic() - began, 3),
    }
    durable.write_text(folder / "result.json", json.dumps(result, indent=2))
    return 0


def apply_loras(family: Family, loras: list[tuple[Path, float]]) -> None:
    """Load LoRA files and set their strengths. Raises InputError for one that is broken or does not fit."""
    for number, (path, _) in enumerate(loras):
        try:
            family.load_lora(path, f"lora{number}")
        except (ValueError, RuntimeError, KeyError) as e:
            raise InputError(
                f"{path}: does not fit base '{family.card.name}' ({str(e).splitlines()[0]}). "
                "Fix: use the base that it was trained on"
            ) from e
    family.set_strengths({f"lora{n}": strength for n, (_, strength) in enumerate(loras)})
