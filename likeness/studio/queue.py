"""The queue: jobs wait, are claimed one at a time, and end. A process of its own does the work (see `supervisor`).

States: queued → running → finished | failed | paused | canceled. A paused job goes back to queued; so may a failed or
canceled one, where its work can be taken up again.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from likeness.errors import Conflict, NotFound
from likeness.service.workers import Order
from likeness.store.tables import Job, new_id
from likeness.studio.workspace import Studio

State = Literal["queued", "running", "paused", "finished", "failed", "canceled"]
OPEN: tuple[State, ...] = ("queued", "running", "paused")
ENDED: tuple[State, ...] = ("finished", "failed", "canceled")
MOST_WAITING = 1000  # jobs; more are a mistake of whoever calls


@dataclass(frozen=True)
class Entry:
    """A job to be. `subject` is what it is for: 'run:NAME', 'dataset:ID', 'model:ID' …; `extra` is kept for its end.

    `light`: it needs no device (captions from a server, a merge of files), so it does not wait for one.
    """

    title: str
    subject: str = ""
    extra: dict[str, Any] = field(default_factory=dict[str, Any])
    light: bool = False
    priority: int = 0


def submit(studio: Studio, order: Order, entry: Entry, job_id: str | None = None) -> Job:
    """Queue an order; it gets a folder of its own, `jobs/ID/`. Raises Conflict where too many wait already.

    `job_id`: where the order had to name files in that folder before.
    """
    job_id = job_id or new_id()
    folder = order.write(studio.jobs / job_id)
    return _add(studio, job_id, order.verb, folder, entry)


def submit_training(
    studio: Studio, run: Path, entry: Entry, verb: Literal["train", "mock", "voice-train"] = "train"
) -> Job:
    """Queue a run folder for training, or for going on with it. Raises Conflict where it is in the queue already."""
    return _add(studio, new_id(), verb, run, entry)


def _add(studio: Studio, job_id: str, verb: str, folder: Path, entry: Entry) -> Job:
    (studio.jobs / job_id).mkdir(parents=True, exist_ok=True)
    with studio.database.session() as session:
        waiting = session.scalar(select(func.count()).select_from(Job).where(Job.state == "queued")) or 0
        if waiting >= MOST_WAITING:
            raise Conflict(f"the queue is full: {waiting} jobs wait. Fix: cancel some, or wait")
        there = select(Job).where(Job.folder == str(folder), Job.state.in_(OPEN))
        if twin := session.scalar(there):
            raise Conflict(f"{twin.title}: is in the queue already ({twin.state}). Fix: wait for it, or cancel it")
        job = Job(
            id=job_id,
            verb=verb,
            title=entry.title,
            folder=str(folder),
            subject=entry.subject,
            extra=entry.extra,
            light=entry.light,
            priority=entry.priority,
            position=_last_position(session) + 1,
        )
        session.add(job)
    studio.woken.set()
    return job


def _last_position(session: Session) -> float:
    return session.scalar(select(func.max(Job.position))) or 0.0


def get(studio: Studio, job_id: str) -> Job:
    """Raises NotFound where there is no such job."""
    with studio.database.reading() as session:
        job = session.get(Job, job_id)
    if job is None:
        raise NotFound(f"no job '{job_id}'. Fix: take an id from the list of jobs")
    return job


def listed(
    studio: Studio,
    *,
    states: Sequence[str] = (),
    subject: str | None = None,
    verb: str | None = None,
    limit: int = 100,
    offset: int = 0,
) -> list[Job]:
    """Jobs: those that run, then those that wait in their order, then the others, newest first."""
    rank = {"running": 0, "queued": 1, "paused": 2}
    query = select(Job)
    if states:
        query = query.where(Job.state.in_(states))
    if subject is not None:
        query = query.where(Job.subject == subject)
    if verb is not None:
        query = query.where(Job.verb == verb)
    open_first = Job.state.in_(OPEN).desc()
    with studio.database.reading() as session:
        found = list(session.scalars(query.order_by(open_first, Job.created.desc()).offset(offset).limit(limit)))
    return sorted(
        found, key=lambda j: (rank.get(j.state, 3), -j.priority, j.position) if j.state in OPEN else (3, 0, -j.created)
    )


def claim(studio: Studio, device: str, *, light: bool) -> Job | None:
    """Take the job whose turn it is: one statement, so no two supervisors ever get the same one."""
    turn = (
        select(Job.id)
        .where(Job.state == "queued", Job.light == light)
        .order_by(Job.priority.desc(), Job.position)
        .limit(1)
        .scalar_subquery()
    )
    taken = (
        update(Job)
        .where(Job.id == turn, Job.state == "queued")
        .values(
            state="running",
            device=device,
            attempts=Job.attempts + 1,
            started=func.coalesce(Job.started, time.time()),
            ended=None,
            error=None,
            stopping=None,
            stops_asked=0,
            stops_sent=0,
        )
        .returning(Job)
    )
    with studio.database.session() as session:
        return session.scalar(taken)


def change(studio: Studio, job_id: str, **values: Any) -> None:
    """Set columns of a job."""
    with studio.database.session() as session:
        session.execute(update(Job).where(Job.id == job_id).values(**values))


def ask_to_stop(studio: Studio, job_id: str, become: Literal["paused", "canceled"]) -> Job:
    """A waiting job becomes that at once; a running one is asked to save and end, and becomes it then.

    Asked for a second time, a running job ends without saving. Raises Conflict where it has ended.
    """
    with studio.database.session() as session:
        job = session.get(Job, job_id)
        if job is None:
            raise NotFound(f"no job '{job_id}'. Fix: take an id from the list of jobs")
        if job.state in ENDED:
            raise Conflict(f"{job.title}: has ended ({job.state}). Fix: there is nothing to stop")
        if job.state == "running":
            job.stopping, job.stops_asked = become, job.stops_asked + 1
        else:
            job.state, job.ended = become, None if become == "paused" else time.time()
    studio.woken.set()
    return job


def queue_again(studio: Studio, job_id: str) -> Job:
    """Put a paused, failed or canceled job back at the end of the queue. Raises Conflict for another."""
    with studio.database.session() as session:
        job = session.get(Job, job_id)
        if job is None:
            raise NotFound(f"no job '{job_id}'. Fix: take an id from the list of jobs")
        if job.state not in ("paused", "failed", "canceled"):
            raise Conflict(f"{job.title}: is {job.state}. Fix: only what is paused, failed or canceled goes on")
        if session.scalar(select(Job).where(Job.folder == job.folder, Job.state.in_(("queued", "running")))):
            raise Conflict(f"{job.title}: is in the queue already. Fix: wait for it, or cancel it")
        job.state, job.attempts, job.error, job.ended, job.seen = "queued", 0, None, None, False
        job.position = _last_position(session) + 1
    studio.woken.set()
    return job


def move(studio: Studio, job_id: str, before: str | None) -> None:
    """Let a waiting job run before another waiting one, with its priority; None: after all others.

    Raises Conflict where one of them does not wait.
    """
    with studio.database.session() as session:
        waiting = list(session.scalars(
            select(Job).where(Job.state == "queued").order_by(Job.priority.desc(), Job.position)))  # fmt: skip
        by_id = {job.id: job for job in waiting}
        for asked in (job_id, before):
            if asked is not None and asked not in by_id:
                raise Conflict(f"job '{asked}' does not wait. Fix: only jobs in the queue can be moved")
        job = by_id[job_id]
        if before is None:
            job.priority, job.position = waiting[-1].priority, _last_position(session) + 1
            return
        if before == job_id:
            return
        others = [j for j in waiting if j is not job]
        place = others.index(by_id[before])
        target = others[place]
        ahead = others[place - 1] if place and others[place - 1].priority == target.priority else None
        job.priority = target.priority
        job.position = (ahead.position + target.position) / 2 if ahead else target.position - 1


def prioritise(studio: Studio, job_id: str, priority: int) -> Job:
    """Raises NotFound where there is no such job."""
    get(studio, job_id)
    change(studio, job_id, priority=priority)
    return get(studio, job_id)


def mark_seen(studio: Studio, job_ids: Sequence[str] = ()) -> None:
    """A person has seen how these jobs ended; without ids, all."""
    query = update(Job).where(Job.state.in_(ENDED)).values(seen=True)
    with studio.database.session() as session:
        session.execute(query.where(Job.id.in_(job_ids)) if job_ids else query)


def unseen(studio: Studio) -> int:
    """How many jobs ended that nobody has looked at."""
    with studio.database.reading() as session:
        query = select(func.count()).select_from(Job).where(Job.state.in_(("finished", "failed")), Job.seen.is_(False))
        return session.scalar(query) or 0


def ended_since(studio: Studio, moment: float, limit: int = 20) -> list[Job]:
    """Jobs that finished or failed after a moment (seconds since 1970) and that nobody has looked at, oldest first."""
    query = select(Job).where(Job.ended > moment, Job.state.in_(("finished", "failed")), Job.seen.is_(False))
    with studio.database.reading() as session:
        return list(session.scalars(query.order_by(Job.ended).limit(limit)))
