"""Source pictures for edits: uploaded ones, kept by content, and pictures that are here already, by name.

`upload:FILE` was uploaded; `picture:ID` was generated here; `example:MODEL/ID` is an example of a model.
"""

import re
import shutil
from pathlib import Path

from likeness import durable
from likeness.dataset.formats import IMAGE_SUFFIXES, measure
from likeness.dataset.wording import one_line
from likeness.errors import InputError, NotFound
from likeness.store.tables import Picture
from likeness.studio import examples, models
from likeness.studio.workspace import Studio

MOST_BYTES = 64 << 20
FOLDER = "references"  # in pictures/
UPLOAD, PICTURE, EXAMPLE = "upload:", "picture:", "example:"
_FILE = re.compile(r"[0-9a-f]{32}\.[a-z]{3,4}")


def keep(studio: Studio, source: Path, file_name: str) -> str:
    """Copy an uploaded picture; the name to use it by. Raises InputError for one that cannot be read."""
    suffix = Path(file_name).suffix.lower()
    if suffix not in IMAGE_SUFFIXES:
        raise InputError(f"file: {one_line(file_name)[:100]} is no picture that is read here. Fix: give a PNG or JPEG")
    try:
        found = measure(source)
    except InputError as e:
        raise InputError(*(p.replace(f"{source}: ", "file: ") for p in e.problems)) from e
    name = f"{found.sha256[:32]}{suffix}"
    target = studio.pictures / FOLDER / name
    if not target.exists():
        durable.write_with(target, lambda partial: shutil.copyfile(source, partial))
    return f"{UPLOAD}{name}"


def path_of(studio: Studio, reference: str) -> Path:
    """The file of a reference. Raises NotFound, and InputError for what is none."""
    kind, _, name = reference.partition(":")
    path: Path | None = None
    match f"{kind}:":
        case "upload:":
            path = studio.pictures / FOLDER / name if _FILE.fullmatch(name) else None
        case "picture:":
            with studio.database.reading() as session:
                row = session.get(Picture, name)
            path = studio.pictures / row.file if row and row.deleted is None else None
        case "example:":
            model_id, _, example_id = name.partition("/")
            model = models.get(studio, model_id)
            path = examples.picture_path(studio, model, str(examples.find(model, example_id)["file"]))
        case _:
            raise InputError(
                f"references: '{one_line(reference)[:80]}' is none. Fix: upload:FILE, picture:ID or example:MODEL/ID"
            )
    if path is None or not path.is_file():
        raise NotFound(f"references: '{one_line(reference)[:80]}' is not there. Fix: choose or upload it again")
    return path
