"""Voices for tests: put into the studio as a clone leaves them, without a worker, or by the real default engine."""

import io
import json
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from likeness.config.voice import RECORD, REFERENCE, SAMPLE, Consent, Reference, VoiceRecord
from likeness.store.tables import Job, Voice, new_id
from likeness.studio import queue, uploads, voice_bundles, voices
from likeness.studio.workspace import Studio
from tests.studio.voice_runs_at_hand import tone

CONSENT = "I am Ada Byron, the speaker, and agree to this clone"
RECORDED = "2026-01-02T03:04:05Z"
ESPEAK: dict[str, Any] = {"espeak": {"voice": "en-us+m3", "rate": 160, "pitch": 40, "range": 50}, "hertz": 98.75}
ADAPTER = {
    "peft_type": "LORA", "r": 4, "lora_alpha": 8, "lora_dropout": 0.0, "bias": "none", "inference_mode": True,
    "target_modules": r".*model\.layers\.\d+\..*\.(q_proj|fc1)", "use_rslora": False, "fan_in_fan_out": False,
}  # fmt: skip


def record(engine: str = "espeak", **changed: Any) -> VoiceRecord:
    values = ESPEAK if engine == "espeak" else {"base": "owner/pocket", "run": "ada", "epoch": 2}
    told: dict[str, Any] = {
        "name": "ada", "engine": engine, "consent": Consent(statement=CONSENT, recorded=RECORDED), "values": values,
        "reference": Reference(file="ada.wav", seconds=1.0, sha256="0" * 64), "figures": {"pitch_hz": 98.8},
    }  # fmt: skip
    return VoiceRecord(**{**told, **changed})


def fit(packed: bool = False, name: str = "voiced.source.npy") -> bytes:
    """As numpy writes arrays."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED) as pack:
        pack.writestr(name, b"\0" * 1000)
    return held.getvalue()


def put(studio: Studio, name: str = "ada", engine: str = "espeak", **row: Any) -> Voice:
    """A voice with its row."""
    voice = Voice(**{"id": new_id(), "name": name, "origin": "clone", "tags": [], **row})
    folder = studio.voices / voice.id
    folder.mkdir(parents=True)
    (folder / RECORD).write_text(record(engine).model_dump_json(indent=2))
    (folder / REFERENCE).write_bytes(tone(1.0, 150))
    (folder / SAMPLE).write_bytes(tone(0.5, 250))
    if engine == "espeak":
        (folder / voice_bundles.FIT).write_bytes(fit())
    else:
        (folder / voice_bundles.ADAPTER).write_bytes(b"weights")
        (folder / voice_bundles.ADAPTER_CONFIG).write_text(json.dumps(ADAPTER))
    return voices.add(studio, voice)


def imported(studio: Studio, content: bytes, name: str = "ada.likeness-voice", base: str | None = None) -> Voice:
    with uploads.receiving(studio, name, voice_bundles.MOST_BYTES) as incoming:
        incoming.write(content)
        return voice_bundles.import_bundle(studio, incoming, base)


def asked(job: Job) -> dict[str, Any]:
    """What the worker is told."""
    found: dict[str, Any] = json.loads((Path(job.folder) / "job.json").read_text())
    return found


def end(studio: Studio, job: Job, take: Callable[..., Any], result: dict[str, Any]) -> dict[str, Any]:
    """What the supervisor does when a job has finished."""
    told: dict[str, Any] = result | (take(studio, job, result) or {})
    queue.change(studio, job.id, state="finished", result=told, ended=time.time())
    return told
