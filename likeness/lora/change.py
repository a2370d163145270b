"""What a LoRA does to one layer's weight, as low-rank factors of three kinds, and how factors are cut and joined.

With factors named as in files, the change of a weight (outputs, inputs) is `scale` times
  LoRA  lora_B · lora_A                                                   (Hu et al. 2021, arXiv 2106.09685)
  LoHa  (hada_w1_a · hada_w1_b) * (hada_w2_a · hada_w2_b), elementwise    (Hyeon-Woo et al. 2021, arXiv 2108.06098)
  LoKr  kron(lokr_w1, lokr_w2), each of them whole or a product _a · _b   (Yeh et al. 2023, arXiv 2309.14859)
DoRA adds a magnitude (outputs,): the norm that each row of the changed weight is brought to (arXiv 2402.09353).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from likeness.errors import InputError

Kind = Literal["LoRA", "LoHa", "LoKr"]
_ROWS_AT_ONCE = 4096
# The factors whose rows are the rows of the change, each with the one that it is multiplied with.
_PRODUCTS = {
    "LoRA": (("lora_B", "lora_A"),),
    "LoHa": (("hada_w1_a", "hada_w1_b"), ("hada_w2_a", "hada_w2_b")),
}


@dataclass(frozen=True, eq=False)
class Change:
    """The factors of one layer. Convolutions have two more dimensions, as in their files."""

    kind: Kind
    factors: dict[str, Tensor]
    scale: float = 1.0
    magnitude: Tensor | None = None  # (outputs,)

    @property
    def rank(self) -> int | None:
        """None for a LoKr of two whole factors."""
        for name, dim in (("lora_A", 0), ("hada_w1_b", 0), ("lokr_w2_b", 0), ("lokr_w1_b", 0)):
            if name in self.factors:
                return self.factors[name].shape[dim]
        return None

    @property
    def outputs(self) -> int:
        if self.kind == "LoKr":
            return self._factor("lokr_w1").shape[0] * self._factor("lokr_w2").shape[0]
        return self.factors[self._scaled].shape[0]

    @property
    def columns(self) -> int:
        """Inputs of the layer, times the places of a convolution's kernel."""
        if self.kind == "LoRA":
            return self._width("lora_A")
        return self._width("hada_w1") if self.kind == "LoHa" else self._width("lokr_w1") * self._width("lokr_w2")

    def _width(self, name: str) -> int:
        w = self.factors[name] if name in self.factors else self.factors[f"{name}_b"]
        return w.numel() // w.shape[0]

    @property
    def dimensions(self) -> int:
        """Of the layer's weight: 2, or 4 for a convolution."""
        return max(w.dim() for w in self.factors.values())

    def check(self) -> None:
        """Raises ValueError when the factors do not fit together."""
        shapes = {name: tuple(w.shape) for name, w in self.factors.items()}
        if self.kind == "LoRA":
            a, b = shapes["lora_A"], shapes["lora_B"]
            whole = len(a) == len(b) >= 2 and a[0] == b[1] and not any(side != 1 for side in b[2:])
        else:
            products = {n[:-2] for n in shapes if n.endswith("_a")}
            pairs = [(shapes[f"{n}_a"], shapes[f"{n}_b"]) for n in products]
            whole = all(len(s) == 2 or (n == "lokr_w2" and len(s) == 4) for n, s in shapes.items())
            whole = whole and all(a[1] == b[0] for a, b in pairs)
            whole = whole and (self.kind == "LoKr" or len({(a[0], b[1]) for a, b in pairs}) == 1)
        if not whole or not all(w.numel() for w in self.factors.values()):
            raise ValueError(f"its factors do not fit together: {shapes}")

    def delta(self) -> Tensor:
        """The change of the weight, fp32, (outputs, everything else); a magnitude is left aside."""
        if self.kind == "LoRA":
            product = self.flat("lora_B") @ self.flat("lora_A")
        elif self.kind == "LoHa":
            left = self.flat("hada_w1_a") @ self.flat("hada_w1_b")
            product = left * (self.flat("hada_w2_a") @ self.flat("hada_w2_b"))
        else:
            w1, w2 = self._factor("lokr_w1").float(), self._factor("lokr_w2").float()
            product = torch.kron(w1.reshape(*w1.shape, *[1] * (w2.dim() - w1.dim())), w2).flatten(1)
        return self.scale * product

    def norm(self) -> float:
        """Frobenius norm of `delta`; of a LoRA or LoKr without making the whole matrix."""
        if self.kind == "LoRA":
            up, down = self.exactly("lora_B").flatten(1), self.factors["lora_A"].double().flatten(1)
            return math.sqrt(max(0.0, float(((up.T @ up) * (down @ down.T)).sum())))
        if self.kind == "LoKr":
            sides = (self._factor(name).double().norm() for name in ("lokr_w1", "lokr_w2"))
            return abs(self.scale) * float(math.prod(map(float, sides)))
        return float(self.delta().double().norm())

    def flat(self, name: str) -> Tensor:
        """A factor as a matrix, fp32."""
        return self.factors[name].float().flatten(1)

    def _factor(self, name: str) -> Tensor:
        if name in self.factors:
            return self.factors[name]
        return self.flat(f"{name}_a") @ self.flat(f"{name}_b")

    def folded(self) -> "Change":
        """The same with scale 1. The factor that takes the scale keeps its number format where that is exact,
        as with powers of two; it becomes fp32 where it would be rounded."""
        if self.scale == 1.0:
            return self
        before = self.factors[self._scaled]
        exact = before.float() * self.scale
        after = exact.to(before.dtype)
        kept = after if torch.equal(after.float(), exact) else exact
        return replace(self, factors=self.factors | {self._scaled: kept}, scale=1.0)

    @property
    def _scaled(self) -> str:
        """The factor that the scale is folded into."""
        if self.kind == "LoKr":
            return "lokr_w1" if "lokr_w1" in self.factors else "lokr_w1_a"
        return _PRODUCTS[self.kind][0][0]

    def same_as(self, other: "Change") -> bool:
        """Whether the factors are the same numbers, with the scale: a quick and sure sign of the same change."""
        return self.factors.keys() == other.factors.keys() and all(
            w.shape == other.factors[n].shape and torch.equal(self.exactly(n), other.exactly(n))
            for n, w in self.factors.items()
        )

    def exactly(self, name: str) -> Tensor:
        """A factor with the scale in it where it takes that, fp64."""
        w = self.factors[name].double()
        return w * self.scale if name == self._scaled else w

    def rows(self, ranges: Sequence[tuple[int, int]]) -> "Change":
        """The change of these rows [start, stop), one range below the other.

        Raises InputError where the factors of a LoKr cannot be cut there.
        """
        if self.kind == "LoKr":
            height = self._factor("lokr_w2").shape[0]
            if any(edge % height for pair in ranges for edge in pair):
                raise InputError("a LoKr cannot be cut at these rows exactly")
            cut = {self._scaled: height}
        else:
            cut = {top: 1 for top, _ in _PRODUCTS[self.kind]}
        factors = {
            name: _take(w, [(a // cut[name], b // cut[name]) for a, b in ranges]) if name in cut else w
            for name, w in self.factors.items()
        }
        magnitude = None if self.magnitude is None else _take(self.magnitude, ranges)
        return replace(self, factors=factors, magnitude=magnitude)

    def halves_swapped(self) -> "Change":
        half, odd = divmod(self.outputs, 2)
        if odd:
            raise InputError(f"{self.outputs} rows have no two halves")
        return self.rows([(half, 2 * half), (0, half)])


def heights(outputs: int, shares: Sequence[int]) -> list[int]:
    """How many rows each part of a fused layer has. Raises InputError when the shares do not divide it."""
    unit, rest = divmod(outputs, sum(shares))
    if rest or not unit:
        raise InputError(f"{outputs} rows do not divide into parts as {':'.join(map(str, shares))}")
    return [unit * share for share in shares]


def split(change: Change, shares: Sequence[int]) -> list[Change | None]:
    """A fused layer's change as its parts' changes; None for a part that is not changed.

    The inverse of `fuse`: where each part uses ranks of its own, it gets these alone; else all parts share A.
    Raises InputError where that cannot be exact.
    """
    edges = [0]
    for height in heights(change.outputs, shares):
        edges.append(edges[-1] + height)
    pieces = [change.rows([pair]) for pair in pairwise(edges)]
    if change.kind == "LoKr":
        return list(pieces)
    ranks = [_own_ranks([p.factors[top] for p in pieces]) for top, _ in _PRODUCTS[change.kind]]
    parts = [_narrowed(piece, [r[n] for r in ranks]) for n, piece in enumerate(pieces)]
    # A DoRA changes a weight by its magnitude alone.
    idle = [p.magnitude is None and not p.factors[_PRODUCTS[p.kind][0][0]].any() for p in pieces]
    return [None if still and not all(idle) else p for p, still in zip(parts, idle, strict=True)]


def fuse(parts: Sequence[Change | None], shares: Sequence[int]) -> Change:
    """The parts' changes as one of the fused layer: B block-diagonal, A stacked; ranks add up unless A is shared.

    A part that is None is not changed. Raises InputError where that cannot be exact.
    """
    parts = [None if p is None else p.folded() for p in parts]
    present = [p for p in parts if p is not None]
    first = present[0]
    if len({p.kind for p in present}) > 1 or len({p.magnitude is None for p in present}) > 1:
        raise InputError("its parts are of different kinds")
    if first.kind == "LoKr":
        raise InputError("LoKr factors of several layers do not make one of the whole")
    if first.magnitude is not None and len(present) < len(parts):
        raise InputError("a DoRA of some parts has no magnitude for the others")
    units = {divmod(p.outputs, share) for p, share in zip(parts, shares, strict=True) if p is not None}
    if len(units) > 1 or any(rest for _, rest in units):
        raise InputError(f"parts of {' and '.join(str(p.outputs) for p in present)} rows do not make one layer")
    tall = [units.copy().pop()[0] * share for share in shares]
    factors: dict[str, Tensor] = {}
    for top, bottom in _PRODUCTS[first.kind]:
        factors |= _joined(parts, tall, top, bottom)
    magnitudes = [p.magnitude for p in present if p.magnitude is not None]
    return Change(first.kind, factors, 1.0, torch.cat(magnitudes) if magnitudes else None)


def difference(one: Change | None, other: Change | None) -> tuple[float, float]:
    """How much any element of the weight's change differs at most, and how large any element is at most.

    Both are 0 where the factors are the same. A missing change counts as none. Raises ValueError when shapes differ.
    """
    if one is None or other is None:
        present = one or other
        if present is None:
            return 0.0, 0.0
        largest = max(float(piece.delta().abs().max()) for piece in _pieces(present))
        return (largest if present.magnitude is None else math.inf), largest
    far, largest = (0.0, 0.0) if one.same_as(other) else _rounding(one, other) or _measured(one, other)
    if one.magnitude is not None and other.magnitude is not None:
        far = max(far, float((one.magnitude.float() - other.magnitude.float()).abs().max()))
    elif one.magnitude is not None or other.magnitude is not None:
        far = math.inf
    return far, largest


def _rounding(one: Change, other: Change) -> tuple[float, float] | None:
    """Bounds for two LoRAs with the same A: no element of B·A exceeds the longest row of B times the longest column
    of A. None for other changes. Full matrices of a large model would take minutes."""
    if not one.kind == other.kind == "LoRA" or not _identical(one.factors["lora_A"], other.factors["lora_A"]):
        return None
    b, c = one.exactly("lora_B").flatten(1), other.exactly("lora_B").flatten(1)
    if b.shape != c.shape:
        return None
    column = one.flat("lora_A").norm(dim=0).max()
    return float((b - c).norm(dim=1).max() * column), float(b.norm(dim=1).max() * column)


def _measured(one: Change, other: Change) -> tuple[float, float]:
    if one.outputs != other.outputs:
        raise ValueError(f"changes of {one.outputs} and {other.outputs} rows")
    far = largest = 0.0
    together = one.kind == other.kind != "LoKr"
    for a, b in zip(_pieces(one, together), _pieces(other, together), strict=True):
        x, y = a.delta(), b.delta()
        far, largest = max(far, float((x - y).abs().max())), max(largest, float(x.abs().max()))
    return far, largest


def _pieces(change: Change, cut: bool = True) -> Iterator[Change]:
    """The change, some rows at a time: the whole of it may be larger than the layer's own weight in memory."""
    step = change.outputs if change.kind == "LoKr" or not cut else _ROWS_AT_ONCE
    for row in range(0, change.outputs, step):
        yield change.rows([(row, min(row + step, change.outputs))]) if step < change.outputs else change


def _identical(a: Tensor, b: Tensor) -> bool:
    return a.dtype == b.dtype and torch.equal(a, b)


def _take(w: Tensor, ranges: Sequence[tuple[int, int]]) -> Tensor:
    return torch.cat([w[a:b] for a, b in ranges])


def _own_ranks(blocks: Sequence[Tensor]) -> list[Tensor]:
    """Which ranks (columns) each part needs, given the parts' rows of the upper factor.

    Those that it uses, where no other part uses them; else all of them. Equal contiguous ranges are preferred, so that
    ranks that happen to be zero stay where they were.
    """
    rank = blocks[0].shape[1]
    used = torch.stack([b.flatten(1).ne(0).any(dim=0) for b in blocks])
    own, rest = divmod(rank, len(blocks))
    if own and not rest:
        spans = list(torch.arange(rank).split(own))
        if all(u.sum() == u[span].sum() for u, span in zip(used, spans, strict=True)):
            return spans
    if used.sum(dim=0).max() > 1 or not used.any():
        return [torch.arange(rank)] * len(blocks)
    return [u.nonzero().flatten() for u in used]


def _narrowed(change: Change, ranks: Sequence[Tensor]) -> Change:
    """With only these ranks of each product; one rank is kept where there would be none. LoHa's products must keep
    equally many, or they keep all."""
    if len({len(own) for own in ranks}) > 1:
        return change
    factors = dict(change.factors)
    for (top, bottom), own in zip(_PRODUCTS[change.kind], ranks, strict=True):
        kept = own if len(own) else torch.arange(1)
        factors |= {top: factors[top][:, kept], bottom: factors[bottom][kept]}
    return replace(change, factors=factors)


def _joined(parts: Sequence[Change | None], tall: Sequence[int], top: str, bottom: str) -> dict[str, Tensor]:
    """`top` block-diagonal, `bottom` stacked; or `top` stacked over the one `bottom` that all parts have."""
    present = [p for p in parts if p is not None]
    tops, bottoms = [p.factors[top] for p in present], [p.factors[bottom] for p in present]
    shared = top == "lora_B" and all(_identical(bottoms[0], b) for b in bottoms[1:])
    under = bottoms[0] if shared else torch.cat(bottoms)
    dtype = tops[0].dtype
    for w in tops[1:]:
        dtype = torch.promote_types(dtype, w.dtype)
    whole = torch.zeros(sum(tall), under.shape[0], *tops[0].shape[2:], dtype=dtype)
    row = column = 0
    for part, height in zip(parts, tall, strict=True):
        if part is not None:
            w = part.factors[top]
            whole[row : row + height, column : column + w.shape[1]] = w
            column += 0 if shared else w.shape[1]
        row += height
    return {bottom: under, top: whole}
