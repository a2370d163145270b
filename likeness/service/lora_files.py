"""LoRA files merged, made smaller, taken out of a checkpoint, and looked into."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from likeness.catalog import resolve_base
from likeness.errors import InputError
from likeness.service.conversions import PEFT_WEIGHTS
from likeness.service.samples import LoraUse
from likeness.service.workers import Order

Method = Literal["concat", "svd", "linear", "ties", "dare"]
FileLayout = Literal["diffusers", "comfyui", "bfl", "kohya"]
Precision = Literal["auto", "fp32", "fp16", "bf16"]
DENSITY, DROP, SEED = 0.2, 0.5, 42
RECORD = "merged_from.json"  # in a folder that a merge has written


@dataclass(frozen=True)
class Size:
    """How small a LoRA is made. None: no limit."""

    rank: int | None = None
    keep: float | None = None  # share of the energy

    @property
    def given(self) -> bool:
        return self.rank is not None or self.keep is not None

    def check(self) -> None:
        if self.rank is not None and self.rank < 1:
            raise InputError(f"--rank: {self.rank} is no rank. Fix: give 1 or more")
        if self.keep is not None and not 0 < self.keep <= 1:
            raise InputError(f"--keep: {self.keep:g} is no share of the energy. Fix: give one up to 1, such as 0.95")


@dataclass(frozen=True)
class Merge:
    """`into_base`: write a copy of this base with the LoRAs in its weights. `base`: what the LoRAs are for, where the
    files do not tell. `density`, `drop` and `seed` are for the methods that use them; None: as usual."""

    loras: tuple[LoraUse, ...]
    output: Path
    method: Method = "concat"
    size: Size = Size()
    density: float | None = None
    drop: float | None = None
    seed: int | None = None
    layout: FileLayout | None = None
    precision: Precision = "auto"
    base: str | None = None
    into_base: str | None = None
    device: str = "auto"
    overwrite: bool = False


def order_merge(job: Merge) -> Order:
    """Check the request. Raises InputError; nothing has been written then."""
    _check_merge(job)
    sources = [use.path for use in job.loras]
    if job.into_base:
        resolve_base(job.into_base)
        _check_folder(job.output, job.overwrite)
    else:
        _check_file(job.output, sources, job.overwrite)
    if job.base:
        resolve_base(job.base)
    content = {
        "loras": [{"path": str(use.path), "strength": use.strength} for use in job.loras],
        "output": str(job.output.resolve()),
        "into_base": job.into_base is not None,
        "base": job.into_base or job.base,
        "layout": job.layout,
        "precision": job.precision,
        "device": job.device,
        "recipe": {
            "method": job.method,
            "rank": job.size.rank,
            "keep": job.size.keep,
            "density": DENSITY if job.density is None else job.density,
            "drop": DROP if job.drop is None else job.drop,
            "seed": SEED if job.seed is None else job.seed,
        },
    }
    return Order("merge", content)


def _check_merge(job: Merge) -> None:
    job.size.check()
    if not job.loras:
        raise InputError("nothing to merge. Fix: give FILE or FILE:STRENGTH, once or several times")
    for use in job.loras:
        if not math.isfinite(use.strength) or use.strength == 0:
            raise InputError(f"{use.path}: strength {use.strength:g} adds nothing. Fix: leave it out")
    owners = {"--density": (job.density, "ties"), "--drop": (job.drop, "dare"), "--seed": (job.seed, "dare")}
    for option, (value, method) in owners.items():
        if value is not None and job.method != method:
            raise InputError(f"{option}: is for --method {method}, not {job.method}. Fix: leave it out")
    if job.density is not None and not 0 < job.density <= 1:
        raise InputError(f"--density: {job.density:g} is no share of the values. Fix: give one up to 1, such as 0.2")
    if job.drop is not None and not 0 <= job.drop < 1:
        raise InputError(f"--drop: {job.drop:g} is no probability below 1. Fix: give one such as 0.5")
    if job.into_base:
        unused = {"--rank": job.size.rank, "--keep": job.size.keep, "--to": job.layout, "--base": job.base}
        given = [name for name, value in unused.items() if value is not None]
        if given or job.precision != "auto":
            option = given[0] if given else "--precision"
            raise InputError(f"{option}: says nothing of a whole base. Fix: leave it out with --into-base")
        if job.method == "svd":
            raise InputError("--method svd: is for files; a base takes the whole sum. Fix: leave it out")
    elif job.method == "concat" and job.size.given:
        raise InputError("--rank and --keep: concat is exact, and cuts nothing. Fix: add --method svd")


@dataclass(frozen=True)
class Extraction:
    base: str
    tuned: str
    output: Path
    size: Size
    precision: Precision = "auto"
    device: str = "auto"
    overwrite: bool = False


def order_extraction(job: Extraction) -> Order:
    """Check the request. Raises InputError; nothing has been written then."""
    job.size.check()
    if not job.size.given:
        raise InputError("--rank: how large should the LoRA be? Fix: give --rank, such as 32, or --keep, such as 0.95")
    families = [resolve_base(b).family for b in (job.base, job.tuned)]
    if len(set(families)) > 1:
        raise InputError(
            f"{job.tuned}: is of family {families[1]}, and {job.base} of {families[0]}. Fix: give two checkpoints of "
            "one base"
        )
    _check_file(job.output, [Path(job.base), Path(job.tuned)], job.overwrite)
    content = {
        "base": job.base, "tuned": job.tuned, "output": str(job.output.resolve()), "rank": job.size.rank,
        "keep": job.size.keep, "precision": job.precision, "device": job.device,
    }  # fmt: skip
    return Order("extract", content)


@dataclass(frozen=True)
class Resize:
    path: Path
    size: Size
    output: Path | None = None
    layout: FileLayout | None = None
    precision: Precision = "auto"
    base: str | None = None
    device: str = "auto"
    overwrite: bool = False


def order_resize(job: Resize) -> Order:
    """Check the request. Raises InputError; nothing has been written then."""
    job.size.check()
    if not job.size.given:
        raise InputError("--rank: to what size? Fix: give --rank, such as 8, or --keep, such as 0.95")
    path = _lora_file(job.path)
    mark = f"rank{job.size.rank}" if job.size.rank else f"keep{job.size.keep:g}"
    output = job.output or path.with_name(f"{path.stem}-{mark}.safetensors")
    more = {"rank": job.size.rank, "keep": job.size.keep, "precision": job.precision, "device": job.device}
    return _order_reduction("resize", path, output, job.layout, job.base, job.overwrite, more)


@dataclass(frozen=True)
class Prune:
    path: Path
    match: tuple[str, ...] = ()
    smallest: int = 0
    output: Path | None = None
    layout: FileLayout | None = None
    base: str | None = None
    overwrite: bool = False


def order_prune(job: Prune) -> Order:
    """Check the request. Raises InputError; nothing has been written then."""
    if job.smallest < 0:
        raise InputError(f"--smallest: {job.smallest} is no number of layers. Fix: give 1 or more")
    if not job.match and not job.smallest:
        raise InputError("which layers? Fix: give --match, an expression for their names, or --smallest, their number")
    path = _lora_file(job.path)
    output = job.output or path.with_name(f"{path.stem}-pruned.safetensors")
    more = {"match": list(job.match), "smallest": job.smallest}
    return _order_reduction("prune", path, output, job.layout, job.base, job.overwrite, more)


def _order_reduction(
    verb: str, path: Path, output: Path, layout: str | None, base: str | None, overwrite: bool, more: dict[str, Any]
) -> Order:
    _check_file(output, [path], overwrite)
    if base:
        resolve_base(base)
    content = {"verb": verb, "path": str(path), "output": str(output.resolve()), "layout": layout, "base": base}
    return Order("reduce", content | more)


def order_inspection(path: Path, base: str | None = None) -> Order:
    """Raises InputError where there is no such file."""
    if base:
        resolve_base(base)
    return Order("inspect", {"path": str(_lora_file(path)), "base": base})


def _lora_file(path: Path) -> Path:
    """PEFT's folder stands for the file in it."""
    file = path / PEFT_WEIGHTS if path.is_dir() else path
    if not file.is_file():
        raise InputError(f"{file}: no such LoRA file. Fix: give the path of a .safetensors file")
    return file.resolve()


def _check_file(output: Path, sources: Sequence[Path], overwrite: bool) -> None:
    if output.suffix != ".safetensors" or output.is_dir():
        raise InputError(f"--output: {output} does not end in .safetensors. Fix: name such a file")
    if any(s.exists() and output.exists() and output.samefile(s) for s in sources):
        raise InputError(f"--output: {output} is one of the files to be read. Fix: name another")
    if output.exists() and not overwrite:
        raise InputError(f"--output: {output} is there already. Fix: name another file, or add --overwrite")


def _check_folder(output: Path, overwrite: bool) -> None:
    """A folder is only ever replaced where a merge has written it."""
    if not output.exists():
        return
    if not (output / RECORD).is_file():
        raise InputError(f"--output: {output} is there already, and no merge has written it. Fix: name another folder")
    if not overwrite:
        raise InputError(f"--output: {output} is there already. Fix: name another folder, or add --overwrite")
