"""Runs: their list, the page of each while it trains and after, and the bin."""

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import HTMLResponse
from sse_starlette import EventSourceResponse, ServerSentEvent

from likeness.api.shapes import Opened
from likeness.errors import InputError, NotFound
from likeness.events import STAGE_WORDS, VerdictGiven
from likeness.report.chart import Line, draw_chart
from likeness.report.scorecard import scorecard_table
from likeness.service.comparisons import View
from likeness.service.conversions import Layout
from likeness.service.evaluations import Protocol, table_of
from likeness.service.numbers import parse_numbers
from likeness.service.pictures import parse_strengths
from likeness.studio import comparing, layouts, models, queue, run_bin, run_files, run_summaries, runs
from likeness.studio.run_events import GOING
from likeness.studio.runs import RunView
from likeness.studio.workspace import Studio
from likeness.web.pages import environment, go, page, part, said
from likeness.web.routes import voice_run

router = APIRouter()
LIVE_SECONDS = 1.0  # between looks at a run, for all who follow it
MOST_SEEN = 32  # runs whose parts are remembered for those who follow them
# The parts of a run's page that change while it trains, by the id of the element that each replaces.
PARTS = ("status", "curve", "epochs", "scorecard", "now", "files")
Choice = Annotated[Literal["paused", "canceled"], Form()]


# --- the list


@router.get("/runs")
def show_runs(request: Request, studio: Opened, view: str = "") -> HTMLResponse:
    """All runs; `view`: 'archived' or 'bin'."""
    return page(request, "runs.html", **_listed(studio, view))


@router.get("/runs-list")
def list_runs(request: Request, studio: Opened, view: str = "") -> HTMLResponse:
    """The list alone, asked for again while it is looked at."""
    return part(request, "runs.html", "rows", **_listed(studio, view))


@router.post("/runs-bin/{bin_id}/restore")
def restore(request: Request, studio: Opened, bin_id: str) -> Response:
    return go(request, url_of(run_bin.restore(studio, bin_id)))


@router.post("/runs-bin/{bin_id}/erase")
def erase(request: Request, studio: Opened, bin_id: str) -> HTMLResponse:
    run_bin.erase(studio, bin_id)
    return part(request, "runs.html", "rows", toast="Deleted for good", **_listed(studio, "bin"))


def _listed(studio: Studio, view: str) -> dict[str, Any]:
    found = runs.listed(studio, archived=view == "archived") if view != "bin" else []
    binned = run_bin.listed(studio)
    tabs = [("Runs", "/runs"), ("Archived", "/runs?view=archived"), ("Bin", "/runs?view=bin", len(binned))]
    return {"runs": found, "binned": binned, "view": view, "tabs": tabs, "url_of": url_of, "picture_of": picture_of}


# --- one run


@router.get("/runs/{name}")
def show_run(request: Request, studio: Opened, name: str) -> HTMLResponse:
    if run_summaries.kind_of(runs.folder_of(studio, name)) == run_summaries.VOICE:
        return voice_run.show(request, studio, name)
    return page(request, "run.html", **_shown(studio, name), **_beside(studio, name))


@router.get("/runs/{name}/live")
async def follow(request: Request, studio: Opened, name: str) -> EventSourceResponse:
    """The parts of the page that have changed, as they change; `close` when the run goes on no more."""
    await asyncio.to_thread(runs.folder_of, studio, name)
    return EventSourceResponse(_changes(studio, name), ping=15, headers={"Cache-Control": "no-store"})


async def _changes(studio: Studio, name: str) -> AsyncGenerator[ServerSentEvent]:
    before: dict[str, str] = {}
    while True:
        try:
            now, going = await asyncio.to_thread(_seen, studio, name)
        except NotFound:  # deleted meanwhile
            now, going = before, False
        if changed := {key: text for key, text in now.items() if before.get(key) != text}:
            before = now
            yield ServerSentEvent("\n".join(
                f'<hx-partial hx-target="#{key}" hx-swap="outerMorph">{text}</hx-partial>'
                for key, text in changed.items()
            ))  # fmt: skip
        if not going:
            yield ServerSentEvent("ended", event="close")
            return
        await asyncio.sleep(LIVE_SECONDS)


