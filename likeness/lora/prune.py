"""Layers taken out of a LoRA: by name, or those that change least."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from likeness.errors import InputError
from likeness.lora.layouts import Lora


@dataclass(frozen=True, eq=False)
class Pruned:
    """`kept`: share of the whole change's energy (square of its norm) that is left; None where a DoRA's layer went,
    whose magnitude changes weights too."""

    lora: Lora
    dropped: list[str]
    kept: float | None


def pruned(lora: Lora, patterns: Sequence[str] = (), smallest: int = 0) -> Pruned:
    """Without the layers whose names match one of these expressions as a whole, with or without the network's prefix;
    then without the `smallest` of the rest by the norm of their change.

    Raises InputError where an expression is none or matches nothing, or where no layer would be left.
    """
    dropped: set[str] = set()
    for pattern in patterns:
        matched = {name for name in lora.changes if _matches(pattern, name)}
        if not matched:
            first = next(iter(lora.changes))
            raise InputError(f"--match '{pattern}': matches no layer. Names here are such as {first}")
        dropped |= matched
    rest = [name for name in lora.changes if name not in dropped]
    norms = {name: change.norm() for name, change in lora.changes.items()}
    if smallest and any(lora.changes[name].magnitude is not None for name in rest):
        raise InputError(
            "--smallest: in a DoRA the norm of a layer's factors does not tell how much it changes. Fix: use --match"
        )
    dropped |= set(sorted(rest, key=lambda name: norms[name])[:smallest])
    left = {name: change for name, change in lora.changes.items() if name not in dropped}
    if not left:
        raise InputError(f"all {len(lora.changes)} layers would be dropped. Fix: drop fewer")
    energy = math.fsum(n**2 for n in norms.values())
    kept = math.fsum(norms[name] ** 2 for name in left) / energy if energy else 1.0
    dora = any(lora.changes[name].magnitude is not None for name in dropped)
    return Pruned(
        replace(lora, changes=left), [name for name in lora.changes if name in dropped], None if dora else kept
    )


def _matches(pattern: str, name: str) -> bool:
    try:
        return any(re.fullmatch(pattern, n) for n in (name, name.partition(".")[2]))
    except re.error as e:
        raise InputError(f"--match '{pattern}': is no regular expression ({e})") from e
