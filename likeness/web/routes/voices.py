"""The library's voices, and the page of each: what it says, its consent, links to it."""

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import HTMLResponse

from likeness.api.shapes import Opened
from likeness.config.voice import ENGINES, SAMPLE, VoiceRecord
from likeness.errors import InputError
from likeness.store.tables import Voice
from likeness.studio import models, queue, shares, voices
from likeness.studio.voices import SayRequest
from likeness.studio.workspace import Studio
from likeness.web.pages import by_field, go, page, part
from likeness.web.routes.library import DAYS
from likeness.web.routes.voice_new import followed

router = APIRouter(prefix="/voices")
PAGE = 40  # voices at a time
MOST_SAID = 12  # texts at a time
SHOWN_TAGS = 24
Text = Annotated[str, Form()]


# --- the shelf


@router.get("")
def show_voices(
    request: Request,
    studio: Opened,
    search: Annotated[str, Query(max_length=500)] = "",
    tag: Annotated[str, Query(max_length=100)] = "",
    view: str = "",
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> HTMLResponse:
    """`view`: empty, 'archive' or 'bin'. To htmx the shelf alone; with an offset, what comes after so many voices."""
    found, total = voices.listed(studio, search, tag or None, view == "archive", view == "bin", PAGE, offset)
    given = [(key, value) for key, value in (("search", search), ("tag", tag), ("view", view)) if value]
    shown: dict[str, Any] = {
        "voices": found,
        "sounds": {voice.id: "sample" if _has_sample(studio, voice) else "reference" for voice in found},
        "total": total,
        "search": search,
        "tag": tag,
        "tags": list(voices.tags(studio).items())[:SHOWN_TAGS],
        "view": view,
        "bin_days": models.DAYS_IN_BIN,
        "more": f"/voices?{urlencode([*given, ('offset', offset + PAGE)])}" if offset + PAGE < total else "",
    }
    if offset:
        return part(request, "voices.html", "rows", **shown)
    if request.headers.get("HX-Request"):
        return part(request, "voices.html", "shelf", **shown)
    return page(request, "voices.html", **shown)


# --- one voice


@router.get("/{voice_id}")
def show_voice(request: Request, studio: Opened, voice_id: str) -> HTMLResponse:
    return page(request, "voice.html", **_voice(studio, voices.get(studio, voice_id, binned=True)))


def _voice(studio: Studio, voice: Voice) -> dict[str, Any]:
    record = voices.record(studio, voice)
    return {
        "voice": voice,
        "record": record,
        "facts": facts(voice, record),
        "has_sample": _has_sample(studio, voice),
        "sounds": ENGINES[record.engine].sounds,
        "links": shares.listed(studio, voice_id=voice.id),
        "days": DAYS,
        "bin_days": models.DAYS_IN_BIN,
    } | _said(studio, voice, 0)


def _has_sample(studio: Studio, voice: Voice) -> bool:
    """Whether there is a sentence that it says; else only the person can be heard."""
    return (studio.voices / voice.id / SAMPLE).is_file()


def facts(voice: Voice, record: VoiceRecord) -> list[tuple[str, str]]:
    """In words, for a person."""
    told = [("engine", ENGINES[record.engine].title), ("language", voice.language)]
    told.append(
        ("from", f"{record.reference.seconds:.0f} s of {'its recordings' if voice.run else record.reference.file}")
    )
    if pitch := record.figures.get("pitch_hz"):
        told.append(("pitch", f"{pitch:.0f} Hz on average"))
    if (error := record.figures.get("pitch_error_semitones")) is not None:
        told.append(("pitch of the clone", f"{error:.1f} semitones off"))
    return told


def _said(studio: Studio, voice: Voice, offset: int) -> dict[str, Any]:
    found, total = voices.spoken(studio, voice.id, MOST_SAID, offset)
    more = f"/voices/{voice.id}/speech?offset={offset + MOST_SAID}" if offset + MOST_SAID < total else ""
    return {"spoken": found, "more": more, "voice_name": voice.name}


def _again(request: Request, studio: Studio, voice: Voice, toast: str = "", **more: Any) -> HTMLResponse:
    """The whole of a voice's page, after something has changed."""
    return part(request, "voice.html", "voice", toast=toast, **(_voice(studio, voice) | more))


@router.post("/{voice_id}/edit")
def edit(
    request: Request, studio: Opened, voice_id: str, name: Text = "", description: Text = "", tags: Text = ""
) -> HTMLResponse:
    """Tags are separated by commas. What is wrong is told at its field, in the dialog that stays open."""
    try:
        voice = voices.change(studio, voice_id, name=name, description=description, tags=tags.split(","))
    except InputError as e:
        filled = {"name": name, "description": description, "tags": tags}
        return _again(request, studio, voices.get(studio, voice_id), filled=filled, errors=by_field(e))
    return _again(request, studio, voice, "Saved")


@router.post("/{voice_id}/duplicate")
def duplicate(request: Request, studio: Opened, voice_id: str) -> Response:
    return go(request, f"/voices/{voices.duplicate(studio, voice_id).id}")


@router.post("/{voice_id}/archive")
def archive(request: Request, studio: Opened, voice_id: str) -> HTMLResponse:
    """Into the archive, or out of it."""
    voice = voices.change(studio, voice_id, archived=not voices.get(studio, voice_id).archived)
    return _again(request, studio, voice, "In the archive" if voice.archived else "Back on the shelf")


@router.post("/{voice_id}/delete")
def delete(request: Request, studio: Opened, voice_id: str) -> HTMLResponse:
    return _again(request, studio, voices.delete(studio, voice_id))


@router.post("/{voice_id}/restore")
def restore(request: Request, studio: Opened, voice_id: str) -> HTMLResponse:
    return _again(request, studio, voices.restore(studio, voice_id), "Put back")


@router.post("/{voice_id}/remove")
def remove(request: Request, studio: Opened, voice_id: str) -> Response:
    voices.remove(studio, voice_id)
    return go(request, "/voices?view=bin")


# --- heard


@router.post("/{voice_id}/say")
def say(
    request: Request, studio: Opened, voice_id: str, text: Text = "", speed: Text = "1", strength: Text = "1",
    seed: Text = "0", format: Text = "wav", mark: Text = "",
) -> HTMLResponse:  # fmt: skip
    """What it will have said, to be put on top of the others."""
    numbers = {"speed": _number("speed", speed), "strength": _number("strength", strength)}
    asked = SayRequest(voice_id, text, seed=int(_number("seed", seed)), format=format, mark=bool(mark), **numbers)
    return show_speech(request, studio, voice_id, followed(studio, voices.say(studio, asked)).id)


def _number(field: str, text: str) -> float:
    try:
        return float(text or "0")
    except ValueError as e:
        raise InputError(f"{field}: '{text[:20]}' is no number. Fix: such as 1") from e


@router.get("/{voice_id}/speech")
def more_speech(
    request: Request, studio: Opened, voice_id: str, offset: Annotated[int, Query(ge=0, le=10**9)] = 0
) -> HTMLResponse:
    """What comes after so many."""
    voice = voices.get(studio, voice_id)
    return part(request, "voice.html", "spoken", voice=voice, **_said(studio, voice, offset))


@router.get("/{voice_id}/speech/{job_id}")
def show_speech(request: Request, studio: Opened, voice_id: str, job_id: str) -> HTMLResponse:
    """One text as it stands."""
    one = voices.speech(studio, job_id)
    if one.job.state in queue.ENDED:
        queue.mark_seen(studio, [one.job.id])
    return part(request, "_speech.html", one=one, voice_name=voices.get(studio, voice_id, binned=True).name)


@router.post("/speech/{job_id}/forget")
def forget(studio: Opened, job_id: str) -> HTMLResponse:
    voices.forget(studio, job_id)
    return HTMLResponse("")


# --- given away


@router.post("/{voice_id}/shares")
def share(request: Request, studio: Opened, voice_id: str, days: Annotated[float, Form()] = 7.0) -> HTMLResponse:
    """The link itself is in this answer and never again."""
    link = shares.share_voice(studio, voice_id, days)
    return _links(request, studio, voice_id, f"{str(request.base_url).rstrip('/')}{link.path}")


@router.post("/{voice_id}/shares/{share_id}/revoke")
def revoke(request: Request, studio: Opened, voice_id: str, share_id: str) -> HTMLResponse:
    shares.revoke(studio, share_id)
    return _links(request, studio, voice_id)


def _links(request: Request, studio: Studio, voice_id: str, made: str = "") -> HTMLResponse:
    links = shares.listed(studio, voice_id=voice_id)
    return part(request, "voice.html", "sharing", voice=voices.get(studio, voice_id), links=links, made=made, days=DAYS)
