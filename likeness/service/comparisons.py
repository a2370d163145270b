"""Comparisons of a run's pictures: what is shown, what has to be drawn for it, and views that can be opened again."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any, cast

from likeness import durable
from likeness.config.names import is_name
from likeness.errors import InputError
from likeness.report.comparison import Comparison, Row, save_picture, write_page
from likeness.service.pictures import Album, Shot, as_job, check_seeds
from likeness.service.samples import LoraUse
from likeness.service.workers import Order

FOLDER = "comparisons"  # in the run
LATEST = "latest"  # name of what is not saved under one


@dataclass(frozen=True)
class View:
    """What is compared. Empty: epochs, all; strengths, as trained; prompts, the run's test prompts; loras, none.

    `prompts` are numbers of test prompts, such as '1,3', or new prompts. `seeds`: pictures for each prompt.
    """

    epochs: tuple[int, ...] = ()
    strengths: tuple[float, ...] = ()
    seeds: int = 1
    prompts: tuple[str, ...] = ()
    loras: tuple[LoraUse, ...] = ()


@dataclass(frozen=True)
class Laid:
    """A view with every picture settled: columns with their LoRAs, rows with their prompts, and where pictures are."""

    album: Album
    columns: list[tuple[str, tuple[LoraUse, ...]]]
    rows: list[Shot]  # without LoRAs
    paths: dict[tuple[int, int], Path]  # by (column, row)

    @property
    def missing(self) -> list[tuple[Shot, Path]]:
        """The pictures that are yet to be drawn."""
        return [
            (Shot(self.rows[r].prompt, self.rows[r].seed, self.columns[c][1]), path)
            for (c, r), path in self.paths.items()
            if not path.is_file()
        ]


def lay_out(album: Album, view: View) -> Laid:
    """Raises InputError for epochs, prompts or files that are not there."""
    check_seeds(view.seeds)
    columns = list(_columns(album, view))
    rows = [Shot(prompt, seed) for prompt in album.prompts(view.prompts) for seed in album.seeds(prompt, view.seeds)]
    paths = {
        (c, r): album.path(Shot(row.prompt, row.seed, loras))
        for c, (_, loras) in enumerate(columns)
        for r, row in enumerate(rows)
    }
    return Laid(album, columns, rows, paths)


def order(laid: Laid, device: str = "auto") -> Order | None:
    """To draw what is missing; None where nothing is."""
    return Order("draw", as_job(laid.album.history.folder, laid.missing, device)) if laid.missing else None


def write(laid: Laid, name: str = LATEST, grid: Path | None = None) -> tuple[Path, Path]:
    """Write the page and the grid, into the run; returns their paths. `grid`: another place for the grid."""
    shown = as_comparison(laid, "" if name == LATEST else name)
    page = laid.album.history.folder / FOLDER / f"{name}.html"
    grid = grid or page.with_suffix(".png")
    save_picture(shown, grid)
    write_page(shown, page)
    return page, grid


def as_comparison(laid: Laid, name: str = "") -> Comparison:
    """What the report shows of it."""
    history, config = laid.album.history, laid.album.config
    facts = [config.kind, f"base {config.base}", *([f"trigger {config.trigger}"] if config.trigger else [])]
    rows = [Row(s.prompt.prompt, s.seed, Path(s.prompt.reference[-1]) if s.prompt.reference else None)
            for s in laid.rows]  # fmt: skip
    there = {place: path for place, path in laid.paths.items() if path.is_file()}
    title = f"{history.name}: {name}" if name else history.name
    return Comparison(title, facts, [label for label, _ in laid.columns], rows, there, config.trigger)


# --- views


def save_view(run: Path, name: str, view: View) -> Path:
    """Keep a view under a name, in the run. Raises InputError for a name that does not do."""
    path = _view_path(run, name)
    durable.write_text(path, json.dumps({"version": 1, **asdict(view)}, indent=2, default=str))
    return path


def load_view(run: Path, name: str) -> View:
    """Raises InputError where there is none of this name, or it cannot be read."""
    path = _view_path(run, name)
    if not path.is_file():
        known = ", ".join(view_names(run)) or "none yet"
        raise InputError(f"--view: {run} has no saved view '{name}'. Fix: choose from: {known}")
    try:
        return _view_in(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError, KeyError, AttributeError) as e:
        raise InputError(f"{path}: is not a saved view ({e}). Fix: save it again with --save {name}") from e


def view_names(run: Path) -> list[str]:
    return sorted(path.stem for path in (run / FOLDER).glob("*.json"))


def _view_in(tree: dict[str, Any]) -> View:
    loras = tuple(LoraUse(Path(use["path"]), float(use["strength"])) for use in cast(list[Any], tree["loras"]))
    return View(
        tuple(int(e) for e in tree["epochs"]),
        tuple(float(s) for s in tree["strengths"]),
        int(tree["seeds"]),
        tuple(str(p) for p in tree["prompts"]),
        loras,
    )


def _view_path(run: Path, name: str) -> Path:
    if not is_name(name) or name == LATEST:
        raise InputError(f"'{name}' is no name for a view. Fix: letters, digits, '.', '_' and '-', and not '{LATEST}'")
    return run / FOLDER / f"{name}.json"


# --- columns


def _columns(album: Album, view: View) -> Iterator[tuple[str, tuple[LoraUse, ...]]]:
    """Epochs and LoRA files, each at each strength; the base once."""
    strengths = view.strengths or (1.0,)
    epochs = list(dict.fromkeys(view.epochs)) or _usual_epochs(album, view)
    base = False
    for epoch, strength in product(epochs, strengths):
        loras = album.lora(epoch, strength)
        if loras:
            yield f"epoch {epoch}" + (f" · {strength:g}" if view.strengths else ""), loras
        elif not base:
            base = True
            yield "base", ()
    for use, strength in product(view.loras, strengths):
        if not use.path.is_file():
            raise InputError(f"{use.path}: is not there. Fix: give the path of a .safetensors file")
        worn = LoraUse(use.path, use.strength * strength)
        yield lora_label(use.path) + (f" · {worn.strength:g}" if view.strengths or use.strength != 1 else ""), (worn,)


def _usual_epochs(album: Album, view: View) -> list[int]:
    if view.loras:
        return []
    if view.strengths:
        return [album.last_choice()]
    if view.seeds > 1 or view.prompts or not album.history.epochs:
        return [0, *album.history.checkpoints]
    return album.history.epochs


def lora_label(path: Path) -> str:
    """The file's name; of a checkpoint its run's too."""
    if path.parent.name == "checkpoints":
        return f"{path.parent.parent.name} {path.stem}"
    return path.stem
