"""What the checks look at: the rows of a dataset with what was measured of them, and what they are to be used for."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likeness.dataset.checks.finding import Finding
from likeness.dataset.manifest import Example


@dataclass(frozen=True)
class Rules:
    """What the dataset has to fit. None: not known, so not checked."""

    kind: str = "character"  # of the run: character, style, product, environment, edit
    resolution: int | None = None  # side in pixels of the square whose area is trained; of several the largest
    multiple: int = 16  # pixels, of which both sides of what is trained are multiples
    caption_tokens: int | None = None  # longer captions are cut
    smallest: int | None = None  # of several resolutions the smallest; None: there is one

    @property
    def noun(self) -> str:
        return "pairs" if self.kind == "edit" else "pictures"


@dataclass(frozen=True)
class Subject:
    """A dataset as the checks see it. Row i of `figures` and `pairs` belongs to `examples[i]`."""

    examples: Sequence[Example]
    rules: Rules
    figures: NDArray[Any]  # (examples,) of pixels.FIGURES
    sampled: NDArray[np.intp]  # positions of the examples that `looks` are of: all, or an even choice of many
    looks: NDArray[Any]  # (sampled,) of pixels.LOOK
    pairs: NDArray[Any]  # (examples,) of alignment.PAIR; zeros where an example is no pair

    def paths(self, chosen: Iterable[int] | NDArray[Any]) -> tuple[str, ...]:
        """The paths of some examples, by position or by one truth value for each."""
        if isinstance(chosen, np.ndarray):
            chosen = np.flatnonzero(chosen) if chosen.dtype == bool else chosen
        return tuple(self.examples[int(i)].path for i in chosen)

    def of(self, images: Sequence[str]) -> str:
        """'3 of 12 pictures'."""
        return f"{len(images)} of {len(self.examples)} {self.rules.noun}"


Check = Callable[[Subject], Iterable[Finding]]


def folder_of(path: str) -> Path:
    """The folder of a picture."""
    return Path(path).parent
