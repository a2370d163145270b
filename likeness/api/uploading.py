"""Uploads that can be cut off and gone on with: the body of a PUT, written to the disk as it comes.

A PUT begins from 0, unless `Content-Range: bytes FIRST-LAST/TOTAL` says where it goes on. HEAD of the same address,
with the size as `Upload-Length`, tells as `Upload-Offset` how much has arrived. `Upload-Stamp` on both may tell a file
from another one of its name and size.
"""

import re
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from anyio import to_thread
from fastapi import Request
from fastapi.responses import JSONResponse, Response
from starlette.requests import ClientDisconnect

from likeness.api.problems import problem
from likeness.errors import InputError
from likeness.studio import uploads
from likeness.studio.uploads import Incoming
from likeness.studio.workspace import Studio

WRITE_BYTES = 1 << 20  # at a time
DRAINED_BYTES = 16 << 20  # that are still read of a refused body: a browser that is cut short tells no reason

_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")


@dataclass(frozen=True)
class Arriving:
    """What an upload is for. `use` takes the whole file, which it may move away, and says what became of it."""

    owner: str
    name: str
    most: int  # bytes
    use: Callable[[Incoming], dict[str, Any]]
    stamp: str = ""


async def receive(request: Request, studio: Studio, arriving: Arriving) -> Response:
    """201 with what became of the file; 202 while a part of it is still to come."""
    arriving = replace(arriving, stamp=_stamp(request))
    offset, total = _place_of(request)
    if total is not None and total > arriving.most:
        await drain(request)
        return problem(413, f"{arriving.name}: has {total:,} bytes, and at most {arriving.most:,} are taken. Fix: make "
                       "it smaller")  # fmt: skip
    if offset and total is not None and offset == total and (told := _known(studio, arriving, total)):
        return told
    with ExitStack() as stack:
        parts = "content-range" in request.headers
        incoming = await to_thread.run_sync(_enter, stack, studio, arriving, offset, total, parts)
        try:
            await _write_all(request, incoming)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it; what has come stays
        if not incoming.whole:
            head = {"Upload-Offset": str(incoming.received)}
            return JSONResponse({"received": incoming.received, "total": incoming.total}, 202, head)
        return JSONResponse(await to_thread.run_sync(_used, studio, arriving, incoming), 201)


def arrived(request: Request, studio: Studio, owner: str, name: str) -> Response:
    """The answer to HEAD."""
    told = request.headers.get("upload-length", "")
    kept = [u for u in uploads.listed(studio, owner)
            if (u.name, u.stamp) == (name, _stamp(request)) and told in ("", str(u.total))]  # fmt: skip
    if not kept:
        return Response(status_code=404)
    return Response(headers={"Upload-Offset": str(kept[0].received), "Upload-Length": str(kept[0].total)})


async def drain(request: Request) -> None:
    """Read what is sent and do nothing with it, up to a size."""
    read = 0
    try:
        async for chunk in request.stream():
            read += len(chunk)
            if read > DRAINED_BYTES:
                return
    except ClientDisconnect:
        return


def _stamp(request: Request) -> str:
    return request.headers.get("upload-stamp", "")[:100]


def _place_of(request: Request) -> tuple[int, int | None]:
    """(where the body begins in the file, the size of the file where that is told)."""
    told = request.headers.get("content-range")
    if told is not None:
        if not (match := _RANGE.fullmatch(told)):
            raise InputError("Content-Range: is not understood. Fix: such as 'bytes 500-999/1000'")
        return int(match[1]), int(match[3])
    length = request.headers.get("content-length", "")
    return 0, int(length) if length.isdecimal() else None


def _enter(
    stack: ExitStack, studio: Studio, arriving: Arriving, offset: int, total: int | None, parts: bool
) -> Incoming:
    """Where it is known how much is to come, what has come is kept; twice the same at once is simply received twice,
    unless it comes in parts."""
    if total is not None:
        try:
            return stack.enter_context(
                uploads.going_on(studio, arriving.owner, arriving.name, total, offset, arriving.most, arriving.stamp)
            )
        except uploads.Busy:
            if parts:
                raise
    return stack.enter_context(uploads.receiving(studio, arriving.name, arriving.most, total))


async def _write_all(request: Request, incoming: Incoming) -> None:
    waiting = bytearray()
    try:
        async for chunk in request.stream():
            waiting += chunk
            if len(waiting) >= WRITE_BYTES:
                data = bytes(waiting)
                waiting.clear()
                await to_thread.run_sync(incoming.write, data)
    finally:
        incoming.write(bytes(waiting))


def _known(studio: Studio, arriving: Arriving, total: int) -> Response | None:
    """What became of an upload whose sender missed the answer; None where that is still to be seen."""
    try:
        kept = uploads.find(studio, arriving.owner, arriving.name, total, arriving.stamp)
    except InputError:
        return None
    if kept.problem is not None:
        return problem(422, *kept.problem.split("\n"))
    return JSONResponse(kept.result, 201) if kept.result is not None else None


def _used(studio: Studio, arriving: Arriving, incoming: Incoming) -> dict[str, Any]:
    incoming.flush()
    kept = incoming.total is not None
    try:
        result = arriving.use(incoming)
    except InputError as e:
        if kept:
            uploads.end(studio, arriving.owner, incoming, problem="\n".join(e.problems))
        raise
    if kept:
        uploads.end(studio, arriving.owner, incoming, result=result)
    return result
