"""Randomness without state: every draw is a pure function of a run's seed and a key.

Nothing has to be saved to go on after an interruption, and sampling cannot disturb training.
"""

import hashlib

import torch
from torch import Tensor


def derived_seed(seed: int, *key: int | str) -> int:
    """A 63-bit seed from the run's seed and a key such as ('noise', step, slot)."""
    digest = hashlib.blake2b(repr((seed, *key)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def generator(seed: int, *key: int | str) -> torch.Generator:
    """A CPU generator for one purpose. Draws are made on the CPU, so that every device gets the same numbers."""
    return torch.Generator().manual_seed(derived_seed(seed, *key))


def normal(shape: tuple[int, ...], seed: int, *key: int | str) -> Tensor:
    """Standard normal fp32 tensor."""
    return torch.randn(shape, generator=generator(seed, *key))


def uniform(seed: int, *key: int | str) -> float:
    """One number in [0, 1)."""
    return torch.rand((), generator=generator(seed, *key)).item()
