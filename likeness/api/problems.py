"""Errors as `application/problem+json` (RFC 9457): what is wrong, in which field, and the fix."""

import re
from typing import Any

from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from likeness.errors import Conflict, InputError, LikenessError, NotFound

_FIELD = re.compile(r"^(?P<field>[A-Za-z_-][\w.\[\]-]*): (?P<rest>.*)", re.DOTALL)
_TITLES = {
    400: "Bad request", 401: "Key needed", 403: "Not allowed", 404: "Not found", 405: "Method not allowed",
    409: "Conflict", 413: "Too large", 415: "Wrong content type", 421: "Wrong server", 422: "Cannot be used",
    429: "Too many requests",
    500: "Server error", 503: "Not now", 507: "Disk full",
}  # fmt: skip

_TEXT = {"type": "string"}
# For OpenAPI: what every route answers where something is wrong with the request.
ANSWERS: dict[int | str, dict[str, Any]] = {
    "4XX": {
        "description": "What is wrong, in which field, and the fix.",
        "content": {
            "application/problem+json": {
                "schema": {
                    "title": "Problem",
                    "type": "object",
                    "required": ["type", "title", "status", "detail", "errors"],
                    "properties": {
                        "type": _TEXT,
                        "title": _TEXT,
                        "status": {"type": "integer"},
                        "detail": _TEXT,
                        "errors": {
                            "type": "array",
                            "items": {
                                "type": "object",
                                "required": ["field", "message", "fix"],
                                "properties": {"field": _TEXT, "message": _TEXT, "fix": _TEXT},
                            },
                        },
                    },
                }
            }
        },
    }
}


def problem(status: int, *problems: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """An answer that tells of problems; each may be 'FIELD: what is wrong. Fix: what to do'."""
    problems = tuple(text.encode(errors="replace").decode() for text in problems)  # what was sent may be no Unicode
    body = {
        "type": "about:blank",
        "title": _TITLES.get(status, "Error"),
        "status": status,
        "detail": "\n".join(problems),
        "errors": [taken_apart(text) for text in problems],
    }
    return JSONResponse(body, status, headers, media_type="application/problem+json")


def taken_apart(text: str) -> dict[str, str]:
    """A problem's field, message and fix, each empty where it is not told."""
    message, _, fix = text.partition(" Fix: ")
    found = _FIELD.match(message)
    field = found["field"] if found else ""
    return {"field": field, "message": found["rest"] if found else message, "fix": fix}


def status_of(error: LikenessError) -> int:
    """The HTTP status of an error."""
    if isinstance(error, NotFound):
        return 404
    if isinstance(error, Conflict):
        return 409
    return 422 if isinstance(error, InputError) else 500


class InWords:
    """ASGI middleware around all others: the framework's own plain refusal of a large body, as a problem."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        replaced = False

        async def told(message: Message) -> None:
            nonlocal replaced
            if message["type"] == "http.response.start" and message["status"] == 413:
                replaced = Headers(raw=message["headers"]).get("content-type", "").startswith("text/plain")
                if replaced:
                    await problem(413, "body: is too large. Fix: send less at a time")(scope, receive, send)
            if not replaced:
                await send(message)

        await self.app(scope, receive, told)


def add_handlers(app: FastAPI) -> None:
    """Answer every error in this form."""

    @app.exception_handler(LikenessError)
    async def likeness_error(request: Request, error: LikenessError) -> JSONResponse:  # pyright: ignore[reportUnusedFunction]
        problems = error.problems if isinstance(error, InputError) else (str(error),)
        return problem(status_of(error), *problems)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:  # pyright: ignore[reportUnusedFunction]
        return problem(422, *(_in_words(e) for e in jsonable_encoder(error.errors())))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:  # pyright: ignore[reportUnusedFunction]
        return problem(error.status_code, str(error.detail), headers=dict(error.headers or {}))

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> JSONResponse:  # pyright: ignore[reportUnusedFunction]
        return problem(500, f"{type(error).__name__}. Fix: this is a fault of likeness; its log has the details")

    @app.exception_handler(OSError)
    async def system(request: Request, error: OSError) -> JSONResponse:  # pyright: ignore[reportUnusedFunction]
        full = error.errno in (28, 122)  # no space, or no quota, left
        words = f"{error.strerror or error}. Fix: {'free some space' if full else 'check the disk and its permissions'}"
        return problem(507 if full else 500, words)


def _in_words(error: dict[str, Any]) -> str:
    """One of pydantic's errors as our sentences are."""
    place = [str(part) for part in error["loc"]]
    field = ".".join(place[1:] if place and place[0] in ("body", "query", "path", "header") else place) or "body"
    if error["type"] == "extra_forbidden":
        return f"{field}: no such field. Fix: leave it out, or check its spelling"
    message = str(error["msg"])
    return f"{field}: {message[:1].lower()}{message[1:]}. Fix: give another value"
