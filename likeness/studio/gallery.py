"""Single pictures that were drawn here: found, pinned, put into the bin and taken out of it."""

import json
import time
from pathlib import Path
from typing import Any

from sqlalchemy import String, cast, func, select, update

from likeness.dataset.wording import one_line
from likeness.errors import NotFound
from likeness.store.tables import Picture
from likeness.studio.workspace import Studio


def listed(
    studio: Studio, *, search: str = "", pinned: bool | None = None, lora: str = "", limit: int = 60, offset: int = 0
) -> tuple[list[Picture], int]:
    """Pictures, newest first, and how many there are in all. `search`: words of the prompt; `lora`: as LoraChoice."""
    query = select(Picture).where(Picture.deleted.is_(None))
    if pinned is not None:
        query = query.where(Picture.pinned == pinned)
    for word in search.split()[:10]:
        query = query.where(Picture.prompt.icontains(word, autoescape=True))
    if lora:
        query = query.where(cast(Picture.settings, String).contains(json.dumps(lora), autoescape=True))
    with studio.database.reading() as session:
        total = session.scalar(select(func.count()).select_from(query.subquery())) or 0
        ordered = query.order_by(Picture.created.desc(), Picture.id)
        return list(session.scalars(ordered.offset(offset).limit(limit))), total


def get(studio: Studio, picture_id: str, *, binned: bool = False) -> Picture:
    """Raises NotFound where there is none, or it is in the bin and `binned` does not allow for that."""
    with studio.database.reading() as session:
        row = session.get(Picture, picture_id)
    if row is None or (row.deleted is not None and not binned):
        raise NotFound(f"no picture '{one_line(picture_id)[:40]}'. Fix: take an id from the history")
    return row


def path_of(studio: Studio, row: Picture) -> Path:
    """Raises NotFound where somebody took the file away."""
    path = studio.pictures / row.file
    if not path.is_file():
        raise NotFound("picture: its file is not there any more. Fix: draw it again")
    return path


def pin(studio: Studio, picture_id: str, pinned: bool = True) -> Picture:
    """Mark a picture, or take the mark away. Raises NotFound."""
    get(studio, picture_id)
    return _changed(studio, picture_id, pinned=pinned)


def delete(studio: Studio, picture_id: str) -> Picture:
    """Into the bin. Raises NotFound."""
    get(studio, picture_id)
    return _changed(studio, picture_id, deleted=time.time())


def restore(studio: Studio, picture_id: str) -> Picture:
    """Out of the bin. Raises NotFound where it is gone for good."""
    path_of(studio, get(studio, picture_id, binned=True))
    return _changed(studio, picture_id, deleted=None)


def _changed(studio: Studio, picture_id: str, **values: Any) -> Picture:
    with studio.database.session() as session:
        session.execute(update(Picture).where(Picture.id == picture_id).values(**values))
    return get(studio, picture_id, binned=True)


def empty_bin(studio: Studio, older_than: float) -> int:
    """Remove the files of pictures that have lain in the bin for so many seconds; how many that were.

    Their rows stay in the bin, so that no look at their job brings them back.
    """
    query = select(Picture.file).where(Picture.deleted <= time.time() - older_than)
    with studio.database.reading() as session:
        old = [studio.pictures / file for file in session.scalars(query)]
    gone = [path for path in old if path.is_file()]
    for path in gone:
        path.unlink(missing_ok=True)
    return len(gone)


def settings_told(row: Picture) -> dict[str, Any]:
    """What drew a picture, for those who see it elsewhere: LoRAs by their names."""
    plain = ("seed", "width", "height", "steps", "guidance", "negative_prompt")
    loras = [{"name": use.get("name"), "strength": use.get("strength")} for use in row.settings.get("loras") or []]
    settings = {key: row.settings[key] for key in plain if row.settings.get(key) not in (None, "")}
    strength = loras[0]["strength"] if len(loras) == 1 else None
    return {"prompt": row.prompt, **settings, **({"loras": loras} if len(loras) > 1 else {}),
            **({"strength": strength} if strength is not None else {})}  # fmt: skip
