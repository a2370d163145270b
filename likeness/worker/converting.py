"""The job 'convert': write a LoRA file in another key layout. Reads `job.json`, writes the file and `result.json`."""

import importlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

from likeness import durable
from likeness.catalog import FAMILIES, resolve_base
from likeness.families import names_of
from likeness.lora.layouts import Lora, convert
from likeness.lora.names import Names


def run(folder: Path) -> int:
    """`job.json`: path, output, layout, and the base, or null to find the family out."""
    job: dict[str, Any] = json.loads((folder / "job.json").read_text())
    families = names_of(resolve_base(job["base"])) if job["base"] else known_names(*FAMILIES)
    done = convert(Path(job["path"]), Path(job["output"]), job["layout"], families)
    result = {
        "family": done.before.names.family,
        "from": _told(done.before, job["path"]),
        "to": _told(done.after, job["output"]) | {"layout": job["layout"]},
        "largest_difference": done.difference,
    }
    durable.write_text(folder / "result.json", json.dumps(result, indent=2))
    return 0


def known_names(*families: str) -> list[Names]:
    """Every table of layer names in the files of these families."""
    return [n for family in families for n in importlib.import_module(f"likeness.families.{family}").NAMES]


def _told(lora: Lora, path: str) -> dict[str, Any]:
    alphas = {c.scale * c.rank for c in lora.changes.values() if c.rank}
    return {
        "path": path,
        "layout": lora.layout,
        "layers": len(lora.changes),
        "kinds": dict(sorted(Counter(c.kind for c in lora.changes.values()).items())),
        "ranks": lora.ranks,
        "alphas": sorted(round(a, 6) for a in alphas),
        "alpha_from": lora.told,
        "bytes": Path(path).stat().st_size,
    }
