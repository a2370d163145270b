"""From the measures of every epoch to a verdict. Pure functions; docs/explanation/scorecard.md explains the rule.

The held-out loss decides what can be told. Pictures are a second opinion: they choose within the sweet spot, and raise
flags. Nothing is merged into one score.
"""

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["underfit", "sweet spot", "overfit", "cannot tell"]

CLEAR = 2.0  # standard errors that a difference must exceed
FLOOR_SHARE = 0.05  # of the gain: epochs this close to the lowest held-out loss are as good as it
HARM_SHARE = 0.2  # of the training loss's fall, by which the held-out loss is above the base's: overfit from there on
PLATEAU = 0.02  # of a measure of pictures: epochs this close to the highest show as much
STILL_FALLING = 0.06  # of the gain, made in the last third of the epochs: not done learning
BETWEEN_RUNS = 0.2  # of the gain, by which two runs of the same settings may differ
SMALLEST_GAIN = 0.005  # of the loss before training; below it nothing was learned to speak of
COPIES, MONOTONOUS, LEAK_SHARE, COPIED_THROUGH, KEPT = 0.1, 0.6, 0.2, 0.5, 0.9
ONE_COMPOSITION, TAKEN_OVER = 0.5, 0.25  # of training pictures among themselves; as a share of it, of test pictures

# What the pictures should show most of, in the order of preference: the first that was measured chooses.
_WANTED = ("followed", "likeness")
_FLAGGED = ("copied", "diversity", "leak", "likeness", "change", "preserved")


@dataclass(frozen=True)
class EpochEvidence:
    """What was measured of an epoch; 0 is the untrained base. `held_out`: by picture its losses at the probes, in the
    same order at every epoch; `train_loss` at the probes of training pictures. `pictures`: by measure, then by
    picture. `whole`: measures of all pictures together."""

    epoch: int
    held_out: Mapping[str, Sequence[float]] = field(default_factory=dict[str, Sequence[float]])
    train_loss: float | None = None
    pictures: Mapping[str, Mapping[str, float]] = field(default_factory=dict[str, Mapping[str, float]])
    whole: Mapping[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True)
class Verdict:
    kind: Kind
    sentence: str
    suggested: int | None = None
    sweet_spot: tuple[int, int] | None = None
    overfit_from: int | None = None
    flags: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Losses:
    """Held-out losses by epoch, the base first."""

    epochs: list[int]
    values: NDArray[np.float64]  # (E, pictures, probes)

    @property
    def means(self) -> NDArray[np.float64]:
        return self.values.mean(axis=(1, 2))

    @property
    def pictures(self) -> int:
        return self.values.shape[1]

    def noise(self, a: int, b: int) -> float:
        """Standard error of the difference between epochs at places `a` and `b`: that of the measurement, from paired
        differences, and that of the training, from how far the curve jumps."""
        return math.hypot(paired_error(self.values[a] - self.values[b]), math.sqrt(2) * wiggle(self.means[1:]))

    def clearly_above(self, a: int, b: int) -> bool:
        return self.means[a] - self.means[b] > CLEAR * self.noise(a, b)


def paired_error(differences: NDArray[np.float64]) -> float:
    """Standard error of the mean of (pictures, probes) paired differences. Over pictures where there are three or
    more, as those are what generalises; else over the probes, which is too small: one picture stands for all."""
    pictures, probes = differences.shape
    if pictures >= 3:
        return float(differences.mean(axis=1).std(ddof=1) / math.sqrt(pictures))
    if probes < 2:
        return 0.0
    return float(math.sqrt((differences.var(axis=1, ddof=1) / probes).sum()) / pictures)


def wiggle(means: NDArray[np.float64]) -> float:
    """Standard deviation of the jumps of a curve around a smooth course: from the median absolute second difference,
    which is 1.4826⁻¹ · √6 standard deviations for independent normal jumps. 0 for fewer than five points."""
    if len(means) < 5:
        return 0.0
    second = means[2:] - 2 * means[1:-1] + means[:-2]
    return float(1.4826 * np.median(np.abs(second)) / math.sqrt(6))


