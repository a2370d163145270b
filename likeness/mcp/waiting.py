"""Waiting for jobs, with word of how far they are."""

import time
from collections.abc import Awaitable, Callable

import anyio
from anyio import to_thread

from likeness.mcp.shapes import JobSeen
from likeness.store.tables import Job
from likeness.studio import queue
from likeness.studio.progress import FOLLOWER
from likeness.studio.workspace import Studio

POLL_SECONDS = 0.5
MOST_SECONDS = 600.0
Report = Callable[[float, float | None, str | None], Awaitable[None]]  # done, total, words
GOING = ("queued", "running")


def job_seen(job: Job) -> JobSeen:
    """A job with how far it is."""
    seen = JobSeen.model_validate(job)
    if job.state == "running":
        progress = FOLLOWER.progress(job)
        seen.progress, seen.done, seen.total = progress.words, progress.done, progress.total
        seen.eta_seconds = progress.eta
    return seen


async def wait(
    studio: Studio, job_id: str, seconds: float, report: Report, enough: Callable[[], bool] = lambda: False
) -> JobSeen:
    """Until the job goes no further, `enough` says so, or the time is over. Raises NotFound."""
    end = time.monotonic() + min(seconds, MOST_SECONDS)
    told: tuple[str, int] | None = None

    def look() -> tuple[JobSeen, bool]:
        seen = job_seen(queue.get(studio, job_id))
        return seen, seen.state not in GOING or enough()

    while True:
        seen, done = await to_thread.run_sync(look)
        if (seen.progress or seen.state, seen.done) != told:
            told = (seen.progress or seen.state, seen.done)
            await report(float(seen.done), float(seen.total) if seen.total else None, seen.progress or seen.state)
        if done or time.monotonic() >= end:
            return seen
        await anyio.sleep(min(POLL_SECONDS, max(0.01, end - time.monotonic())))
