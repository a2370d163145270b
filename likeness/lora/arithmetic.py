"""Sums of weight changes, and how they are cut down to a rank: plain matrices, fp64.

A change of low rank is a product up (outputs, rank) · down (rank, inputs); the whole matrix is not made for it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

_NOTHING = 1e-10  # singular values below this share of the largest are rounding


@dataclass(frozen=True)
class Cut:
    """How small a change is made: to a rank at most, or to the smallest rank that keeps a share of its energy, which
    is the square of its Frobenius norm. With neither, to the rank that it has."""

    rank: int | None = None
    keep: float | None = None  # in (0, 1]

    def rank_for(self, singular: Tensor) -> int:
        """How many of these singular values, largest first, are kept; at least one."""
        rank = max(1, int((singular > _NOTHING * singular[0]).sum()))
        if self.keep is not None:
            energy = singular.square().cumsum(0)
            rank = min(rank, int((energy < self.keep * energy[-1]).sum()) + 1)
        return min(rank, self.rank) if self.rank is not None else rank


UNCUT = Cut()


@dataclass(frozen=True, eq=False)
class Reduced:
    """The nearest product of its rank to a change (Eckart and Young 1936). Both factors are equally large.

    `lost` is the energy of the discarded singular values, `energy` that of all.
    """

    up: Tensor  # (outputs, rank)
    down: Tensor  # (rank, inputs)
    lost: float
    energy: float


def reduce_product(up: Tensor, down: Tensor, cut: Cut) -> Reduced:
    """Reduce up · down. QR leaves a square of the rank's size, which alone is decomposed."""
    left, small_left = torch.linalg.qr(up)
    right, small_right = torch.linalg.qr(down.T)
    u, singular, vh = torch.linalg.svd(small_left @ small_right.T, full_matrices=False)
    rank = cut.rank_for(singular)
    root = singular[:rank].sqrt()
    energy = singular.square()
    return Reduced(
        left @ (u[:, :rank] * root),
        (right @ (vh[:rank].T * root)).T,
        float(energy[rank:].sum()),
        float(energy.sum()),
    )


def reduce_whole(change: Tensor, cut: Cut) -> Reduced:
    """Reduce a matrix of any rank, by the eigenvectors of its smaller Gram matrix: several times quicker than its
    singular value decomposition. Singular values are exact to 1e-8 of the largest."""
    if change.shape[0] > change.shape[1]:
        turned = reduce_whole(change.T, cut)
        return Reduced(turned.down.T, turned.up.T, turned.lost, turned.energy)
    squares, vectors = torch.linalg.eigh(change @ change.T)  # smallest first
    squares, vectors = squares.flip(0).clamp(min=0), vectors.flip(1)
    singular = squares.sqrt()
    rank = cut.rank_for(singular)
    root = singular[:rank].sqrt()
    shrunk = torch.where(root > 0, 1 / root, 0.0)
    up = vectors[:, :rank]
    return Reduced(
        up * root, (up.T @ change) * shrunk[:, None], float(squares[rank:].sum()), float(change.square().sum())
    )


def trim(change: Tensor, density: float) -> Tensor:
    """The change with only its largest elements by magnitude, `density` of all; equal ones at the edge all stay."""
    kept = max(1, math.floor(density * change.numel() + 1e-9))
    if kept >= change.numel():
        return change
    size = change.abs()
    least = size.flatten().kthvalue(change.numel() - kept + 1).values
    return torch.where(size >= least, change, 0.0)


def ties(changes: Sequence[Tensor], density: float) -> Tensor:
    """TIES (Yadav et al. 2023, arXiv 2306.01708): trim each; at each element elect the sign of the sum; take the mean
    of the trimmed values that have this sign. Where the sum is nought so is the result."""
    trimmed = [trim(change, density) for change in changes]
    total = torch.stack(trimmed).sum(0) if len(trimmed) > 1 else trimmed[0]
    elected = total.sign()
    agreeing, count = torch.zeros_like(total), torch.zeros_like(total)
    for change in trimmed:
        agrees = (change.sign() == elected) & (elected != 0)
        agreeing += torch.where(agrees, change, 0.0)
        count += agrees
    return agreeing / count.clamp(min=1)


def dare(change: Tensor, drop: float, generator: torch.Generator) -> Tensor:
    """DARE (Yu et al. 2023, arXiv 2311.03099): each element becomes nought with probability `drop`, in [0, 1); the
    others are divided by 1 - drop, so that the expectation stays. Drawn on the CPU: every device gets the same."""
    kept = torch.rand(change.shape, generator=generator) >= drop
    return torch.where(kept.to(change.device), change / (1 - drop), 0.0)
