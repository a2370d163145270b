"""A run that trains a voice, as it is now: what it learns from, its epochs to be heard side by side, their figures."""

import json
import math
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from likeness.config.voice import RECORD, REFERENCE
from likeness.errors import NotFound
from likeness.events import EpochMeasured, read_events
from likeness.report.history import mapping
from likeness.report.voice import FIGURES, figures
from likeness.studio import run_summaries, run_views
from likeness.studio.run_summaries import VOICE, RunSummary, folder_of, kind_of
from likeness.studio.run_views import RunView
from likeness.studio.workspace import Studio

CLIPS = "clips"  # folder of a run with its recordings and their texts
_CLIP = re.compile(r".*-(?P<id>[0-9a-f]{12})")


@dataclass(frozen=True)
class Clip:
    """A recording that is learned from, or held out."""

    id: str
    name: str
    recording: str | None  # its id, where it came from the studio's recordings
    text: str
    held_out: bool


@dataclass(frozen=True)
class Said:
    """A test sentence as an epoch says it. `path` is relative to the run folder; figures by their keys."""

    prompt: int  # from 1
    seed: int
    path: str
    figures: dict[str, float]


@dataclass(frozen=True)
class VoiceEpoch:
    """One epoch, 0 being the untrained base with the speaker's recording as its voice."""

    epoch: int
    finished: bool  # it is a voice that can be kept
    sounds: list[Said]
    figures: dict[str, float]  # of all its sentences, and losses


@dataclass(frozen=True)
class Figure:
    """What one of the figures is called and says."""

    key: str
    name: str
    says: str


@dataclass(frozen=True, kw_only=True)
class VoiceRunView:
    """A trained voice in full; `run` is what it has in common with other runs."""

    run: RunView
    base: str
    language: str
    consent: str
    consent_recorded: str  # ISO 8601
    sentences: list[str]
    epochs: list[VoiceEpoch]
    figures: list[Figure]  # those that were measured
    clips: list[Clip]
    verdict: str
    sentence: str  # the verdict in words; empty before there is one
    suggested: int | None
    chosen: int | None
    has_reference: bool

    @property
    def summary(self) -> RunSummary:
        return self.run.summary


def view(studio: Studio, name: str) -> VoiceRunView:
    """A trained voice as it is now. Raises NotFound."""
    folder = folder_of_voice(studio, name)
    run, whole = run_views.view(studio, name), frozen(folder)
    measured = _measured(folder)
    epochs = _epochs(folder, run, measured)
    told = run.verdict or {}
    summary = run.summary
    return VoiceRunView(
        run=run,
        base=str(run.config.get("base") or ""),
        language=str(run.config.get("language") or ""),
        consent=str(run.config.get("consent") or ""),
        consent_recorded=str(whole.get("consent_recorded") or ""),
        sentences=[prompt.text for prompt in run.prompts],
        epochs=epochs,
        figures=[Figure(key, title, says) for key, title, says, _ in FIGURES if any(key in e.figures for e in epochs)],
        clips=clips(studio, name),
        verdict=str(told.get("verdict") or ""),
        sentence=str(told.get("sentence") or ""),
        suggested=summary.suggested_epoch,
        chosen=summary.chosen_epoch,
        has_reference=any(e.finished for e in epochs),
    )


def _epochs(folder: Path, run: RunView, measured: "Measured") -> list[VoiceEpoch]:
    finished = {int(p.parent.name.partition("-")[2]) for p in folder.glob(f"checkpoints/epoch-*/{RECORD}")}
    shown = {epoch.epoch: epoch.samples for epoch in run.epochs}
    return [
        VoiceEpoch(
            epoch=number,
            finished=number in finished,
            sounds=[
                Said(s.prompt_index, s.seed, s.path, measured.sentences.get(number, {}).get(Path(s.path).stem, {}))
                for s in shown.get(number, [])
            ],
            figures=measured.epochs.get(number, {}),
        )
        for number in sorted({*shown, *finished, *measured.epochs})
    ]


