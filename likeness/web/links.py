"""Where the page is of what a job is for."""

from likeness.store.tables import Job
from likeness.studio.notices import page_of


def of_job(job: Job) -> str:
    """As in a notice of its end; but where it is for nothing that has a page, the job's own."""
    found = page_of(job, "")
    return f"/queue/{job.id}" if found == "/queue" else found
