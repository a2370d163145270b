"""The report of a trained voice: its test sentences epoch by epoch, to be heard side by side, with figures below."""

import base64
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from likeness import durable
from likeness.events import EpochMeasured, Event, ProbesMeasured, VerdictGiven, read_events
from likeness.report.chart import Line, draw_chart
from likeness.report.document import read_asset, render_document
from likeness.report.history import Status, mapping, read_history

MOST_HEARD = 240  # sentences in one page; later ones are named only
_SAMPLE = re.compile(r"epoch-(\d+)/prompt-(\d+)-seed-(\d+)\.wav$")
# Key of a figure, its name, what it says, how it is written.
FIGURES = (
    ("train", "loss", "at fixed draws, on what is learned from", "{:.3f}"),
    ("held_out", "held-out loss", "the same on recordings that are kept out: up means overlearning", "{:.3f}"),
    ("similarity", "similarity", "of the speaker, by the encoder: 1 is the same", "{:.3f}"),
    ("wer", "word errors", "words that the recogniser did not understand", "{:.1%}"),
    ("pitch_error", "pitch error", "semitones off the speaker's mean", "{:.1f}"),
    ("seconds", "seconds", "mean length of a test sentence", "{:.1f}"),
)


@dataclass(frozen=True)
class VoiceRun:
    """What a run folder tells."""

    folder: Path
    name: str
    config: dict[str, Any]
    epochs: list[int]  # that can speak
    sentences: dict[tuple[int, int], Path]  # by (epoch, number from 1)
    rows: dict[int, dict[str, float]]  # figures by epoch
    verdict: VerdictGiven | None
    status: Status
    losses: list[tuple[int, float]]  # by step, smoothed


class Heard(NamedTuple):
    label: str
    sound: str  # data URI, or '' where there is none
    suggested: bool


class SentenceRow(NamedTuple):
    text: str
    heard: list[Heard]


def figures(log: Sequence[Event]) -> dict[int, dict[str, float]]:
    """By epoch, from a run's events: losses at fixed draws, and what was measured of the test sentences."""
    rows: dict[int, dict[str, float]] = {}
    for event in log:
        if isinstance(event, ProbesMeasured):
            row = rows.setdefault(event.epoch, {})
            row["train"] = event.train_loss
            if event.held_out_loss is not None:
                row["held_out"] = event.held_out_loss
        elif isinstance(event, EpochMeasured):
            rows.setdefault(event.epoch, {}).update(event.whole)
    return dict(sorted(rows.items()))


def read_voice_run(run: Path) -> VoiceRun:
    """Raises InputError where `run` is no run."""
    history = read_history(run)
    log = list(read_events(run / "events.jsonl"))
    sentences: dict[tuple[int, int], Path] = {}
    for path in sorted((run / "samples").glob("epoch-*/prompt-*-seed-*.wav")):
        if match := _SAMPLE.search(path.as_posix()):
            sentences[int(match[1]), int(match[2])] = path
    return VoiceRun(
        folder=run,
        name=history.name,
        config=mapping(history.run_json.get("config")),
        epochs=[int(p.parent.name.partition("-")[2]) for p in sorted((run / "checkpoints").glob("epoch-*/voice.json"))],
        sentences=sentences,
        rows=figures(log),
        verdict=next((e for e in reversed(log) if isinstance(e, VerdictGiven)), None),
        status=history.status,
        losses=[(p.step, p.loss) for p in history.smoothed],
    )


def write_voice_report(run: Path) -> Path:
    """Write `report.html` into the run folder and return its path. Raises InputError where `run` is no run."""
    path = run / "report.html"
    durable.write_text(path, render_voice_report(read_voice_run(run)))
    return path


def render_voice_report(run: VoiceRun) -> str:
    """The report as HTML text."""
    shown = [f for f in FIGURES if any(f[0] in row for row in run.rows.values())]
    suggested = run.verdict.suggested if run.verdict else None
    best = suggested or max(run.epochs, default=1)
    table = [
        (_epoch(epoch), epoch == suggested, [form.format(row[key]) if key in row else "" for key, _, _, form in shown])
        for epoch, row in run.rows.items()
    ]
    return render_document(
        "voice.html",
        read_asset("sheet.css") + read_asset("voice.css"),
        "",
        name=run.name,
        facts=_facts(run),
        verdict=run.verdict,
        rows=_sentences(run, suggested),
        columns=[(name, says) for _, name, says, _ in shown],
        table=table,
        charts=list(_charts(run)),
        say=f'likeness voice say {run.folder / "checkpoints" / f"epoch-{best:03d}"} "…" -o said.wav',
        settings=json.dumps(run.config, indent=2),
    )


def _facts(run: VoiceRun) -> list[tuple[str, str]]:
    data = mapping(run.config.get("data"))
    found = [
        ("base", run.config.get("base")),
        ("recordings", data.get("clips")),
        ("consent", run.config.get("consent")),
        ("status", run.status.text),
    ]
    return [(name, str(value)) for name, value in found if value]


def _epoch(epoch: int) -> str:
    return f"epoch {epoch}" if epoch else "base"


def _sentences(run: VoiceRun, suggested: int | None) -> list[SentenceRow]:
    texts: list[Any] = mapping(run.config.get("sampling")).get("prompts") or []
    epochs = sorted({epoch for epoch, _ in run.sentences})
    rows: list[SentenceRow] = []
    budget = MOST_HEARD
    for number in sorted({number for _, number in run.sentences}):
        heard: list[Heard] = []
        for epoch in epochs:
            path = run.sentences.get((epoch, number))
            sound = ""
            if path and budget > 0:
                sound = f"data:audio/wav;base64,{base64.b64encode(path.read_bytes()).decode()}"
                budget -= 1
            heard.append(Heard(_epoch(epoch), sound, epoch == suggested))
        text = str(texts[number - 1]) if number <= len(texts) else f"sentence {number}"
        rows.append(SentenceRow(text, heard))
    return rows


def _charts(run: VoiceRun) -> list[tuple[Markup, str]]:
    charts: list[tuple[Markup, str]] = []
    for keys, label, words in (
        (("train", "held_out"), "loss", "Measured at the same draws after every epoch."),
        (("similarity",), "similarity", "Of the test sentences to the speaker."),
        (("wer",), "word errors", "Of the test sentences."),
    ):
        names = {"train": "training", "held_out": "held out"}
        lines = [
            Line(names.get(key, key), points, style, dots=True)
            for key, style in zip(keys, ("first", "second"), strict=False)
            if (points := [(e, row[key]) for e, row in run.rows.items() if key in row])
        ]
        if lines:
            charts.append((draw_chart(lines, f"{label} by epoch", "epoch", label), words))
    if run.losses:
        drawn = draw_chart([Line("smoothed", run.losses, "first")], "Training loss by step", "step", "loss")
        charts.append((drawn, "Each step draws its own noise; this line is smoothed."))
    return charts
