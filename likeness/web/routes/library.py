"""The library: its shelf, and the page of each model."""

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import HTMLResponse

from likeness.api.shapes import Opened
from likeness.catalog import CARDS
from likeness.errors import InputError
from likeness.report.history import mapping
from likeness.service.conversions import Layout
from likeness.store.tables import Model
from likeness.studio import examples, layouts, library, model_cards, models, publishing, queue, shares
from likeness.studio.library import Filter, Sort
from likeness.studio.models import Words
from likeness.studio.workspace import Studio
from likeness.web.pages import by_field, go, page, part

router = APIRouter(prefix="/library")
PAGE = 40  # models at a time
SHOWN_TAGS = 24
SORTS: dict[Sort, str] = {
    "newest": "Newest first",
    "changed": "Changed last",
    "name": "By name",
    "largest": "Largest first",
    "oldest": "Oldest first",
}
DAYS = ((1, "a day"), (7, "a week"), (30, "a month"), (365, "a year"))


# --- the shelf


@router.get("")
def show_library(
    request: Request,
    studio: Opened,
    search: Annotated[str, Query(max_length=500)] = "",
    base: str = "",
    kind: str = "",
    tag: Annotated[list[str] | None, Query()] = None,
    sort: Sort = "newest",
    view: str = "",
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> HTMLResponse:
    """`view`: empty, 'archive' or 'bin'. To htmx the shelf alone; with an offset, what comes after so many models."""
    wanted = Filter(
        search, base or None, None, kind or None, None, None, tuple(tag or ()), view == "archive", view == "bin"
    )
    found = library.listed(studio, wanted, sort, PAGE, offset)
    asked = [("search", search), ("base", base), ("kind", kind), *(("tag", t) for t in tag or ()), ("sort", sort),
             ("view", view)]  # fmt: skip
    given = [(name, value) for name, value in asked if value and (name, value) != ("sort", "newest")]

    def with_tag(name: str) -> str:
        return f"/library?{urlencode(_turned(given, name))}"

    shown: dict[str, Any] = {
        "found": found,
        "choices": library.choices(studio),
        "wanted": wanted,
        "sort": sort,
        "sorts": list(SORTS.items()),
        "view": view,
        "filtered": bool(search or base or kind or tag),
        "more": f"/library?{urlencode([*given, ('offset', offset + PAGE)])}" if offset + PAGE < found.total else "",
        "shown_tags": SHOWN_TAGS,
        "with_tag": with_tag,
    }
    if offset:
        return part(request, "library.html", "rows", **shown)
    if request.headers.get("HX-Request"):
        return part(request, "library.html", "shelf", **shown)
    return page(request, "library.html", **shown)


def _turned(given: list[tuple[str, str]], tag: str) -> list[tuple[str, str]]:
    """What is asked for, with this tag added, or without it."""
    row = ("tag", tag)
    return [r for r in given if r != row] if row in given else [*given, row]


# --- one model


@router.get("/{model_id}")
def show_model(request: Request, studio: Opened, model_id: str) -> HTMLResponse:
    return page(request, "model.html", **_model(studio, models.get(studio, model_id, binned=True)))


def _model(studio: Studio, model: Model) -> dict[str, Any]:
    card = model.card
    return {
        "model": model,
        "tags": models.tags_of(studio, [model.id])[model.id],
        "facts": model_cards.in_words(model),
        "measures": model_cards.measures_in_words(card),
        "settings": sorted((str(k), str(v)) for k, v in mapping(card.get("settings")).items()),
        "lines": library.family(studio, model.id) if model.deleted is None else None,
        "links": shares.listed(studio, model.id),
        "layouts": _layouts(studio, model) if model.deleted is None else [],
        "run_is_here": model.run is not None and (studio.workspace / model.run / "run.json").is_file(),
        "kinds": [("", "not said"), *((k, k) for k in models.KINDS)],
        "bases": list(CARDS),
        "days": DAYS,
        "bin_days": models.DAYS_IN_BIN,
        "has_token": publishing.has_token(),
    }


def _layouts(studio: Studio, model: Model) -> list[tuple[Layout, str, layouts.Converted]]:
    return [
        (name, layouts.READ_BY[name], layouts.converted(studio, f"model:{model.id}", name)) for name in layouts.LAYOUTS
    ]


def _again(request: Request, studio: Studio, model: Model, toast: str = "", **more: Any) -> HTMLResponse:
    """The whole of a model's page, after something has changed."""
    return part(request, "model.html", "model", toast=toast, **(_model(studio, model) | more))


@router.post("/{model_id}/edit")
def edit(
    request: Request,
    studio: Opened,
    model_id: str,
    name: Annotated[str, Form()] = "",
    description: Annotated[str, Form()] = "",
    tags: Annotated[str, Form()] = "",
    kind: Annotated[str, Form()] = "",
    base: Annotated[str, Form()] = "",
    trigger: Annotated[str, Form()] = "",
    strength: Annotated[str, Form()] = "1",
) -> HTMLResponse:
    """Tags are separated by commas. What is wrong is told at its field, in the dialog that stays open."""
    try:
        words = Words(name, description, tags.split(","), _number(strength), kind, base, trigger)
        model = models.update(studio, model_id, words)
    except InputError as e:
        filled = {"name": name, "description": description, "tags": tags, "kind": kind, "base": base,
                  "trigger": trigger, "strength": strength}  # fmt: skip
        found = models.get(studio, model_id)
        return _again(request, studio, found, filled=filled, errors=by_field(e))
    return _again(request, studio, model, "Saved")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as e:
        raise InputError(f"strength: '{text[:20]}' is no number. Fix: such as 0.8") from e


@router.post("/{model_id}/duplicate")
def duplicate(request: Request, studio: Opened, model_id: str) -> Response:
    return go(request, f"/library/{models.duplicate(studio, model_id).id}")


@router.post("/{model_id}/archive")
def archive(request: Request, studio: Opened, model_id: str) -> HTMLResponse:
    """Into the archive, or out of it."""
    model = models.archive(studio, model_id, not models.get(studio, model_id).archived)
    return _again(request, studio, model, "In the archive" if model.archived else "Back on the shelf")


@router.post("/{model_id}/delete")
def delete(request: Request, studio: Opened, model_id: str) -> HTMLResponse:
    return _again(request, studio, models.delete_model(studio, model_id))


@router.post("/{model_id}/restore")
def restore(request: Request, studio: Opened, model_id: str) -> HTMLResponse:
    return _again(request, studio, models.restore(studio, model_id), "Put back")


@router.post("/{model_id}/remove")
def remove(request: Request, studio: Opened, model_id: str) -> Response:
    models.remove(studio, model_id)
    return go(request, "/library?view=bin")


@router.post("/{model_id}/examples/{example_id}/first")
def show_first(request: Request, studio: Opened, model_id: str, example_id: str) -> HTMLResponse:
    model = models.change(studio, model_id, lambda m: examples.show_first(m, example_id))
    return _again(request, studio, model, "It stands for the model now")


@router.post("/{model_id}/examples/{example_id}/unpin")
def unpin(request: Request, studio: Opened, model_id: str, example_id: str) -> HTMLResponse:
    return _again(request, studio, models.change(studio, model_id, lambda m: examples.unpin(m, example_id)))


# --- given away


@router.get("/{model_id}/layouts")
def show_layouts(request: Request, studio: Opened, model_id: str) -> HTMLResponse:
    model = models.get(studio, model_id)
    return part(request, "model.html", "downloads", model=model, layouts=_layouts(studio, model))


@router.post("/{model_id}/layouts/{layout}")
def make_layout(request: Request, studio: Opened, model_id: str, layout: Layout) -> HTMLResponse:
    layouts.convert(studio, f"model:{model_id}", layout)
    return show_layouts(request, studio, model_id)


@router.post("/{model_id}/shares")
def share(request: Request, studio: Opened, model_id: str, days: Annotated[float, Form()] = 7.0) -> HTMLResponse:
    """The link itself is in this answer and never again."""
    link = shares.share(studio, model_id, days)
    return _links(request, studio, model_id, f"{str(request.base_url).rstrip('/')}{link.path}")


@router.post("/{model_id}/shares/{share_id}/revoke")
def revoke(request: Request, studio: Opened, model_id: str, share_id: str) -> HTMLResponse:
    shares.revoke(studio, share_id)
    return _links(request, studio, model_id)


def _links(request: Request, studio: Studio, model_id: str, made: str = "") -> HTMLResponse:
    model = models.get(studio, model_id)
    return part(
        request, "model.html", "sharing", model=model, links=shares.listed(studio, model_id), made=made, days=DAYS
    )


@router.post("/{model_id}/publish/folder")
def publish_to_folder(
    request: Request, studio: Opened, model_id: str, folder: Annotated[str, Form()] = ""
) -> HTMLResponse:
    try:
        made = publishing.to_folder(studio, model_id, Path(folder.strip()))
    except InputError as e:
        return _published(request, studio, model_id, folder=folder, errors=by_field(e))
    return _published(request, studio, model_id, done=f"Written to {made}")


@router.post("/{model_id}/publish/hub")
def publish_to_hub(
    request: Request,
    studio: Opened,
    model_id: str,
    repository: Annotated[str, Form()] = "",
    private: Annotated[str, Form()] = "",
) -> HTMLResponse:
    try:
        job = publishing.to_hub(studio, model_id, repository.strip(), private=bool(private))
    except InputError as e:
        return _published(request, studio, model_id, repository=repository, errors=by_field(e))
    return _published(request, studio, model_id, job_id=job.id)


@router.get("/{model_id}/publish/{job_id}")
def show_upload(request: Request, studio: Opened, model_id: str, job_id: str) -> HTMLResponse:
    return _published(request, studio, model_id, job_id=job_id)


def _published(request: Request, studio: Studio, model_id: str, job_id: str = "", **more: Any) -> HTMLResponse:
    job = queue.get(studio, job_id) if job_id else None
    context: dict[str, Any] = {
        "model": models.get(studio, model_id),
        "job": job,
        "has_token": publishing.has_token(),
    } | more
    return part(request, "model.html", "publishing", **context)
