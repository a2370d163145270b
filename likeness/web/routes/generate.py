"""Generate: pictures drawn with LoRAs, as they appear; the history; single pictures."""

from dataclasses import asdict, replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData

from likeness.api.routes.models import pin_picture
from likeness.api.shapes import Opened
from likeness.catalog import CARDS
from likeness.errors import InputError
from likeness.store.tables import Model, Picture
from likeness.studio import examples, gallery, generations, library, lora_choice, models
from likeness.studio.generations import Generation, GenerationRequest
from likeness.studio.library import Filter
from likeness.studio.lora_choice import Chosen, LoraChoice
from likeness.studio.progress import FOLLOWER
from likeness.studio.workspace import Studio
from likeness.web.pages import by_field, page, part, said

router = APIRouter(prefix="/generate")
PAGE = 12  # generations at a time
MOST_SHOWN_PICTURES = 60
MOST_OFFERED = 8  # LoRAs in the list of those that can be added
USUAL = GenerationRequest("")


@router.get("")
def show_generate(
    request: Request,
    studio: Opened,
    model: str = "",
    example: str = "",
    lora: str = "",
    job: str = "",
    picture: str = "",
    reference: str = "",
    prompt: Annotated[str, Query(max_length=10_000)] = "",
) -> HTMLResponse:
    """The form as it was left, or filled in from a model or its example, a generation, a picture, or a LoRA."""
    asked = USUAL
    if job:
        asked = generations.request_of(studio, job)
    elif picture:
        asked = generations.request_for(gallery.get(studio, picture))
    elif model:
        asked = _for_model(models.get(studio, model), example)
    elif lora:
        asked = replace(USUAL, loras=(LoraChoice(lora),))
    asked = replace(asked, prompt=prompt or asked.prompt, references=(reference,) if reference else asked.references)
    found, total = generations.history(studio, PAGE)
    return page(request, "generate.html", **_form(studio, asked), **_history(found, total, 0))


def _for_model(model: Model, example_id: str) -> GenerationRequest:
    """Its best strength, and what drew one of its examples."""
    asked = replace(USUAL, loras=(LoraChoice(f"model:{model.id}", model.strength),))
    if not example_id:
        return replace(asked, prompt=f"{model.trigger}, " if model.trigger else "")
    drawn = examples.find(model, example_id)
    known = ("prompt", "negative_prompt", "seed", "width", "height", "steps", "guidance")
    return replace(asked, **{name: drawn[name] for name in known if drawn.get(name) is not None})


def _form(studio: Studio, asked: GenerationRequest) -> dict[str, Any]:
    chosen: list[Chosen] = []
    gone: list[str] = []
    for choice in asked.loras:
        try:
            chosen += lora_choice.choose(studio, [choice])
        except InputError as e:
            gone += e.problems
    return {
        "asked": asked,
        "chosen": chosen,
        "gone": gone,
        "bases": list(CARDS),
        "precisions": generations.PRECISIONS,
        "offered": _offered(studio, ""),
        "strengths": ", ".join(f"{s:g}" for s in asked.strengths),
        "seeds": ", ".join(map(str, asked.seeds)),
    }


def _offered(studio: Studio, search: str) -> list[Model]:
    return library.listed(studio, Filter(search), limit=MOST_OFFERED).models


# --- the form's parts


@router.get("/loras")
def offer_loras(
    request: Request,
    studio: Opened,
    find: Annotated[str, Query(max_length=500)] = "",
    rows: Literal["/generate/row", "/merge/row"] = "/generate/row",
) -> HTMLResponse:
    """LoRAs of the library that can be added, by a search; `rows` answers with the row of one more."""
    return part(request, "_lora_offers.html", offered=_offered(studio, find), search=find, rows=rows)


@router.get("/row")
def add_lora(request: Request, studio: Opened, lora: str) -> HTMLResponse:
    """The row of one more LoRA, at its best strength."""
    return part(request, "_lora_row.html", chosen=lora_choice.choose(studio, [LoraChoice(lora)]), least=0)


@router.post("/check")
async def check(request: Request, studio: Opened) -> HTMLResponse:
    """What should be known of the form as it is filled in now."""
    form = await request.form()
    return await run_in_threadpool(_checked, request, studio, form)


