"""The queue: what runs, waits and has ended; and the tasks menu in every page's header."""

from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse

from likeness.api.shapes import Opened
from likeness.service.workers import last_words
from likeness.store.tables import Job
from likeness.studio import queue
from likeness.studio.progress import FOLLOWER
from likeness.studio.workspace import Studio
from likeness.web.pages import page, part

router = APIRouter()
MOST_ENDED, MOST_TASKS = 50, 12


@router.get("/queue")
def show_queue(request: Request, studio: Opened) -> HTMLResponse:
    return page(request, "queue.html", **_listed(studio))


@router.get("/queue/list")
def list_queue(request: Request, studio: Opened) -> HTMLResponse:
    """The list alone, asked for again and again while it is looked at."""
    return part(request, "_queue.html", **_listed(studio))


@router.get("/queue/{job_id}")
def show_job(request: Request, studio: Opened, job_id: str) -> HTMLResponse:
    """One job, with the end of its log. That it ended has been seen then."""
    job = queue.get(studio, job_id)
    if job.state in queue.ENDED and not job.seen:
        queue.mark_seen(studio, [job_id])
    return page(request, "job.html", **_told(job))


@router.get("/queue/{job_id}/state")
def show_job_state(request: Request, studio: Opened, job_id: str) -> HTMLResponse:
    return part(request, "job.html", "state", **_told(queue.get(studio, job_id)))


@router.post("/queue/{job_id}/stop")
def stop(
    request: Request, studio: Opened, job_id: str, become: Annotated[Literal["paused", "canceled"], Form()]
) -> HTMLResponse:
    return _changed(request, studio, queue.ask_to_stop(studio, job_id, become))


@router.post("/queue/{job_id}/resume")
def resume(request: Request, studio: Opened, job_id: str) -> HTMLResponse:
    return _changed(request, studio, queue.queue_again(studio, job_id))


@router.post("/queue/{job_id}/move")
def move(request: Request, studio: Opened, job_id: str, before: Annotated[str, Form()] = "") -> HTMLResponse:
    """Before another waiting job; without one, to the end."""
    queue.move(studio, job_id, before or None)
    return list_queue(request, studio)


@router.post("/queue/{job_id}/priority")
def prioritise(request: Request, studio: Opened, job_id: str, priority: Annotated[int, Form()]) -> HTMLResponse:
    queue.prioritise(studio, job_id, priority)
    return list_queue(request, studio)


@router.post("/queue/seen")
def mark_seen(request: Request, studio: Opened) -> HTMLResponse:
    queue.mark_seen(studio)
    return list_queue(request, studio)


@router.get("/tasks")
def tasks(request: Request, studio: Opened) -> HTMLResponse:
    """What the tasks menu holds. Its marks are shown this once: opening it is looking."""
    jobs = queue.listed(studio, limit=MOST_TASKS)
    answer = part(
        request,
        "_tasks.html",
        jobs=[(job, FOLLOWER.progress(job) if job.state == "running" else None) for job in jobs],
    )
    queue.mark_seen(studio)
    return answer


@router.get("/tasks/button")
def tasks_button(request: Request, studio: Opened, since: float) -> HTMLResponse:
    """The button with its mark, and a toast for each job that ended after `since`, in seconds since 1970."""
    ended = queue.ended_since(studio, since)
    latest = max((job.ended or 0.0 for job in ended), default=since)
    return part(request, "_tasks_button.html", unseen=queue.unseen(studio), since=latest, just_ended=ended)


def _listed(studio: Studio) -> dict[str, Any]:
    jobs = queue.listed(studio, states=queue.OPEN, limit=queue.MOST_WAITING)
    return {
        "running": [(job, FOLLOWER.progress(job)) for job in jobs if job.state == "running"],
        "waiting": [job for job in jobs if job.state == "queued"],
        "paused": [job for job in jobs if job.state == "paused"],
        "ended": sorted(queue.listed(studio, states=queue.ENDED, limit=MOST_ENDED), key=lambda job: -(job.ended or 0)),
        "unseen": queue.unseen(studio),
    }


def _told(job: Job) -> dict[str, Any]:
    progress = FOLLOWER.progress(job) if job.state == "running" else None
    return {"job": job, "progress": progress, "log": last_words(Path(job.folder))}


def _changed(request: Request, studio: Studio, job: Job) -> HTMLResponse:
    """The list, or the part of the job's own page that the button was in."""
    if request.headers.get("HX-Target", "").endswith("#job"):
        return part(request, "job.html", "state", **_told(job))
    return list_queue(request, studio)
