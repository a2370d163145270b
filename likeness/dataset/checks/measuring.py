"""Pictures and pairs measured for the checks: each file once, on all cores, and kept in the dataset's index."""

import base64
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likeness.dataset.checks.alignment import PAIR, measure_pair
from likeness.dataset.checks.pixels import FIGURES, LOOK, measure_picture
from likeness.dataset.checks.subject import Rules, Subject
from likeness.dataset.index import Facts, Index, gather, stamp_of
from likeness.dataset.manifest import Box, Example
from likeness.errors import InputError

VERSION = 2  # to be raised when a figure is measured in another way
MOST_LOOKS = 240  # pictures that are compared by background and marks: an even choice where there are more


def measure(examples: Sequence[Example], rules: Rules, index: Index | None = None) -> Subject:
    """Examples with all that the checks look at.

    Raises InputError with a problem for each picture that can no longer be decoded.
    """
    index = index or Index()
    sampled = np.unique(np.linspace(0, len(examples) - 1, min(len(examples), MOST_LOOKS)).astype(np.intp))
    figures, looks = _measure_pictures(examples, sampled, index)
    return Subject(examples, rules, figures, sampled, looks, _measure_pairs(examples, index))


def _measure_pictures(
    examples: Sequence[Example], sampled: NDArray[np.intp], index: Index
) -> tuple[NDArray[Any], NDArray[Any]]:
    rows = _rows_by_path(examples)
    boxes = {Path(e.path): e.crop for e in examples if e.crop}
    kind, measure_one = f"figures {VERSION}", partial(_picture_facts, boxes)
    places = {int(row): place for place, row in enumerate(sampled)}
    figures, looks = np.zeros(len(examples), FIGURES), np.zeros(len(sampled), LOOK)
    problems: list[str] = []
    for path, facts in gather(rows, kind, measure_one, index):
        if isinstance(facts, InputError):
            problems.extend(facts.problems)
            continue
        if _box_of(facts) != boxes.get(path):  # the file is the same, and another part of it is shown
            facts = measure_one(path)
            if stamp := stamp_of(path):
                index.keep(kind, [(path, stamp, facts)])
        for row in rows[path]:
            figures[row] = _from_text(facts["figures"], FIGURES)
            if row in places:
                looks[places[row]] = _from_text(facts["look"], LOOK)
    if problems:
        raise InputError(*problems)
    return figures, looks


def _measure_pairs(examples: Sequence[Example], index: Index) -> NDArray[Any]:
    """Zeros where there is no single picture before: several references need not lie on the picture after."""
    records = np.zeros(len(examples), PAIR)
    paired = [i for i, e in enumerate(examples) if len(e.references) == 1]
    befores = {Path(examples[i].path): examples[i] for i in paired}  # the last, where pictures after are shared
    measured = {
        path: facts
        for path, facts in gather(befores, f"pair {VERSION}", partial(_pair_facts, befores), index)
        if not isinstance(facts, InputError)
    }
    problems: list[str] = []
    for i in paired:
        e = examples[i]
        facts = measured.get(Path(e.path))
        try:
            if facts is None or facts["before"] != e.reference_sha256s[0]:  # another picture before, now or here
                facts = _pair_facts({Path(e.path): e}, Path(e.path))
            records[i] = _from_text(facts["pair"], PAIR)
        except InputError as error:
            problems.extend(error.problems)
    if problems:
        raise InputError(*problems)
    return records


def _rows_by_path(examples: Iterable[Example]) -> dict[Path, list[int]]:
    rows: dict[Path, list[int]] = {}
    for row, e in enumerate(examples):
        rows.setdefault(Path(e.path), []).append(row)
    return rows


def _picture_facts(boxes: dict[Path, Box], path: Path) -> Facts:
    box = boxes.get(path)
    figures, look = measure_picture(path, box)
    return {"figures": _as_text(figures), "look": _as_text(look), "box": box}


def _box_of(facts: Facts) -> Box | None:
    """JSON has no tuples."""
    return tuple(facts["box"]) if facts["box"] else None


def _pair_facts(befores: dict[Path, Example], after: Path) -> Facts:
    e = befores[after]
    return {"pair": _as_text(measure_pair(Path(e.references[0]), after)), "before": e.reference_sha256s[0]}


def _as_text(record: NDArray[Any]) -> str:
    return base64.b85encode(record.tobytes()).decode()


def _from_text(text: str, dtype: np.dtype[Any]) -> Any:
    return np.frombuffer(base64.b85decode(text), dtype)[0]