def _checked(request: Request, studio: Studio, form: FormData) -> HTMLResponse:
    try:
        asked = read_form(form)
        if not asked.prompt.strip() or not (asked.loras or asked.base):
            return part(request, "generate.html", "help", checked=None, errors={})
        return part(request, "generate.html", "help", checked=generations.check(studio, asked), errors={})
    except InputError as e:
        return part(request, "generate.html", "help", checked=None, errors=by_field(e))


@router.post("")
async def generate(request: Request, studio: Opened) -> HTMLResponse:
    """The new generation, to be put on top of the history."""
    form = await request.form()
    return await run_in_threadpool(_generated, request, studio, form)


def _generated(request: Request, studio: Studio, form: FormData) -> HTMLResponse:
    made = generations.generate(studio, read_form(form))
    return part(request, "_generation.html", **_shown(made))


def read_form(form: FormData) -> GenerationRequest:
    """What the form asks for; empty boxes are the base's own. Raises InputError for what is no number."""

    def text(name: str) -> str:
        return str(form.get(name, "")).strip()

    return GenerationRequest(
        prompt=str(form.get("prompt", "")).strip(),
        loras=loras_in(form),
        base=text("base"),
        negative_prompt=text("negative_prompt"),
        seed=_whole("seed", text("seed")),
        seeds=tuple(n for part in _parts(text("seeds")) if (n := _whole("seeds", part)) is not None),
        batch=_whole("batch", text("batch")) or 1,
        width=_whole("width", text("width")),
        height=_whole("height", text("height")),
        steps=_whole("steps", text("steps")),
        guidance=number("guidance", text("guidance")) if text("guidance") else None,
        references=tuple(str(value) for value in form.getlist("reference") if value),
        strengths=tuple(number("strengths", part) for part in _parts(text("strengths"))),
        precision=text("precision") or "auto",
    )


def loras_in(form: FormData) -> tuple[LoraChoice, ...]:
    """Rows of a LoRA and its strength each. Raises InputError for a strength that is no number."""
    names, strengths = form.getlist("lora"), form.getlist("strength")
    return tuple(
        LoraChoice(str(name), number("strength", str(strength)))
        for name, strength in zip(names, strengths, strict=False)
    )


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.replace(";", ",").split(",") if part.strip()]


def _whole(field: str, text: str) -> int | None:
    if not text:
        return None
    if not text.lstrip("-").isdecimal() or len(text) > 12:
        raise InputError(f"{field}: '{text[:20]}' is no whole number. Fix: such as 42")
    return int(text)


def number(field: str, text: str) -> float:
    """Raises InputError for what is none."""
    try:
        return float(text)
    except ValueError as e:
        raise InputError(f"{field}: '{text[:20]}' is no number. Fix: such as 0.8") from e


# --- the history


@router.get("/history")
def more_history(request: Request, studio: Opened, offset: Annotated[int, Query(ge=0, le=10**9)] = 0) -> HTMLResponse:
    """What comes after so many generations."""
    found, total = generations.history(studio, PAGE, offset)
    return part(request, "generate.html", "history", **_history(found, total, offset))


def _history(found: list[Generation], total: int, offset: int) -> dict[str, Any]:
    more = f"/generate/history?offset={offset + PAGE}" if offset + PAGE < total else ""
    return {"history": [_shown(one) for one in found], "more": more}


def _shown(found: Generation) -> dict[str, Any]:
    """A generation as `_generation.html` shows it: its pictures, and in rows where strengths are compared."""
    asked, job = asdict(USUAL) | found.request, found.job  # a job of an earlier version may tell less
    strengths = [float(s) for s in asked["strengths"]]
    return {
        "job": job,
        "asked": asked,
        "pictures": found.pictures,
        "total_pictures": found.total,
        "loras": list(job.extra.get("loras") or []),
        "warnings": found.warnings,
        "strengths": strengths,
        "progress": FOLLOWER.progress(job) if job.state == "running" else None,
        "waits": job.state in ("queued", "running"),
    }


