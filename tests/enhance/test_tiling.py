"""Pieces of a large picture put together leave no seam."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from likeness.enhance.tiling import enlarge_tiled


def double(pixels: Tensor) -> Tensor:
    return interpolate(pixels, scale_factor=2, mode="nearest")


def blurred(pixels: Tensor) -> Tensor:
    """A network that sees 3 pixels around each, and black outside of its input."""
    kernel = torch.ones(3, 1, 7, 7) / 49
    return double(torch.nn.functional.conv2d(pad(pixels, (3, 3, 3, 3)), kernel, groups=3))


@pytest.mark.parametrize("size", [(20, 30), (64, 64), (65, 200), (150, 131)])
def test_what_needs_no_surroundings_comes_out_the_same(size: tuple[int, int]) -> None:
    pixels = torch.rand(3, *size, generator=torch.Generator().manual_seed(1))
    tiled = enlarge_tiled(pixels, double, 2, 64, 16)
    assert torch.allclose(tiled, double(pixels[None])[0], atol=1e-5)


def test_the_borders_of_tiles_are_not_used() -> None:
    """Beside its edges a tile is wrong, since it does not see beyond; only the picture's own edges stay so."""
    pixels = torch.rand(3, 150, 131, generator=torch.Generator().manual_seed(2))
    tiled, whole = enlarge_tiled(pixels, blurred, 2, 64, 16), blurred(pixels[None])[0]
    assert torch.allclose(tiled, whole, atol=1e-4)


def test_neighbours_are_faded_into_each_other() -> None:
    """Even where tiles disagree about brightness there is no step."""
    level = iter((0.2, 0.8))

    def moody(pixels: Tensor) -> Tensor:
        return torch.full((1, 3, 2 * pixels.shape[2], 2 * pixels.shape[3]), next(level))

    row = enlarge_tiled(torch.zeros(3, 64, 112), moody, 2, 64, 16)[0, 0]
    assert row[0] == pytest.approx(0.2) and row[-1] == pytest.approx(0.8)
    assert (row.diff() >= 0).all() and row.diff().max() < 0.05
