"""Trained voices for tests: recordings of the studio, settings, and a finished run made by hand, without torch."""

import io
import json
import math
import struct
import wave
from pathlib import Path
from typing import Any

from likeness import events
from likeness.config.voice import Consent, Reference, VoiceRecord
from likeness.studio import recordings, uploads, voice_runs
from likeness.studio.recordings import Recording
from likeness.studio.workspace import Studio

CONSENT = "I am Ada Byron, the speaker, and agree."
TEXTS = ("The boat left the harbour.", "Nobody knew why.", "Please write your name.", "We walked along the river.")
SENTENCES = ("Good morning.", "It is late.")


def tone(seconds: float = 1.0, hertz: float = 220.0, rate: int = 16_000) -> bytes:
    """A WAV file."""
    held = io.BytesIO()
    with wave.open(held, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        samples = (int(9000 * math.sin(2 * math.pi * hertz * n / rate)) for n in range(int(seconds * rate)))
        sound.writeframes(b"".join(struct.pack("<h", x) for x in samples))
    return held.getvalue()


def record(studio: Studio, name: str, content: bytes) -> Recording:
    """A file that somebody has sent."""
    with uploads.receiving(studio, name, recordings.MOST_BYTES) as incoming:
        incoming.write(content)
        return recordings.receive(studio, incoming)


def recorded(studio: Studio, count: int = 4) -> list[str]:
    """Ids of short tones, each unlike the others."""
    return [record(studio, f"clip {n}.wav", tone(1.0, 200.0 + 10 * n)).id for n in range(count)]


def settings(studio: Studio, ids: list[str] | None = None, **changed: Any) -> dict[str, Any]:
    """A short training from recordings."""
    ids = recorded(studio) if ids is None else ids
    return {
        "name": "ada", "base": "owner/tiny", "consent": CONSENT, "recordings": ids,
        "texts": dict(zip(ids, TEXTS, strict=False)), "train": {"epochs": 2, "batch_size": 2},
        "lora": {"rank": 4, "alpha": 8.0}, "sampling": {"prompts": list(SENTENCES[:1])},
        "hardware": {"threads": 1}, **changed,
    }  # fmt: skip


def start(studio: Studio, values: dict[str, Any]) -> Any:
    """Plan and start."""
    return voice_runs.start(studio, values, voice_runs.plan(studio, values).digest)


def write_voice_run(workspace: Path, name: str = "ada", epochs: int = 2, **config: Any) -> Path:
    """A run of a voice as training leaves it; the LoRA is some bytes."""
    folder = workspace / name
    (folder / "clips").mkdir(parents=True)
    rows: list[dict[str, Any]] = []
    for n, text in enumerate(TEXTS[:3]):
        clip = folder / "clips" / f"clip-{n}-{n:012x}.wav"
        clip.write_bytes(tone(1.0, 200.0 + 10 * n))
        clip.with_suffix(".txt").write_text(text)
        rows.append({"id": clip.stem, "path": str(clip), "text": text, "sha256": f"{n}" * 64, "held_out": n == 2})
    (folder / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = {
        "name": name, "kind": "voice", "base": "owner/tiny", "consent": CONSENT, "language": "en",
        "data": {"clips": str(folder / "clips"), "transcriber": None, "hold_out": 1},
        "train": {"epochs": epochs, "batch_size": 2, "seed": 0, "state_every": 0},
        "sampling": {"prompts": list(SENTENCES), "seed": 42}, "hardware": {"device": "auto", "threads": 1}, **config,
    }  # fmt: skip
    told = {
        "likeness": "0", "name": name, "config": settings, "plan": {"recordings": 2, "steps": epochs},
        "base": {"name": "owner/tiny", "family": "pocket-tts"}, "consent_recorded": "2026-01-01T00:00:00Z",
        "digest": "d",
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(told))
    log = events.EventLog(folder / "events.jsonl")
    log.write(events.RunStarted(name=name, steps=epochs, epochs=epochs, images=2, device="cpu", precision="fp32"))
    for epoch in range(epochs + 1):
        _write_epoch(folder, log, epoch, VoiceRecord(
            name=name, engine="pocket", language="en", consent=Consent(statement=CONSENT, recorded="2026-01-01"),
            reference=Reference(file="clips", seconds=1.0, sha256="d"),
            values={"base": "owner/tiny", "run": name, "epoch": epoch},
        ))  # fmt: skip
    log.write(events.VerdictGiven(
        epoch=epochs, verdict="sweet spot", sentence="Epoch 1: as good as it gets.", suggested=1, sweet_spot=[1, 1],
        overfit_from=None, flags=[], reasons=[], advice=[], rows=[{"epoch": 1, "train": [1.5, None]}],
    ))  # fmt: skip
    log.write(events.RunFinished(step=epochs, seconds=1.0))
    return folder


def _write_epoch(folder: Path, log: events.EventLog, epoch: int, record: VoiceRecord) -> None:
    if epoch:
        log.write(events.StepDone(
            step=epoch, epoch=epoch, loss=2.0 - epoch / 4, learning_rate=1e-4, gradient_norm=1.0,
            images_per_second=1.0, memory_bytes=1,
        ))  # fmt: skip
        place = folder / "checkpoints" / f"epoch-{epoch:03d}"
        place.mkdir(parents=True)
        (place / "voice.json").write_text(record.model_dump_json())
        (place / "reference.wav").write_bytes(tone(1.0))
        (place / "adapter_model.safetensors").write_bytes(b"some weights")
        log.write(events.CheckpointSaved(
            epoch=epoch, step=epoch, path=f"checkpoints/epoch-{epoch:03d}/adapter_model.safetensors"
        ))  # fmt: skip
    for number, text in enumerate(SENTENCES, start=1):
        path = folder / "samples" / f"epoch-{epoch:03d}" / f"prompt-{number}-seed-42.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(tone(0.5, 100.0 + 50 * epoch + number))
        log.write(events.SampleSaved(
            epoch=epoch, step=epoch, prompt_index=number, prompt=text, seed=42, path=str(path.relative_to(folder))
        ))  # fmt: skip
    log.write(events.ProbesMeasured(
        epoch=epoch, step=epoch, train_loss=2.0 - epoch / 2, held_out_loss=1.5, per_image=[]
    ))  # fmt: skip
    log.write(events.EpochMeasured(
        epoch=epoch, step=epoch, encoder="", pictures={"prompt-1-seed-42": {"seconds": 0.5, "pitch_error": 2.0}},
        whole={"seconds": 0.5, "pitch_error": 2.0},
    ))  # fmt: skip
