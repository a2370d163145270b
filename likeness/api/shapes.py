"""What requests and answers have in common."""

from pathlib import Path
from typing import Annotated, Any, cast

from fastapi import Depends, Request
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, model_validator

from likeness.studio.workspace import Studio


class Asked(BaseModel):
    """A request's body. Unknown fields are refused, never ignored; so is text that is no Unicode."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _can_be_written(cls, data: Any) -> Any:
        """JSON can hold halves of characters ('\\ud800'), which no file and no database takes."""
        left: list[Any] = [data]
        while left:
            part = left.pop()
            if isinstance(part, str):
                if not part.isascii() and part != part.encode(errors="replace").decode():
                    raise ValueError("holds text that is no Unicode")
            elif isinstance(part, dict):
                group = cast(dict[Any, Any], part)
                left += [*group, *group.values()]
            elif isinstance(part, list):
                left += cast(list[Any], part)
        return data


class Told(BaseModel):
    """An answer's body; may be made of a table's row or a dataclass with `model_validate`."""

    model_config = ConfigDict(from_attributes=True)


def _opened(request: Request) -> Studio:
    return request.app.state.studio


Opened = Annotated[Studio, Depends(_opened)]  # the studio, for a route's parameters


def picture_file(path: Path, *, forever: bool = False) -> FileResponse:
    """A picture to be shown, never run: browsers must not take it for a page. `forever`: its URL names its content."""
    return FileResponse(path, headers=_seen_only(forever))


_SOUNDS = {
    ".wav": "audio/wav", ".wave": "audio/wav", ".flac": "audio/flac", ".ogg": "audio/ogg", ".oga": "audio/ogg",
    ".opus": "audio/ogg", ".mp3": "audio/mpeg",
}  # fmt: skip


def sound_file(path: Path, *, forever: bool = False) -> FileResponse:
    """A sound to be played, in parts where that is asked for; never run, and `forever`, as for pictures."""
    kind = _SOUNDS.get(path.suffix.lower(), "application/octet-stream")
    return FileResponse(path, media_type=kind, headers=_seen_only(forever))


def _seen_only(forever: bool) -> dict[str, str]:
    keep = "private, max-age=31536000, immutable" if forever else "private, no-cache"
    return {"Cache-Control": keep, "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "default-src 'none'; sandbox"}  # fmt: skip
