"""The application: REST, pages and MCP in one process."""

# No `from __future__ import annotations` here: FastAPI cannot resolve names that are local to a function.
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from likeness import __version__
from likeness.api.gate import Access, Gate, WrongKeys
from likeness.api.idempotency import Idempotency
from likeness.api.problems import ANSWERS, InWords, add_handlers
from likeness.api.routes import ROUTERS
from likeness.mcp.mounted import Mounted
from likeness.studio.workspace import Studio
from likeness.web.app import add_pages

PREFIX = "/api/v1"
MOST_BODY_BYTES = 4 * 1024 * 1024  # of a request that is no upload; uploads have limits of their own


class _App(FastAPI):
    def build_middleware_stack(self) -> ASGIApp:
        return InWords(super().build_middleware_stack())


def create_app(studio: Studio, *, access: Access | None = None) -> FastAPI:
    """All routes over one opened workspace, behind the gate; without `access` it is open to this machine alone.

    The queue is run by whoever serves this (see `cli.serve`).
    """
    access = access or Access()

    agents = Mounted(studio, local=not access.keys)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with agents.open():  # a mounted application's own lifespan is never run
            yield

    app = _App(
        title="Likeness",
        version=__version__,
        summary="Teach image models something new, and prove that they learned it.",
        lifespan=lifespan,
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,  # its page would load scripts from another host
        redoc_url=None,
        max_body_size=MOST_BODY_BYTES,
    )
    app.state.studio, app.state.access, app.state.wrong_keys = studio, access, WrongKeys()
    # The last that is added sees a request first.
    app.add_middleware(Idempotency, studio=studio, prefix=PREFIX)
    app.add_middleware(Gate, studio=studio, access=access, wrong_keys=app.state.wrong_keys)
    add_handlers(app)
    api = APIRouter(prefix=PREFIX, responses=ANSWERS)
    for router in ROUTERS:
        api.include_router(router)
    app.include_router(api)
    add_pages(app)
    app.mount("/mcp", agents)
    app.router.routes.append(Route("/mcp", _AtItsRoot(agents)))

    @app.get("/healthz", include_in_schema=False)
    def healthz() -> dict[str, str]:  # pyright: ignore[reportUnusedFunction]
        return {"status": "ok"}

    return app


class _AtItsRoot:
    """Lets a mounted application answer at its address without the slash too, as clients are often told it."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        inner = {**scope, "path": f"{path}/", "root_path": f"{scope.get('root_path', '')}{path}"}
        await self.app(inner, receive, send)