@router.get("/{job_id}")
def show_generation(request: Request, studio: Opened, job_id: str) -> HTMLResponse:
    """One generation as it stands."""
    return part(request, "_generation.html", **_shown(generations.get(studio, job_id)))


@router.get("/{job_id}/compare")
def compare(request: Request, studio: Opened, job_id: str) -> HTMLResponse:
    """A dialog with any two of its pictures, one over the other."""
    found = generations.get(studio, job_id)
    labelled = [(_label(row), f"/api/v1/pictures/{row.id}/file") for row in found.pictures]
    if len(labelled) < 2:
        raise InputError("pictures: there are not two yet. Fix: wait for the second")
    return part(request, "_compare.html", pictures=found.pictures, labelled=labelled, prompt=found.request["prompt"])


def _label(row: Picture) -> str:
    loras = row.settings.get("loras") or []
    return f"seed {row.settings.get('seed')}" + (f" at {loras[0]['strength']:g}" if loras else "")


@router.post("/{job_id}/delete")
def delete(request: Request, studio: Opened, job_id: str) -> HTMLResponse:
    """In its place, the way back."""
    gone = generations.delete(studio, job_id)
    return part(request, "_generation_gone.html", job=gone.job)


@router.post("/{job_id}/restore")
def restore(request: Request, studio: Opened, job_id: str) -> HTMLResponse:
    return part(request, "_generation.html", **_shown(generations.restore(studio, job_id)))


# --- pictures


@router.get("/pictures/all")
def show_pictures(
    request: Request,
    studio: Opened,
    search: Annotated[str, Query(max_length=500)] = "",
    pinned: bool = False,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> HTMLResponse:
    """All pictures that were drawn here. To htmx the grid alone; with an offset, what comes after so many."""
    found, total = gallery.listed(
        studio, search=search, pinned=True if pinned else None, limit=MOST_SHOWN_PICTURES, offset=offset
    )
    shown: dict[str, Any] = {"pictures": found, "total": total, "search": search, "pinned": pinned,
             "next": offset + MOST_SHOWN_PICTURES if offset + MOST_SHOWN_PICTURES < total else 0}  # fmt: skip
    if offset:
        return part(request, "pictures.html", "rows", **shown)
    if request.headers.get("HX-Request"):
        return part(request, "pictures.html", "found", **shown)
    return page(request, "pictures.html", **shown)


@router.get("/pictures/{picture_id}")
def show_picture(request: Request, studio: Opened, picture_id: str) -> HTMLResponse:
    """A dialog with one picture and what can be done with it."""
    return part(request, "_picture.html", **_picture(studio, gallery.get(studio, picture_id)))


def _picture(studio: Studio, row: Picture) -> dict[str, Any]:
    used: list[Model] = []
    for use in row.settings.get("loras") or []:
        model_id = str(use.get("lora", "")).removeprefix(lora_choice.MODEL)
        try:
            used.append(models.get(studio, model_id))
        except InputError:
            continue
    return {"picture": row, "settings": row.settings, "models": used}


@router.post("/pictures/{picture_id}/pin")
def pin(request: Request, studio: Opened, picture_id: str) -> HTMLResponse:
    """Pin it, or take the pin away."""
    row = gallery.pin(studio, picture_id, not gallery.get(studio, picture_id).pinned)
    return part(
        request, "_picture_content.html", toast="Pinned" if row.pinned else "The pin is gone", **_picture(studio, row)
    )


@router.post("/pictures/{picture_id}/show/{model_id}")
def show_with(studio: Opened, picture_id: str, model_id: str) -> HTMLResponse:
    """Make it an example of a model."""
    model = pin_picture(studio, model_id, picture_id)
    return said(f"Among the examples of '{model.name}' now")


@router.post("/pictures/{picture_id}/delete")
def delete_picture(request: Request, studio: Opened, picture_id: str) -> HTMLResponse:
    """In its place, the way back."""
    return part(request, "_picture_gone.html", picture=gallery.delete(studio, picture_id))


@router.post("/pictures/{picture_id}/restore")
def restore_picture(request: Request, studio: Opened, picture_id: str) -> HTMLResponse:
    row = gallery.restore(studio, picture_id)
    return part(request, "_picture_content.html", toast="Put back", **_picture(studio, row))
