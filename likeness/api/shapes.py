"""What requests and answers have in common."""

from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict

from likeness.studio.workspace import Studio


class Asked(BaseModel):
    """A request's body. Unknown fields are refused, never ignored."""

    model_config = ConfigDict(extra="forbid")


class Told(BaseModel):
    """An answer's body; may be made of a table's row or a dataclass with `model_validate`."""

    model_config = ConfigDict(from_attributes=True)


def _opened(request: Request) -> Studio:
    return request.app.state.studio


Opened = Annotated[Studio, Depends(_opened)]  # the studio, for a route's parameters


def picture_file(path: Path, *, forever: bool = False) -> FileResponse:
    """A picture to be shown, never run: browsers must not take it for a page. `forever`: its URL names its content."""
    keep = "private, max-age=31536000, immutable" if forever else "private, no-cache"
    return FileResponse(path, headers={"Cache-Control": keep, "X-Content-Type-Options": "nosniff",
                                       "Content-Security-Policy": "default-src 'none'; sandbox"})  # fmt: skip
