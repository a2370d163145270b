"""LoRA files from one key layout to another."""

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from likeness import durable
from likeness.catalog import resolve_base
from likeness.errors import InputError, Interrupted
from likeness.service.workers import Worker

Layout = Literal["diffusers", "comfyui", "bfl", "kohya", "peft"]
# PEFT reads folders in which the files have these names.
PEFT_WEIGHTS, PEFT_CONFIG = "adapter_model.safetensors", "adapter_config.json"


@dataclass(frozen=True)
class Conversion:
    """`output`: a .safetensors file or a folder for it; None for a file beside `path`. `base`: None to find it out."""

    path: Path
    layout: Layout
    output: Path | None = None
    base: str | None = None
    force: bool = False


def start(job: Conversion) -> Worker:
    """Check the request and start a worker on it. Raises InputError; nothing has been written then."""
    path = job.path / PEFT_WEIGHTS if job.path.is_dir() else job.path
    if not path.is_file():
        raise InputError(f"{path}: no such LoRA file. Fix: give the path of a .safetensors file")
    output = _output(job, path)
    written = [output] + ([output.with_name(PEFT_CONFIG)] if job.layout == "peft" else [])
    if any(p.exists() and p.samefile(path) for p in written):
        raise InputError(f"{output}: is the file to be converted. Fix: name another with --output")
    if not job.force and (there := [p for p in written if p.exists()]):
        raise InputError(f"{there[0]}: is there already. Fix: name another file with --output, or add --force")
    if job.base:
        resolve_base(job.base)
    content = {
        "path": str(path.resolve()),
        "output": str(output.resolve()),
        "layout": job.layout,
        "base": job.base,
    }
    folder = Path(tempfile.mkdtemp(prefix="likeness-convert-"))
    durable.write_text(folder / "job.json", json.dumps(content, indent=2))
    return Worker("convert", folder)


def finish(worker: Worker) -> dict[str, Any]:
    """Wait for the worker: what it read and wrote. Its folder stays only where the log is needed to see what broke."""
    try:
        worker.check()
        result: dict[str, Any] = json.loads((worker.folder / "result.json").read_text())
    except (InputError, Interrupted):
        shutil.rmtree(worker.folder)
        raise
    shutil.rmtree(worker.folder)
    return result


def _output(job: Conversion, path: Path) -> Path:
    given = job.output
    if given is not None and given.suffix == ".safetensors" and not given.is_dir():
        return given
    if given is not None and given.suffix and not given.is_dir():
        raise InputError(f"--output: {given} does not end in .safetensors. Fix: name such a file, or a folder")
    if job.layout == "peft":
        return (given or path.with_name(f"{path.stem}-peft")) / PEFT_WEIGHTS
    return (given or path.parent) / f"{path.stem}-{job.layout}.safetensors"
