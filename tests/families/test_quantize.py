"""Packed weights: near enough, small enough, and trainable around."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from likeness.families.quantize import FORMATS, NF4, Packed, QuantizedLinear, pack, quantize, unpack

BYTES = {"int8": 1.0, "fp8": 1.0, "nf4": 0.5, "int4": 0.5}
# Relative error on normal weights: int8 by 254 steps up to 4 sigma, e4m3 by 3 bits of mantissa, 4 bits by 16 levels.
ERROR = {"int8": 0.012, "fp8": 0.04, "nf4": 0.11, "int4": 0.13}


@pytest.fixture
def weight() -> torch.Tensor:
    return torch.randn(96, 192, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("form", FORMATS)
def test_what_comes_back_is_near(form: str, weight: torch.Tensor) -> None:
    packed = pack(weight, form)
    back = unpack(packed, form, torch.float32)
    assert packed.codes.dtype == torch.uint8 and packed.codes.numel() == weight.numel() * BYTES[form]
    assert ERROR[form] / 3 < ((back - weight).norm() / weight.norm()).item() < ERROR[form]
    again = pack(back, form)  # what can be said exactly stays as it is
    assert torch.allclose(unpack(again, form, torch.float32), back, rtol=1e-5, atol=1e-7)


def test_every_level_of_nf4_is_its_own_code() -> None:
    row = torch.tensor([[*NF4, *reversed(NF4)]]) * 3
    assert torch.allclose(unpack(pack(row, "nf4"), "nf4", torch.float32), row, atol=1e-6)


def test_nf4_takes_the_nearest_level() -> None:
    row = torch.linspace(-1, 1, 64)[None]
    levels = torch.tensor(NF4)
    nearest = levels[(row[0, :, None] - levels).abs().argmin(1)]
    assert torch.allclose(unpack(pack(row, "nf4"), "nf4", torch.float32)[0], nearest)


def test_a_row_of_zeros_stays_zero() -> None:
    for form in FORMATS:
        assert not unpack(pack(torch.zeros(2, 64), form), form, torch.float32).any()


@pytest.mark.parametrize("form", FORMATS)
def test_gradients_are_those_of_the_unpacked_layer(form: str) -> None:
    torch.manual_seed(0)
    layer = nn.Linear(32, 24).requires_grad_(False)
    small = QuantizedLinear(layer, form)
    plain = unpack(Packed(small.weight, small.scales), form, torch.float32)
    x = torch.randn(2, 5, 32, requires_grad=True)
    out = small(x)
    saved = [t for t in out.grad_fn.saved_tensors if t is not None]  # type: ignore[union-attr]
    assert all(t.numel() < plain.numel() or t.dtype == torch.uint8 for t in saved), "no full-size copy is kept"
    (grad,) = torch.autograd.grad(out.square().sum(), x)
    (expected,) = torch.autograd.grad(nn.functional.linear(x, plain, layer.bias).square().sum(), x)
    assert torch.allclose(grad, expected, rtol=1e-5, atol=1e-6)


def test_only_even_rows_below_the_blocks_are_packed() -> None:
    block = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8), nn.Sequential(nn.Linear(8, 7), nn.Linear(7, 8)))
    quantize([block], "int8", torch.device("cpu"))
    assert [type(m).__name__ for m in block.modules() if isinstance(m, nn.Linear)] == [
        "QuantizedLinear", "QuantizedLinear", "Linear",
    ]  # fmt: skip


def test_unknown_forms_are_refused(weight: torch.Tensor) -> None:
    make: Callable[[], object]
    for make in (lambda: pack(weight, "int3"), lambda: pack(torch.ones(2, 3), "nf4")):
        with pytest.raises(ValueError):
            make()
