"""The difference of two checkpoints of one base as a LoRA."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from likeness.errors import InputError
from likeness.lora.arithmetic import Cut, reduce_whole
from likeness.lora.base_weights import BaseWeights
from likeness.lora.change import Change
from likeness.lora.merge import Precision, rounded


@dataclass(frozen=True, eq=False)
class Extraction:
    """`error`: relative distance (Frobenius) of the LoRA from the difference of the layers' weights.

    `left_out`: tensors that differ but are no weight of a layer, such as norms and biases: no LoRA holds them.
    `left_out_share`: their part of the energy (square of the norm) of all differences.
    """

    changes: dict[str, Change]
    error: float
    unchanged: int  # layers whose weights are the same
    left_out: list[str]
    left_out_share: float


def extracted(
    before: BaseWeights,
    after: BaseWeights,
    cut: Cut,
    precision: Precision = "auto",
    device: torch.device | None = None,
    tell: Callable[[int, int], object] = lambda done, total: None,
) -> Extraction:
    """`after` minus `before`, layer by layer, each cut by itself.

    Raises InputError where layers or shapes differ, where a difference is not finite, or where there is none.
    """
    if strange := sorted(before.places.keys() ^ after.places.keys()):
        raise InputError(f"layer {strange[0]} is in one of the checkpoints alone. Fix: compare two of the same base")
    changes: dict[str, Change] = {}
    lost = energy = 0.0
    for number, full in enumerate(before.places):
        tell(number, len(before.places))
        one, other = before[full], after[full]
        if one.shape != other.shape:
            raise InputError(
                f"layer {full} is {tuple(one.shape)} in one checkpoint and {tuple(other.shape)} in the other. "
                "Fix: compare two of the same base"
            )
        difference = (other.to(device).double() - one.to(device).double()).flatten(1)
        if not torch.isfinite(difference).all():
            raise InputError(f"layer {full} has values that are not finite. Fix: save or download the checkpoint again")
        if not difference.any():
            continue
        found = rounded(reduce_whole(difference, cut), tuple(one.shape[2:]), precision)
        changes[full] = found.change
        lost, energy = lost + found.lost, energy + found.energy
    left_out, outside = _left_out(before, after)
    if not changes:
        raise InputError("the layers of both checkpoints are the same. Fix: give the tuned checkpoint second")
    share = outside / (energy + outside)
    unchanged = len(before.places) - len(changes)
    return Extraction(changes, math.sqrt(lost / energy), unchanged, left_out, share)


def _left_out(before: BaseWeights, after: BaseWeights) -> tuple[list[str], float]:
    names: list[str] = []
    energy = 0.0
    for key in sorted(before.others.keys() & after.others.keys()):
        one, other = before.others[key].read(), after.others[key].read()
        if one.shape == other.shape and not torch.equal(one, other):
            names.append(key)
            energy += float((other.double() - one.double()).square().sum())
    return names, energy
