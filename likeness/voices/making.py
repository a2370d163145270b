"""A voice made, and text spoken with it: what the jobs do, apart from files of orders and results."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from likeness import __version__, durable
from likeness.config.voice import ENGINES, RECORD, REFERENCE, SAMPLE, Consent, Reference, VoiceRecord
from likeness.errors import InputError
from likeness.voices import mending, pitch, watermark
from likeness.voices.audio import Clip, read_clip, read_tags, write_sound
from likeness.voices.engine import Engine, Manner
from likeness.voices.filters import Floats
from likeness.voices.findings import findings
from likeness.voices.quality import measure

TEST_SENTENCE = "It is easy to tell the depth of a well."
PIECE = 600  # characters that are spoken at once
PAUSE = 0.3  # seconds between such pieces
NOTICE = "Synthetic speech, made by a program; not a recording of a person."


def prepare_reference(paths: Sequence[Path]) -> tuple[Clip, list[str]]:
    """The recordings as one, trimmed, at an even loudness and no longer than is used; and what should be known of it.

    Raises InputError where a recording cannot be read, or its check finds an error.
    """
    clips = [read_clip(path) for path in paths]
    rate = max(mending.RATE, *(min(c.rate, 48_000) for c in clips)) if len(clips) > 1 else clips[0].rate
    samples = np.concatenate([c.at(rate) for c in clips]) if len(clips) > 1 else clips[0].samples
    whole = Clip(samples, rate, max(c.channels for c in clips), clips[0].encoding, clips[0].name)
    found = findings(measure(whole))
    wrong = [f"{paths[0]}: {f.message}. Fix: {f.fix}" for f in found if f.severity == "error"]
    if wrong:
        raise InputError(*wrong)
    mended = mending.mend(whole, {"offset", "trim", "resample", "normalise"})
    return mended, [f"{f.check}: {f.message}" for f in found if f.severity == "warning"]


def make_voice(
    folder: Path, name: str, paths: Sequence[Path], engine: Engine, kind: str, language: str, consent: Consent
) -> VoiceRecord:
    """Learn a speaker and write the voice's folder, whole or not at all."""
    reference, notes = prepare_reference(paths)
    original = hashlib.sha256(b"".join(p.read_bytes() for p in paths)).hexdigest()
    made: list[VoiceRecord] = []

    def fill(partial: Path) -> None:
        write_sound(partial / REFERENCE, reference.samples, reference.rate)
        values = engine.learn(reference, partial)
        sample = engine.say(TEST_SENTENCE, partial, values, Manner())
        record = VoiceRecord.model_validate({
            "name": name, "engine": kind, "language": language, "consent": consent, "values": values, "notes": notes,
            "reference": Reference(file=paths[0].name, seconds=round(reference.seconds, 3), sha256=original),
            "figures": _figures(reference, sample),
        })  # fmt: skip
        durable.write_text(partial / RECORD, record.model_dump_json(indent=2))
        if np.any(sample.samples):
            write_speech(partial / SAMPLE, sample, record, TEST_SENTENCE, mark=True)
        made.append(record)

    durable.write_folder(folder, fill)
    return made[0]


def _figures(reference: Clip, sample: Clip) -> dict[str, float]:
    """The speaker's mean pitch, and how far off that of a test sentence is."""
    theirs = pitch.log_pitch(pitch.track(reference.at(16_000)))
    own = pitch.log_pitch(pitch.track(sample.at(16_000)))
    if len(theirs) < 20 or len(own) < 20:
        return {}
    mean = pitch.mean_and_range(theirs)[0]
    return {
        "pitch_hz": round(float(np.exp(mean)), 1),
        "pitch_error_semitones": round(abs(pitch.semitones(pitch.mean_and_range(own)[0] - mean)), 2),
    }


def read_voice(folder: Path) -> VoiceRecord:
    """Raises InputError where `folder` holds no voice."""
    try:
        return VoiceRecord.model_validate_json((folder / RECORD).read_bytes())
    except (OSError, ValidationError) as e:
        raise InputError(f"{folder}: holds no voice that can be read. Fix: make one with `likeness voice clone`") from e


def pieces(text: str) -> list[str]:
    """The text in pieces of some hundred characters, cut after sentences where there are any, else between words."""
    parts: list[str] = []
    for sentence in re.split(r"(?<=[.!?…。！？])\s+|\n\s*\n", text.strip()):
        for part in _cut(" ".join(sentence.split())):
            if parts and len(parts[-1]) + len(part) < PIECE:
                parts[-1] += f" {part}"
            elif part:
                parts.append(part)
    return parts


def _cut(sentence: str) -> list[str]:
    """A very long sentence between words; a very long word anywhere."""
    out: list[str] = []
    while len(sentence) > PIECE:
        at = sentence.rfind(" ", 1, PIECE)
        at = at if at > 0 else PIECE
        out.append(sentence[:at].strip())
        sentence = sentence[at:].strip()
    return [*out, sentence]


def speak(text: str, folder: Path, record: VoiceRecord, engine: Engine, manner: Manner) -> Clip:
    """The text, at an even loudness. Raises InputError where nothing of it can be spoken."""
    said: list[Floats] = []
    rate = mending.RATE
    for number, piece in enumerate(pieces(text)):
        clip = engine.say(
            piece, folder, record.values, Manner(manner.seed + 1000 * number, manner.speed, manner.strength)
        )
        rate = clip.rate
        said += [np.zeros(int(PAUSE * rate))] if said else []
        said.append(clip.samples)
    sound = np.concatenate(said) if said else np.zeros(0)
    if not np.any(np.abs(sound) > 1e-4):
        raise InputError("text: nothing in it can be spoken. Fix: give words")
    return Clip(mending.normalise(sound, rate), rate)


def write_speech(path: Path, clip: Clip, record: VoiceRecord, text: str, *, mark: bool) -> None:
    """Write what was said with the mark in the sound, and with where it comes from in the file."""
    samples = clip.samples
    if mark:
        samples = watermark.embed(samples, clip.rate)
        samples = samples * min(1.0, 0.98 / max(float(np.abs(samples).max()), 1e-9))
    write_sound(path, samples, clip.rate, provenance(record, text, mark))


def provenance(record: VoiceRecord, text: str, mark: bool) -> dict[str, str]:
    """Tags that tell people and programs where speech comes from. No dates: the same order gives the same bytes."""
    facts = {
        "synthetic": True,
        "digitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia",
        "voice": record.name,
        "engine": record.engine,
        "watermark": mark,
        "consent_sha256": record.consent.sha256,
        "text_sha256": hashlib.sha256(text.encode()).hexdigest(),
    }
    return {
        "title": f"Synthetic voice {record.name}",
        "artist": f"likeness {__version__}, {ENGINES[record.engine].title}",
        "software": f"likeness {__version__}",
        "comment": f"{NOTICE} {json.dumps(facts)}",
    }


def verify(path: Path) -> dict[str, Any]:
    """What the sound and the file say of where it comes from."""
    clip = read_clip(path)
    found = watermark.detect(clip.samples, clip.rate)
    tags = read_tags(path)
    comment = tags.get("comment", "")
    facts: dict[str, Any] = {}
    if NOTICE in comment:
        try:
            facts = json.loads(comment[comment.index("{") :])
        except ValueError:
            facts = {"synthetic": True}
    return {
        "path": str(path),
        "watermark": asdict(found) | {"threshold": watermark.THRESHOLD, "least_seconds": watermark.LEAST_SECONDS},
        "provenance": facts or None,
        "tags": {k: v for k, v in tags.items() if v},
    }
