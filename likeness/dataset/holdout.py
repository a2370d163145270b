"""Which examples are kept back from training, to measure loss on pictures the model never saw."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from likeness.dataset.manifest import Example
from likeness.errors import InputError


def split(examples: Sequence[Example], count: int) -> list[Example]:
    """The same examples in the same order, with `held_out` set on `count` of them, drawn over all training datasets.

    Those of validation and regularisation datasets stay as they are.

    The draw depends on the example ids alone, not on order, paths or the run's seed: so the held-out losses of several
    runs on one dataset can be compared. Copies of one picture stay on one side; where they do not fit into `count`,
    others are drawn instead, so fewer may come out held out.

    Raises InputError if `count` would leave nothing to train on, ValueError if it is negative.
    """
    if count < 0:
        raise ValueError(f"cannot hold out {count} examples")
    own = [e for e in examples if e.type == "train"]
    if count and count >= len(own):
        raise InputError(
            f"data.hold_out: holding out {count} of {len(own)} examples leaves none to train on. "
            f"Choose at most {max(len(own) - 1, 0)}."
        )
    chosen = drawn([(e.id, e.sha256) for e in own], count)
    return [replace(e, held_out=e.sha256 in chosen) if e.type == "train" else e for e in examples]


def drawn(rows: Iterable[tuple[str, str]], count: int) -> set[str]:
    """Which contents to hold out, at most `count` examples of them. `rows`: the id and the content of each example."""
    copies: dict[str, list[str]] = defaultdict(list)  # content -> ids of its examples
    for example_id, content in rows:
        copies[content].append(example_id)
    ranked = sorted(copies, key=lambda content: (_rank(min(copies[content])), content))
    chosen: set[str] = set()
    left = count
    for content in ranked:
        if len(copies[content]) <= left:
            chosen.add(content)
            left -= len(copies[content])
    return chosen


def _rank(example_id: str) -> str:
    return hashlib.sha256(f"42:{example_id}".encode()).hexdigest()  # any fixed word: another would draw others
