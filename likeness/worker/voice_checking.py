"""The job 'voice-check': what recordings are like, and mended copies. Reads `job.json`, writes `result.json`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from likeness import durable
from likeness.errors import InputError
from likeness.events import EventLog, Stage
from likeness.voices import speech
from likeness.voices.audio import Clip, read_clip, write_sound
from likeness.voices.findings import Finding, Purpose, dataset_findings, findings, speakers_by_vectors
from likeness.voices.mending import mend
from likeness.voices.quality import measure, piece_vectors


def run(folder: Path) -> int:
    """`job.json`: paths, purpose ('instant' or 'trained'), fix, output (or null), encoder (or null), keep_going."""
    job: dict[str, Any] = json.loads((folder / "job.json").read_text())
    paths = [Path(p) for p in job["paths"]]
    log = EventLog(folder / "events.jsonl")
    recordings: list[dict[str, Any]] = []
    seconds = 0.0
    for number, path in enumerate(paths):
        log.write(Stage(name="measuring", done=number, total=len(paths)))
        try:
            clip = read_clip(path)
        except InputError as e:
            if len(paths) == 1 and not job["keep_going"]:
                raise
            problem = str(e).removeprefix(f"{path}: ")
            what, _, fix = problem.partition(" Fix: ")
            recordings.append({"path": str(path), "findings": [asdict(Finding("unreadable", "error", what, fix))]})
            continue
        row = check(clip, job["purpose"], job["encoder"])
        row["path"] = str(path)
        seconds += row["figures"]["speech_seconds"]
        if job["fix"]:
            row["mended"] = _mend(clip, path, row, Path(job["output"]) if job["output"] else None, job["purpose"])
        recordings.append(row)
    whole = [asdict(f) for f in dataset_findings(seconds, len(recordings))] if job["purpose"] == "trained" else []
    result = {"purpose": job["purpose"], "recordings": recordings, "findings": whole, "speech_seconds": seconds}
    durable.write_text(folder / "result.json", json.dumps(result, indent=2))
    return 0


def check(clip: Clip, purpose: Purpose, encoder: str | None) -> dict[str, Any]:
    """Figures and findings of one recording."""
    quality = measure(clip)
    found = findings(quality, purpose)
    if encoder:
        from likeness.voices.encoders import open_encoder  # torch: only where it is asked for

        vectors = piece_vectors(clip.at(speech.RATE), open_encoder(Path(encoder)))
        found = [f for f in found if f.check != "speakers"] + speakers_by_vectors(vectors)
    return {"figures": asdict(quality), "findings": [asdict(f) for f in found]}


def _mend(clip: Clip, path: Path, row: dict[str, Any], output: Path | None, purpose: Purpose) -> dict[str, Any] | None:
    """A mended copy beside the original, and what its figures are; None where there is nothing to mend."""
    wanted = {f["mend"] for f in row["findings"] if f["mend"]}
    if not wanted:
        return None
    better = mend(clip, wanted)
    place = output or path.with_name(f"{path.stem}-mended.wav")
    write_sound(place, better.samples, better.rate)
    return {"path": str(place), "done": sorted(wanted), **check(better, purpose, None)}