@dataclass(frozen=True)
class Measured:
    """Figures by epoch; of sentences by the name of their file too."""

    epochs: dict[int, dict[str, float]]
    sentences: dict[int, dict[str, dict[str, float]]]


def _measured(folder: Path) -> Measured:
    log = folder / "events.jsonl"
    try:
        found = log.stat()
    except OSError:
        return Measured({}, {})
    return _read_measured(log, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=64)
def _read_measured(log: Path, size: int, changed: int) -> Measured:
    """Of the log as it is at this size."""
    told = list(read_events(log))
    rows = {epoch: _finite(row) for epoch, row in figures(told).items()}
    return Measured(rows, {
        event.epoch: {name: _finite(row) for name, row in event.pictures.items()}
        for event in told
        if isinstance(event, EpochMeasured)
    })  # fmt: skip


def _finite(row: dict[str, float]) -> dict[str, float]:
    """JSON has no other numbers."""
    return {key: value for key, value in row.items() if math.isfinite(value)}


def folder_of_voice(studio: Studio, name: str) -> Path:
    """The folder of a run that trains a voice. Raises NotFound."""
    folder = folder_of(studio, name)
    if kind_of(folder) != VOICE:
        raise NotFound(f"run '{name}' learns pictures and is no trained voice. Fix: look at it among the other runs")
    return folder


def listed(studio: Studio, *, archived: bool = False) -> list[RunSummary]:
    """All runs that train a voice, newest first."""
    return [run for run in run_summaries.listed(studio, archived=archived) if run.kind == VOICE]


def sound(studio: Studio, name: str, epoch: int, prompt: int, seed: int | None = None) -> Path:
    """A test sentence (from 1) as an epoch says it; 0 is the untrained base. `seed`: None for the run's own.

    Raises NotFound.
    """
    folder = folder_of_voice(studio, name)
    if seed is None:
        sampling = mapping(mapping(frozen(folder).get("config")).get("sampling"))
        seed = int(sampling.get("seed") or 0)
    path = folder / "samples" / f"epoch-{epoch:03d}" / f"prompt-{prompt}-seed-{seed}.wav"
    if not path.is_file():
        raise NotFound(
            f"run '{name}' has no test sentence {prompt} of epoch {epoch}. Fix: take one that its page shows"
        )
    return path


def reference(studio: Studio, name: str) -> Path:
    """The part of the recordings that its voices speak from, to be heard beside them. Raises NotFound before the first
    epoch has ended."""
    folder = folder_of_voice(studio, name)
    found = sorted(folder.glob(f"checkpoints/epoch-*/{REFERENCE}"))
    if not found:
        raise NotFound(f"run '{name}' has no finished epoch yet. Fix: wait for it")
    return found[-1]


def voice_folder(studio: Studio, name: str, epoch: int) -> Path:
    """The folder of an epoch, which is a voice by itself. Raises NotFound."""
    place = folder_of_voice(studio, name) / "checkpoints" / f"epoch-{epoch:03d}"
    if not (place / RECORD).is_file():
        raise NotFound(f"epoch: run '{name}' has no voice of epoch {epoch}. Fix: take one of its epochs")
    return place


def clips(studio: Studio, name: str) -> list[Clip]:
    """What it learns from, in its order, with what a transcriber has written since. Raises NotFound."""
    found: list[Clip] = []
    for row in _manifest(folder_of_voice(studio, name)):
        path, match = Path(str(row.get("path"))), _CLIP.fullmatch(str(row.get("id")))
        text = str(row.get("text") or "") or _text_beside(path)
        found.append(Clip(str(row.get("id")), path.name, match["id"] if match else None, text, bool(row["held_out"])))
    return found


def _text_beside(path: Path) -> str:
    try:
        return " ".join(path.with_suffix(".txt").read_text("utf-8-sig").split())
    except (OSError, UnicodeDecodeError):
        return ""


def frozen(folder: Path) -> dict[str, Any]:
    return mapping(json.loads((folder / "run.json").read_text()))


def _manifest(folder: Path) -> list[dict[str, Any]]:
    try:
        return [mapping(json.loads(line)) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    except (OSError, ValueError):
        return []
