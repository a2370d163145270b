"""The job 'voice-verify': whether sound files are made speech. Reads `job.json`, writes `result.json`."""

import json
from pathlib import Path
from typing import Any

from likeness import durable
from likeness.voices.making import verify


def run(folder: Path) -> int:
    """`job.json`: path."""
    job: dict[str, Any] = json.loads((folder / "job.json").read_text())
    durable.write_text(folder / "result.json", json.dumps(verify(Path(job["path"])), indent=2))
    return 0
