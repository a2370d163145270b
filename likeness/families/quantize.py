"""Frozen linear layers kept in one byte or half a byte per weight.

Only storage is small: a layer is turned back into the number format of its input for each product, forward and
backward, and forgotten. That is what the 4-bit and 8-bit training of large models does on any device; here it is the
same on all of them, CPU included, and needs no package.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

GROUP = 64  # weights that share a scale, in the four-bit formats
# The 16 values that cover a normal distribution evenly, from -1 to 1 (NormalFloat 4; Dettmers et al. 2023, arXiv
# 2305.14314, appendix E).
NF4 = (
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
)  # fmt: skip
INT4 = tuple(i / 7 for i in range(-7, 8))  # symmetric: 15 of 16 codes
FORMATS = ("int8", "fp8", "nf4", "int4")


@dataclass(frozen=True)
class Packed:
    """A weight matrix (rows, columns) as codes and scales."""

    codes: Tensor  # uint8; (rows, columns) or, at four bits, (rows, columns / 2)
    scales: Tensor  # fp32; (rows, 1), or (rows, groups) at four bits


def pack(weight: Tensor, form: str) -> Packed:
    """Quantise (rows, columns). Raises ValueError for a form that is unknown, or does not fit an odd row length."""
    weight = weight.float()
    if form in ("int8", "fp8"):
        top = 127.0 if form == "int8" else torch.finfo(torch.float8_e4m3fn).max
        scales = weight.abs().amax(1, keepdim=True).clamp(min=1e-12) / top
        scaled = weight / scales
        small = scaled.round().to(torch.int8) if form == "int8" else scaled.to(torch.float8_e4m3fn)
        return Packed(small.view(torch.uint8), scales)
    if form not in FORMATS:
        raise ValueError(f"'{form}' is no form of storage; known are {', '.join(FORMATS)}")
    rows, columns = weight.shape
    if columns % 2:
        raise ValueError(f"rows of {columns} weights cannot be packed in pairs")
    grouped = weight.reshape(rows, -1, _group(columns))
    scales = grouped.abs().amax(2).clamp(min=1e-12)
    levels = torch.tensor(NF4 if form == "nf4" else INT4, device=weight.device)
    edges = (levels[1:] + levels[:-1]) / 2
    codes = torch.bucketize((grouped / scales[..., None]).reshape(rows, columns), edges).to(torch.uint8)
    return Packed(codes[:, 0::2] | codes[:, 1::2] << 4, scales)


def unpack(packed: Packed, form: str, dtype: torch.dtype) -> Tensor:
    """(rows, columns) in `dtype`, as near to what was packed as the form allows."""
    codes, scales = packed.codes, packed.scales
    if form in ("int8", "fp8"):
        small = codes.view(torch.int8 if form == "int8" else torch.float8_e4m3fn)
        return (small.float() * scales).to(dtype)
    rows, columns = codes.shape[0], codes.shape[1] * 2
    levels = torch.tensor(NF4 if form == "nf4" else (*INT4, 0.0), device=codes.device)
    values = levels[torch.stack((codes & 15, codes >> 4), dim=2).long()].reshape(rows, -1, columns // scales.shape[1])
    return (values * scales[..., None]).reshape(rows, columns).to(dtype)


def _group(columns: int) -> int:
    return math.gcd(columns, GROUP)


class _Product(torch.autograd.Function):
    """x Wᵀ + b with W unpacked anew in the backward pass, so that no full-size copy is kept for it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, codes: Tensor, scales: Tensor, bias: Tensor | None, form: str) -> Tensor:
        ctx.save_for_backward(codes, scales)
        ctx.form = form
        return functional.linear(x, unpack(Packed(codes, scales), form, x.dtype), bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None]:
        codes, scales = ctx.saved_tensors
        return gradients[0] @ unpack(Packed(codes, scales), ctx.form, gradients[0].dtype), None, None, None, None


class QuantizedLinear(nn.Linear):
    """A frozen linear layer whose weight is packed. `weight` holds the codes."""

    scales: Tensor

    def __init__(self, layer: nn.Linear, form: str):
        nn.Module.__init__(self)  # not Linear's: it would make a full-size weight first
        self.in_features, self.out_features, self.form = layer.in_features, layer.out_features, form
        packed = pack(layer.weight.detach(), form)
        self.weight = nn.Parameter(packed.codes, requires_grad=False)
        self.register_buffer("scales", packed.scales, persistent=False)
        self.bias = layer.bias

    def forward(self, input: Tensor) -> Tensor:
        return _Product.apply(input, self.weight, self.scales, self.bias, self.form)  # pyright: ignore[reportReturnType]


def quantize(modules: Iterable[nn.Module], form: str, device: torch.device) -> None:
    """Replace every linear layer below `modules` by a packed one on `device`, one at a time.

    What is not below them - embedders, the last projection - keeps its precision: quantising it too makes the error
    several times larger. Layers with an odd row length are left as they are.
    """
    for module in modules:
        for parent in list(module.modules()):
            for name, child in list(parent.named_children()):
                if type(child) is nn.Linear and child.in_features % 2 == 0:
                    setattr(parent, name, QuantizedLinear(child.to(device), form))
