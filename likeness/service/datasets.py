"""Datasets on their own: checked, mended, shown."""

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

from PIL import Image

from likeness.catalog import Card, resolve_base
from likeness.config.data import DatasetConfig
from likeness.config.load import Loaded, read_config
from likeness.dataset import mend
from likeness.dataset.checks import Finding, ordered
from likeness.dataset.checks.trigger import guess_trigger
from likeness.dataset.formats import open_rgb
from likeness.dataset.geometry import cut_out, with_crops
from likeness.dataset.index import Index
from likeness.dataset.ingest import Reading, read_dataset
from likeness.dataset.manifest import Example
from likeness.dataset.metadata import METADATA_NAMES
from likeness.dataset.pairs import is_side
from likeness.dataset.problems import Problem
from likeness.errors import InputError
from likeness.report.sheet import Entry, Remark, write_sheet
from likeness.service.checking import findings_of
from likeness.service.reading import archive_folder, open_index, place_of_dataset, read_datasets

_FIXED_BY_ITSELF = ("duplicates", "trigger", "trigger_spelling")  # what `mend` does
_SETTINGS = (".yaml", ".yml")


@dataclass(frozen=True)
class Report:
    """What a check came to."""

    path: Path
    kind: str
    trigger: str
    examples: list[Example]
    findings: list[Finding]
    notes: list[str]  # what was left out, and what was not checked
    folders: list[Path]  # of the datasets, in which --fix works
    fixed: list[str] = field(default_factory=list[str])  # what --fix did

    @property
    def noun(self) -> str:
        """What the dataset has so many of."""
        return "pairs" if self.kind == "edit" else "pictures"

    @property
    def fixable(self) -> bool:
        """Whether --fix could do something about it."""
        return any(f.check in _FIXED_BY_ITSELF for f in self.findings)


def check(
    path: Path,
    *,
    trigger: str | None = None,
    kind: str | None = None,
    base: str | None = None,
    fix: bool = False,
    subfolders: bool = False,
) -> Report:
    """Check a dataset, or all datasets of a settings file, which then says what the options leave open.

    `subfolders`: of a folder, read those inside it too; a settings file says so for each dataset.

    With `fix`, what can be mended safely is mended first (see `dataset.mend`). Without a trigger, a word in the
    captions that looks like one is taken for it; without a kind, a folder of pairs is an edit, anything else a
    character. Raises InputError for a base that is not known, and for settings that cannot be read.
    """
    card = resolve_base(base) if base is not None else None
    if path.suffix.lower() in _SETTINGS and not path.is_dir():
        loaded = read_config(path)
        changes = {"trigger": trigger, "kind": kind}
        config = loaded.config.model_copy(update={name: value for name, value in changes.items() if value is not None})
        loaded = replace(loaded, config=config)
        report = _check_run(path, loaded, card)
    else:
        report = _check_folder(path, trigger, kind or kind_of(path), card, subfolders)
    if not fix:
        return report
    done = [change.in_words() for folder in report.folders for change in mend.mend(folder, report.examples)]
    if not done:
        return report
    again = check(path, trigger=trigger or report.trigger, kind=kind, base=base, subfolders=subfolders)
    return replace(again, fixed=done)


def undo(folder: Path) -> tuple[list[str], list[str]]:
    """Take back what `check` with `fix` did in a folder: (what was taken back, what could not be)."""
    return mend.undo(folder)


def _check_run(path: Path, loaded: Loaded, other: Card | None) -> Report:
    """`other` is the base to check for instead of the run's own."""
    config, card = loaded.config, other or loaded.card
    sides = (other.resolution,) if other else config.data.sides(card.resolution)
    readings = read_datasets(loaded)
    places = [place_of_dataset(loaded, number) for number in range(len(readings))]
    examples, wrong_crops = with_crops([e for reading in readings for e in reading.examples])
    with open_index() as index:
        found = findings_of(examples, config.kind, card, sides, index)
    found += [_as_finding(Problem("crop", text)) for text in wrong_crops]
    problems = [_as_finding(p, f"{place}: ") for place, r in zip(places, readings, strict=True) for p in r.problems]
    notes = [note for reading in readings for note in reading.notes]
    folders = [Path(d.path) for d in config.data.datasets if Path(d.path).is_dir()]
    return Report(path, config.kind, config.trigger, examples, ordered([*problems, *found]), notes, folders)


