"""Files that come in and go out: a request's body to the disk as it arrives, and files made only to be fetched."""

import os
import zipfile
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import Request
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask

from likeness.studio import uploads
from likeness.studio.workspace import Studio

# A file to be saved, never shown: whatever is in it, no browser takes it for a page.
SAVED = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox"}


@asynccontextmanager
async def received(request: Request, studio: Studio, name: str, most: int) -> AsyncGenerator[Path]:
    """The whole body in a file, which is gone after the block. Raises InputError for more than `most` bytes."""
    told = request.headers.get("content-length", "")
    with uploads.receiving(studio, name, most, int(told) if told.isdecimal() else None) as incoming:
        async for chunk in request.stream():
            incoming.write(chunk)
        incoming.flush()
        yield incoming.path


def saved(path: Path, file_name: str, *, media_type: str = "application/octet-stream") -> FileResponse:
    """A file to be saved under a name."""
    return FileResponse(path, filename=file_name, media_type=media_type, headers={"Cache-Control": "private", **SAVED})


def made(studio: Studio, file_name: str, make: Callable[[Path], object]) -> FileResponse:
    """A file that `make` writes, to be saved under a name; it is gone once it has been sent."""
    studio.uploads.mkdir(parents=True, exist_ok=True)
    path = studio.uploads / f"{os.urandom(8).hex()}.part"  # swept with uploads where the server dies over it
    try:
        make(path)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    answer = saved(path, file_name)
    answer.background = BackgroundTask(path.unlink, missing_ok=True)
    return answer


def write_zip(target: Path, files: Sequence[Path]) -> None:
    """Files side by side in a zip, unpacked: weights do not get smaller."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as pack:
        for path in files:
            pack.write(path, path.name)
