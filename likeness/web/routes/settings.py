"""What a person sets for the whole studio: looks, devices, notices, imports, keys."""

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse
from starlette.concurrency import run_in_threadpool

from likeness.api.routes.settings import try_mail, try_webhooks
from likeness.api.shapes import Opened
from likeness.errors import InputError, NotFound
from likeness.service.machine import machine
from likeness.studio import keys, preferences
from likeness.studio.workspace import Studio
from likeness.web import forms
from likeness.web.pages import by_field, page, part, said

router = APIRouter(prefix="/settings")
TITLES = {
    "queue": "Queue",
    "imports": "Files from the web",
    "captions": "Servers for captions",
    "mail": "E-mail",
    "webhooks": "Webhooks",
}
NOTICES = ("mail", "webhooks")  # the groups that are on a page of their own


@router.get("")
def show_general(request: Request, studio: Opened) -> HTMLResponse:
    names = [name for name in preferences.GROUPS if name not in NOTICES]
    return page(request, "settings.html", groups=[_group(studio, name) for name in names])


@router.get("/notices")
def show_notices(request: Request, studio: Opened) -> HTMLResponse:
    return page(request, "settings_notices.html", groups=[_group(studio, name) for name in NOTICES])


@router.get("/keys")
def show_keys(request: Request, studio: Opened) -> HTMLResponse:
    return page(request, "settings_keys.html", **_keys(request, studio))


@router.get("/machine")
def show_machine(request: Request, studio: Opened) -> HTMLResponse:
    """Comes after the page: to ask torch takes seconds."""
    return part(request, "settings.html", "machine", found=machine(studio.workspace))


@router.post("/group/{name}")
async def change_group(request: Request, studio: Opened, name: str) -> HTMLResponse:
    """The form again: as it is kept now, or as it was filled in, with what is wrong beside it."""
    filled = dict(await request.form())
    return await run_in_threadpool(_change, request, studio, name, filled)


@router.post("/try/{name}")
def try_notice(request: Request, studio: Opened, name: str) -> HTMLResponse:
    """Send a mail, or a POST to each webhook, now."""
    if name not in NOTICES:
        raise NotFound(f"'{name}' sends nothing. Fix: one of {', '.join(NOTICES)}")
    told = try_mail(studio, request) if name == "mail" else try_webhooks(studio)
    return said("It went out") if told.ok else said("\n".join(told.problems), "error")


@router.post("/keys")
def create_key(
    request: Request, studio: Opened, name: Annotated[str, Form()] = "", scope: Annotated[keys.Scope, Form()] = "write"
) -> HTMLResponse:
    """The key itself is in this answer and never again."""
    try:
        _, secret = keys.create(studio, name, scope)
    except InputError as e:
        return part(request, "settings_keys.html", "list", **_keys(request, studio, name=name, errors=by_field(e)))
    return part(request, "settings_keys.html", "list", **_keys(request, studio, name=name, made=secret))


@router.post("/keys/{key_id}/revoke")
def revoke_key(request: Request, studio: Opened, key_id: str) -> HTMLResponse:
    row = keys.revoke(studio, key_id)
    words = f"'{row.name}' opens nothing any more"
    return part(request, "settings_keys.html", "list", toast=words, **_keys(request, studio))


def _keys(
    request: Request, studio: Studio, *, name: str = "", made: str = "", errors: dict[str, str] | None = None
) -> dict[str, Any]:
    return {
        "keys": keys.listed(studio),
        "needed": request.app.state.access.keys,
        "caller": request.state.caller,
        "name": name,
        "made": made,
        "errors": errors or {},
    }


def _group(
    studio: Studio, name: str, filled: dict[str, Any] | None = None, errors: dict[str, str] | None = None
) -> dict[str, Any]:
    """A group of settings as its form shows it."""
    kind = preferences.GROUPS[name]
    boxes = forms.boxes(kind)
    known = {box.name for box in boxes}
    return {
        "name": name,
        "title": TITLES.get(name, name.capitalize()),
        "lead": (kind.__doc__ or "").strip(),
        "boxes": boxes,
        "values": preferences.told(preferences.get(studio, kind)) | (filled or {}),
        "errors": errors or {},
        "other": [words for field, words in (errors or {}).items() if field not in known],
        "sends": name in NOTICES,
    }


def _change(request: Request, studio: Studio, name: str, filled: dict[str, Any]) -> HTMLResponse:
    if name not in preferences.GROUPS:
        raise NotFound(f"no settings '{name}'. Fix: one of {', '.join(preferences.GROUPS)}")
    values = forms.values(preferences.GROUPS[name], filled)
    try:
        preferences.change(studio, name, values)
    except InputError as e:
        group = _group(studio, name, values, by_field(e))
        return part(request, "_settings_group.html", status=422, group=group)
    return part(request, "_settings_group.html", toast="Saved", group=_group(studio, name))
