"""LoRA files from one key layout to another."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from likeness.catalog import resolve_base
from likeness.errors import InputError
from likeness.service.workers import Order

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


def order(job: Conversion) -> Order:
    """Check the request. Raises InputError; nothing has been written then."""
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
    return Order("convert", content)


def _output(job: Conversion, path: Path) -> Path:
    given = job.output
    if given is not None and given.suffix == ".safetensors" and not given.is_dir():
        return given
    if given is not None and given.suffix and not given.is_dir():
        raise InputError(f"--output: {given} does not end in .safetensors. Fix: name such a file, or a folder")
    if job.layout == "peft":
        return (given or path.with_name(f"{path.stem}-peft")) / PEFT_WEIGHTS
    return (given or path.parent) / f"{path.stem}-{job.layout}.safetensors"
