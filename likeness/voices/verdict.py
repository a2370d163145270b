"""Which epoch of a trained voice to take, and whether it was trained too long: from figures per epoch."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

NOTICEABLE = 0.1  # of the whole change since the base: less is noise
PATIENCE = 2  # epochs after the best one before anything is called too long


@dataclass(frozen=True)
class VoiceVerdict:
    """`suggested`: an epoch, or None where nothing can be told."""

    verdict: str  # 'underfit', 'sweet spot', 'overfit' or 'cannot tell'
    sentence: str
    suggested: int | None
    overfit_from: int | None
    by: str  # the figure that decided


def judge(rows: Mapping[int, Mapping[str, float]]) -> VoiceVerdict:
    """`rows`: figures by epoch, 0 being the base: 'held_out' (loss), 'similarity', 'wer'. Speaker similarity decides
    where it was measured, so long as words are not lost; else the loss on recordings that were held out."""
    trained = {epoch: row for epoch, row in rows.items() if epoch > 0}
    if values := {e: row["similarity"] for e, row in trained.items() if "similarity" in row}:
        understood = _understood(trained)
        values = {e: v for e, v in values.items() if e in understood} or values
        return _by(
            values,
            rows.get(0, {}).get("similarity"),
            "similarity",
            "the test sentences are as like the speaker as they get",
            rising=True,
        )
    if values := {e: row["held_out"] for e, row in trained.items() if "held_out" in row}:
        return _by(
            values,
            rows.get(0, {}).get("held_out"),
            "held_out",
            "the loss on held-out recordings is as low as it gets",
            rising=False,
        )
    return VoiceVerdict(
        "cannot tell", "Nothing was held out and no speaker encoder was named, so only ears can tell.", None, None, ""
    )


def _understood(rows: Mapping[int, Mapping[str, float]]) -> set[int]:
    """Epochs whose words are about as well understood as at their best."""
    rates = {e: row["wer"] for e, row in rows.items() if "wer" in row}
    return {e for e, rate in rates.items() if rate <= min(rates.values()) + 0.05} if rates else set(rows)


def _by(values: Mapping[int, float], base: float | None, name: str, why: str, *, rising: bool) -> VoiceVerdict:
    sign = 1 if rising else -1
    finite = {e: v for e, v in values.items() if math.isfinite(v)}
    if not finite:
        return VoiceVerdict("cannot tell", "No epoch has a finite figure.", None, None, name)
    top = max(sign * v for v in finite.values())
    lowest = min(sign * v for v in finite.values())
    start = sign * base if base is not None and math.isfinite(base) else lowest
    noise = NOTICEABLE * max(top - start, 1e-9)
    # Of those that are as good, the earliest: what is learned longer than needed costs other things.
    best = min(e for e, v in finite.items() if sign * v >= top - noise)
    last = max(finite)
    worse = [e for e in sorted(finite) if e > best and sign * finite[e] < top - 2 * noise]
    told = f"Epoch {best}: {why} ({finite[best]:.3g})"
    if worse and len(worse) >= PATIENCE and worse[-1] == last:
        return VoiceVerdict("overfit", f"{told}; from epoch {worse[0]} on it gets worse.", best, worse[0], name)
    if best == last and len(finite) > 1:
        return VoiceVerdict("underfit", f"{told}, and it may still get better: train longer.", best, None, name)
    return VoiceVerdict("sweet spot", f"{told}.", best, None, name)
