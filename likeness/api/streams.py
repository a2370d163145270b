"""Files to be saved by whoever asks: those that are there, and those that are made only to be fetched."""

import os
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from fastapi.responses import FileResponse
from starlette.background import BackgroundTask

from likeness.studio.workspace import Studio

# A file to be saved, never shown: whatever is in it, no browser takes it for a page.
SAVED = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; sandbox"}


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
