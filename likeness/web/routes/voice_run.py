"""The page of a run that trains a voice: its sentences epoch by epoch, to be heard side by side, and its figures."""

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import HTMLResponse

from likeness.api.shapes import Opened
from likeness.events import STAGE_WORDS
from likeness.report.chart import Line, draw_chart
from likeness.report.voice import FIGURES
from likeness.studio import queue, run_files, voice_runs, voices
from likeness.studio.run_events import GOING
from likeness.studio.voice_runs import VoiceRunView
from likeness.studio.workspace import Studio
from likeness.web.pages import go, page, part

router = APIRouter(prefix="/voices/runs")


def show(request: Request, studio: Studio, name: str) -> HTMLResponse:
    """The whole page, at the address of any run."""
    return page(request, "voice_run.html", log=run_files.log_tail(studio, name), **_shown(studio, name))


@router.get("/{name}/live")
def live(request: Request, studio: Opened, name: str) -> HTMLResponse:
    """What changes while it trains."""
    return part(request, "_voice_run.html", **_shown(studio, name))


@router.post("/{name}/keep")
def keep(
    request: Request, studio: Opened, name: str, epoch: Annotated[int, Form()], title: Annotated[str, Form()] = ""
) -> Response:
    """Put an epoch into the library, as a voice."""
    return go(request, f"/voices/{voices.keep_epoch(studio, name, epoch, title.strip() or name).id}")


def _shown(studio: Studio, name: str) -> dict[str, Any]:
    found = voice_runs.view(studio, name)
    summary = found.summary
    finished = [epoch.epoch for epoch in found.epochs if epoch.finished]
    forms = {key: form for key, _, _, form in FIGURES}
    return {
        "found": found,
        "run": found.run,
        "summary": summary,
        "name": name,
        "going": summary.state in GOING,
        "job": queue.get(studio, summary.job) if summary.job else None,
        "stage": STAGE_WORDS.get(found.run.stage.name, found.run.stage.name) if found.run.stage else "",
        "sounds": {(epoch.epoch, one.prompt): one for epoch in found.epochs for one in epoch.sounds},
        "heard": [epoch for epoch in found.epochs if epoch.sounds],
        "finished": finished,
        "best": found.suggested or (finished[-1] if finished else None),
        "forms": forms,
        "charts": _charts(found),
    }


def _charts(found: VoiceRunView) -> list[tuple[str, Any, str]]:
    """Title, drawing, and what it says; those for which there is anything yet."""
    charts: list[tuple[str, Any, str]] = []
    if loss := found.run.loss:
        lines = [
            Line("each step", [(p.step, p.loss) for p in loss], "faint", noisy=True),
            Line("smoothed", [(p.step, p.smoothed) for p in loss], "first"),
        ]
        words = f"Training loss by step, smoothed: from {loss[0].smoothed:.3g} to {loss[-1].smoothed:.3g}"
        charts.append(("Loss", draw_chart(lines, words, "step", "training loss"), ""))
    for keys, title, axis, words in (
        (("train", "held_out"), "Loss at the same draws after each epoch", "loss",
         "Where “held out” rises while “training” falls, recordings are being learned by heart."),
        (("similarity",), "Likeness to the speaker", "similarity", "Of the test sentences, by the encoder."),
        (("wer",), "Word errors", "share of words", "Of the test sentences, by the recogniser."),
    ):  # fmt: skip
        named = {"train": "training", "held_out": "held out"}
        lines = [
            Line(named.get(key, key), points, style, dots=True)
            for key, style in zip(keys, ("first", "second"), strict=False)
            if (points := [(e.epoch, e.figures[key]) for e in found.epochs if key in e.figures])
        ]
        if lines:
            charts.append((title, draw_chart(lines, f"{title}, by epoch", "epoch", axis), words))
    return charts
