"""What a run leaves: epochs, pictures, LoRAs to fetch, comparisons, measures."""

from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi import Path as PathPart
from fastapi.responses import FileResponse
from pydantic import Field

from likeness.api import streams
from likeness.api.routes.jobs import JobTold
from likeness.api.routes.models import ConvertedTold, layout_file, layout_told
from likeness.api.run_shapes import EpochTold, Name, RunTold
from likeness.api.shapes import Asked, Opened, Told, picture_file
from likeness.service.comparisons import View
from likeness.service.conversions import Layout
from likeness.service.evaluations import Protocol
from likeness.studio import comparing, layouts, run_files, runs, thumbnails
from likeness.studio.comparing import Compared
from likeness.studio.workspace import Studio

router = APIRouter(prefix="/runs/{name}", tags=["runs"])
Epoch = Annotated[int, Field(ge=0, le=10**6)]
EpochPart = Annotated[int, PathPart(ge=0, le=10**6)]
Size = Annotated[int | None, Query(description="Side of a small copy in pixels: 128, 256, 512 or 1024.")]
# A report is a page that somebody's captions are in: it may draw and sound what it holds, and nothing else.
_REPORT = (
    "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "sandbox allow-scripts"
)


class EpochsTold(Told):
    epochs: list[EpochTold]
    chosen: int | None
    suggested: int | None


class Choice(Asked):
    epoch: Epoch | None = Field(description="null takes the choice back.")


class UseAsked(Asked):
    lora: str = Field(description="run:NAME/EPOCH or model:ID")
    strength: Annotated[float, Field(ge=-4, le=4)] = 1.0


class ViewAsked(Asked):
    """What is compared. Empty: epochs, all; strengths, as trained; prompts, the run's own."""

    epochs: list[Epoch] = Field(default=[])
    strengths: list[Annotated[float, Field(ge=-4, le=4)]] = Field(default=[])
    seeds: Annotated[int, Field(ge=1, le=64, description="Pictures for each prompt.")] = 1
    prompts: list[str] = Field(default=[], description="Numbers of test prompts such as '1,3', or new prompts.")
    loras: list[UseAsked] = Field(default=[])


class CompareAsked(ViewAsked):
    draw: bool = Field(default=False, description="Queue a job that draws what is missing.")


class RowTold(Told):
    prompt: str
    seed: int


class CellTold(Told):
    column: int
    row: int
    path: str | None = Field(description="For /runs/NAME/pictures/PATH; null where it is yet to be drawn.")


class ComparedTold(Told):
    columns: list[str]
    rows: list[RowTold]
    cells: list[CellTold]
    missing: int
    job: JobTold | None


class ViewTold(Told):
    name: str
    epochs: list[int]
    strengths: list[float]
    seeds: int
    prompts: list[str]


class ViewsTold(Told):
    views: list[ViewTold]


class EvaluateAsked(Asked):
    """Without epochs, the recommended one; prompts as in comparisons."""

    strengths: list[Annotated[float, Field(gt=0, le=4)]] = Field(default=[0.6, 0.8, 1.0])
    seeds: Annotated[int, Field(ge=1, le=64)] = 4
    epochs: list[Epoch] = Field(default=[])
    prompts: list[str] = Field(default=[])
    encoder: str | None = None


class EvaluatedTold(Told):
    evaluations: list[dict[str, Any]] = Field(description="By epoch; `grid` is a path for /runs/NAME/pictures/PATH.")


class ScoreAsked(Asked):
    encoder: str | None = Field(default=None, description="Other than the run's.")
    seeds: Annotated[int | None, Field(ge=1, le=64)] = None
    against: Name | None = Field(default=None, description="Another run, to say which learned better.")


# --- epochs and files


@router.get("/epochs")
def list_epochs(studio: Opened, name: str) -> EpochsTold:
    found = runs.view(studio, name)
    return EpochsTold(
        epochs=[EpochTold.model_validate(e) for e in found.epochs],
        chosen=found.summary.chosen_epoch,
        suggested=found.summary.suggested_epoch,
    )


@router.put("/choice")
def choose_epoch(studio: Opened, name: str, asked: Choice) -> RunTold:
    """Note which epoch to take."""
    runs.choose(studio, name, asked.epoch)
    return RunTold.model_validate(runs.summary_of(studio, name))


@router.get("/epochs/{epoch}/file", response_class=FileResponse)
def get_epoch_file(studio: Opened, name: str, epoch: EpochPart, layout: Layout = "diffusers") -> FileResponse:
    """The LoRA of an epoch: as it was trained, or in a layout that was asked for before and is ready."""
    path = run_files.checkpoint(studio, name, epoch)
    if layout == "diffusers":
        return streams.saved(path, f"{name}-epoch-{epoch:03d}.safetensors")
    return layout_file(studio, f"run:{name}/{epoch}", layout)


