"""A voice to be trained, on one page: recordings with what is said in them, consent, settings, plan, start."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse

from likeness.api.shapes import Opened
from likeness.errors import Conflict, InputError
from likeness.studio import recordings, run_names, voice_engines, voice_runs
from likeness.studio.workspace import Studio
from likeness.web import voice_form
from likeness.web.pages import by_field, go, page, part, said
from likeness.web.reading import SENTENCES
from likeness.web.routes.train import Sent
from likeness.web.routes.voice_new import ACCEPTED, chosen, followed, recent

router = APIRouter(prefix="/voices/train")


@router.get("")
def show_train(
    request: Request, studio: Opened, run: str = "",
    named: Annotated[str, Query(alias="recordings", max_length=100_000)] = "",
) -> HTMLResponse:  # fmt: skip
    """The form; filled in from an earlier run where one is named, and with the recordings that the address names."""
    filled = voice_form.fill(voice_runs.settings(studio, run) if run else {})
    ids = named or filled["recordings"]
    shown = _chosen(studio, ids, "", [], filled["texts"], start=False)
    ids = ",".join(row.id for row in shown["rows"])
    pocket = next(engine for engine in voice_engines.engines() if engine.name == "pocket")
    return page(
        request, "voice_train.html", filled=filled, origin=run, recordings=ids, recent=recent(studio, ids),
        accept=f"{ACCEPTED},.txt", sentences=SENTENCES, basic=voice_form.settings(voice_form.BASIC),
        advanced=voice_form.settings(voice_form.ADVANCED), missing=pocket.missing, **shown,
    )  # fmt: skip


@router.post("/recordings")
def show_recordings(request: Request, studio: Opened, sent: Sent) -> HTMLResponse:
    """The recordings with what is said in them, and what is wrong with them."""
    return part(request, "_voice_lessons.html", **_sent_back(studio, sent))


@router.post("/recordings/{recording_id}/mend")
def mend(request: Request, studio: Opened, recording_id: str, sent: Sent) -> HTMLResponse:
    job = followed(studio, recordings.mend(studio, recording_id, "trained"))
    going = [*sent.get("mending", []), f"{recording_id}:{job.id}"]
    return part(request, "_voice_lessons.html", **_sent_back(studio, sent | {"mending": going}))


def _sent_back(studio: Studio, sent: dict[str, list[str]]) -> dict[str, Any]:
    texts = {
        key.removeprefix(voice_form.TEXT): values[0]
        for key, values in sent.items()
        if key.startswith(voice_form.TEXT) and values
    }
    ids, check = ("".join(sent.get(name, [])[:1]) for name in ("recordings", "check"))
    return _chosen(studio, ids, check, sent.get("mending", []), texts)


def _chosen(
    studio: Studio, ids: str, check: str, mending: list[str], texts: dict[str, str], *, start: bool = True
) -> dict[str, Any]:
    """As `voice_new.chosen`, with what is said in each; a mended copy says what its original does."""
    shown = chosen(studio, ids, check, mending, "trained", start=start)
    rows = shown["rows"]
    told = {row.id: texts.get(row.id) or texts.get(row.instead_of, "") for row in rows}
    seconds = sum(row.seconds or 0 for row in rows)
    return shown | {"texts": told, "seconds": seconds, "missing_texts": sum(not text for text in told.values())}


@router.post("/plan")
def show_plan(request: Request, studio: Opened, sent: Sent) -> HTMLResponse:
    """What the run would be, or what is wrong and where."""
    context: dict[str, Any] = {"planned": None, "errors": {}, "waiting": "", "free_name": ""}
    values = voice_form.read(sent)
    if not values["recordings"]:
        context["waiting"] = "Record some sentences, or drop recordings."
    else:
        try:
            planned = voice_runs.plan(studio, values)
            context["planned"] = planned
            context["free_name"] = run_names.free_name(studio, planned.name) if planned.name_taken else ""
        except InputError as e:
            context["errors"] = by_field(e)
    return part(request, "_voice_plan.html", **context)


@router.post("/start")
def start(request: Request, studio: Opened, sent: Sent) -> Response:
    """Start exactly the plan that was shown."""
    values = voice_form.read(sent)
    try:
        voice_runs.start(studio, values, "".join(sent.get("digest", [])[:1]))
    except Conflict as e:
        return said(str(e), "error", status=409)
    return go(request, f"/runs/{values['name']}")