@dataclass
class _Watched:
    """The parts of a run as they were a moment ago, for everybody who follows it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    at: float = 0.0
    parts: dict[str, str] = field(default_factory=dict[str, str])
    going: bool = True


_watched: OrderedDict[tuple[str, str], _Watched] = OrderedDict()
_watching = threading.Lock()


def _seen(studio: Studio, name: str) -> tuple[dict[str, str], bool]:
    """The parts of the page, drawn at most once a moment however many follow; and whether the run goes on."""
    key = (str(studio.workspace), name)
    with _watching:
        watched = _watched.pop(key, None) or _Watched()
        _watched[key] = watched
        while len(_watched) > MOST_SEEN:
            _watched.popitem(last=False)
    with watched.lock:
        if time.monotonic() - watched.at > LIVE_SECONDS / 2:
            shown = _shown(studio, name)
            watched.parts = {key: _draw(f"_run_{key}.html", shown) for key in PARTS}
            watched.going = shown["run"].summary.state in GOING
            watched.at = time.monotonic()
        return watched.parts, watched.going


def _draw(template: str, shown: dict[str, Any]) -> str:
    return environment().get_template(template).render(shown)


# --- while it trains


@router.post("/runs/{name}/stop")
def stop(request: Request, studio: Opened, name: str, become: Choice) -> HTMLResponse:
    runs.stop(studio, name, become)
    return part(request, "_run_status.html", **_shown(studio, name))


@router.post("/runs/{name}/resume")
def resume(request: Request, studio: Opened, name: str) -> Response:
    runs.resume(studio, name)
    return go(request, url_of(name))


@router.post("/runs/{name}/extend")
def extend(request: Request, studio: Opened, name: str, more: Annotated[int, Form()]) -> Response:
    runs.extend(studio, name, runs.summary_of(studio, name).epochs + more)
    return go(request, url_of(name))


@router.post("/runs/{name}/sample-now")
def sample_now(studio: Opened, name: str) -> HTMLResponse:
    runs.sample_now(studio, name)
    return said("The test prompts are drawn at the next step")


# --- after


@router.post("/runs/{name}/choose")
def choose(request: Request, studio: Opened, name: str, epoch: Annotated[int, Form()]) -> HTMLResponse:
    """Take an epoch; the one that is chosen already is given back."""
    chosen = runs.summary_of(studio, name).chosen_epoch
    runs.choose(studio, name, None if chosen == epoch else epoch)
    return part(request, "_run_chosen.html", **_shown(studio, name))


@router.post("/runs/{name}/publish")
def publish(
    request: Request, studio: Opened, name: str, epoch: Annotated[int, Form()], title: Annotated[str, Form()] = ""
) -> Response:
    """Put an epoch into the library."""
    return go(request, f"/library/{models.publish(studio, name, epoch, name=title.strip()).id}")


@router.post("/runs/{name}/note")
def note(studio: Opened, name: str, note: Annotated[str, Form()] = "") -> HTMLResponse:
    runs.note(studio, name, note)
    return said("Noted")


@router.post("/runs/{name}/archive")
def archive(request: Request, studio: Opened, name: str, archived: Annotated[bool, Form()] = True) -> Response:
    runs.archive(studio, name, archived=archived)
    return go(request, "/runs" if archived else url_of(name))


@router.post("/runs/{name}/delete")
def delete(request: Request, studio: Opened, name: str) -> Response:
    """Into the bin, from which it can be taken back."""
    run_bin.delete(studio, name)
    return go(request, "/runs?view=bin")


@router.get("/runs/{name}/files/{epoch}")
def show_files(request: Request, studio: Opened, name: str, epoch: int) -> HTMLResponse:
    """An epoch's LoRA in every layout."""
    return part(request, "_run_layouts.html", **_layouts(studio, name, epoch))


@router.post("/runs/{name}/files/{epoch}/{layout}")
def make_layout(request: Request, studio: Opened, name: str, epoch: int, layout: Layout) -> HTMLResponse:
    layouts.convert(studio, f"run:{name}/{epoch}", layout)
    return show_files(request, studio, name, epoch)


@router.post("/runs/{name}/scorecard")
def score(studio: Opened, name: str, seeds: Annotated[int, Form()] = 1) -> HTMLResponse:
    comparing.score(studio, name, seeds=seeds if seeds > 1 else None)
    return said("The scorecard is made again; it shows here when it has finished")


@router.post("/runs/{name}/evaluate")
def evaluate(
    studio: Opened,
    name: str,
    strengths: Annotated[str, Form()] = "0.6,0.8,1",
    seeds: Annotated[int, Form()] = 4,
) -> HTMLResponse:
    comparing.evaluate(studio, name, Protocol(tuple(parse_strengths(strengths)), seeds))
    return said("Strengths are tested; what is found shows here when the job has finished")


@router.post("/runs/{name}/compare")
def compare(
    request: Request,
    studio: Opened,
    name: str,
    epochs: Annotated[str, Form()] = "",
    strengths: Annotated[str, Form()] = "",
    seeds: Annotated[int, Form()] = 1,
    prompts: Annotated[str, Form()] = "",
    draw: Annotated[bool, Form()] = False,
    title: Annotated[str, Form()] = "",
) -> HTMLResponse:
    """Lay out a comparison; `title`: keep it under this name; `draw`: queue what is missing."""
    view = View(
        tuple(parse_numbers("--epochs", epochs)) if epochs.strip() else (),
        tuple(parse_strengths(strengths)) if strengths.strip() else (),
        seeds,
        tuple(line.strip() for line in prompts.splitlines() if line.strip()),
    )
    toast = ""
    if title.strip():
        comparing.save_view(studio, name, title.strip(), view)
        toast = f"Saved as {title.strip()}"
    return _compared(request, studio, name, view, draw=draw, title=title.strip(), toast=toast)


