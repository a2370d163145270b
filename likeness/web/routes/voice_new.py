"""A voice cloned: recordings brought and looked at, mended, the clone asked for; and whether a sound is made speech."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import HTMLResponse

from likeness.api.shapes import Opened
from likeness.errors import InputError, NotFound
from likeness.report.history import mapping
from likeness.service.voices import SOUNDS
from likeness.store.tables import Job
from likeness.studio import queue, recordings, voice_engines, voices
from likeness.studio.progress import FOLLOWER
from likeness.studio.recordings import Purpose, Recording
from likeness.studio.voices import CloneRequest
from likeness.studio.workspace import Studio
from likeness.web.pages import by_field, go, page, part
from likeness.web.reading import PASSAGE

router = APIRouter(prefix="/voices")
MOST_RECENT = 20
ACCEPTED = ",".join(("audio/*", *SOUNDS))
MENDS = {
    "trim": "takes the silence out", "normalise": "evens the loudness", "resample": "brings it to 24 kHz, mono",
    "denoise": "takes noise away", "offset": "takes the constant off",
}  # fmt: skip
USUAL = {"name": "", "consent": "", "engine": "espeak", "language": "en-us", "base": "", "speaker": "", "whose": ""}

Text = Annotated[str, Form()]
Ids = Annotated[str, Form(alias="recordings", max_length=10_000)]  # with commas between
Texts = Annotated[list[str] | None, Form()]


@dataclass(frozen=True)
class Row:
    """One recording as pages show it. `instead_of`: the one that it is a mended copy of, where it has just come."""

    id: str
    name: str
    seconds: float | None
    checked: bool
    figures: dict[str, Any]
    findings: list[dict[str, Any]]
    mends: str  # what mending would do, in words; empty where there is nothing to mend
    mending: bool
    instead_of: str = ""


# --- the recordings of a form


@router.post("/recordings")
def show_recordings(
    request: Request, studio: Opened, ids: Ids = "", check: Text = "", mending: Texts = None
) -> HTMLResponse:
    """What is chosen, with what is wrong with it. What has not been listened to is from now on."""
    return part(request, "_voice_chosen.html", **chosen(studio, ids, check, mending or (), "instant"))


@router.post("/recordings/{recording_id}/mend")
def mend(
    request: Request, studio: Opened, recording_id: str, ids: Ids = "", check: Text = "", mending: Texts = None
) -> HTMLResponse:
    job = followed(studio, recordings.mend(studio, recording_id))
    going = [*(mending or ()), f"{recording_id}:{job.id}"]
    return part(request, "_voice_chosen.html", **chosen(studio, ids, check, going, "instant"))


@router.post("/recordings/{recording_id}/delete")
def delete_recording(studio: Opened, recording_id: str) -> Response:
    recordings.remove(studio, recording_id)
    return HTMLResponse("")


def chosen(
    studio: Studio, ids: str, check: str, mending: Sequence[str], purpose: Purpose, *, start: bool = True
) -> dict[str, Any]:
    """What the part with the chosen recordings shows. `ids` with commas between; `check`: the job that listens to them;
    `mending`: RECORDING:JOB each. `start`: have those listened to that nobody has listened to yet."""
    copies, open_mends, problems = _mended(studio, mending)
    rows = [row for row in (_row(studio, one, copies, open_mends, purpose) for one in split(ids)) if row]
    job = _job(studio, check)
    waiting = job is not None and job.state in queue.OPEN
    unheard = [row.id for row in rows if not row.checked]
    if job is not None and job.state in ("failed", "canceled") and unheard:
        problems.append(job.error or "The check was stopped. Fix: bring the recording again")
        unheard = []
    if unheard and not waiting and start:
        job, waiting = followed(studio, recordings.check(studio, unheard, purpose)), True
    return {
        "rows": rows,
        "check": job.id if job and (waiting or problems) else "",
        "checking": bool(unheard),
        "mending": [f"{old}:{job_id}" for old, job_id in open_mends.items()],
        "problems": problems,
    }


def followed(studio: Studio, job: Job) -> Job:
    """A job whose end the page shows by itself, in seconds: no mark and no toast tells of it besides."""
    if job.light:
        queue.change(studio, job.id, seen=True)
    return job


def split(ids: str) -> list[str]:
    return [one for one in dict.fromkeys(ids.split(",")) if one]


def _mended(studio: Studio, mending: Sequence[str]) -> tuple[dict[str, str], dict[str, str], list[str]]:
    """Copies that have come, by the recording that they are of; jobs that are at it; and what went wrong."""
    copies: dict[str, str] = {}
    at_work: dict[str, str] = {}
    problems: list[str] = []
    for pair in mending:
        old, _, job_id = pair.partition(":")
        job = _job(studio, job_id)
        if job is None:
            continue
        if job.state in queue.OPEN:
            at_work[old] = job.id
            continue
        if job.state == "finished":
            copies[old] = str((job.result or {}).get("recording") or old)
        else:
            problems.append(job.error or "Mending was stopped. Fix: try again")
    return copies, at_work, problems


def _job(studio: Studio, job_id: str) -> Job | None:
    try:
        return queue.get(studio, job_id) if job_id else None
    except NotFound:
        return None


def _row(
    studio: Studio, recording_id: str, copies: dict[str, str], open_mends: dict[str, str], purpose: Purpose
) -> Row | None:
    """None for a recording that was deleted."""
    now = copies.get(recording_id, recording_id)
    try:
        found = recordings.get(studio, now)
    except InputError:
        return None
    told = found.checked if found.checked.get("purpose") == purpose else {}
    findings = [mapping(f) for f in told.get("findings") or []]
    mends = [MENDS.get(str(f["mend"]), str(f["mend"])) for f in findings if f.get("mend")]
    words = ", ".join(dict.fromkeys(mends))
    return Row(
        id=found.id,
        name=found.name,
        seconds=found.seconds,
        checked=bool(told),
        figures=mapping(told.get("figures")),
        findings=findings,
        mends=words[:1].upper() + words[1:],
        mending=recording_id in open_mends,
        instead_of=recording_id if now != recording_id else "",
    )


def recent(studio: Studio, ids: str = "") -> list[Recording]:
    """Recordings that are here already, but those that are chosen."""
    taken = set(split(ids))
    return [one for one in recordings.recent(studio, MOST_RECENT) if one.id not in taken]


# --- the clone


@router.get("/new")
def show_new(
    request: Request, studio: Opened, named: Annotated[str, Query(alias="recordings", max_length=10_000)] = ""
) -> HTMLResponse:
    """The form, with the recordings that the address names."""
    shown = chosen(studio, named, "", (), "instant", start=False)
    ids = ",".join(row.id for row in shown["rows"])
    return page(request, "voice_new.html", recordings=ids, recent=recent(studio, ids), accept=ACCEPTED,
                passage=PASSAGE, **shown, **_filled(studio, USUAL))  # fmt: skip


def _filled(
    studio: Studio, filled: dict[str, str], errors: dict[str, str] | None = None, job: Job | None = None
) -> dict[str, Any]:
    return {
        "filled": filled,
        "errors": errors or {},
        "engines": voice_engines.engines(),
        "languages": [(one.code, one.name) for one in voice_engines.languages()],
        "job": job,
        "progress": FOLLOWER.progress(job) if job and job.state == "running" else None,
    }


@router.post("/new")
def clone(
    request: Request, studio: Opened, ids: Ids = "", name: Text = "", consent: Text = "",
    engine: Text = "espeak", language: Text = "en-us", base: Text = "", speaker: Text = "", whose: Text = "",
) -> HTMLResponse:  # fmt: skip
    """Have it cloned; what is wrong is told at its field."""
    filled = {"name": name, "consent": consent, "engine": engine, "language": language, "base": base,
              "speaker": speaker, "whose": whose}  # fmt: skip
    job, errors = None, dict[str, str]()
    try:
        if not split(ids):
            raise InputError("recordings: there is none yet. Fix: record something or drop a file, above")
        asked = CloneRequest(tuple(split(ids)), name.strip(), consent, engine, language,
                             base.strip() or None if engine == "pocket" else None)  # fmt: skip
        job = voices.clone(studio, asked)
    except InputError as e:
        errors = {field: words.replace('consent "', '"') for field, words in by_field(e).items()}  # no option here
    return part(request, "voice_new.html", "rest", **_filled(studio, filled, errors, job))


@router.get("/new/{job_id}")
def show_clone(request: Request, studio: Opened, job_id: str) -> Response:
    """How it stands; when the voice is there, its page."""
    job = queue.get(studio, job_id)
    if job.state in queue.ENDED:
        queue.mark_seen(studio, [job.id])
    if job.state == "finished" and (voice_id := (job.result or {}).get("voice_id")):
        return go(request, f"/voices/{voice_id}")
    progress = FOLLOWER.progress(job) if job.state == "running" else None
    return part(request, "_voice_making.html", job=job, progress=progress)


# --- made speech


@router.get("/verify")
def show_verify(request: Request) -> HTMLResponse:
    return page(request, "voice_verify.html", accept=ACCEPTED, job=None)


@router.post("/verify")
def verify(request: Request, studio: Opened, ids: Ids = "") -> HTMLResponse:
    job = followed(studio, recordings.verify(studio, split(ids)[-1])) if split(ids) else None
    return part(request, "_voice_verified.html", job=job)


@router.get("/verify/{job_id}")
def show_verified(request: Request, studio: Opened, job_id: str) -> HTMLResponse:
    return part(request, "_voice_verified.html", job=queue.get(studio, job_id))
