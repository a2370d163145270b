"""What a person should know about a dataset, beside the pictures it is about, and what one click can do about it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from likeness.dataset.checks import Severity
from likeness.dataset.checks.copies import copy_groups
from likeness.dataset.checks.pixels import measure_picture
from likeness.dataset.geometry import read_crop
from likeness.dataset.manifest import Box
from likeness.errors import InputError
from likeness.service import datasets as service
from likeness.service import prompts
from likeness.service.datasets import Report
from likeness.service.prompts import Suggested
from likeness.store.tables import Dataset, Job
from likeness.studio.datasets import captions, crops, jobs, pairs, rows
from likeness.studio.datasets.files import arranged, path_of, remove, size_of
from likeness.studio.datasets.rows import files_of, get
from likeness.studio.workspace import Studio

FIXES = {  # what can be done at once, and what the button says
    "remove_copies": "Remove the copies",
    "remove": "Remove",
    "add_trigger": "Write the trigger",
    "set_trigger": "Take it as the trigger",
    "enlarge": "Enhance 2×",
    "square": "Crop to a square",
    "trim": "Cut the bars off",
    "uncrop": "Show all of it",
    "caption": "Write captions",
    "swap": "Swap before and after",
}
_OFFERED: dict[str, tuple[str, ...]] = {  # by check
    "duplicates": ("remove_copies",), "near_duplicates": (), "trigger": ("add_trigger",),
    "trigger_spelling": ("add_trigger",), "size": ("enlarge",), "aspect": ("square",), "aspect_cut": ("square",),
    "borders": ("trim",), "unreadable": ("remove",), "caption_empty": ("caption",), "caption_missing": ("caption",),
    "crop": ("uncrop",), "pair_swapped": ("swap",), "pair_same": ("remove",),
}  # fmt: skip


@dataclass(frozen=True)
class Found:
    """A finding; `images` are names of pictures, of pairs those after. `fixes` are keys of FIXES."""

    check: str
    severity: Severity
    images: list[str]
    message: str
    fix: str
    fixes: list[str]


@dataclass(frozen=True)
class Checked:
    findings: list[Found]
    notes: list[str]  # what was left out, and what was not checked
    count: int  # of pictures or pairs that can be used
    trigger: str  # the dataset's; where it has none, a word of the captions that looks like one

    def of(self, name: str) -> list[Found]:
        """What was found in one picture."""
        return [f for f in self.findings if name in f.images]

    @property
    def whole(self) -> list[Found]:
        """What is about no picture in particular."""
        return [f for f in self.findings if not f.images]


@dataclass(frozen=True)
class Fixed:
    """What a fix did, for people; or the job that does it."""

    words: str
    job: Job | None = None


def check(studio: Studio, dataset: str, base: str | None = None) -> Checked:
    """Check it for its base, or for another. Slow the first time: every picture is measured."""
    row = get(studio, dataset)
    places, loose = arranged(studio, row)
    if not places and (row.kind == "edit" or not loose):
        what, fix = ("pictures", "Add some.") if not loose else ("pairs", "Say which picture leads to which.")
        return Checked([Found("empty", "error", [], f"There are no {what} yet.", fix, [])], [], 0, row.trigger)
    report = _report(studio, row, base)
    files = files_of(studio, row.id)
    found = [
        Found(f.check, f.severity, [_name(path, files) for path in f.images], _plain(f.message, files),
              _plain(f.fix, files), _fixes(f.check, f.images, row))
        for f in report.findings
    ]  # fmt: skip
    if report.trigger and not row.trigger and row.kind != "edit":
        words = f"'{report.trigger}' stands in most captions. Is it the trigger word?"
        found.append(Found("trigger_unset", "advice", [], words, "Set the trigger, so that it is checked.",
                           ["set_trigger"]))  # fmt: skip
    if loose and row.kind == "edit":
        names = [_name(str(path), files) for path in loose]
        count = f"{len(names)} picture{' is' if len(names) == 1 else 's are'}"
        found.append(Found("loose", "advice", names, f"{count} in no pair, and not learned from.",
                           "Pair them, or remove them.", ["remove"]))  # fmt: skip
    notes = [_plain(note, files) for note in report.notes if "--" not in note]
    return Checked(found, notes, len(report.examples), row.trigger or report.trigger)


def fix(studio: Studio, dataset: str, what: str, images: Sequence[str] | None = None) -> Fixed:
    """Do one of FIXES; without `images`, wherever the check finds it needed. Each can be undone.

    Raises InputError for what is not known, and whatever the deed raises.
    """
    row = get(studio, dataset)
    if what not in FIXES:
        raise InputError(f"fix: '{what}' is not known. Fix: one of {', '.join(FIXES)}")
    if what == "caption":
        return Fixed("Captions are being written.", jobs.caption(studio, row.id))
    if what == "set_trigger":
        word = _report(studio, row, None).trigger
        rows.change(studio, row.id, trigger=word)
        return Fixed(f"'{word}' is the trigger now.")
    if what == "remove_copies":
        return _remove_copies(studio, row, images)
    if what == "add_trigger":
        count = len(captions.add_trigger(studio, row.id, images))
        return Fixed(_counted(count, "caption has", "captions have", "changed"))
    if what == "remove" and images is None:
        raise InputError("images: what is removed has to be named. Fix: name the pictures")
    return _fix_pictures(studio, row, what, list(images) if images is not None else _needing(studio, row, what))


def _fix_pictures(studio: Studio, row: Dataset, what: str, names: list[str]) -> Fixed:
    """Those fixes that are done to pictures, or to the pairs that lead to them."""
    if what == "enlarge":
        return Fixed("The pictures are being enlarged.", jobs.enlarge(studio, row.id, _both_sides(studio, row, names)))
    if what == "swap":
        pairs.swap(studio, row.id, names)
        return Fixed(_counted(len(names), "pair was", "pairs were", "swapped"))
    if what == "remove":
        pairs.remove(studio, row.id, names)
        return Fixed(_counted(len(names), "picture was", "pictures were", "set aside"))
    if what == "square":
        return Fixed(_counted(crops.square(studio, row.id, names), "picture was", "pictures were", "cropped"))
    boxes = {name: None if what == "uncrop" else _without_bars(studio, row, name) for name in names}
    words = _counted(len(names), "picture is", "pictures are", "shown whole" if what == "uncrop" else "without bars")
    crops.crop(studio, row.id, boxes, words.rstrip("."))
    return Fixed(words)


def suggest(studio: Studio, dataset: str) -> Suggested:
    """Test prompts for it, by rules. Raises InputError where there is not one picture."""
    row = get(studio, dataset)
    if not arranged(studio, row)[0]:
        raise InputError(f"dataset '{row.name}': has nothing to learn from yet. Fix: add pictures first")
    files = files_of(studio, row.id)
    found = prompts.suggest(files, row.trigger or None, row.kind)
    notes = [_plain(note, files) for note in found.notes]
    return Suggested(found.kind, found.trigger, found.captions, found.ideas, found.author, notes)


def _report(studio: Studio, row: Dataset, base: str | None) -> Report:
    files = files_of(studio, row.id)
    return service.check(files, trigger=row.trigger or None, kind=row.kind, base=base or row.base or None)


def _fixes(check: str, images: Sequence[str], row: Dataset) -> list[str]:
    fixes = _OFFERED.get(check, ())
    if not row.trigger:
        fixes = tuple(f for f in fixes if f != "add_trigger")
    return list(fixes) if images or not {*fixes} & {"square", "trim", "remove", "swap"} else []


def _needing(studio: Studio, row: Dataset, what: str) -> list[str]:
    """The pictures that the check would offer a fix for."""
    found = check(studio, row.id).findings
    return list(dict.fromkeys(name for f in found if what in f.fixes for name in f.images))


def _remove_copies(studio: Studio, row: Dataset, images: Sequence[str] | None) -> Fixed:
    examples = _report(studio, row, None).examples
    files = files_of(studio, row.id)
    extra = [examples[i] for group in copy_groups(examples) for i in group[1:]]
    staying = {p for e in examples if e not in extra for p in (e.path, *e.references)}
    gone: dict[str, None] = {}
    for e in extra:
        if images is None or _name(e.path, files) in images:
            gone |= {_name(p, files): None for p in (e.path, *e.references) if p not in staying}
    remove(studio, row.id, list(gone))
    return Fixed(_counted(len(gone), "copy was", "copies were", "set aside"))


def _both_sides(studio: Studio, row: Dataset, names: Sequence[str]) -> list[str]:
    """Of pairs, the pictures on both sides."""
    files, wanted = files_of(studio, row.id), {path_of(studio, row.id, name) for name in names}
    both = [p for place in arranged(studio, row)[0] if place.pictures[-1] in wanted for p in place.pictures]
    return list(dict.fromkeys([*names, *(p.relative_to(files).as_posix() for p in both)]))


def _without_bars(studio: Studio, row: Dataset, name: str) -> Box | None:
    """What is left of a picture, as shares of it, without the bars at its sides."""
    path = path_of(studio, row.id, name)
    width, height = size_of(path)
    own = read_crop(path, width, height) or (0.0, 0.0, float(width), float(height))
    figures, _ = measure_picture(path, own)
    left, top, right, bottom = (float(share) for share in figures["borders"])
    x, y, across, down = own
    return (
        (x + left * across) / width, (y + top * down) / height, across * (1 - left - right) / width,
        down * (1 - top - bottom) / height,
    )  # fmt: skip


def _name(path: str, files: Path) -> str:
    return Path(path).relative_to(files).as_posix() if Path(path).is_relative_to(files) else path


def _plain(text: str, files: Path) -> str:
    """Without the way to the dataset on this machine."""
    return text.replace(f"{files}{os.sep}", "").replace(str(files), "the dataset")


def _counted(count: int, one: str, many: str, done: str) -> str:
    return f"{count} {one if count == 1 else many} {done}."
