"""The same answer for the same request: a POST with an `Idempotency-Key` is done once, however often it is sent.

Kept is the answer of a request that did something; one that was refused did nothing and is simply judged again. Where
the server was killed over a request, nobody knows whether it was done: that is said, and it is not done again. Answers
marked `no-store` hold secrets, such as a new key, and are not kept either.
"""

import contextlib
import hashlib
import json
import time

from anyio import to_thread
from sqlalchemy import delete, update
from sqlalchemy.dialects.sqlite import insert
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from likeness.api.problems import problem
from likeness.store.tables import Answered
from likeness.studio.workspace import Studio

HEADER = "idempotency-key"
REPLAYED = "Idempotency-Replayed"
KEPT_SECONDS = 24 * 3600
LONGEST_KEY = 200
_SECRET = b"secret"  # kept in place of an answer that must not be kept; no JSON


class Idempotency:
    """ASGI middleware, inside the gate: keys are apart for each caller."""

    def __init__(self, app: ASGIApp, studio: Studio, prefix: str):
        self.app, self.studio, self.prefix = app, studio, f"{prefix}/"
        self.started = time.time()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = Headers(scope=scope).get(HEADER) if scope["type"] == "http" else None
        if asked is None or scope["method"] != "POST" or not scope["path"].startswith(self.prefix):
            await self.app(scope, receive, send)
            return
        if not 0 < len(asked) <= LONGEST_KEY or not asked.isprintable():
            answer = problem(422, f"Idempotency-Key: is empty or too long. Fix: 1 to {LONGEST_KEY} printable letters")
            await answer(scope, receive, send)
            return
        body = await _read(receive)
        if body is None:
            return  # whoever asked has gone
        key = f"{scope['state']['caller'].id}:{asked}"
        answer = await to_thread.run_sync(self._known, key, _digest(scope, body))
        if answer is not None:
            await answer(scope, receive, send)
            return
        await self._do(scope, receive, send, key, body)

    async def _do(self, scope: Scope, receive: Receive, send: Send, key: str, body: bytes) -> None:
        """Let the request be done, and keep its answer."""
        given = False
        status, told, secret = 0, bytearray(), False

        async def again() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def noted(message: Message) -> None:
            nonlocal status, secret
            if message["type"] == "http.response.start":
                status = message["status"]
                secret = "no-store" in Headers(raw=message["headers"]).get("cache-control", "")
            elif message["type"] == "http.response.body":
                told.extend(message.get("body", b""))
                if not message.get("more_body", False):  # kept before it is told: once told, it is never done again
                    await to_thread.run_sync(self._keep, key, status, _SECRET if secret else bytes(told))
            await send(message)

        try:
            await self.app(scope, again, noted)
        except BaseException:
            if not status:
                self._keep(key, 500, b"")
            raise

    def _known(self, key: str, digest: str) -> Response | None:
        """The answer to a request that was seen before; None for a new one, which is noted."""
        now = time.time()
        with self.studio.database.session() as session:
            session.execute(delete(Answered).where(Answered.created < now - KEPT_SECONDS))
            new = insert(Answered).values(key=key, request_sha256=digest, created=now, body="")
            if session.scalar(new.on_conflict_do_nothing().returning(Answered.key)):
                return None
            found = session.get_one(Answered, key)
        if found.request_sha256 != digest:
            return problem(422, "Idempotency-Key: was used for another request. Fix: take a new one for each request")
        if found.status is None and found.created < self.started:
            return problem(
                409, "Idempotency-Key: the server ended over this request, and it is not known whether it was done. "
                "Fix: look; if it was not, ask again with a new key",
            )  # fmt: skip
        if found.status is None:
            return problem(409, "Idempotency-Key: this request is still worked on. Fix: ask again in a moment",
                           headers={"Retry-After": "1"})  # fmt: skip
        if found.body.encode() == _SECRET:
            return problem(409, "Idempotency-Key: this was done, and its answer is told once. Fix: undo and repeat it",
                           headers={REPLAYED: "true"})  # fmt: skip
        kind = "application/json" if found.body else None
        return Response(found.body, found.status, {REPLAYED: "true"}, media_type=kind)

    def _keep(self, key: str, status: int, body: bytes) -> None:
        with self.studio.database.session() as session:
            if 200 <= status < 300:
                values = {"status": status, "body": body.decode()}
                session.execute(update(Answered).where(Answered.key == key).values(values))
            else:
                session.execute(delete(Answered).where(Answered.key == key))


async def _read(receive: Receive) -> bytes | None:
    """The whole body, whose size the application limits; None where the client left."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body.extend(message.get("body", b""))
        if not message.get("more_body", False):
            return bytes(body)


def _digest(scope: Scope, body: bytes) -> str:
    """Of what is asked: the same JSON in another order or spacing is the same request."""
    with contextlib.suppress(ValueError, RecursionError):
        body = json.dumps(json.loads(body), sort_keys=True).encode()
    head = f"{scope['path']}?{scope['query_string'].decode('latin-1')}\n"
    return hashlib.sha256(head.encode("utf-8", "surrogateescape") + body).hexdigest()