@router.get("/epochs/{epoch}/layouts/{layout}")
def get_epoch_layout(studio: Opened, name: str, epoch: EpochPart, layout: Layout) -> ConvertedTold:
    """Whether it can be fetched in a layout: none (not asked for), made (being made), ready, or failed."""
    run_files.checkpoint(studio, name, epoch)
    return layout_told(layout, layouts.converted(studio, f"run:{name}/{epoch}", layout))


@router.post("/epochs/{epoch}/layouts/{layout}", status_code=202)
def make_epoch_layout(studio: Opened, name: str, epoch: EpochPart, layout: Layout) -> ConvertedTold:
    """Have it made in a layout, unless it is there or on its way."""
    run_files.checkpoint(studio, name, epoch)
    return layout_told(layout, layouts.convert(studio, f"run:{name}/{epoch}", layout))


@router.get("/pictures/{path:path}", response_class=FileResponse)
def get_picture(studio: Opened, name: str, path: str, size: Size = None) -> FileResponse:
    """A picture of the run; with `size`, a small WebP copy."""
    return _shown(studio, run_files.picture(studio, name, path), size)


@router.get("/prompts/{index}/reference", response_class=FileResponse)
def get_reference(studio: Opened, name: str, index: int, size: Size = None) -> FileResponse:
    """The source picture of an edit's test prompt, from 1."""
    return _shown(studio, run_files.reference(studio, name, index), size)


@router.get("/report", response_class=FileResponse)
def get_report(studio: Opened, name: str) -> FileResponse:
    """The run's report: one page that holds all it shows."""
    headers = {"Content-Security-Policy": _REPORT, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}
    return FileResponse(run_files.report(studio, name), media_type="text/html", headers=headers)


@router.get("/grid", response_class=FileResponse)
def get_grid(studio: Opened, name: str) -> FileResponse:
    """Test pictures by epoch and prompt, as one picture."""
    return picture_file(run_files.grid(studio, name))


def _shown(studio: Studio, path: Path, size: int | None) -> FileResponse:
    return picture_file(thumbnails.thumbnail(studio, path, size) if size else path)


# --- comparisons


@router.post("/comparisons")
def compare(studio: Opened, name: str, asked: CompareAsked) -> ComparedTold:
    """Lay out pictures by columns (epochs, strengths, other LoRAs) and rows (prompts and seeds)."""
    return _compared(comparing.compare(studio, name, _view(studio, asked), draw=asked.draw))


@router.get("/views")
def list_views(studio: Opened, name: str) -> ViewsTold:
    """Comparisons that were saved."""
    return ViewsTold(views=[_view_told(title, view) for title, view in comparing.views(studio, name)])


@router.put("/views/{title}")
def save_view(studio: Opened, name: str, title: str, asked: ViewAsked) -> ViewTold:
    """Keep a comparison under a name."""
    view = _view(studio, asked)
    comparing.save_view(studio, name, title, view)
    return _view_told(title, view)


@router.get("/views/{title}")
def open_view(studio: Opened, name: str, title: str) -> ComparedTold:
    """A saved comparison, laid out."""
    return _compared(comparing.compare(studio, name, comparing.load_view(studio, name, title)))


@router.delete("/views/{title}", status_code=204)
def delete_view(studio: Opened, name: str, title: str) -> None:
    comparing.delete_view(studio, name, title)


def _view(studio: Studio, asked: ViewAsked) -> View:
    loras = comparing.uses(studio, [(use.lora, use.strength) for use in asked.loras])
    return View(tuple(asked.epochs), tuple(asked.strengths), asked.seeds, tuple(asked.prompts), loras)


def _view_told(title: str, view: View) -> ViewTold:
    return ViewTold(name=title, epochs=list(view.epochs), strengths=list(view.strengths), seeds=view.seeds,
                    prompts=list(view.prompts))  # fmt: skip


def _compared(found: Compared) -> ComparedTold:
    return ComparedTold(
        columns=found.columns,
        rows=[RowTold(prompt=prompt, seed=seed) for prompt, seed in found.rows],
        cells=[CellTold.model_validate(cell) for cell in found.cells],
        missing=found.missing,
        job=JobTold.model_validate(found.job) if found.job else None,
    )


# --- measures


@router.post("/evaluations", status_code=202)
def evaluate(studio: Opened, name: str, asked: EvaluateAsked) -> JobTold:
    """Draw the test prompts at several strengths and seeds, measure them, and suggest a strength."""
    protocol = Protocol(tuple(asked.strengths), asked.seeds, tuple(asked.epochs), tuple(asked.prompts), asked.encoder)
    return JobTold.model_validate(comparing.evaluate(studio, name, protocol))


@router.get("/evaluations")
def list_evaluations(studio: Opened, name: str) -> EvaluatedTold:
    return EvaluatedTold(evaluations=comparing.evaluated(studio, name))


@router.post("/scorecard", status_code=202)
def score(studio: Opened, name: str, asked: ScoreAsked) -> JobTold:
    """Measure the epochs again: with another encoder, more seeds, or against another run."""
    job = comparing.score(studio, name, encoder=asked.encoder, seeds=asked.seeds, against=asked.against)
    return JobTold.model_validate(job)
