"""Pairs of an edit dataset: pictures before, the one after, and the instruction that leads from one to the other."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from likeness.dataset.pairs import ending_of
from likeness.dataset.wording import one_line
from likeness.errors import Conflict, InputError, NotFound
from likeness.store.tables import Dataset
from likeness.studio.datasets import captions, files, pair_list, steps
from likeness.studio.datasets.files import arranged, path_of
from likeness.studio.datasets.pair_list import Row
from likeness.studio.datasets.rows import files_of, get, locked
from likeness.studio.workspace import Studio

MOST_SOURCES = 8


@dataclass(frozen=True)
class Asked:
    """A pair to be. `instruction` None: what stands beside the picture after stays."""

    sources: Sequence[str]
    target: str
    instruction: str | None = None


def add(studio: Studio, dataset: str, asked: Sequence[Asked]) -> None:
    """Pair pictures that are there. Raises NotFound, InputError or Conflict before anything is written."""
    row = _edit(studio, dataset)
    with locked(studio, row.id):
        there = pair_list.read(files_of(studio, row.id))
        _check(studio, row, asked, there)
        what = f"paired {asked[0].target}" if len(asked) == 1 else f"made {len(asked)} pairs"
        _write(studio, row, [*there, *(Row(tuple(a.sources), a.target) for a in asked)], asked, what)


def put(studio: Studio, dataset: str, asked: Sequence[Asked]) -> None:
    """Make these all the pairs that there are; pictures of others stay, in no pair."""
    row = _edit(studio, dataset)
    with locked(studio, row.id):
        _check(studio, row, asked, [])
        _write(studio, row, [Row(tuple(a.sources), a.target) for a in asked], asked, f"set {len(asked)} pairs")


def separate(studio: Studio, dataset: str, targets: Sequence[str]) -> None:
    """Take pairs apart; their pictures and instructions stay. Raises NotFound."""
    row = _edit(studio, dataset)
    folder = files_of(studio, row.id)
    with locked(studio, row.id):
        there = pair_list.read(folder)
        _need(there, targets)
        with steps.taking(studio, row.id, f"took {_counted(targets)} apart") as step:
            pair_list.write(folder, [r for r in there if r.target not in targets], step)


def swap(studio: Studio, dataset: str, targets: Sequence[str]) -> None:
    """The picture before becomes the one after, and the other way round; the instruction stays with the pair.

    Raises Conflict for a pair with several pictures before, and where the picture before is the outcome of another.
    """
    row = _edit(studio, dataset)
    folder = files_of(studio, row.id)
    with locked(studio, row.id):
        there = pair_list.read(folder)
        texts = {target: captions.text_of(studio, row, target) for target in _need(there, targets)}
        swapped: list[Row] = []
        for one in there:
            if one.target not in targets:
                swapped.append(one)
            elif len(one.sources) > 1:
                raise Conflict(f"{one.target}: has {len(one.sources)} pictures before. Fix: only single ones can swap")
            else:
                swapped.append(Row((one.target,), one.sources[0]))
        _refuse_repeated([one.target for one in swapped])
        with steps.taking(studio, row.id, f"swapped {_counted(targets)}") as step:
            for one in there:
                if one.target in targets:
                    captions.write(studio, row, one.target, "", step)
            pair_list.write(folder, swapped, step)
            for one in swapped:
                if one.sources[0] in texts and len(one.sources) == 1:
                    captions.write(studio, row, one.target, texts[one.sources[0]], step)


def add_new(studio: Studio, dataset: str, rows: Sequence[Row]) -> int:
    """Add pairs to the list, and none from names; not those to whose outcome another pair leads. How many that were."""
    row = _edit(studio, dataset)
    folder = files_of(studio, row.id)
    with locked(studio, row.id):
        there = pair_list.read(folder) if (folder / pair_list.NAME).exists() else []
        taken = {r.target for r in there}
        new = list({r.target: r for r in rows if r.target not in taken}.values())
        if new:
            with steps.taking(studio, row.id, f"made {len(new)} pairs") as step:
                pair_list.write(folder, [*there, *new], step)
    return len(new)


def remove(studio: Studio, dataset: str, names: Sequence[str]) -> None:
    """Set pictures aside; with one that an edit leads to go those before it that no other pair needs."""
    row = get(studio, dataset)
    gone = dict.fromkeys(names)
    if row.kind == "edit":
        there = pair_list.read(files_of(studio, row.id))
        needed = {s for r in there if r.target not in gone for s in (*r.sources, r.target)}
        gone |= {s: None for r in there if r.target in gone for s in r.sources if s not in needed}
    files.remove(studio, row.id, list(gone))


def pair_by_name(studio: Studio, dataset: str, names: Collection[str]) -> int:
    """Pair loose pictures whose names say what they are: NAME_before with NAME_after, where one of them is in `names`.
    How many pairs came of it."""
    row = _edit(studio, dataset)
    folder = files_of(studio, row.id)
    with locked(studio, row.id):
        if not (folder / pair_list.NAME).exists():
            pair_list.ensure(folder)
            return len(pair_list.read(folder))
        _, loose = arranged(studio, row)
        sides: dict[str, dict[str, list[tuple[int, str]]]] = {}
        for path in loose:
            if found := ending_of(path.stem):
                name = path.relative_to(folder).as_posix()
                sides.setdefault(found.base, {}).setdefault(found.side, []).append((found.number, name))
        rows = [
            Row(tuple(name for _, name in sorted(side["before"])), side["after"][0][1])
            for side in sides.values()
            if side.get("before")
            and len(side.get("after", ())) == 1
            and any(name in names for _, name in (*side["before"], *side["after"]))
        ]
        if rows:
            with steps.taking(studio, row.id, f"paired {len(rows)} by name") as step:
                pair_list.write(folder, [*pair_list.read(folder), *rows], step)
    return len(rows)


def _write(studio: Studio, row: Dataset, rows: list[Row], asked: Sequence[Asked], what: str) -> None:
    with steps.taking(studio, row.id, what) as step:
        pair_list.write(files_of(studio, row.id), rows, step)
        for one in asked:
            if one.instruction is not None:
                captions.write(studio, row, one.target, one_line(one.instruction), step)


def _check(studio: Studio, row: Dataset, asked: Sequence[Asked], there: Sequence[Row]) -> None:
    problems: list[str] = []
    for number, one in enumerate(asked):
        if not 1 <= len(one.sources) <= MOST_SOURCES:
            problems.append(f"pairs.{number}: should have 1 to {MOST_SOURCES} pictures before. Fix: name them")
        if one.target in one.sources:
            problems.append(f"pairs.{number}: {one.target} is before and after. Fix: name two pictures")
        if one.instruction is not None and len(one.instruction) > captions.LONGEST:
            problems.append(f"pairs.{number}: the instruction is longer than {captions.LONGEST} letters. Fix: shorten")
        for name in (*one.sources, one.target):
            path_of(studio, row.id, name)
    if problems:
        raise InputError(*problems)
    _refuse_repeated([*(r.target for r in there), *(a.target for a in asked)])


def _refuse_repeated(targets: Sequence[str]) -> None:
    for target in targets:
        if targets.count(target) > 1:
            raise Conflict(f"{target}: would be the picture after of two pairs. Fix: take the other pair apart first")


def _need(there: Sequence[Row], targets: Sequence[str]) -> Sequence[str]:
    known = {r.target for r in there}
    for target in targets:
        if target not in known:
            raise NotFound(f"no pair leads to '{target}'. Fix: name the picture after of a pair")
    return targets


def _counted(targets: Sequence[str]) -> str:
    return f"the pair of {targets[0]}" if len(targets) == 1 else f"{len(targets)} pairs"


def _edit(studio: Studio, dataset: str) -> Dataset:
    row = get(studio, dataset)
    if row.kind != "edit":
        raise Conflict(f"dataset '{row.name}': is for kind '{row.kind}', which has no pairs. Fix: set its kind to edit")
    return row
