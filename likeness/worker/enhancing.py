"""The job 'enhance': write a copy of a folder in which small pictures are larger. Reads `job.json`, writes the folder
and `result.json`.

What is written stays, however the job ends; started again with the same request, it goes on with what is left.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from likeness import durable
from likeness.config.hardware import HardwareConfig
from likeness.dataset.enlarging import Work, carry_crop, copy_file, open_whole, sort_folder, target_of, write_picture
from likeness.enhance.upscaler import Upscaler, open_upscaler
from likeness.errors import InputError, Interrupted
from likeness.events import EventLog, Stage
from likeness.families.placement import choose_placement, set_up_torch
from likeness.worker.signals import StopRequest

RECORD = ".enhanced.json"  # in the output: of what it is a copy


def run(folder: Path) -> int:
    """`job.json`: folder, output, under, model (or null), device."""
    job: dict[str, Any] = json.loads((folder / "job.json").read_text())
    source, output = Path(job["folder"]), Path(job["output"])
    log, stop = EventLog(folder / "events.jsonl"), StopRequest()
    work = sort_folder(source, job["under"])
    result: dict[str, Any] = {
        "output": str(output),
        "under": job["under"],
        "enhanced": [],
        "copied": 0,
        "notes": list(work.notes),
    }
    if work.small:
        placement = choose_placement(HardwareConfig(device=job["device"], precision="fp32"))
        set_up_torch(placement, None)
        log.write(Stage(name="loading"))
        upscaler = open_upscaler(Path(job["model"]) if job["model"] else None, placement.device)
        _claim(output, {"folder": str(source), "model": upscaler.name, "scale": upscaler.scale})
        result |= {"model": upscaler.name, "scale": upscaler.scale}
        _enlarge(work, source, output, upscaler, job["under"], log, stop, result)
        for file in work.others:
            copy_file(file, source, output)
        result["copied"] = len(work.others)
    durable.write_text(folder / "result.json", json.dumps(result, indent=2))
    return 0


def _enlarge(
    work: Work, source: Path, output: Path, upscaler: Upscaler, under: int, log: EventLog, stop: StopRequest,
    result: dict[str, Any],
) -> None:  # fmt: skip
    """Raises Interrupted when asked to stop."""
    done = _done(output)
    for number, file in enumerate(work.small):
        log.write(Stage(name="enhancing", done=number, total=len(work.small)))
        if stop():
            raise Interrupted("stopped as asked; start it again to go on")
        target = target_of(file, source, output)
        name, digest = str(target.relative_to(output)), _digest(file)
        image = open_whole(file)
        size = (image.width * upscaler.scale, image.height * upscaler.scale)
        if done.get(name) != digest or not target.is_file():
            large = upscaler.enlarge(image)
            write_picture(large, target)
            carry_crop(file, target, image.size)
            durable.append_line(output / RECORD, json.dumps({"file": name, "sha256": digest}))
        result["enhanced"].append({"path": str(target), "before": image.size, "after": size})
        if size[0] * size[1] < under**2:
            result["notes"].append(f"{file}: is still below {under}x{under} at {size[0]}x{size[1]}")
    log.write(Stage(name="enhancing", done=len(work.small), total=len(work.small)))


def _claim(output: Path, asked: dict[str, Any]) -> None:
    """Write down of what the output is a copy. Raises InputError where the folder holds something else."""
    record = output / RECORD
    line = json.dumps(asked)
    if record.exists():
        if record.read_text(encoding="utf-8").split("\n")[0] != line:
            raise InputError(f"--output: {output} is a copy of another folder, or by another model. Fix: name another")
        return
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise InputError(f"--output: {output} is there already and not empty. Fix: name another folder")
    durable.write_text(record, line + "\n")


def _done(output: Path) -> dict[str, str]:
    """What earlier jobs wrote: digest of the original, by name. A line that was cut short by a kill does not count."""
    done: dict[str, str] = {}
    for line in (output / RECORD).read_text(encoding="utf-8").split("\n")[1:-1]:
        row: dict[str, str] = json.loads(line)
        done[row["file"]] = row["sha256"]
    return done


def _digest(file: Path) -> str:
    with file.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()
