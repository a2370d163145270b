"""Reduction to a rank is optimal; TIES and DARE are as published."""

import math

import pytest
import torch

from likeness.functional.randomness import generator
from likeness.lora.arithmetic import Cut, dare, reduce_product, reduce_whole, ties, trim


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(("outputs", "inputs"), [(12, 9), (9, 12), (7, 40)])
@pytest.mark.parametrize("rank", [1, 3, 5])
def test_the_error_is_the_optimum_of_the_discarded_singular_values(outputs: int, inputs: int, rank: int) -> None:
    up, down = random(outputs, 6), random(6, inputs, seed=1)
    change = up @ down
    singular = torch.linalg.svdvals(change)
    optimum = float(singular[rank:].norm())
    for found in (reduce_product(up, down, Cut(rank)), reduce_whole(change, Cut(rank))):
        assert found.up.shape == (outputs, rank) and found.down.shape == (rank, inputs)
        apart = float((found.up @ found.down - change).norm())
        assert apart == pytest.approx(optimum, rel=1e-6) and math.sqrt(found.lost) == pytest.approx(optimum, rel=1e-6)
        assert found.energy == pytest.approx(float(change.square().sum()))
        assert found.up.norm() == pytest.approx(float(found.down.norm())), "both factors are equally large"


def test_a_low_rank_change_is_never_made_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    up, down = random(400, 4), random(4, 300, seed=1)
    seen: list[tuple[int, ...]] = []
    plain = torch.linalg.svd
    monkeypatch.setattr(torch.linalg, "svd", lambda w, **kw: seen.append(tuple(w.shape)) or plain(w, **kw))
    found = reduce_product(up, down, Cut(2))
    assert seen == [(4, 4)] and found.up.shape == (400, 2)


@pytest.mark.parametrize("keep", [0.5, 0.9, 0.999, 1.0])
def test_the_smallest_rank_that_keeps_the_share(keep: float) -> None:
    up, down = random(20, 8), random(8, 30, seed=1)
    energy = torch.linalg.svdvals(up @ down).square()[:8]
    shares = (energy.cumsum(0) / energy.sum()).tolist()
    expected = next(n for n, share in enumerate(shares, start=1) if share >= keep - 1e-12)
    for found in (reduce_product(up, down, Cut(keep=keep)), reduce_whole(up @ down, Cut(keep=keep))):
        assert found.up.shape[1] == expected
        assert 1 - found.lost / found.energy == pytest.approx(shares[expected - 1])
    assert reduce_product(up, down, Cut(1, keep)).up.shape[1] == 1, "both limits hold"


def test_no_more_rank_than_there_is() -> None:
    up, down = random(20, 3), random(3, 30, seed=1)
    twice = reduce_product(torch.cat([up, up], 1), torch.cat([down, down]), Cut(6))
    assert twice.up.shape[1] == 3
    assert torch.allclose(twice.up @ twice.down, 2 * up @ down)


def test_nothing_stays_nothing() -> None:
    nothing = reduce_product(torch.zeros(5, 2).double(), random(2, 4), Cut(2)), reduce_whole(random(5, 4) * 0, Cut())
    for found in nothing:
        assert found.up.shape[1] == 1 and not (found.up @ found.down).any() and found.lost == found.energy == 0


def test_trimming_keeps_the_largest() -> None:
    change = torch.tensor([[0.1, -4.0, 2.0], [-0.3, 0.0, 1.0]])
    assert trim(change, 0.5).tolist() == [[0.0, -4.0, 2.0], [0.0, 0.0, 1.0]]
    assert trim(change, 1 / 6).tolist() == [[0.0, -4.0, 0.0], [0.0, 0.0, 0.0]]
    assert torch.equal(trim(change, 1.0), change)


def test_ties_as_published() -> None:
    """By hand, from section 3 of arXiv 2306.01708: the larger half of each stays; signs by the sum; disjoint mean."""
    one = torch.tensor([[3.0, -1.0, 0.5, 2.0, -2.5, 0.0]])  # stays: 3, 2, -2.5
    two = torch.tensor([[-2.0, 4.0, 0.1, 1.0, -1.5, 0.0]])  # stays: -2, 4, -1.5
    three = torch.tensor([[1.0, 0.2, -5.0, 3.0, 6.0, 0.0]])  # stays: -5, 3, 6
    #            sums:     3-2=1   4     -5    2+3   -2.5-1.5+6=2
    expected = [[3.0, 4.0, -5.0, 2.5, 6.0, 0.0]]
    assert ties([one, two, three], 0.5).tolist() == expected
    # Nothing trimmed: sums 2, 3.2, -4.4, 6, 2; means of those with the elected sign.
    whole = ties([one, two, three], 1.0)
    assert torch.allclose(whole, torch.tensor([[2.0, 2.1, -5.0, 2.0, 6.0, 0.0]]))


def test_ties_where_signs_cancel_and_alone() -> None:
    one, two = torch.tensor([[2.0, 1.0]]), torch.tensor([[-2.0, 3.0]])
    assert ties([one, two], 1.0).tolist() == [[0.0, 2.0]]
    assert ties([one], 0.5).tolist() == [[2.0, 0.0]]
    assert torch.equal(ties([3 * one, 3 * two], 0.5), 3 * ties([one, two], 0.5)), "a common strength is a factor"


def test_dare_as_published() -> None:
    """Each element is dropped, or divided by 1 - p: by hand from the mask that the seed gives."""
    change = torch.arange(1.0, 9.0).reshape(2, 4)
    drawn = torch.rand(2, 4, generator=generator(7, "it"))
    expected = [[0.0 if u < 0.75 else x * 4 for u, x in zip(*rows, strict=True)]
                for rows in zip(drawn.tolist(), change.tolist(), strict=True)]  # fmt: skip
    assert dare(change, 0.75, generator(7, "it")).tolist() == expected
    assert 0 < sum(x == 0 for row in expected for x in row) < 8
    assert torch.equal(dare(change, 0.0, generator(7)), change)


def test_dare_drops_its_share_and_keeps_the_expectation() -> None:
    change = torch.ones(300, 400)
    made = dare(change, 0.9, generator(1))
    assert made.unique().tolist() == pytest.approx([0.0, 10.0])
    assert float((made == 0).float().mean()) == pytest.approx(0.9, abs=0.005)
    assert float(made.mean()) == pytest.approx(1.0, abs=0.05)
