"""The tools as a part of the studio's server. They are loaded when the first agent comes: most servers never see one,
and the library behind them takes some 25 MB."""

import importlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from anyio import to_thread
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from likeness.studio.workspace import Studio


class Mounted:
    """An ASGI application that answers while `open` is entered, which may be done again and again.

    `local`: callers sit at this machine, and may name its folders.
    """

    def __init__(self, studio: Studio, *, local: bool):
        self._studio, self._local = studio, local
        self._app: ASGIApp | None = None
        self._wanted: anyio.Event | None = None
        self._ready: anyio.Event | None = None

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        self._wanted, self._ready = anyio.Event(), anyio.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(self._serve, self._wanted, self._ready)
            yield
            group.cancel_scope.cancel()
        self._app = self._wanted = self._ready = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._wanted is None or self._ready is None:
            await PlainTextResponse("not open yet", 503)(scope, receive, send)
            return
        self._wanted.set()
        await self._ready.wait()
        assert self._app is not None
        await self._app(scope, receive, send)

    async def _serve(self, wanted: anyio.Event, ready: anyio.Event) -> None:
        """Sessions live in this task, from the first request to the end."""
        await wanted.wait()
        module = await to_thread.run_sync(importlib.import_module, "likeness.mcp.server")
        server: Any = await to_thread.run_sync(lambda: module.build(self._studio, local=self._local))
        self._app = module.http_app(server)
        async with server.session_manager.run():
            ready.set()
            await anyio.sleep_forever()
