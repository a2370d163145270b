"""The job 'voice-say': text spoken by a voice. Reads `job.json`, writes the sound and `result.json`."""

import json
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from likeness import durable
from likeness.config.voice import ENGINES
from likeness.events import EventLog, Stage
from likeness.voices.engine import Manner, Request, open_engine
from likeness.voices.making import read_voice, speak, write_speech


def run(folder: Path) -> int:
    """`job.json`: voice (folder), text, output, seed, speed, strength, mark, device."""
    job: dict[str, Any] = json.loads((folder / "job.json").read_text())
    log, voice, output = EventLog(folder / "events.jsonl"), Path(job["voice"]), Path(job["output"])
    record = read_voice(voice)
    log.write(Stage(name="loading"))
    request = Request(record.language, record.values.get("base"), record.values.get("script"), job["device"])
    engine = open_engine(record.engine, request)
    manner = Manner(job["seed"], job["speed"], job["strength"])
    log.write(Stage(name="speaking"))
    began = time.monotonic()
    with closing(engine):
        clip = speak(job["text"], voice, record, engine, manner)
    seconds = time.monotonic() - began
    write_speech(output, clip, record, job["text"], mark=job["mark"])
    result = {
        "path": str(output),
        "seconds": round(clip.seconds, 3),
        "rate": clip.rate,
        "speed": round(clip.seconds / max(seconds, 1e-6), 2),
        "watermark": job["mark"],
        "sounds": ENGINES[record.engine].sounds,
        "notes": engine.notes(manner),
    }
    durable.write_text(folder / "result.json", json.dumps(result, indent=2))
    return 0
