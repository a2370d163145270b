"""Whole LoRA files: several made into one, and one made smaller. The mathematics is in `merge`."""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from likeness.errors import InputError
from likeness.lora.arithmetic import Cut, reduce_product
from likeness.lora.change import Change
from likeness.lora.layouts import FileLayer, Lora, available, file_layers
from likeness.lora.merge import (
    NEEDS_WEIGHTS,
    Precision,
    Recipe,
    Term,
    as_lora,
    combined,
    kernel_of,
    rounded,
    whole,
    wide_factors,
)
from likeness.lora.targets import CONVOLUTIONS

LAYOUTS = ("diffusers", "comfyui", "bfl", "kohya")  # of one file, with everything in it
# A layer's own weight by `<prefix>.<layer>`.
Weights = Callable[[str], Tensor]


@dataclass(frozen=True, eq=False)
class Ingredient:
    path: Path
    lora: Lora
    strength: float = 1.0


@dataclass(frozen=True, eq=False)
class Mixture:
    """The layers of a new file. `error`: relative distance (Frobenius) of what they do from what they should."""

    layers: list[FileLayer]
    error: float

    @property
    def ranks(self) -> list[int]:
        return sorted({change.rank or 1 for _, _, change in self.layers})


def check_same_family(ingredients: Sequence[Ingredient]) -> None:
    first = ingredients[0]
    for other in ingredients[1:]:
        if other.lora.names.family != first.lora.names.family:
            raise InputError(
                f"{other.path}: is for {other.lora.names.family}, and {first.path} for {first.lora.names.family}. "
                "Fix: merge LoRAs of one base"
            )


def layout_for(loras: Sequence[Lora], wanted: str | None) -> str:
    """The layout of the new file: what is wanted, else the one that all have, else diffusers.

    Raises InputError where the family has none of that name.
    """
    layouts = {lora.layout for lora in loras}
    own = layouts.pop() if len(layouts) == 1 else ""
    layout = wanted or (own if own in LAYOUTS else "diffusers")
    if layout not in available(loras[0].names):
        raise InputError(f"--to {layout}: there is no such layout for family {loras[0].names.family}")
    return layout


def mixed(
    ingredients: Sequence[Ingredient],
    recipe: Recipe,
    layout: str,
    precision: Precision = "auto",
    device: torch.device | None = None,
    weights: Weights | None = None,
    tell: Callable[[int, int], object] = lambda done, total: None,
) -> Mixture:
    """One LoRA from several. Layers are those of a file of this layout; each is dealt with by itself.

    `weights` are needed for a DoRA. Raises InputError where LoRAs do not fit together or one cannot be told exactly.
    """
    device = device or torch.device("cpu")
    check_same_family(ingredients)
    if weights is not None and layout != "diffusers":
        weights = None  # names in other layouts are of joined layers
    layers: list[FileLayer] = []
    lost = energy = 0.0
    found_terms = _terms(ingredients, recipe, layout, weights)
    for number, ((module, name), terms) in enumerate(found_terms.items()):
        tell(number, len(found_terms))
        found = combined(terms, recipe, name, precision, device)
        layers.append((module, name, found.change))
        lost, energy = lost + found.lost, energy + found.energy
    return Mixture(layers, _relative(lost, energy))


def whole_changes(
    ingredients: Sequence[Ingredient], recipe: Recipe, weights: Weights, device: torch.device
) -> Iterator[tuple[str, Callable[[], Tensor]]]:
    """What the mixture does to each weight by `<prefix>.<layer>`: full matrices, each made when it is asked for."""
    check_same_family(ingredients)
    strengths = recipe.weights([i.strength for i in ingredients])
    network = ingredients[0].lora.names.network
    for full in dict.fromkeys(name for i in ingredients for name in i.lora.changes):

        def made(full: str = full) -> Tensor:
            name = full.removeprefix(f"{network}.")
            terms = [
                Term(n, change, strength, weights(full) if change.magnitude is not None else None)
                for n, (i, strength) in enumerate(zip(ingredients, strengths, strict=True))
                if (change := i.lora.changes.get(full)) is not None
            ]
            return whole(terms, recipe, name, device)

        yield full, made


def resized(
    lora: Lora, cut: Cut, layout: str, precision: Precision = "auto", device: torch.device | None = None
) -> Mixture:
    """The same LoRA, cut. A LoHa or LoKr becomes a LoRA. A DoRA keeps its magnitudes, and the error is that of its
    directions."""
    layers: list[FileLayer] = []
    lost = energy = 0.0
    for (module, name), change in _as_in_file(lora, layout).items():
        plain = as_lora(change)
        reduced = reduce_product(*wide_factors(plain, device or torch.device("cpu")), cut)
        found = rounded(reduced, kernel_of(plain), precision)
        layers.append((module, name, replace(found.change, magnitude=plain.magnitude)))
        lost, energy = lost + found.lost, energy + found.energy
    return Mixture(layers, _relative(lost, energy))


def _terms(
    ingredients: Sequence[Ingredient], recipe: Recipe, layout: str, weights: Weights | None
) -> Mapping[tuple[str, str], list[Term]]:
    strengths = recipe.weights([i.strength for i in ingredients])
    found: dict[tuple[str, str], list[Term]] = {}
    for number, (ingredient, strength) in enumerate(zip(ingredients, strengths, strict=True)):
        try:
            layers = _as_in_file(ingredient.lora, layout)
        except InputError as e:
            raise InputError(*(f"{ingredient.path}: {problem}" for problem in e.problems)) from e
        for (module, name), change in layers.items():
            weight = None
            if change.magnitude is not None:
                if weights is None or recipe.exact:
                    raise InputError(f"{ingredient.path}: layer {name} {NEEDS_WEIGHTS}")
                weight = weights(f"{module or ingredient.lora.names.network}.{name}")
            found.setdefault((module, name), []).append(Term(number, change, strength, weight))
    return found


def _as_in_file(lora: Lora, layout: str) -> dict[tuple[str, str], Change]:
    """The changes of layers as a file of this layout has them; those that are joined there are LoRAs."""
    for full, change in lora.changes.items():
        # Only a LoRA's factors tell how large the kernel of a convolution is.
        if change.kind != "LoRA" and change.dimensions == 2 and re.fullmatch(CONVOLUTIONS, full):
            raise InputError(
                f"layer {full} is a {change.kind} of a convolution, which does not tell the size of the kernel. "
                "Fix: merge it into the base with --into-base, or leave such layers out with `likeness prune`"
            )
    if layout != "diffusers":
        lora = replace(lora, changes={name: as_lora(change) for name, change in lora.changes.items()})
    return {(module, name): change for module, name, change in file_layers(lora, layout)}


def _relative(lost: float, energy: float) -> float:
    return math.sqrt(lost / energy) if energy else 0.0
