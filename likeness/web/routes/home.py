"""The start page: what goes on, what has ended, the latest runs and pictures; and where to begin."""

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, HTMLResponse

from likeness.api.shapes import Opened, picture_file
from likeness.errors import NotFound
from likeness.studio import datasets, gallery, queue, run_summaries, starting, thumbnails
from likeness.studio.progress import FOLLOWER
from likeness.studio.workspace import Studio
from likeness.web.pages import go, page, part

router = APIRouter()
MOST_RUNS, MOST_PICTURES, MOST_ENDED = 8, 12, 5


@router.get("/")
def home(request: Request, studio: Opened) -> HTMLResponse:
    return page(request, "home.html", **_seen(studio))


@router.get("/home")
def home_again(request: Request, studio: Opened) -> HTMLResponse:
    """What may have changed on it."""
    return part(request, "home.html", "live", **_seen(studio))


@router.post("/start/{example}")
def start(request: Request, studio: Opened, example: str) -> Response:
    """Put an example's dataset in and go to it."""
    return go(request, f"/datasets/{starting.put_in(studio, example).id}")


@router.get("/start/{example}/{number}", response_class=FileResponse)
def show_example(studio: Opened, example: str, number: int) -> FileResponse:
    """One of an example's pictures, small; from 0."""
    found = next((e for e in starting.shipped() if e.name == example), None)
    pictures = starting.pictures(found) if found else []
    if not 0 <= number < len(pictures):
        raise NotFound(f"no picture {number} of an example '{example[:40]}'. Fix: reload the page")
    return picture_file(thumbnails.thumbnail(studio, pictures[number], 256))


def _seen(studio: Studio) -> dict[str, Any]:
    running = queue.listed(studio, states=["running"])
    waiting = queue.listed(studio, states=["queued"], limit=queue.MOST_WAITING)
    runs = run_summaries.listed(studio)
    pictures, _ = gallery.listed(studio, limit=MOST_PICTURES)
    _, sets = datasets.listed(studio, limit=1)
    return {
        "running": [(job, FOLLOWER.progress(job)) for job in running],
        "waiting": len(waiting),
        "just_seen": queue.ended_since(studio, 0, MOST_ENDED),
        "runs": runs[:MOST_RUNS],
        "more_runs": len(runs) > MOST_RUNS,
        "pictures": pictures,
        "empty": not (runs or pictures or sets or running or waiting),
        "examples": [(example, len(starting.pictures(example))) for example in starting.shipped()],
    }
