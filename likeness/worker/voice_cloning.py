"""The job 'voice-clone': a voice from a recording. Reads `job.json`, writes the voice's folder and `result.json`."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

from likeness import durable
from likeness.config.voice import Consent
from likeness.errors import Conflict, InputError
from likeness.events import EventLog, Stage
from likeness.voices.engine import Request, open_engine
from likeness.voices.making import make_voice


def run(folder: Path) -> int:
    """`job.json`: paths, name, output (folder), engine, language, base, script, device, consent, replace."""
    job: dict[str, Any] = json.loads((folder / "job.json").read_text())
    log, output = EventLog(folder / "events.jsonl"), Path(job["output"])
    if output.exists() and not job["replace"]:
        raise Conflict(f"--name: there is a voice '{job['name']}' already. Fix: choose another name, or --replace")
    log.write(Stage(name="loading"))
    engine = open_engine(job["engine"], Request(job["language"], job["base"], job["script"], job["device"]))
    log.write(Stage(name="cloning"))
    consent = Consent.model_validate(job["consent"])
    paths = [Path(p) for p in job["paths"]]
    try:
        with closing(engine):
            record = make_voice(output, job["name"], paths, engine, job["engine"], job["language"], consent)
    except InputError as e:
        raise InputError(*(_by_name(problem, paths) for problem in e.problems)) from e
    result = {"voice": str(output), "record": record.model_dump(mode="json")}
    durable.write_text(folder / "result.json", json.dumps(result, indent=2))
    return 0


def _by_name(problem: str, paths: list[Path]) -> str:
    """What is wrong with a recording, told by its file's name: where the file lies is of no use."""
    for path in paths:
        problem = problem.replace(str(path), path.name)
    return problem
