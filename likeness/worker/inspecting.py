"""The job 'inspect': say what a LoRA file is. Reads `job.json`, writes `result.json`."""

from dataclasses import asdict
from pathlib import Path

from likeness.lora.inspection import inspect
from likeness.worker.lora_sources import done, job_of, tables


def run(folder: Path) -> int:
    """`job.json`: path, and base or null."""
    job = job_of(folder)
    return done(folder, asdict(inspect(Path(job["path"]), tables(job["base"]))))
