"""Several changes of a layer's weight made into one. All sums are of changes, never of factors.

A layer's change is kept as factors for as long as the method allows. TIES and DARE look at single elements, and a DoRA
has a full-rank change, so these need the whole matrix.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from torch import Tensor

from likeness.errors import InputError
from likeness.functional.randomness import generator
from likeness.lora.arithmetic import UNCUT, Cut, Reduced, dare, reduce_product, reduce_whole, ties
from likeness.lora.change import Change

Method = Literal["concat", "svd", "linear", "ties", "dare"]
METHODS: tuple[Method, ...] = get_args(Method)
Precision = Literal["auto", "fp32", "fp16", "bf16"]
_DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Recipe:
    """How changes become one.

    concat: the sum, exact; ranks add up.  svd: the sum, cut.  linear: the mean, weighted by the strengths; exact unless
    cut.  ties, dare: see `arithmetic`; then cut. Without a rank or a share to keep, svd cuts to the largest rank among
    the changes of the layer, ties and dare to the sum of their ranks.
    """

    method: Method = "concat"
    cut: Cut = UNCUT
    density: float = 0.2  # of ties: the paper's share of elements to keep
    drop: float = 0.5  # of dare
    seed: int = 42

    @property
    def exact(self) -> bool:
        return self.method == "concat" or (self.method == "linear" and self.cut == UNCUT)

    def weights(self, strengths: Sequence[float]) -> list[float]:
        """What each change is multiplied by."""
        if self.method != "linear":
            return list(strengths)
        total = sum(strengths)
        if total == 0:
            raise InputError("the strengths add up to 0, so there is no mean. Fix: use --method concat for differences")
        return [s / total for s in strengths]


@dataclass(frozen=True, eq=False)
class Term:
    """One LoRA's change of a layer, and the layer's own weight where the change depends on it (DoRA)."""

    source: int  # which LoRA it is of
    change: Change
    strength: float
    weight: Tensor | None = None

    def whole(self, device: torch.device) -> Tensor:
        """fp64, (outputs, everything else), at its strength.

        A DoRA of magnitude m makes W + s·D of W, with each row brought to the norm m (Liu et al. 2024, arXiv
        2402.09353); PEFT applies the strength s to D alone.
        """
        change = self.change
        if change.magnitude is None:
            return self.strength * _product(change, device)
        if self.weight is None:
            raise InputError(NEEDS_WEIGHTS)
        weight = self.weight.to(device, torch.float64).flatten(1)
        moved = weight + self.strength * _product(change, device)
        return moved * (change.magnitude.to(device, torch.float64) / moved.norm(dim=1))[:, None] - weight


NEEDS_WEIGHTS = (
    "is a DoRA, whose change depends on the base's own weights and has full rank. Fix: name the base with --base and "
    "use --method svd and --to diffusers, or merge it into the base with --into-base"
)


def _product(change: Change, device: torch.device) -> Tensor:
    if change.kind == "LoRA":
        up, down = wide_factors(change, device)
        return change.scale * (up @ down)
    wide = {name: w.to(device, torch.float64) for name, w in change.factors.items()}
    return _other_product(change, wide)


def wide_factors(change: Change, device: torch.device) -> tuple[Tensor, Tensor]:
    """B (outputs, rank) and A (rank, inputs) of a LoRA as fp64 matrices, without its scale."""
    b, a = (change.factors[f].to(device, torch.float64).flatten(1) for f in ("lora_B", "lora_A"))
    return b, a


def _other_product(change: Change, wide: Mapping[str, Tensor]) -> Tensor:
    def factor(name: str) -> Tensor:
        return wide[name] if name in wide else wide[f"{name}_a"] @ wide[f"{name}_b"]

    if change.kind == "LoHa":
        return change.scale * factor("hada_w1") * factor("hada_w2")
    one, two = factor("lokr_w1"), factor("lokr_w2")
    return change.scale * torch.kron(one.reshape(*one.shape, *[1] * (two.dim() - 2)), two).flatten(1)


# --- as a LoRA


def as_lora(change: Change) -> Change:
    """The same change as the product of a LoRA's two factors, scale 1; a DoRA keeps its magnitude.

    LoHa: rank is the product of its ranks. LoKr: that of its factors' ranks, a whole factor counting with its smaller
    side. Where that is no less than the layer's, the whole change is one factor and the identity the other.
    """
    if change.kind == "LoRA":
        return change.folded()
    up, down = _hadamard(change) if change.kind == "LoHa" else _kronecker(change)
    full = min(up.shape[0], down.shape[1])
    if up.shape[1] > full:
        whole = _product(change, torch.device("cpu"))
        identity = torch.eye(full, dtype=torch.float64)
        up, down = (identity, whole) if whole.shape[0] == full else (whole, identity)
    else:
        up = up * change.scale
    return lora_of(up, down, kernel_of(change), change.magnitude)


def _hadamard(change: Change) -> tuple[Tensor, Tensor]:
    """(a1·b1) * (a2·b2) elementwise is (a1 row-wise kron a2) · (b1 column-wise kron b2)."""
    a1, b1, a2, b2 = (change.factors[f"hada_{n}"].double() for n in ("w1_a", "w1_b", "w2_a", "w2_b"))
    return torch.einsum("or,os->ors", a1, a2).flatten(1), torch.einsum("ri,si->rsi", b1, b2).flatten(0, 1)


def _kronecker(change: Change) -> tuple[Tensor, Tensor]:
    """kron(a·b, c·d) = kron(a, c) · kron(b, d). Columns come out as a convolution's weight has them: the inputs of w1,
    those of w2, the kernel."""
    (a, b), (c, d) = (_sides(change, name) for name in ("lokr_w1", "lokr_w2"))
    return torch.kron(a, c), torch.kron(b, d)


def _sides(change: Change, name: str) -> tuple[Tensor, Tensor]:
    """A factor as a product over its smaller side."""
    if f"{name}_a" in change.factors:
        return change.factors[f"{name}_a"].double(), change.factors[f"{name}_b"].double().flatten(1)
    whole = change.factors[name].double().flatten(1)
    rows, columns = whole.shape
    identity = torch.eye(min(rows, columns), dtype=torch.float64)
    return (identity, whole) if rows <= columns else (whole, identity)


def kernel_of(change: Change) -> tuple[int, ...]:
    """The sizes of a convolution's kernel; nothing for a matrix."""
    if change.kind == "LoRA":
        return tuple(change.factors["lora_A"].shape[2:])
    return tuple(change.factors["lokr_w2"].shape[2:]) if "lokr_w2" in change.factors else ()


