"""What voices have said: jobs of the queue, each with one sound file, `jobs/ID/speech.EXT`."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import func, select, update

from likeness.dataset.wording import one_line
from likeness.errors import NotFound
from likeness.report.history import mapping
from likeness.service.voices import WRITES
from likeness.store.tables import Job
from likeness.studio import queue
from likeness.studio.supervisor import Ending
from likeness.studio.workspace import Studio

VERB, SUBJECT, FORGOTTEN = "voice-say", "voice:", "forgotten speech"
FORMATS = tuple(suffix.removeprefix(".") for suffix in WRITES)
_OPTION = re.compile(r"--([a-z]+)")


@dataclass(frozen=True)
class Speech:
    """`voice`: the voice's id; `path`: the sound, None while it is not there."""

    job: Job
    voice: str
    text: str
    path: Path | None
    format: str

    @property
    def request(self) -> dict[str, Any]:
        """As it was asked for: text, speed, strength, seed, format and mark."""
        return mapping(self.job.extra.get("request"))

    @property
    def sound(self) -> Path:
        """Raises NotFound where it is not there."""
        if self.path is None:
            raise NotFound(f"speech: nothing is to be heard ({self.job.state}). Fix: wait for it, or ask for it again")
        return self.path


def sound_path(studio: Studio, job_id: str, format_: str) -> Path:
    return studio.jobs / job_id / f"speech.{format_}"


def of_job(studio: Studio, job: Job) -> Speech:
    """What became of a job that had something said."""
    asked = mapping(job.extra.get("request"))
    format_ = str(asked.get("format") or "wav")
    path = sound_path(studio, job.id, format_)
    there = job.state == "finished" and path.is_file()
    return Speech(
        job, job.subject.removeprefix(SUBJECT), str(asked.get("text") or ""), path if there else None, format_
    )


def get(studio: Studio, job_id: str) -> Speech:
    """Raises NotFound where nothing was said by that id, or it was forgotten."""
    with studio.database.reading() as session:
        job = session.get(Job, job_id)
    if job is None or job.verb != VERB or not job.subject.startswith(SUBJECT):
        raise NotFound(f"speech: there is none '{one_line(job_id)[:40]}'. Fix: take an id from the voice's list")
    return of_job(studio, job)


def listed(studio: Studio, voice_id: str, limit: int = 20, offset: int = 0) -> tuple[list[Speech], int]:
    """What a voice said, newest first, and how much there is in all."""
    where = (Job.verb == VERB, Job.subject == f"{SUBJECT}{voice_id}")
    with studio.database.reading() as session:
        total = session.scalar(select(func.count()).select_from(Job).where(*where)) or 0
        query = select(Job).where(*where).order_by(Job.created.desc(), Job.id).offset(offset).limit(limit)
        return [of_job(studio, job) for job in session.scalars(query)], total


def forget(studio: Studio, job_id: str) -> Speech:
    """Take away the sound and the words, for good; what still runs is canceled. Raises NotFound."""
    found = get(studio, job_id)
    if found.job.state in queue.OPEN:
        queue.ask_to_stop(studio, job_id, "canceled")
    values = {"subject": FORGOTTEN, "title": "A sentence that was forgotten", "extra": {}}
    with studio.database.session() as session:
        session.execute(update(Job).where(Job.id == job_id).values(**values))
    if queue.get(studio, job_id).state in queue.ENDED:
        shutil.rmtree(studio.jobs / job_id, ignore_errors=True)
    return found


def forget_all(studio: Studio, voice_id: str) -> None:
    """Everything that a voice said."""
    while found := listed(studio, voice_id, 100)[0]:
        for one in found:
            forget(studio, one.job.id)


def take(studio: Studio, job: Job, result: dict[str, Any]) -> dict[str, Any] | None:
    """The end of a job 'voice-say': told without the place of the file, and in the words of fields."""
    path = Path(str(result["path"]))
    if queue.get(studio, job.id).subject == FORGOTTEN:
        shutil.rmtree(path.parent, ignore_errors=True)
        return {"path": None}
    return {"path": path.name, "notes": [_OPTION.sub(r"\1", str(note)) for note in result.get("notes") or []]}


ENDINGS: dict[str, Ending] = {VERB: take}