@router.get("/runs/{name}/views/{title}")
def show_view(request: Request, studio: Opened, name: str, title: str) -> HTMLResponse:
    return _compared(request, studio, name, comparing.load_view(studio, name, title), title=title)


@router.post("/runs/{name}/views/{title}/delete")
def delete_view(request: Request, studio: Opened, name: str, title: str) -> HTMLResponse:
    comparing.delete_view(studio, name, title)
    return part(request, "_run_views.html", toast="Deleted", **_beside(studio, name), name=name, url=url_of(name))


def _compared(
    request: Request, studio: Studio, name: str, view: View, *, draw: bool = False, title: str = "", toast: str = ""
) -> HTMLResponse:
    found = comparing.compare(studio, name, view, draw=draw)
    drawing = next(iter(queue.listed(studio, states=queue.OPEN, subject=f"run:{name}", verb="draw", limit=1)), None)
    cells = {(cell.column, cell.row): cell.path for cell in found.cells}
    shown: dict[str, Any] = {"found": found, "cells": cells, "asked": view, "title": title, "drawing": drawing,
                             "name": name, "url": url_of(name), "picture_of": picture_of}  # fmt: skip
    return part(request, "_run_compared.html", toast=toast, **shown | _beside(studio, name))


# --- what is shown


def _shown(studio: Studio, name: str) -> dict[str, Any]:
    """What the parts of a run's page are made of."""
    run = runs.view(studio, name)
    state = run.summary.state
    verdict = VerdictGiven(**run.verdict) if run.verdict else None
    return {
        "run": run,
        "summary": run.summary,
        "name": name,
        "url": url_of(name),
        "going": state in GOING,
        "chart": _chart(run),
        "probes": _probes(run),
        "cells": {(e.epoch, s.prompt_index): s for e in run.epochs for s in e.samples},
        "best": run.summary.chosen_epoch or run.summary.suggested_epoch or (run.choices[-1] if run.choices else None),
        "verdict": verdict,
        "scores": scorecard_table(verdict) if verdict and verdict.rows else None,
        "stage": STAGE_WORDS.get(run.stage.name, run.stage.name) if run.stage else "",
        "job": queue.get(studio, run.summary.job) if run.summary.job else None,
        "picture_of": picture_of,
        "url_of": url_of,
    }


def _beside(studio: Studio, name: str) -> dict[str, Any]:
    """What is looked at after: saved comparisons, tests of strengths, the log."""
    tests = [
        (told, table_of(told, str(told.get("encoder") or ""), int(told.get("seeds") or 1)))
        for told in comparing.evaluated(studio, name)
        if told.get("strengths")
    ]
    return {
        "views": [title for title, _ in comparing.views(studio, name)],
        "tests": tests,
        "log": run_files.log_tail(studio, name),
    }


def _layouts(studio: Studio, name: str, epoch: int) -> dict[str, Any]:
    run_files.checkpoint(studio, name, epoch)
    lora = f"run:{name}/{epoch}"
    try:
        found = [
            (layout, reader, layouts.converted(studio, lora, layout)) for layout, reader in layouts.READ_BY.items()
        ]
    except InputError:  # a mock's file has no layers
        found = []
    made = any(state.state == "made" for _, _, state in found)
    return {"epoch": epoch, "layouts": found, "name": name, "url": url_of(name), "made": made}


def _chart(run: RunView) -> Any:
    """The loss curve; None before there is a point on it."""
    if not run.loss:
        return None
    lines = [
        Line("each step", [(p.step, p.loss) for p in run.loss], "faint", noisy=True),
        Line("smoothed", [(p.step, p.smoothed) for p in run.loss], "first"),
    ]
    words = f"Training loss by step, smoothed: from {run.loss[0].smoothed:.3g} to {run.loss[-1].smoothed:.3g}"
    return draw_chart(lines, words, "step", "training loss")


def _probes(run: RunView) -> Any:
    """Losses at the fixed probes by epoch; None where none were measured."""
    train = [(e.epoch, e.train_loss) for e in run.epochs if e.train_loss is not None]
    held_out = [(e.epoch, e.held_out_loss) for e in run.epochs if e.held_out_loss is not None]
    if not train:
        return None
    lines = [Line("training", train, "first", dots=True)]
    lines += [Line("held out", held_out, "second", dots=True)] if held_out else []
    return draw_chart(lines, "Loss at fixed noise, by epoch", "epoch", "probe loss")


def url_of(name: str) -> str:
    return f"/runs/{quote(name, safe='')}"


def picture_of(name: str, path: str, size: int | None = None) -> str:
    """The address of a run's picture, or of a small copy."""
    return f"/api/v1{url_of(name)}/pictures/{quote(path)}" + (f"?size={size}" if size else "")
