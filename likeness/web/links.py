"""Where the pages are of what a job is for."""

from likeness.store.tables import Job

_PAGES = {"run": "/runs/", "dataset": "/datasets/", "model": "/library/"}


def of_job(job: Job) -> str:
    """The page of a job's subject; where it has none, the job's own."""
    kind, _, name = job.subject.partition(":")
    return f"{_PAGES[kind]}{name}" if kind in _PAGES and name else f"/queue/{job.id}"
