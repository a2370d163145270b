"""The job 'extract': the difference of two checkpoints as a LoRA file. Reads `job.json`, writes the file and
`result.json`."""

import json
from pathlib import Path
from typing import Any

from likeness.errors import InputError
from likeness.events import EventLog, Stage
from likeness.lora.arithmetic import Cut
from likeness.lora.extract import extracted
from likeness.lora.layouts import Lora, write_layout
from likeness.lora.provenance import merged_metadata
from likeness.worker.lora_sources import device_for, done, job_of, open_base, told


def run(folder: Path) -> int:
    """`job.json`: base, tuned, output, rank and keep (or null), precision, device."""
    job, log = job_of(folder), EventLog(folder / "events.jsonl")
    before, after = open_base(job["base"], log), open_base(job["tuned"], log)
    if before.names.family != after.names.family:
        raise InputError(
            f"{job['tuned']}: is of family {after.names.family}, and {job['base']} of {before.names.family}. "
            "Fix: give two checkpoints of one base"
        )
    if after.folder is None or before.folder is None:  # files of denoisers tell nothing of text encoders
        for weights in (before.weights, after.weights):
            own = f"{before.names.network}."
            weights.places = {n: p for n, p in weights.places.items() if n.startswith(own)}
    found = extracted(
        before.weights,
        after.weights,
        Cut(job["rank"], job["keep"]),
        job["precision"],
        device_for(job["device"]),
        lambda count, total: log.write(Stage(name="comparing", done=count, total=total)),
    )
    output = Path(job["output"])
    how: dict[str, Any] = {
        "by": "extract", "base": before.card.name, "tuned": after.card.name, "rank": job["rank"], "keep": job["keep"],
        "error": found.error,
    }  # fmt: skip
    told_of = {
        "modelspec.architecture": f"{before.card.family}/lora",
        "ss_base_model_version": before.card.family,
        "likeness": json.dumps({"base": before.card.repository or before.card.name}),
    }
    rank = max(change.rank or 1 for change in found.changes.values())
    metadata = merged_metadata(output.stem, [], [told_of], how, rank)
    lora = Lora(before.names, "diffusers", "", found.changes, metadata)
    write_layout(output, lora, "diffusers")
    return done(
        folder,
        told(lora, output)
        | {
            "base": before.card.name,
            "tuned": after.card.name,
            "error": found.error,
            "unchanged_layers": found.unchanged,
            "left_out": found.left_out,
            "left_out_share": found.left_out_share,
        },
    )
