import random

import numpy as np
import pytest
import torch

from likeness.functional.randomness import derived_seed, generator, normal, uniform


def test_draws_depend_on_seed_and_key_alone() -> None:
    torch.manual_seed(1)
    first = normal((2, 3), 42, "noise", 7, 0), uniform(42, "time", 7, 0)
    torch.manual_seed(2)
    torch.randn(10)
    random.seed(3)
    np.random.seed(4)
    again = normal((2, 3), 42, "noise", 7, 0), uniform(42, "time", 7, 0)
    assert torch.equal(first[0], again[0]) and first[1] == again[1]


def test_draws_leave_the_global_generators_alone() -> None:
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    normal((4,), 1, "x")
    uniform(1, "x")
    assert torch.equal(torch.get_rng_state(), before[0]) and random.getstate() == before[1]
    assert np.random.get_state()[1].tolist() == before[2]


def test_every_part_of_the_key_counts() -> None:
    keys = [(1, "a", 2), (1, "a", 3), (1, "b", 2), (2, "a", 2), (1, "a", "2"), (1, "a"), (1, "a2"), (12, "a")]
    seeds = [derived_seed(*key) for key in keys]
    assert len(set(seeds)) == len(keys)
    assert all(0 <= s < 2**63 for s in seeds)


def test_the_same_numbers_for_ever() -> None:
    """A change here would let a run that was stopped go on with other numbers."""
    assert derived_seed(42, "noise", 7, 0) == 1315413104832844260
    assert uniform(42, "time", 1, 0) == 0.8035590648651123


def test_draws_look_like_what_they_should() -> None:
    x = normal((200, 200), 5, "check")
    assert abs(x.mean().item()) < 0.02 and x.std().item() == pytest.approx(1, abs=0.02)
    u = np.array([uniform(5, "check", i) for i in range(2000)])
    assert u.min() >= 0 and u.max() < 1 and u.mean() == pytest.approx(0.5, abs=0.03)
    neighbours = np.corrcoef(u[:-1], u[1:])[0, 1]
    assert abs(neighbours) < 0.08
    assert generator(5, "a").initial_seed() == derived_seed(5, "a")