def falling(means: NDArray[np.float64]) -> tuple[float, float]:
    """By how much the least-squares line through a curve falls from epoch to epoch, and the standard error of that from
    the scatter around it; the error is 0 for fewer than three points."""
    if len(means) < 2:
        return 0.0, 0.0
    x = np.arange(len(means)) - (len(means) - 1) / 2
    spread = float((x**2).sum())
    slope = float((x * means).sum()) / spread
    if len(means) < 3:
        return -slope, 0.0
    scatter = means - means.mean() - slope * x
    return -slope, math.sqrt(float((scatter**2).sum()) / (len(means) - 2) / spread)


def smoothed(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of each point and its neighbours; the ends lean on one neighbour alone, half as heavily."""
    if len(means) < 3:
        return means
    padded = np.concatenate([means[:1], means, means[-1:]])
    return (padded[:-2] + padded[1:-1] + padded[2:]) / 3


def losses_of(evidence: Sequence[EpochEvidence]) -> Losses | None:
    """None without a base, without trained epochs, or where nothing was held out. Epochs that were measured on other
    pictures than the base are left out."""
    base = next((e for e in evidence if e.epoch == 0 and e.held_out), None)
    if base is None:
        return None
    names = sorted(base.held_out)
    probes = {len(base.held_out[name]) for name in names}
    same = [e for e in evidence if sorted(e.held_out) == names and {len(v) for v in e.held_out.values()} == probes]
    if len(same) < 2 or len(probes) != 1:
        return None
    same = sorted(same, key=lambda e: e.epoch)
    values = np.asarray([[e.held_out[name] for name in names] for e in same], np.float64)
    return Losses([e.epoch for e in same], values) if np.isfinite(values).all() else None


def recommend(evidence: Sequence[EpochEvidence], available: Set[int] | None = None, kind: str = "") -> Verdict:
    """The verdict on a run's epochs. `available`: epochs that have a file; only those are suggested. `kind`: what is
    learned, as in the settings."""
    flags = tuple(_flags(evidence, kind))
    losses = losses_of(evidence)
    if losses is None:
        return _without_losses(evidence, available, flags)
    course = _Course(losses, {e.epoch: e.train_loss for e in evidence})
    first, last, overfit = course.sweet_spot()
    # Where half of the run lies beyond it, that is what should be said first.
    mostly = overfit is not None and 2 * (len(losses.epochs) - overfit) >= len(losses.epochs) - 1
    # Where the loss clearly turns up later, the fall before was none by chance, though its own jumps may be as large.
    clear = overfit is not None or losses.clearly_above(0, course.best)
    gained = clear and course.gain >= SMALLEST_GAIN * losses.means[0]
    if course.harmed_at_once:
        words = f"Overfit from epoch {losses.epochs[1]}: the held-out loss is above the base's at every epoch"
        reasons = course.reasons()
        return Verdict("overfit", f"{words}, so none can be suggested.", None, None, losses.epochs[1], flags, reasons)
    if not (gained or mostly):
        return _no_gain(course, flags)
    if course.is_still_falling():
        last = losses.epochs[-1]
        taken = last if available is None or last in available else max(available, default=None)
        return Verdict("underfit", f"Underfit: the held-out loss still falls at the last epoch, {last}; train longer.",
                       taken, flags=flags, reasons=course.reasons())  # fmt: skip
    suggested, why = _suggested(evidence, losses.epochs[first : last + 1], available)
    spot = (losses.epochs[first], losses.epochs[last])
    from_epoch = losses.epochs[overfit] if overfit is not None else None
    reasons = (*course.reasons(overfit), *why)
    taken = f"suggested {suggested}" if suggested is not None else "but no file of them is left"
    if mostly:
        words = f"Overfit from epoch {from_epoch}; best: {_span(spot)}, {taken}."
        return Verdict("overfit", words, suggested, spot, from_epoch, flags, reasons)
    words = f"Sweet spot: {_span(spot)}, {taken}" + (f"; overfit from {from_epoch}." if from_epoch else ".")
    return Verdict("sweet spot", words, suggested, spot, from_epoch, flags, reasons)


@dataclass(frozen=True)
class _Course:
    """How the held-out loss went."""

    losses: Losses
    train: Mapping[int, float | None]

    @property
    def best(self) -> int:
        """Place of the lowest smoothed loss among the trained epochs."""
        return 1 + int(np.argmin(smoothed(self.losses.means[1:])))

    @property
    def gain(self) -> float:
        return float(self.losses.means[0] - self.losses.means[self.best])

    @property
    def harmed_at_once(self) -> bool:
        """Whether every epoch predicts held-out pictures clearly worse than the base does."""
        means = self.losses.means
        return all(
            means[p] > means[0] * (1 + SMALLEST_GAIN) and self.losses.clearly_above(p, 0) for p in range(1, len(means))
        )

    def is_still_falling(self) -> bool:
        """The last is among the lowest, and the straight line through the later half of the epochs falls, clear of its
        scatter, by a good part of the gain in a third of the run."""
        means, last = self.losses.means, len(self.losses.epochs) - 1
        later = means[min(1 + last // 2, max(1, last - 2)) :]
        fall, error = falling(later)
        made = fall * max(1, last // 3)
        near = means[last] - means[self.best] <= max(FLOOR_SHARE * self.gain, self.losses.noise(last, self.best))
        return near and made > STILL_FALLING * (means[0] - means[last]) and fall > CLEAR * error

    def sweet_spot(self) -> tuple[int, int, int | None]:
        """Places of its first and last epoch, and of the one from which on the run is overfit."""
        means, best, last = self.losses.means, self.best, len(self.losses.epochs) - 1
        near = [
            p
            for p in range(1, best + 1)
            if means[p] - means[best] <= max(FLOOR_SHARE * self.gain, self.losses.noise(p, best))
        ]
        overfit = next((p for p in range(best + 1, last + 1) if all(map(self._does_harm, range(p, last + 1)))), None)
        return near[0] if near else best, (overfit or last + 1) - 1, overfit

    def _does_harm(self, place: int) -> bool:
        """Held-out pictures are predicted worse than by the base, by a good part of what training ones have gained."""
        means = self.losses.means
        risen, learned = means[place] - means[0], self._learned(place)
        return risen > HARM_SHARE * learned and self.losses.clearly_above(place, self.best)

    def _learned(self, place: int) -> float:
        """By how much the loss on training pictures has fallen; the held-out gain where that was not measured."""
        then, now = (self.train.get(self.losses.epochs[p]) for p in (0, place))
        return self.gain if then is None or now is None else max(0.0, then - now)

    def reasons(self, overfit: int | None = None) -> tuple[str, ...]:
        """`overfit`: the place from which on it is."""
        means, epochs, best = self.losses.means, self.losses.epochs, self.best
        verb, aside = ("fell", "") if self.gain > 0 else ("went", ", the lowest after training,")
        found = [
            f"The held-out loss {verb} from {means[0]:.4f} to {means[best]:.4f} at epoch {epochs[best]}{aside} and is "
            f"{means[-1]:.4f} at epoch {epochs[-1]}; differences below "
            f"{CLEAR * self.losses.noise(len(epochs) - 1, best):.4f} are noise."
        ]
        if overfit is not None:
            found.append(f"From epoch {epochs[overfit]} on it is above the base's by more than {HARM_SHARE:.0%} of "
                         "what the loss on training pictures has fallen by: these are learned by heart.")  # fmt: skip
        if self.losses.pictures < 3:
            one = self.losses.pictures == 1
            found.append(f"Only {'one picture was' if one else 'two pictures were'} held out, so this may be "
                         f"about {'that picture' if one else 'those two'}; look at the grid.")  # fmt: skip
        return tuple(found)


def _no_gain(course: _Course, flags: tuple[str, ...]) -> Verdict:
    means = course.losses.means
    lowest = means[1:].min()
    why = f"the held-out loss moved from {means[0]:.4f} to {lowest:.4f} at most, which is within its noise"
    return Verdict("cannot tell", f"Cannot tell, because {why}; look at the grid.", flags=flags,
                   reasons=course.reasons())  # fmt: skip


def _without_losses(evidence: Sequence[EpochEvidence], available: Set[int] | None, flags: tuple[str, ...]) -> Verdict:
    """Pictures alone: which epoch looks most like the training pictures may be said, but not whether it overfits."""
    trained = [e.epoch for e in evidence if e.epoch and "likeness" in e.pictures]
    sentence = "Cannot tell, because no loss on held-out pictures was measured"
    if len(trained) < 2:
        return Verdict("cannot tell", f"{sentence}; look at the grid.", flags=flags)
    level = {e.epoch: _mean(e.pictures["likeness"]) for e in evidence if e.epoch in trained}
    top = max(level.values())
    noise = _picture_noise(evidence, "likeness", trained[0], trained[-1])
    near = [e for e in trained if level[e] >= top - max(noise, PLATEAU) and (available is None or e in available)]
    suggested = near[0] if near else None
    if suggested is None:
        return Verdict("cannot tell", f"{sentence}; look at the grid.", flags=flags)
    why = (
        f"The likeness of the test pictures levels off at epoch {suggested}; whether it overfits cannot be seen in it."
    )
    return Verdict("cannot tell", f"{sentence}. Going by the pictures alone: epoch {suggested}.", suggested,
                   flags=flags, reasons=(why,))  # fmt: skip


# --- pictures: the second opinion


def _suggested(
    evidence: Sequence[EpochEvidence], spot: Sequence[int], available: Set[int] | None
) -> tuple[int | None, tuple[str, ...]]:
    """The epoch of the sweet spot whose pictures show most of what was learned; without such a measure the one two
    thirds through. Pictures that repeat training pictures speak against an epoch, as long as another one is left."""
    choices = [e for e in spot if available is None or e in available]
    if not choices:
        return None, ("No epoch of the sweet spot has a LoRA file.",)
    by_epoch = {e.epoch: e for e in evidence}
    clean = [e for e in choices if e not in by_epoch or (_value(by_epoch[e], "copied") or 0) <= COPIES]
    choices = clean or choices
    for name in _WANTED:
        values = {e: v for e in choices if e in by_epoch and (v := _value(by_epoch[e], name)) is not None}
        if len(values) == len(choices) > 1:
            top = max(values.values())
            near = [e for e in choices if values[e] >= top - PLATEAU]
            # The first is where it has just come so far, the last is nearest to learning by heart.
            taken = near[len(near) // 2]
            if len(near) == 1:
                return taken, (f"Within the sweet spot, '{name}' of the test pictures is highest at epoch {taken}: "
                               f"{top:.2f}.",)  # fmt: skip
            return taken, (f"Within the sweet spot, '{name}' of the test pictures is near its highest ({top:.2f}) at "
                           f"epochs {_listed(near)}; the middle one of these is taken.",)  # fmt: skip
    taken = choices[len(choices) * 2 // 3]
    if len(choices) == 1:
        return taken, ()
    return taken, (
        "No measure of pictures chooses within the sweet spot, so the epoch two thirds through is taken: the lowest "
        "held-out loss is where likeness begins to be good, not where it ends.",
    )


def _value(e: EpochEvidence, name: str) -> float | None:
    if name in e.whole:
        return e.whole[name]
    return _mean(e.pictures[name]) if e.pictures.get(name) else None


def _mean(values: Mapping[str, float]) -> float:
    return sum(values.values()) / len(values)


def _picture_noise(evidence: Sequence[EpochEvidence], name: str, a: int, b: int) -> float:
    """Standard error over pictures of the paired change of a measure between epochs `a` and `b`; 0 where unknown."""
    by_epoch = {e.epoch: e.pictures.get(name, {}) for e in evidence}
    first, second = by_epoch.get(a, {}), by_epoch.get(b, {})
    return change_error(first, second)


def change_error(first: Mapping[str, float], second: Mapping[str, float]) -> float:
    """Standard error of the mean change over the pictures that both have; 0 for fewer than two."""
    changes = np.asarray([second[key] - first[key] for key in first if key in second])
    return float(changes.std(ddof=1) / math.sqrt(len(changes))) if len(changes) > 1 else 0.0


def _flags(evidence: Sequence[EpochEvidence], kind: str) -> list[str]:
    """What the pictures of the later half of the epochs give cause to look at."""
    epochs = sorted(e.epoch for e in evidence if e.epoch and (e.pictures or e.whole))
    if not epochs:
        return []
    late = [e for e in evidence if e.epoch in epochs[len(epochs) // 2 :]]
    mean = {name: _late_mean(late, name) for name in _FLAGGED}
    base = next((e for e in evidence if e.epoch == 0), None)
    before = _value(base, "likeness") if base else None
    flags: list[str] = []
    if (mean["copied"] or 0) > COPIES:
        flags.append("copies")
    if mean["diversity"] is not None and mean["diversity"] < MONOTONOUS:
        flags.append("monotonous")
    if _taken_over(late, base) > TAKEN_OVER:
        flags.append("one composition")
    if mean["leak"] is not None and mean["likeness"] is not None and before is not None:
        gained = mean["likeness"] - before
        errors = [change_error(dict.fromkeys(e.pictures["leak"], 0.0), e.pictures["leak"]) for e in late
                  if "leak" in e.pictures]  # fmt: skip
        noise = max(errors, default=0.0)
        if gained > 0 and mean["leak"] > max(LEAK_SHARE * gained, CLEAR * noise):
            flags.append("leaks")
    if kind == "edit" and mean["change"] is not None and mean["change"] < COPIED_THROUGH:
        flags.append("not followed")
    if kind == "edit" and mean["preserved"] is not None and mean["preserved"] < KEPT:
        flags.append("not preserved")
    return flags


def _taken_over(late: Sequence[EpochEvidence], base: EpochEvidence | None) -> float:
    """How far the test pictures have gone from the base's composition to that of the training pictures, as a share of
    the way; 0 where these have no composition in common: then what is alike is the subject."""
    theirs, ours = _late_mean(late, "sameness"), _late_mean(late, "composition")
    if theirs is None or ours is None or theirs <= ONE_COMPOSITION:
        return 0.0
    before = (_value(base, "composition") if base else None) or 0.0
    return (ours - before) / max(theirs - before, 1e-6)


def _late_mean(late: Sequence[EpochEvidence], name: str) -> float | None:
    values = [v for e in late if (v := _value(e, name)) is not None]
    return sum(values) / len(values) if values else None


# --- two runs


def _held_out(evidence: Sequence[EpochEvidence]) -> set[str]:
    return {name for e in evidence for name in e.held_out}


def _only(evidence: Sequence[EpochEvidence], names: Set[str]) -> list[EpochEvidence]:
    return [replace(e, held_out={n: v for n, v in e.held_out.items() if n in names}) for e in evidence]


def compare(a: Sequence[EpochEvidence], b: Sequence[EpochEvidence]) -> tuple[Literal["A", "B", "cannot tell"], str]:
    """Which of two runs learned better by their lowest held-out loss, or that it cannot be told.

    Only pictures that both held out are compared: which these are matters more than how a run was trained. What is
    compared is the gain as a share of the loss before training. Two runs of the same settings differ too: a difference
    must exceed `BETWEEN_RUNS` of the gain beside the noise.
    """
    common = _held_out(a) & _held_out(b)
    both = losses_of(_only(a, common)), losses_of(_only(b, common))
    if both[0] is None or both[1] is None:
        return "cannot tell", "there is no held-out loss on the same pictures in both"
    shares: list[float] = []
    errors: list[float] = []
    for losses in (both[0], both[1]):
        best = _Course(losses, {}).best
        start = losses.means[0]
        shares.append(float((start - losses.means[best]) / start))
        errors.append(losses.noise(0, best) / start)
    gap = shares[0] - shares[1]
    needed = max(CLEAR * math.hypot(*errors), BETWEEN_RUNS * max(*shares, 0.0))
    words = f"A lowered the held-out loss by {shares[0]:.1%}, B by {shares[1]:.1%}; below {needed:.1%} is noise"
    if abs(gap) <= needed:
        return "cannot tell", words
    return ("A" if gap > 0 else "B"), words


def _listed(epochs: Sequence[int]) -> str:
    """3–5 where none is left out, else 3, 5."""
    whole = epochs[-1] - epochs[0] == len(epochs) - 1
    return f"{epochs[0]}–{epochs[-1]}" if whole and len(epochs) > 1 else ", ".join(map(str, epochs))


def _span(spot: tuple[int, int]) -> str:
    return f"epoch {spot[0]}" if spot[0] == spot[1] else f"epochs {spot[0]}–{spot[1]}"
