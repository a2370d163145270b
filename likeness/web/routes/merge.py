"""Merge: several LoRAs made into a new model of the library."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData

from likeness.api.shapes import Opened
from likeness.errors import InputError
from likeness.service.lora_files import DENSITY, DROP
from likeness.studio import library, lora_choice, merges
from likeness.studio.library import Filter
from likeness.studio.lora_choice import Chosen, LoraChoice
from likeness.studio.merges import MergeRequest
from likeness.studio.progress import FOLLOWER
from likeness.studio.workspace import Studio
from likeness.web.pages import by_field, page, part
from likeness.web.routes.generate import MOST_OFFERED, loras_in, number

router = APIRouter(prefix="/merge")
LEAST = -1  # strength that the slider offers


@router.get("")
def show_merge(
    request: Request, studio: Opened, model: Annotated[list[str] | None, Query(max_length=lora_choice.MOST)] = None
) -> HTMLResponse:
    """`model`: ids of those to begin with."""
    chosen = lora_choice.choose(studio, [LoraChoice(f"model:{one}") for one in model or []])
    return page(request, "merge.html", **_form(studio, chosen, {}, {}))


def _form(studio: Studio, chosen: list[Chosen], filled: dict[str, str], errors: dict[str, str]) -> dict[str, Any]:
    known = ("name", "rank", "keep", "density", "drop", "seed")
    method = filled.get("method") if filled.get("method") in merges.METHODS else "concat"
    return {
        "chosen": chosen,
        "filled": {field: filled.get(field, "") for field in known} | {"method": method},
        "errors": errors,
        "other": [words for field, words in errors.items() if field not in known],
        "methods": list(merges.METHODS.items()),
        "offered": library.listed(studio, Filter(), limit=MOST_OFFERED).models,
        "least": LEAST,
        "usual": {"density": DENSITY, "drop": DROP},
    }


@router.post("")
async def merge(request: Request, studio: Opened) -> HTMLResponse:
    """The merge that was queued; or the form as it was filled in, with what is wrong beside it."""
    form = await request.form()
    return await run_in_threadpool(_merged, request, studio, form)


def _merged(request: Request, studio: Studio, form: FormData) -> HTMLResponse:
    filled = {name: str(value) for name, value in form.multi_items() if name not in ("lora", "strength", "find")}
    try:
        job = merges.merge(studio, _request(form, filled))
    except InputError as e:
        try:
            chosen = lora_choice.choose(studio, loras_in(form))
        except InputError:
            chosen = []
        return part(request, "merge.html", "form", **_form(studio, chosen, filled, by_field(e)))
    return show_job(request, studio, job.id)


def _request(form: FormData, filled: dict[str, str]) -> MergeRequest:
    """Only what the method uses is taken: boxes of other methods are hidden, and keep what was typed in them."""
    method = filled.get("method") or "concat"
    if method not in merges.METHODS:
        raise InputError(f"method: there is no '{method[:20]}'. Fix: one of {', '.join(merges.METHODS)}")
    uses = {"concat": (), "svd": ("rank", "keep"), "linear": ("rank", "keep"), "ties": ("rank", "keep", "density"),
            "dare": ("rank", "keep", "drop", "seed")}[method]  # fmt: skip
    values = {name: number(name, text) for name in uses if (text := filled.get(name, "").strip())}
    whole = {name: int(values.pop(name)) for name in ("rank", "seed") if name in values}
    return MergeRequest(filled.get("name", ""), loras_in(form), method, **values, **whole)  # pyright: ignore[reportArgumentType]


@router.get("/row")
def add_lora(request: Request, studio: Opened, lora: str) -> HTMLResponse:
    """The row of one more LoRA."""
    return part(request, "_lora_row.html", chosen=lora_choice.choose(studio, [LoraChoice(lora)]), least=LEAST)


@router.get("/{job_id}")
def show_job(request: Request, studio: Opened, job_id: str) -> HTMLResponse:
    """How a merge stands."""
    job, model = merges.model_of(studio, job_id)
    progress = FOLLOWER.progress(job) if job.state == "running" else None
    return part(request, "_merge.html", job=job, model=model, progress=progress)
