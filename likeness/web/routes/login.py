"""Signing in with a key, where keys are on, and out again."""

import json
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from likeness.api.gate import sign_in, sign_out
from likeness.web.pages import go, page, part

router = APIRouter()


@router.get("/login")
def show_login(request: Request, next: str = "/") -> Response:
    if not request.app.state.access.keys:
        return RedirectResponse(_local(next), 303)
    return page(request, "login.html", next=_local(next), error="")


@router.post("/login")
def log_in(request: Request, key: Annotated[str, Form()] = "", next: Annotated[str, Form()] = "/") -> Response:
    answer = sign_in(request, key, go(request, _local(next)))
    if answer.status_code < 400:
        return answer
    told = json.loads(bytes(answer.body))["errors"][0]
    return part(request, "login.html", "form", status=answer.status_code, next=_local(next),
                error=f"{told['message']} Fix: {told['fix']}")  # fmt: skip


@router.post("/logout")
def log_out(request: Request) -> Response:
    answer = go(request, "/login")
    sign_out(answer)
    return answer


def _local(path: str) -> str:
    """A path of this server; the start page for anything that could lead elsewhere."""
    good = path.startswith("/") and not path.startswith(("//", "/\\", "/login")) and path.isprintable()
    return path if good else "/"