def _check_folder(path: Path, trigger: str | None, kind: str, card: Card | None, subfolders: bool) -> Report:
    with open_index() as index:
        reading = _read(path, trigger or "", kind, index, subfolders)
        notes = list(reading.notes)
        guess = guess_trigger(reading.examples) if trigger is None and kind != "edit" else None
        if guess:
            reading = _read(path, guess, kind, index, subfolders)
            notes.append(f"'{guess}' was taken for the trigger word. Fix: say which it is with --trigger")
        if card is None and reading.examples:
            notes.append("sizes were compared with one another alone. Fix: name the base to train with --base")
        examples, wrong_crops = with_crops(reading.examples)
        found = findings_of(examples, kind, card, [card.resolution] if card else [], index)
    problems = [_as_finding(p) for p in (*reading.problems, *(Problem("crop", text) for text in wrong_crops))]
    folders, word = [path] if path.is_dir() else [], guess or trigger or ""
    return Report(path, kind, word, examples, ordered([*problems, *found]), notes, folders)


def _read(path: Path, trigger: str, kind: str, index: Index, subfolders: bool) -> Reading:
    settings = DatasetConfig(path=str(path.absolute()), subfolders=subfolders)
    store = archive_folder()
    return read_dataset(settings, index=index, store=store, kind=kind, trigger=trigger, require_captions=False)


def kind_of(path: Path) -> str:
    """'edit' for a folder with one of the sides of a pair, or a list of pairs, in it."""
    if not path.is_dir():
        return "character"
    if (path / METADATA_NAMES[0]).is_file():
        return "edit"
    return "edit" if any(is_side(p.name) for p in path.iterdir() if p.is_dir()) else "character"


def _as_finding(problem: Problem, place: str = "") -> Finding:
    """What keeps a dataset from being read is an error like the others."""
    message, _, fix = problem.message.partition(" Fix: ")
    if not place and message.startswith("the "):
        message = f"T{message[1:]}"
    return Finding(problem.check, "error", problem.images, place + message, fix[:1].upper() + fix[1:] + ".")


def write_contact_sheet(report: Report, path: Path) -> None:
    """All pictures with their captions and what was found, as one HTML file. Raises InputError for another ending."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{path}: the contact sheet is HTML. Fix: give it a name that ends in .html")
    folders = [folder.absolute() for folder in (report.path, *report.folders)]

    def told(text: str) -> str:
        """Without the way to the dataset on this machine: the sheet may be mailed."""
        for folder in folders:
            text = text.replace(f"{folder.parent}{os.sep}{folder.name}", folder.name)
        return text

    remarks = [Remark(f.severity, f.check, f.images, told(f.message), told(f.fix)) for f in report.findings]
    entries = [
        Entry(e.path, e.references, " | ".join(e.captions) or e.caption, e.width, e.height, e.repeats)
        for e in report.examples
    ]
    title = report.path.resolve().name
    facts = [("kind", report.kind), ("trigger", report.trigger), (report.noun, str(len(report.examples)))]
    crops = {e.path: e.crop for e in report.examples if e.crop}

    def show(picture: str) -> Image.Image | None:
        """As it is trained: any format, upright, in its own colours, and the part in its crop box."""
        try:
            return cut_out(open_rgb(Path(picture)), crops.get(picture))
        except InputError:
            return None

    write_sheet(
        path,
        title,
        [(name, value) for name, value in facts if value],
        entries,
        remarks,
        [told(note) for note in report.notes],
        show,
    )
