"""A run's pictures side by side, and its measures: what is there is shown, what is missing is drawn by a job."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from likeness.errors import Conflict, InputError, NotFound
from likeness.events import SAMPLE_NOW
from likeness.report.history import mapping
from likeness.service import comparisons, evaluations, scorecards
from likeness.service.comparisons import Laid, View
from likeness.service.evaluations import Protocol
from likeness.service.pictures import open_album
from likeness.service.samples import LoraUse
from likeness.service.workers import Order
from likeness.store.tables import Job
from likeness.studio import queue, trust
from likeness.studio.queue import Entry
from likeness.studio.references import lora_file
from likeness.studio.run_summaries import folder_of, pictures_only
from likeness.studio.supervisor import Ending
from likeness.studio.workspace import Studio

MOST_PICTURES = 2000  # in one comparison


@dataclass(frozen=True)
class Cell:
    """One picture; `path` is relative to the run folder, None where it is yet to be drawn."""

    column: int
    row: int
    path: str | None


@dataclass(frozen=True)
class Compared:
    """A comparison as it stands. `job` draws what is missing, where that was asked for."""

    columns: list[str]
    rows: list[tuple[str, int]]  # prompt and seed
    cells: list[Cell]
    missing: int
    job: Job | None


def compare(studio: Studio, name: str, view: View, *, draw: bool = False) -> Compared:
    """Lay out a view of a run; `draw`: queue what is missing. Raises NotFound, InputError for what cannot be shown."""
    laid = _laid(studio, name, view)
    missing = {path for _, path in laid.missing}
    root = laid.album.history.folder.resolve()
    cells = [
        Cell(column, row, None if path in missing else path.relative_to(root).as_posix())
        for (column, row), path in sorted(laid.paths.items())
    ]
    job = _draw(studio, name, laid) if missing and draw else None
    rows = [(shot.prompt.prompt, shot.seed) for shot in laid.rows]
    return Compared([label for label, _ in laid.columns], rows, cells, len(missing), job)


def uses(studio: Studio, loras: Sequence[tuple[str, float]]) -> tuple[LoraUse, ...]:
    """LoRAs by their names in the studio ('run:NAME/EPOCH', 'model:ID'), with strengths. Raises NotFound."""
    return tuple(LoraUse(lora_file(studio, lora), strength) for lora, strength in loras)


def save_view(studio: Studio, name: str, title: str, view: View) -> None:
    """Keep a view under a name. Raises InputError for one that cannot be shown, or a name that does not do."""
    _laid(studio, name, view)
    comparisons.save_view(folder_of(studio, name), title, view)


def views(studio: Studio, name: str) -> list[tuple[str, View]]:
    """Those that were saved, by name; one that cannot be read is left out."""
    folder = folder_of(studio, name)
    found: list[tuple[str, View]] = []
    for title in comparisons.view_names(folder):
        try:
            found.append((title, comparisons.load_view(folder, title)))
        except InputError:
            continue
    return found


def load_view(studio: Studio, name: str, title: str) -> View:
    """Raises NotFound."""
    found = dict(views(studio, name)).get(title)
    if found is None:
        raise NotFound(f"run '{name}' has no saved view '{title[:100]}'. Fix: take one from its list")
    return found


def delete_view(studio: Studio, name: str, title: str) -> None:
    """Raises NotFound."""
    load_view(studio, name, title)
    for suffix in (".json", ".html", ".png"):
        (folder_of(studio, name) / comparisons.FOLDER / f"{title}{suffix}").unlink(missing_ok=True)


def _laid(studio: Studio, name: str, view: View) -> Laid:
    laid = comparisons.lay_out(open_album(pictures_only(studio, name)), view)
    if len(laid.paths) > MOST_PICTURES:
        raise InputError(f"seeds: {len(laid.paths)} pictures are too many. Fix: fewer seeds, strengths or epochs")
    return laid


def _draw(studio: Studio, name: str, laid: Laid) -> Job:
    """One job for the same pictures, however often it is asked for."""
    order = comparisons.order(laid)
    if order is None:
        raise Conflict("nothing is missing. Fix: reload the comparison")
    pictures = hashlib.sha256("\n".join(sorted(str(p) for _, p in laid.missing)).encode()).hexdigest()[:16]
    for job in queue.listed(studio, states=("queued", "running"), subject=f"run:{name}", verb="draw"):
        if job.extra.get("pictures") == pictures:
            return job
    return _submit(studio, name, order, f"Draw {len(laid.missing)} pictures of {name}", {"pictures": pictures})


# --- measures


def evaluate(studio: Studio, name: str, protocol: Protocol) -> Job:
    """Queue the test of a LoRA at several strengths and seeds. Raises NotFound, InputError."""
    trust.check("encoder", protocol.encoder or "")
    laid = evaluations.lay_out(open_album(pictures_only(studio, name)), protocol)
    kept = {"strengths": protocol.strengths, "seeds": protocol.seeds, "epochs": protocol.epochs,
            "prompts": protocol.prompts, "encoder": protocol.encoder}  # fmt: skip
    return _submit(studio, name, evaluations.order(laid), f"Test strengths of {name}", {"run": name, "protocol": kept})


def evaluated(studio: Studio, name: str) -> list[dict[str, Any]]:
    """What such tests found, by epoch; `grid` is relative to the run folder."""
    folder = folder_of(studio, name) / evaluations.FOLDER
    found: list[dict[str, Any]] = []
    for path in sorted(folder.glob("epoch-*.json")):
        try:
            told = mapping(json.loads(path.read_text()))
        except (OSError, ValueError):
            continue
        grid = path.with_suffix(".png")
        place = f"{evaluations.FOLDER}/{grid.name}" if grid.is_file() else None
        found.append({key: value for key, value in told.items() if key not in ("page", "grid")} | {"grid": place})
    return found


def score(
    studio: Studio, name: str, *, encoder: str | None = None, seeds: int | None = None, against: str | None = None
) -> Job:
    """Queue the scorecard of a run again; see `service.scorecards.order`. Raises NotFound, InputError."""
    trust.check("encoder", encoder or "")
    other = pictures_only(studio, against) if against else None
    order = scorecards.order(pictures_only(studio, name), encoder=encoder, seeds=seeds, against=other)
    return _submit(studio, name, order, f"Scorecard of {name}", {"run": name})


def _submit(studio: Studio, name: str, order: Order, title: str, extra: dict[str, Any]) -> Job:
    return queue.submit(studio, order, Entry(title, f"run:{name}", extra))


def _put_away(studio: Studio, job: Job, result: dict[str, Any]) -> dict[str, Any]:
    """Write what an evaluation found into the run."""
    kept: dict[str, Any] = job.extra["protocol"]
    protocol = Protocol(
        tuple(kept["strengths"]), int(kept["seeds"]), tuple(kept["epochs"]), tuple(kept["prompts"]), kept["encoder"]
    )
    laid = evaluations.lay_out(open_album(folder_of(studio, str(job.extra["run"]))), protocol)
    found = evaluations.write(result, laid)
    return {"notes": found["notes"], "epochs": [epoch["epoch"] for epoch in found["epochs"]]}


def _tidy(studio: Studio, job: Job, result: dict[str, Any]) -> None:
    """A request for pictures that came with the last step has nobody left to answer it."""
    (Path(job.folder) / SAMPLE_NOW).unlink(missing_ok=True)


ENDINGS: dict[str, Ending] = {"evaluate": _put_away, "train": _tidy, "mock": _tidy}
