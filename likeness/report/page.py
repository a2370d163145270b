"""The report of a run: one HTML file that holds all it shows, to be opened from disk or mailed to somebody."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from likeness import durable
from likeness.report.chart import Line, draw_chart
from likeness.report.document import read_asset, render_document
from likeness.report.history import History, Prompt, find_picture, first, mapping, read_history
from likeness.report.pictures import data_uri, open_picture
from likeness.report.scorecard import scorecard_table
from likeness.report.settings import read_settings
from likeness.report.usage import diffusers_script, sample_command

SAMPLE_SIDE = 768  # pixels; larger samples are shown reduced, so that the file can be mailed
THUMBNAIL_SIDE = 96
MOST_THUMBNAILS = 50


class Cell(NamedTuple):
    """One picture of the grid; `picture` is a data URI, or '' where there is none."""

    stage: str  # 'source', '0', '1' …
    label: str
    picture: str


class Row(NamedTuple):
    prompt: Prompt
    cells: list[Cell]


class Example(NamedTuple):
    """One training example: data URIs ('' where the file is gone) and what the manifest says about it."""

    picture: str
    reference: str
    name: str
    caption: str
    size: str
    repeats: int
    held_out: bool


class Checkpoint(NamedTuple):
    epoch: int
    name: str
    size: str
    train: str  # probe losses
    held_out: str


def write_report(run: Path) -> Path:
    """Write `report.html` into the run folder and return its path. Raises InputError where `run` is no run."""
    path = run / "report.html"
    durable.write_text(path, render_report(read_history(run)))
    return path


def render_report(history: History) -> str:
    """The report as HTML text."""
    rows = list(_rows(history))
    style = read_asset("page.css").replace("COLUMNS", str(max((len(row.cells) for row in rows), default=1)))
    chosen, defaults = read_settings(history)
    return render_document(
        "page.html",
        style,
        read_asset("page.js"),
        history=history,
        facts=_facts(history),
        rows=rows,
        verdict=history.verdict,
        scorecard=scorecard_table(history.verdict) if history.verdict else None,
        charts=list(_charts(history)),
        chosen=chosen,
        defaults=defaults,
        examples=list(_examples(history)),
        num_examples=len(history.manifest),
        num_held_out=sum(bool(row.get("held_out")) for row in history.manifest),
        checkpoints=list(_checkpoints(history)),
        script_example=diffusers_script(history),
        command_example=sample_command(history),
    )


def _facts(history: History) -> list[tuple[str, str]]:
    """What stands under the title: (name, value)."""
    plan, parent = (mapping(history.run_json.get(key)) for key in ("plan", "parent"))
    facts: list[tuple[str, Any]] = [
        ("kind", history.config("kind")),
        ("base", history.config("base")),
        ("trigger", history.config("trigger")),
        ("from", f"{parent['run']}, epoch {parent['epoch']}" if parent else None),
        ("images", plan.get("images", len(history.manifest) or None)),
        ("steps", f"{plan['steps']:,}" if isinstance(plan.get("steps"), int) else None),
        ("status", history.status.text),
    ]
    return [(name, str(value)) for name, value in facts if value]


def _rows(history: History) -> Iterator[Row]:
    for prompt in history.prompts if history.samples else []:
        cells = [Cell("source", "source", _inlined(prompt.reference))] if history.has_references else []
        for epoch in history.epochs:
            picture = _inlined(history.samples.get((epoch, prompt.index)))
            cells.append(Cell(str(epoch), f"epoch {epoch}" if epoch else "base", picture))
        yield Row(prompt, cells)


def _inlined(path: Path | None, side: int = SAMPLE_SIDE) -> str:
    picture = open_picture(path)
    return data_uri(picture, side) if picture else ""


def _charts(history: History) -> Iterator[tuple[Markup, str]]:
    """(drawing, caption) of each chart that there is something to show in."""
    if history.losses:
        raw = Line("each step", [(p.step, p.loss) for p in history.losses], "faint", noisy=True)
        smoothed = Line("smoothed", [(p.step, p.loss) for p in history.smoothed], "first")
        start, end = history.smoothed[0].loss, history.smoothed[-1].loss
        title = f"Training loss by step, smoothed: from {start:.3g} to {end:.3g}"
        caption = "Each step draws its own noise, so single losses jump; the smoothed line is the one to read."
        if history.skipped_updates:
            caption += f" {history.skipped_updates} updates were skipped, their loss or gradients not being finite."
        yield draw_chart([raw, smoothed], title, "step", "training loss"), caption
    if history.probes:
        train = [(p.epoch, p.train) for p in history.probes]
        held_out = [(p.epoch, p.held_out) for p in history.probes if p.held_out is not None]
        lines = [Line("training", train, "first", dots=True)]
        lines += [Line("held out", held_out, "second", dots=True)] if held_out else []
        title = f"Probe loss by epoch, training: from {train[0][1]:.3g} to {train[-1][1]:.3g}"
        title += f", held out: from {held_out[0][1]:.3g} to {held_out[-1][1]:.3g}" if held_out else ""
        caption = "Measured at the same noise after every epoch. "
        caption += (
            "Where the held-out line turns up while the training line falls, the images are being memorised."
            if held_out
            else "No image was held out, so this cannot tell learning from memorising."
        )
        yield draw_chart(lines, title, "epoch", "probe loss"), caption


def _examples(history: History) -> Iterator[Example]:
    for row in history.manifest[:MOST_THUMBNAILS]:
        path = str(row.get("path") or row.get("id") or "")
        width, height = row.get("width"), row.get("height")
        yield Example(
            picture=_inlined(find_picture(history.folder, row.get("path")), THUMBNAIL_SIDE),
            reference=_inlined(find_picture(history.folder, first(row.get("references"))), THUMBNAIL_SIDE),
            name=path.replace("\\", "/").rpartition("/")[2],  # a mailed report need not tell whole paths
            caption=str(row.get("caption") or ""),
            size=f"{width}×{height}" if width and height else "",
            repeats=int(row.get("repeats") or 1),
            held_out=bool(row.get("held_out")),
        )


def _checkpoints(history: History) -> Iterator[Checkpoint]:
    probes = {probe.epoch: probe for probe in history.probes}
    for epoch, path in history.checkpoints.items():
        probe = probes.get(epoch)
        train = f"{probe.train:.4f}" if probe else ""
        held_out = f"{probe.held_out:.4f}" if probe and probe.held_out is not None else ""
        yield Checkpoint(epoch, path.name, f"{path.stat().st_size / 1e6:.2f} MB", train, held_out)
