"""Jobs: what waits, runs and has ended."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import Field

from likeness.api.shapes import Asked, Opened, Told
from likeness.studio import queue

router = APIRouter(prefix="/jobs", tags=["jobs"])


class JobTold(Told):
    id: str
    verb: str
    title: str
    subject: str
    state: queue.State
    priority: int
    device: str | None
    attempts: int
    error: str | None
    result: dict[str, object] | None
    created: float
    started: float | None
    ended: float | None
    seen: bool


class JobsTold(Told):
    jobs: list[JobTold]
    unseen: int  # jobs that ended and that nobody has looked at


class JobChange(Asked):
    priority: int | None = None
    before: str | None = None  # id of the waiting job that it should run before
    last: bool = False  # to the end of the queue


class Stop(Asked):
    become: Literal["paused", "canceled"] = "canceled"


class Seen(Asked):
    jobs: list[str] = Field(default=[], description="Ids; none for all.")


@router.get("")
def list_jobs(
    studio: Opened,
    state: Annotated[list[queue.State] | None, Query()] = None,
    subject: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> JobsTold:
    """Those that run, those that wait in their order, then the others, newest first."""
    jobs = queue.listed(studio, states=state or (), subject=subject, limit=limit, offset=offset)
    return JobsTold(jobs=[JobTold.model_validate(job) for job in jobs], unseen=queue.unseen(studio))


@router.get("/{job_id}")
def get_job(studio: Opened, job_id: str) -> JobTold:
    return JobTold.model_validate(queue.get(studio, job_id))


@router.patch("/{job_id}")
def change_job(studio: Opened, job_id: str, asked: JobChange) -> JobTold:
    """Change a waiting job's priority or its place."""
    if asked.priority is not None:
        queue.prioritise(studio, job_id, asked.priority)
    if asked.before is not None or asked.last:
        queue.move(studio, job_id, asked.before)
    return JobTold.model_validate(queue.get(studio, job_id))


@router.post("/{job_id}/stop")
def stop_job(studio: Opened, job_id: str, asked: Stop) -> JobTold:
    """Ask a job to save and end; asked a second time it ends at once."""
    return JobTold.model_validate(queue.ask_to_stop(studio, job_id, asked.become))


@router.post("/{job_id}/resume")
def resume_job(studio: Opened, job_id: str) -> JobTold:
    """Queue a paused, failed or canceled job again; it goes on where it was."""
    return JobTold.model_validate(queue.queue_again(studio, job_id))


@router.post("/seen", status_code=204)
def mark_jobs_seen(studio: Opened, asked: Seen) -> None:
    """Take the mark from jobs that ended."""
    queue.mark_seen(studio, asked.jobs)
