"""Means with an honest interval, from a handful of pictures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.judge import SCENES, TIMES, TRAITS, Verdict
from benchmarks.prompts import Prompt

ROUNDS, LEVEL = 2000, 0.95


@dataclass(frozen=True)
class Score:
    """Mean of a probability over pictures, its 95 % interval, and the share of pictures above one half."""

    mean: float
    low: float
    high: float
    share: float

    def __str__(self) -> str:
        return f"{self.mean:.2f} [{self.low:.2f}–{self.high:.2f}]"


def bootstrap_interval(values: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """The middle 95 % of the means of pictures drawn again with replacement. Raises ValueError without values."""
    data = np.asarray(values, dtype=np.float64)
    if not data.size:
        raise ValueError("no values to draw from")
    rows = np.random.default_rng(seed).integers(0, len(data), (ROUNDS, len(data)))
    low, high = np.quantile(data[rows].mean(axis=1), ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return float(low), float(high)


def score(values: Sequence[float]) -> Score:
    """Raises ValueError without values."""
    low, high = bootstrap_interval(values)
    data = np.asarray(values, dtype=np.float64)
    return Score(round(float(data.mean()), 4), round(low, 4), round(high, 4), round(float((data > 0.5).mean()), 4))


@dataclass(frozen=True)
class Reading:
    """What the judge made of some pictures. `obeyed`: scene and time are those asked for; None if nothing was asked."""

    traits: dict[str, Score]
    together: Score  # mean over the traits of each picture
    obeyed: Score | None
    pictures: int


@dataclass(frozen=True)
class EpochReading:
    epoch: int  # 0 is the untrained base
    learned: Reading  # prompts with the trigger
    controls: Reading  # prompts without it


def read(verdict: Verdict, asked: Sequence[Prompt | None]) -> Reading:
    """Scores of judged pictures; `asked` holds what each was drawn for."""
    traits = {name: score(verdict.traits[:, i].tolist()) for i, name in enumerate(TRAITS)}
    obeyed = [_obeyed(verdict, row, p) for row, p in enumerate(asked) if p is not None]
    together = score(verdict.traits.mean(axis=1).tolist())
    return Reading(traits, together, score(obeyed) if obeyed else None, len(asked))


def _obeyed(verdict: Verdict, row: int, asked: Prompt) -> float:
    seen = [verdict.scene[row, SCENES.index(asked.scene)]]
    if asked.time is not None:
        seen.append(verdict.time[row, TIMES.index(asked.time)])
    return float(np.mean(seen))
