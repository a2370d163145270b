"""Pages and parts of pages as answers. Routes call `page`, `part` and `said`; templates are in `templates/`.

In every template: `ui` (the macros of macros.html), `asset(NAME)` (the address of a file in static/), `page_of(job)`,
`now()`, and the filters `bytes`, `duration`, `ago` and `date`. In every page also `nav`, `here`, `unseen` and `studio`.
"""

import hashlib
import time
from functools import cache, partial
from importlib import resources
from pathlib import Path
from typing import Any, cast

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from likeness import __version__
from likeness.api.problems import taken_apart
from likeness.errors import InputError
from likeness.studio import queue
from likeness.studio.notices import page_of
from likeness.studio.workspace import Studio
from likeness.web import filters

HERE = Path(str(resources.files("likeness.web")))
STATIC = HERE / "static"
# Nothing from elsewhere, no script in a page, no frame around one. Style attributes are allowed: a bar's width is one.
POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",  # to record a voice, for our own pages alone
    "Cache-Control": "no-store",
}
NAV = (
    ("/train", "Train", "train"),
    ("/runs", "Runs", "runs"),
    ("/datasets", "Datasets", "datasets"),
    ("/library", "Library", "library"),
    ("/voices", "Voices", "voices"),
    ("/generate", "Generate", "generate"),
    ("/queue", "Queue", "queue"),
    ("/settings", "Settings", "settings"),
)

_NEAR = {"/": "/", "/merge": "/library"}  # what else a page belongs to


@cache
def digest() -> str:
    """Names the content of all files in static/; part of their addresses, so that browsers may keep them for ever."""
    sha = hashlib.sha256()
    for path in sorted(STATIC.rglob("*")):
        if path.is_file():
            sha.update(str(path.relative_to(STATIC)).encode() + b"\0" + path.read_bytes())
    return sha.hexdigest()[:12]


def asset(name: str) -> str:
    """The address of a file in static/. Raises FileNotFoundError for one that is not there."""
    if not (STATIC / name).is_file():
        raise FileNotFoundError(name)
    return f"/static/{digest()}/{name}"


@cache
def environment() -> Environment:
    """Templates escape what they are given, and a name that is not there is an error."""
    env = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters.update(bytes=filters.size, duration=filters.duration, ago=filters.ago, date=filters.date,
                       attributes=filters.attributes)  # fmt: skip
    known = cast("dict[str, Any]", env.globals)
    known |= {"now": time.time, "asset": asset, "page_of": partial(page_of, address=""), "version": __version__}
    known["ui"] = env.get_template("macros.html").module
    return env


def page(request: Request, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
    """A whole page: a template that extends base.html."""
    studio: Studio = request.app.state.studio
    path = request.url.path
    here = next((href for href, _, _ in NAV if f"{path}/".startswith(f"{href}/")), _NEAR.get(path, ""))
    text = environment().get_template(template).render(
        {"request": request, "studio": studio, "nav": NAV, "here": here, "unseen": queue.unseen(studio),
         "since": time.time()} | context
    )  # fmt: skip
    return HTMLResponse(text, status, headers=HEADERS)


def part(
    request: Request,
    template: str,
    block: str | None = None,
    *,
    status: int = 200,
    toast: str = "",
    **context: Any,
) -> HTMLResponse:
    """A piece of a page for htmx to put in: a template of its own, or one block of a page's template.

    `toast`: words that are shown besides.
    """
    found = environment().get_template(template)
    values = {"request": request, "studio": request.app.state.studio} | context
    text = "".join(found.blocks[block](found.new_context(values))) if block else found.render(values)
    return HTMLResponse(text + (_toast(toast, "good") if toast else ""), status, headers=HEADERS)


def said(words: str, kind: str = "good", *, status: int = 200, headers: dict[str, str] | None = None) -> HTMLResponse:
    """An answer to htmx that changes nothing but shows a toast; `kind`: good, error or note."""
    return HTMLResponse(_toast(words, kind), status, headers=HEADERS | {"HX-Reswap": "none"} | (headers or {}))


def go(request: Request, url: str) -> Response:
    """Send the browser to another page, after a form or a button of htmx."""
    if request.headers.get("HX-Request"):
        return Response(status_code=204, headers={"HX-Redirect": url})
    return RedirectResponse(url, 303)


def by_field(error: InputError) -> dict[str, str]:
    """What is wrong, by the field it is told of ('' for what belongs to none), for forms that show it there."""
    found: dict[str, str] = {}
    for text in error.problems:
        told = taken_apart(text)
        sentence = told["message"] + (f" Fix: {told['fix']}" if told["fix"] else "")
        found[told["field"]] = f"{found[told['field']]}\n{sentence}" if told["field"] in found else sentence
    return found


def _toast(words: str, kind: str) -> str:
    return environment().get_template("_toast.html").render(words=words, kind=kind)
