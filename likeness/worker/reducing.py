"""The job 'reduce': a LoRA file made smaller, by rank or by layers. Reads `job.json`, writes the file and
`result.json`."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from likeness.lora.arithmetic import Cut
from likeness.lora.layouts import Lora, write_layers, write_layout
from likeness.lora.mixture import layout_for, resized
from likeness.lora.provenance import MADE_OF, made_of, own_words, source_of
from likeness.lora.prune import pruned
from likeness.worker.lora_sources import device_for, done, job_of, read_all, told


def run(folder: Path) -> int:
    """`job.json`: verb, path, output, base and layout (or null); for 'resize' rank, keep, precision, device; for
    'prune' match [expression], smallest."""
    job = job_of(folder)
    path, output = Path(job["path"]), Path(job["output"])
    lora = read_all([path], job["base"])[0]
    layout = layout_for([lora], job["layout"])
    result = (_resize if job["verb"] == "resize" else _prune)(job, lora, layout, path, output)
    return done(folder, result | {"before": told(lora, path)})


def _resize(job: dict[str, Any], lora: Lora, layout: str, path: Path, output: Path) -> dict[str, Any]:
    mixture = resized(lora, Cut(job["rank"], job["keep"]), layout, job["precision"], device_for(job["device"]))
    how = {"by": "resize", "rank": job["rank"], "keep": job["keep"], "error": mixture.error}
    metadata = _metadata(lora, path, how, mixture.ranks[-1])
    written = Lora(lora.names, layout, "", {}, metadata)
    write_layers(output, written, layout, mixture.layers)
    after = {f"{module}.{name}": change for module, name, change in mixture.layers}
    return told(replace(written, changes=after), output) | {
        "error": mixture.error,
        "dora": any(c.magnitude is not None for c in lora.changes.values()),
    }


def _prune(job: dict[str, Any], lora: Lora, layout: str, path: Path, output: Path) -> dict[str, Any]:
    found = pruned(lora, job["match"], job["smallest"])
    how = {"by": "prune", "match": job["match"], "smallest": job["smallest"], "dropped": found.dropped}
    left = replace(found.lora, layout=layout, metadata=_metadata(lora, path, how, max(found.lora.ranks, default=0)))
    write_layout(output, left, layout)
    return told(left, output) | {"dropped": found.dropped, "kept": found.kept}


def _metadata(lora: Lora, path: Path, how: Mapping[str, Any], rank: int) -> dict[str, str]:
    """The file's own, with what was done to it. The rank that it names is the new one, and a type of LoRA that it is no
    longer is not named."""
    metadata = dict(lora.metadata)
    if own := own_words(metadata):
        own = own | {"rank": rank}
        if how["by"] == "resize" and own.get("type") != "dora":
            own["type"] = "lora"
        metadata["likeness"] = json.dumps(own, sort_keys=True)
    if how["by"] == "resize" and "ss_network_module" in metadata:
        metadata["ss_network_module"] = "networks.lora"
    return metadata | {MADE_OF: made_of([source_of(path, lora.metadata)], how)}
