"""Captions of a dataset, written and changed by people. What a person has written is a person's from then on; machines
write through jobs of their own (see `jobs`)."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from likeness import durable
from likeness.dataset.authorship import Authorship, Place
from likeness.dataset.captions import apply_trigger, has_trigger
from likeness.dataset.checks.lexicon import ORDINARY_NOUNS
from likeness.dataset.checks.trigger import find_variant
from likeness.dataset.mend import with_trigger
from likeness.dataset.wording import one_line
from likeness.errors import Conflict, InputError
from likeness.store.tables import Dataset
from likeness.studio.datasets import pair_list, steps
from likeness.studio.datasets.files import arranged, path_of, place_of
from likeness.studio.datasets.rows import files_of, get, locked
from likeness.studio.datasets.steps import Recorder
from likeness.studio.workspace import Studio

LONGEST = 10_000  # letters of a caption


@dataclass(frozen=True)
class Audit:
    """Which captions have the trigger. Names of pictures."""

    trigger: str
    has: list[str]
    lacks: list[str]
    spelled_otherwise: dict[str, str]  # name -> what stands there
    without_caption: list[str]
    is_a_word: bool  # the trigger means something already


def set_caption(studio: Studio, dataset: str, name: str, text: str) -> None:
    """Write the caption of a picture, or the instruction of the pair that it is the outcome of; '' takes it away.

    Raises NotFound, InputError for one that is too long, Conflict for a picture that is in no pair.
    """
    row = get(studio, dataset)
    if len(text) > LONGEST:
        raise InputError(f"caption: is longer than {LONGEST} letters. Fix: shorten it")
    place_of(studio, row, name)
    with steps.taking(studio, row.id, f"wrote the caption of {name}") as step:
        write(studio, row, name, text, step)


def write(studio: Studio, row: Dataset, name: str, text: str, step: Recorder) -> None:
    """As a part of a step. Nothing happens where it says so already."""
    text, files, record = one_line(text), files_of(studio, row.id), Authorship(files_of(studio, row.id))
    place = place_of(studio, row, name)
    if record.text(place) == text:
        return
    if place.fixed:  # its text stands in a list, which would come first
        pair_list.write(files, pair_list.read(files), step)
        place = place_of(studio, row, name)
    _put(place, text, record, step)


def text_of(studio: Studio, row: Dataset, name: str) -> str:
    """The caption of a picture as it is; '' where it has none."""
    return Authorship(files_of(studio, row.id)).text(place_of(studio, row, name))


def replace(
    studio: Studio, dataset: str, find: str, put: str, *, words: bool = False, case: bool = True,
    names: Sequence[str] | None = None,
) -> list[str]:  # fmt: skip
    """Find and replace in captions: the pictures that it changed. `words`: whole words only; `case`: tell capitals
    from small letters; `names`: only of these pictures."""
    if not find:
        raise InputError("find: is empty. Fix: say what to look for")
    pattern = re.escape(find)
    pattern = rf"(?<!\w){pattern}(?!\w)" if words else pattern
    found = re.compile(pattern, 0 if case else re.IGNORECASE)

    def change(text: str) -> str:
        changed = found.sub(lambda _: put, text)
        return re.sub(r" {2,}", " ", changed).strip() if changed != text else text

    return _rewrite(studio, dataset, f"replaced '{_short(find)}' by '{_short(put)}'", change, names)


def prefix(studio: Studio, dataset: str, text: str, names: Sequence[str] | None = None) -> list[str]:
    """Put words in front of every caption that does not begin with them: the pictures that it changed. Pictures without
    a caption stay so."""
    if not text.strip():
        raise InputError("prefix: is empty. Fix: say what to put in front")
    front = text if text.endswith((" ", ",")) else f"{text} "
    front = front if front.endswith(" ") else f"{front} "

    def change(caption: str) -> str:
        return caption if caption.startswith(text.strip()) else front.lstrip() + caption

    return _rewrite(studio, dataset, f"put '{_short(text)}' in front", change, names)


def audit(studio: Studio, dataset: str) -> Audit:
    """Where the dataset's trigger is, and where it is not. Raises Conflict for one that needs none."""
    row = _with_trigger(get(studio, dataset))
    found = Audit(row.trigger, [], [], {}, [], row.trigger.casefold() in ORDINARY_NOUNS)
    for name, text in _texts(studio, row).items():
        said = apply_trigger(text, row.trigger)
        if not text:
            found.without_caption.append(name)
        elif has_trigger(said, row.trigger):
            found.has.append(name)
        elif variant := find_variant(said, row.trigger):
            found.spelled_otherwise[name] = variant
        else:
            found.lacks.append(name)
    return found


def add_trigger(studio: Studio, dataset: str, names: Sequence[str] | None = None) -> list[str]:
    """Write the trigger into captions that lack it, and set it right where it is misspelled: the pictures that it
    changed. A machine's caption stays a machine's: it would have written the trigger too."""
    row = _with_trigger(get(studio, dataset))

    def change(text: str) -> str:
        lacks = not has_trigger(apply_trigger(text, row.trigger), row.trigger)
        return with_trigger(text, row.trigger)[0].strip() if lacks else text

    return _rewrite(studio, row.id, f"added '{_short(row.trigger)}'", change, names, keep_author=True)


def _rewrite(
    studio: Studio, dataset: str, what: str, change: Callable[[str], str], names: Sequence[str] | None,
    keep_author: bool = False,
) -> list[str]:  # fmt: skip
    """Change each caption that there is, as one step; the names of the pictures whose caption is another now."""
    row = get(studio, dataset)
    files = files_of(studio, row.id)
    wanted = {path_of(studio, row.id, name) for name in names} if names is not None else None
    with locked(studio, row.id):
        record = Authorship(files)
        places, _ = arranged(studio, row)
        if any(place.fixed for place in places):
            with steps.taking(studio, row.id, "moved instructions from the list into files") as step:
                pair_list.write(files, pair_list.read(files), step)
            places, _ = arranged(studio, row)
        todo: list[tuple[Place, str]] = []
        for place in places:
            before = record.text(place)
            after = one_line(change(before)) if before else before
            if after != before and (wanted is None or place.pictures[-1] in wanted):
                if len(after) > LONGEST:
                    raise InputError(f"{place.pictures[-1].name}: the caption would be longer than {LONGEST} letters")
                todo.append((place, after))
        if todo:
            with steps.taking(studio, row.id, f"{what} in {len(todo)} captions") as step:
                for place, after in todo:
                    by_machine = keep_author and record.author(place) == "machine"
                    _put(place, after, record, step, "trigger" if by_machine else None)
    return [place.pictures[-1].relative_to(files).as_posix() for place, _ in todo]


def _put(place: Place, text: str, record: Authorship, step: Recorder, machine: str | None = None) -> None:
    step.keep(record.name(place))
    if machine:
        record.write(place, text, engine=machine)
    elif text or place.listed:
        durable.write_text(place.file, text + "\n")
    else:
        place.file.unlink(missing_ok=True)


def _texts(studio: Studio, row: Dataset) -> dict[str, str]:
    files, (places, _) = files_of(studio, row.id), arranged(studio, row)
    record = Authorship(files)
    return {place.pictures[-1].relative_to(files).as_posix(): record.text(place) for place in places}


def _with_trigger(row: Dataset) -> Dataset:
    if row.kind == "edit":
        raise Conflict(f"dataset '{row.name}': edits need no trigger. Fix: instructions say what to do")
    if not row.trigger:
        raise Conflict(f"dataset '{row.name}': has no trigger. Fix: set one, such as 'maya_char'")
    return row


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}…"
