"""Example pictures of a model: copies in its folder, with the settings that drew them. Pinned by people."""

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from likeness.errors import Conflict, InputError, NotFound
from likeness.report.history import History
from likeness.store.tables import Model
from likeness.studio.workspace import Studio

FOLDER = "examples"  # in a model's folder
MOST = 24  # of one model
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
MOST_BYTES = 64 << 20  # of one picture


@dataclass(frozen=True)
class Example:
    """A picture somewhere, and how it was drawn: prompt, seed, steps … `reference`: the source picture of an edit."""

    path: Path
    settings: dict[str, Any]
    reference: Path | None = None


def of_run(history: History, epoch: int) -> list[Example]:
    """The test pictures of an epoch, those with the trigger first: they show what was learned."""
    trigger = str(history.config("trigger") or "")
    found = [
        Example(path, _settings(history, prompt.index, prompt.text, prompt.seed), prompt.reference)
        for prompt in history.prompts
        if (path := history.samples.get((epoch, prompt.index))) and path.suffix.lower() in SUFFIXES
    ]
    return sorted(found, key=lambda e: trigger not in e.settings["prompt"])[:MOST]


def _settings(history: History, index: int, text: str, seed: int | None) -> dict[str, Any]:
    found: dict[str, Any] = {"prompt": text, "seed": seed, "strength": 1.0}
    for name in ("steps", "guidance", "width", "height", "negative_prompt"):
        own = history.config("sampling.prompts")
        row: Any = own[index - 1] if isinstance(own, list) and index <= len(own) else None  # pyright: ignore[reportUnknownArgumentType]
        value = row.get(name) if isinstance(row, dict) else None  # pyright: ignore[reportUnknownMemberType]
        value = history.config(f"sampling.{name}") if value is None else value
        if value not in (None, ""):
            found[name] = value
    return found


def write(folder: Path, shown: Sequence[Example]) -> list[dict[str, Any]]:
    """Copy pictures into a model's folder; the rows for its `examples`. Raises InputError for too large a one."""
    rows: dict[str, dict[str, Any]] = {}
    for example in shown[:MOST]:
        row = _copied(folder, example)
        rows.setdefault(row["id"], row)
    return list(rows.values())


def _copied(folder: Path, example: Example) -> dict[str, Any]:
    name = _copy(folder, example.path)
    row = {"id": Path(name).stem, "file": f"{FOLDER}/{name}", **example.settings}
    if example.reference is not None and example.reference.is_file():
        row["reference"] = f"{FOLDER}/{_copy(folder, example.reference)}"
    return row


def _copy(folder: Path, path: Path) -> str:
    """Under a name that tells the content, so that nothing is there twice."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES or path.stat().st_size > MOST_BYTES:
        raise InputError(f"{path.name}: cannot be an example. Fix: take a {' or '.join(SUFFIXES)} below 64 MB")
    with path.open("rb") as f:
        name = hashlib.file_digest(f, "sha256").hexdigest()[:16] + suffix
    target = folder / FOLDER / name
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        shutil.copyfile(path, target)
    return name


def pin(studio: Studio, model: Model, example: Example) -> None:
    """Add an example to the row and its picture to the folder. Raises Conflict for too many."""
    if len(model.examples) >= MOST:
        raise Conflict(f"examples: {model.name} has {MOST} already. Fix: take one away first")
    row = _copied(studio.models / model.id, example)
    model.examples = [e for e in model.examples if e["id"] != row["id"]] + [row]
    model.thumbnail = model.thumbnail or row["file"]


def unpin(model: Model, example_id: str) -> None:
    """Take an example from the row; its picture stays in the folder, to be pinned again. Raises NotFound."""
    gone = find(model, example_id)
    model.examples = [e for e in model.examples if e["id"] != example_id]
    if model.thumbnail == gone["file"]:
        model.thumbnail = next((e["file"] for e in model.examples), None)


def show_first(model: Model, example_id: str) -> None:
    """Make an example the model's thumbnail. Raises NotFound."""
    model.thumbnail = find(model, example_id)["file"]


def find(model: Model, example_id: str) -> dict[str, Any]:
    """Raises NotFound."""
    found = next((e for e in model.examples if e["id"] == example_id), None)
    if found is None:
        raise NotFound(f"example: {model.name} has none '{example_id[:40]}'. Fix: take an id from its examples")
    return found


def picture_path(studio: Studio, model: Model, file: str) -> Path:
    """A picture of the model: its thumbnail, an example, or the source picture of one. Raises NotFound for another."""
    known = {model.thumbnail, *(e["file"] for e in model.examples), *(e.get("reference") for e in model.examples)}
    path = studio.models / model.id / file
    if file not in known or not path.is_file():
        raise NotFound(f"picture: {model.name} has no such picture. Fix: reload the page")
    return path