def lora_of(up: Tensor, down: Tensor, kernel: tuple[int, ...], magnitude: Tensor | None = None) -> Change:
    """A LoRA with these factors, fp32 on the CPU."""
    rank = down.shape[0]
    factors = {
        "lora_A": down.float().cpu().reshape(rank, -1, *kernel).contiguous(),
        "lora_B": up.float().cpu().reshape(-1, rank, *[1 for _ in kernel]).contiguous(),
    }
    return Change("LoRA", factors, 1.0, magnitude)


# --- together


@dataclass(frozen=True, eq=False)
class Outcome:
    """A layer's new change; of what it should have been, `lost` of the `energy` (square of the norm) is missing."""

    change: Change
    lost: float = 0.0
    energy: float = 0.0


def combined(terms: Sequence[Term], recipe: Recipe, name: str, precision: Precision, device: torch.device) -> Outcome:
    """One change of a layer from several, as `recipe` says. `name` is the layer's.

    Raises InputError where shapes differ, or a DoRA is among them and cannot be told as a LoRA.
    """
    _check_shapes(terms, name)
    doras = [t for t in terms if t.change.magnitude is not None]
    if doras and (recipe.exact or any(t.weight is None for t in doras)):
        raise InputError(f"layer {name} {NEEDS_WEIGHTS}")
    kernel = max((kernel_of(t.change) for t in terms), key=len)
    if recipe.exact:
        exact = concatenated(terms, kernel)
        return Outcome(*_stored(exact, precision), exact.norm() ** 2)
    cut = _cut(terms, recipe)
    if recipe.method in ("ties", "dare") or doras:
        reduced = reduce_whole(whole(terms, recipe, name, device), cut)
    else:
        plain = concatenated(terms, kernel)
        reduced = reduce_product(*wide_factors(plain, device), cut)
    return rounded(reduced, kernel, precision)


def concatenated(terms: Sequence[Term], kernel: tuple[int, ...]) -> Change:
    """The exact sum: [s1·B1 s2·B2 …] · [A1; A2; …]."""
    changes = [as_lora(replace(t.change, scale=t.change.scale * t.strength)) for t in terms]
    ups, downs = ([c.factors[f].flatten(1) for c in changes] for f in ("lora_B", "lora_A"))
    up, down = torch.cat(ups, dim=1), torch.cat(downs)
    rank = down.shape[0]
    factors = {"lora_A": down.reshape(rank, -1, *kernel), "lora_B": up.reshape(-1, rank, *[1 for _ in kernel])}
    return Change("LoRA", factors)


def whole(terms: Sequence[Term], recipe: Recipe, name: str, device: torch.device) -> Tensor:
    """The new change of a layer as a matrix, fp64 (outputs, everything else), not cut."""
    _check_shapes(terms, name)
    changes = (t.whole(device) for t in terms)
    if recipe.method == "ties":
        return ties(list(changes), recipe.density)
    if recipe.method == "dare":
        changes = (
            dare(c, recipe.drop, generator(recipe.seed, "dare", t.source, name))
            for t, c in zip(terms, changes, strict=True)
        )
    total = next(changes)
    for change in changes:
        total = total + change
    return total


def rounded(reduced: Reduced, kernel: tuple[int, ...], precision: Precision) -> Outcome:
    """The change as it will be in the file: fp16 by default. What rounding does to it counts as lost."""
    exact = lora_of(reduced.up, reduced.down, kernel)
    change, lost = _stored(exact, "fp16" if precision == "auto" else precision)
    return Outcome(change, reduced.lost + lost, reduced.energy)


def _stored(exact: Change, precision: Precision) -> tuple[Change, float]:
    """The change in this number format, and the energy of the difference; left alone where it would overflow."""
    if precision == "auto":
        return exact, 0.0
    change = replace(exact, factors={name: w.to(_DTYPES[precision]) for name, w in exact.factors.items()})
    if not all(torch.isfinite(w).all() for w in change.factors.values()):
        return exact, 0.0
    up = torch.cat([change.flat("lora_B"), -exact.flat("lora_B")], 1)
    down = torch.cat([change.flat("lora_A"), exact.flat("lora_A")])
    return change, Change("LoRA", {"lora_B": up, "lora_A": down}).norm() ** 2


def _cut(terms: Sequence[Term], recipe: Recipe) -> Cut:
    if recipe.cut != UNCUT:
        return recipe.cut
    ranks = [as_lora(t.change).rank or 1 for t in terms]
    return Cut(max(ranks) if recipe.method == "svd" else sum(ranks))


def _check_shapes(terms: Sequence[Term], name: str) -> None:
    shapes = {(t.change.outputs, t.change.columns) for t in terms}
    if len(shapes) > 1:
        told = " and ".join(f"{outputs} outputs and {inputs} inputs" for outputs, inputs in sorted(shapes))
        raise InputError(f"layer {name} has {told}. Fix: merge LoRAs of one base")
