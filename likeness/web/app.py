"""The pages as part of the application: static files, routes, and errors in the look of the studio."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from likeness.api.problems import problem
from likeness.errors import LikenessError
from likeness.web.pages import STATIC, digest, page, said
from likeness.web.routes import PAGES

NOT_PAGES = ("/api/", "/mcp", "/static/")
Handler = Callable[[Request, Any], Awaitable[Response]]


def add_pages(app: FastAPI) -> None:
    """Add all pages to an application that has the REST routes and their error handlers already."""
    app.mount("/static", _Assets(directory=STATIC), name="static")
    for router in PAGES:
        app.include_router(router, include_in_schema=False)
    for kind in (LikenessError, RequestValidationError, HTTPException, OSError):
        told: Any = app.exception_handlers[kind]
        app.add_exception_handler(kind, _shown(told))
    app.add_exception_handler(Exception, _shown(_unforeseen))


async def _unforeseen(request: Request, error: Exception) -> Response:
    return problem(500, f"the server made a mistake ({type(error).__name__}). Fix: see its log, and report it")


def _shown(told: Handler) -> Handler:
    """Tell of an error as a page, or as a toast to htmx; as before to those who call the REST interface."""

    async def answer(request: Request, error: Exception) -> Response:
        response = await told(request, error)
        if request.url.path.startswith(NOT_PAGES):
            return response
        return as_page(request, response)

    return answer


def as_page(request: Request, response: Response) -> Response:
    """A problem+json answer as a person can read it."""
    body: dict[str, Any] = json.loads(bytes(response.body))
    if request.headers.get("HX-Request"):
        return said(str(body["detail"]), "error", status=response.status_code)
    bare = response.status_code == 401 or request.url.path.startswith("/shared/")  # who has a link sees no more
    return page(
        request, "problem.html", status=response.status_code, title=body["title"], problems=body["errors"], bare=bare
    )


class _Assets(StaticFiles):
    """Files of static/ under /static/DIGEST/: kept for ever by browsers, as another content has another address."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        named, _, name = path.replace("\\", "/").partition("/")
        response = await super().get_response(name, scope)
        now = named == digest()
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if now else "no-cache"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response
