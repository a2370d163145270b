"""From pictures at several strengths to the one to use. Pure functions.

Seeds are the repetitions: each strength is drawn from the same noise, so strengths are compared seed by seed. A
strength does where it has nearly all of the likeness, and nothing speaks against it; the lowest such is taken, since it
changes least of the base.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from likeness.judge.recommend import CLEAR, COPIES, KEPT, LEAK_SHARE

NEAR = 0.1  # of the gain, that the suggested strength may lack of the best one
NOISY = 0.25  # of the gain, that it may lack at most where the seeds cannot tell
HALF = 0.5  # of the gain, that a strength must have which is taken because stronger ones do harm
WANTED = {"followed": "edits go the way of the training pairs", "likeness": "likeness"}

# 97.5 % quantiles of Student's t for 1, 2, … degrees of freedom.
_STUDENT = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
    2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip


@dataclass(frozen=True)
class Tried:
    """What was measured at a strength; 0 is the base. `values`: by measure, one for each seed, in the same order at
    every strength."""

    strength: float
    values: Mapping[str, Sequence[float]]

    def mean(self, name: str) -> float | None:
        """None where it was not measured."""
        values = self.values.get(name)
        return sum(values) / len(values) if values else None


@dataclass(frozen=True)
class Suggestion:
    """`strength` is None where none can be suggested."""

    strength: float | None
    sentence: str
    reasons: tuple[str, ...] = ()


def interval(values: Sequence[float]) -> float | None:
    """Half the width of the 95 % interval of the mean (Student's t); None for fewer than two values."""
    n = len(values)
    if n < 2:
        return None
    quantile = _STUDENT[n - 2] if n - 2 < len(_STUDENT) else 1.96
    return quantile * standard_error(values)


def standard_error(values: Sequence[float]) -> float:
    """Of the mean; 0 for fewer than two values."""
    n = len(values)
    if n < 2:
        return 0.0
    mean = sum(values) / n
    return math.sqrt(sum((v - mean) ** 2 for v in values) / (n - 1) / n)


def jackknife(whole: float, without: Sequence[float]) -> list[float]:
    """Pseudo-values of a measure of all pictures together, from the measure without each seed in turn: their mean and
    standard error are those of the measure (Tukey 1958)."""
    n = len(without)
    return [n * whole - (n - 1) * part for part in without] if n > 1 else [whole]


def suggest(tried: Sequence[Tried]) -> Suggestion:
    """Which strength to use. The base, strength 0, must be among those tried."""
    base = next(t for t in tried if t.strength == 0)
    ladder = sorted((t for t in tried if t.strength > 0), key=lambda t: t.strength)
    name = next((n for n in WANTED if any(t.values.get(n) for t in ladder)), None)
    if name is None or not ladder:
        return Suggestion(None, "Cannot tell, because nothing was there to measure likeness by; look at the grid.")
    best = max(ladder, key=lambda t: (t.mean(name) or 0.0, -t.strength))
    gain = _difference(best, base, name)
    if gain <= CLEAR * _noise(best, base, name) or gain <= 0:
        words = f"Cannot tell, because at no strength '{name}' is clearly above the base's ({base.mean(name) or 0:.2f})"
        return Suggestion(None, f"{words}: it has learned too little, or what it learned cannot be measured.")
    good = [t for t in ladder if _difference(best, t, name) <= _allowed(best, t, name, gain)]
    harms = {t.strength: tuple(_harms(t, base, name)) for t in ladder}
    clean = [t for t in good if not harms[t.strength]]
    if clean:
        return _taken(clean[0], best, base, name, gain, _notes(ladder, best, clean[0], name, gain))
    milder = [t for t in ladder if not harms[t.strength] and _difference(t, base, name) >= HALF * gain]
    against = f"Speaking against {good[0].strength:g} and more: {'; '.join(harms[good[0].strength])}."
    if milder:
        return _taken(milder[-1], best, base, name, gain, (against,))
    return Suggestion(None, "No strength does well: where there is enough likeness, something speaks against it.",
                      (against, "An earlier epoch may do better."))  # fmt: skip


def _taken(taken: Tried, best: Tried, base: Tried, name: str, gain: float, further: tuple[str, ...]) -> Suggestion:
    share = _difference(taken, base, name) / gain
    reasons = [f"'{name}' is {taken.mean(name) or 0:.2f} there, {base.mean(name) or 0:.2f} without the LoRA"]
    if taken is not best:
        reasons[0] += f", and {best.mean(name) or 0:.2f} at {best.strength:g}: {100 * share:.0f} % of the gain"
        costs = [
            f"'{other}' is {here:.2f} in place of {there:.2f}"
            for other in ("drift", "prompt", "diversity")
            if (here := taken.mean(other)) is not None and (there := best.mean(other)) is not None
        ]
        reasons += [f"In return {', '.join(costs)}."] if costs else []
    reasons[0] += "."
    return Suggestion(taken.strength, f"Suggested strength: {taken.strength:g}.", (*reasons, *further))


def _notes(ladder: Sequence[Tried], best: Tried, taken: Tried, name: str, gain: float) -> tuple[str, ...]:
    if len(ladder) > 1 and best is ladder[-1] and taken is best:
        step, noise = _difference(best, ladder[-2], name), _noise(best, ladder[-2], name)
        if step > NEAR * gain and step > CLEAR * noise:
            return (f"'{name}' still rises at {best.strength:g}, the strongest that was tried: a later epoch may show "
                    "more.",)  # fmt: skip
    if taken is ladder[0] and len(ladder) > 1:
        return (f"{taken.strength:g} is the weakest that was tried; weaker ones, or an earlier epoch, may do as well.",)
    return ()


def _allowed(best: Tried, other: Tried, name: str, gain: float) -> float:
    """How much of the likeness a strength may lack: a tenth of the gain, or what the seeds cannot tell."""
    return max(NEAR * gain, min(CLEAR * _noise(best, other, name), NOISY * gain))


def _harms(t: Tried, base: Tried, name: str) -> list[str]:
    """What speaks against a strength, in words, at the limits of the scorecard. Less variety does not: whatever is
    learned brings pictures nearer to each other."""
    found: list[str] = []
    copied, leak, preserved = (t.mean(n) for n in ("copied", "leak", "preserved"))
    if copied is not None and copied > COPIES:
        found.append(f"{100 * copied:.0f} % of the pictures repeat training pictures")
    if leak is not None and name == "likeness":
        limit = max(LEAK_SHARE * _difference(t, base, name), CLEAR * standard_error(t.values["leak"]))
        if leak > limit:
            found.append(f"pictures without the trigger become alike too ({leak:+.2f})")
    if preserved is not None and preserved < KEPT:
        found.append(f"edits change what should stay (preserved {preserved:.2f})")
    return found


def _differences(a: Tried, b: Tried, name: str) -> list[float]:
    return [x - y for x, y in zip(a.values.get(name, ()), b.values.get(name, ()), strict=False)]


def _difference(a: Tried, b: Tried, name: str) -> float:
    """Mean over seeds of a - b."""
    found = _differences(a, b, name)
    return sum(found) / len(found) if found else 0.0


def _noise(a: Tried, b: Tried, name: str) -> float:
    """Standard error over seeds of a - b."""
    return standard_error(_differences(a, b, name))
