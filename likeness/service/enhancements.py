"""Small pictures made larger, in a copy of their folder."""

from dataclasses import dataclass
from pathlib import Path

from likeness.catalog import resolve_base
from likeness.errors import InputError
from likeness.service.workers import Order

UNDER = 1024  # pixels; the side of a square with the area that large bases are trained at


@dataclass(frozen=True)
class Enhancement:
    """`under`: pictures with a smaller area than a square of that side are enlarged; None for what `base` is trained
    at, or 1024. `model`: a folder or file with an upscaler; None for the shipped one. `output`: None for
    FOLDER-enhanced beside the folder."""

    folder: Path
    under: int | None = None
    base: str | None = None
    model: Path | None = None
    output: Path | None = None
    device: str = "auto"


def order(job: Enhancement) -> Order:
    """Check the request. Raises InputError; nothing has been written then."""
    folder = job.folder.resolve()
    if not folder.is_dir():
        raise InputError(f"{job.folder}: no such folder. Fix: give the path of a folder with pictures")
    output = (job.output or folder.with_name(f"{folder.name}-enhanced")).resolve()
    if output == folder or output.is_relative_to(folder):
        raise InputError(f"--output: {output} lies in the folder itself. Fix: name a folder outside of it")
    under = job.under if job.under is not None else resolve_base(job.base).resolution if job.base else UNDER
    if not 16 <= under <= 8192:
        raise InputError(f"--under: {under} should be between 16 and 8192 pixels. Fix: give such a side")
    content = {
        "folder": str(folder),
        "output": str(output),
        "under": under,
        "model": str(job.model.resolve()) if job.model else None,
        "device": job.device,
    }
    return Order("enhance", content)
