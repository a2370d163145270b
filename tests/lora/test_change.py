"""What is done to factors leaves the change of the weight as it was."""

import pytest
import torch

from likeness.errors import InputError
from likeness.lora.change import Change, Kind, difference, fuse, split
from tests.lora.loras import INPUTS, RANK, UNIT, Numbers

KINDS: tuple[Kind, ...] = ("LoRA", "LoHa", "LoKr")


def lora(a: torch.Tensor, b: torch.Tensor, scale: float = 1.0) -> Change:
    return Change("LoRA", {"lora_A": a, "lora_B": b}, scale)


def test_the_formulas() -> None:
    r = Numbers()
    a, b, c, d = r(RANK, INPUTS).float(), r(UNIT, RANK).float(), r(RANK, INPUTS).float(), r(UNIT, RANK).float()
    assert torch.allclose(lora(a, b, 0.5).delta(), 0.5 * b @ a)
    loha = Change("LoHa", {"hada_w1_a": b, "hada_w1_b": a, "hada_w2_a": d, "hada_w2_b": c}, 3.0)
    assert torch.allclose(loha.delta(), 3 * (b @ a) * (d @ c))
    w1 = r(2, 3).float()
    lokr = Change("LoKr", {"lokr_w1": w1, "lokr_w2_a": b, "lokr_w2_b": a}, 2.0)
    blocks = [torch.cat([2 * w1[i, j] * (b @ a) for j in range(3)], dim=1) for i in range(2)]
    assert torch.allclose(lokr.delta(), torch.cat(blocks)) and lokr.outputs == 2 * UNIT and lokr.rank == RANK
    kernel, up = r(RANK, INPUTS, 3, 3).float(), r(UNIT, RANK, 1, 1).float()
    x = torch.randn(1, INPUTS, 8, 8)
    conv = torch.nn.functional.conv2d
    whole = lora(kernel, up).delta().reshape(UNIT, INPUTS, 3, 3)
    assert torch.allclose(conv(conv(x, kernel), up), conv(x, whole), atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("scale", "exact"), [(0.5, True), (4.0, True), (1 / 3, False), (1e-6, False)])
def test_folding_keeps_the_number_format_only_where_it_is_exact(kind: Kind, scale: float, exact: bool) -> None:
    change = Numbers().change(UNIT, kind, scale=scale)
    folded = change.folded()
    assert folded.scale == 1.0
    assert {w.dtype for w in folded.factors.values()} == ({torch.float16} | (set() if exact else {torch.float32}))
    far, largest = difference(change, folded)
    assert far <= 3e-7 * largest and (far == 0) >= exact


@pytest.mark.parametrize("kind", ["LoRA", "LoHa"])
@pytest.mark.parametrize("missing", [(), (1,), (0, 2)])
@pytest.mark.parametrize("shares", [(1, 1, 1), (1, 1, 4)])
def test_parts_become_one_and_parts_again(kind: Kind, missing: tuple[int, ...], shares: tuple[int, ...]) -> None:
    r = Numbers()
    parts = [None if n in missing else r.change(UNIT * s, kind, scale=0.5) for n, s in enumerate(shares)]
    whole = fuse(parts, shares)
    pieces = zip(parts, shares, strict=True)
    stacked = torch.cat([torch.zeros(UNIT * s, INPUTS) if p is None else p.delta() for p, s in pieces])
    assert torch.allclose(whole.delta(), stacked, atol=1e-6)
    assert whole.rank == RANK * (len(parts) - len(missing))
    again = split(whole, shares)
    assert [p is None for p in again] == [n in missing for n in range(3)]
    for part, back in zip(parts, again, strict=True):
        assert part is None or (back is not None and back.same_as(part.folded()))


def test_a_shared_a_stays_shared() -> None:
    r = Numbers()
    a = r(RANK, INPUTS)
    fused = lora(a, r(3 * UNIT, RANK))
    parts = split(fused, (1, 1, 1))
    assert [p and p.rank for p in parts] == [RANK] * 3
    assert fuse(parts, (1, 1, 1)).same_as(fused)


def test_ranks_of_their_own_are_found_again() -> None:
    r = Numbers()
    parts = [lora(r(k, INPUTS), r(UNIT, k)) for k in (1, 2, 4)]
    again = split(fuse(parts, (1, 1, 1)), (1, 1, 1))
    assert all(b is not None and b.same_as(p) for p, b in zip(parts, again, strict=True))


def test_a_lora_without_effect_keeps_its_layers() -> None:
    parts = [lora(Numbers()(RANK, INPUTS), torch.zeros(UNIT, RANK)) for _ in range(3)]
    assert [p and p.rank for p in split(fuse(parts, (1, 1, 1)), (1, 1, 1))] == [RANK] * 3


def test_dora_is_cut_and_joined_by_rows() -> None:
    r = Numbers()
    parts = [r.change(UNIT, dora=True) for _ in range(3)]
    whole = fuse(parts, (1, 1, 1))
    assert whole.magnitude is not None and whole.magnitude.shape == (3 * UNIT,)
    for part, back in zip(parts, split(whole, (1, 1, 1)), strict=True):
        assert back is not None and difference(part, back) == (0, 0)
    with pytest.raises(InputError, match="no magnitude for the others"):
        fuse([parts[0], None, None], (1, 1, 1))


def test_lokr_is_cut_where_its_blocks_end_and_nowhere_else() -> None:
    change = Numbers().change(4 * UNIT, "LoKr")
    top, bottom = change.rows([(0, 2 * UNIT)]), change.rows([(2 * UNIT, 4 * UNIT)])
    assert torch.equal(torch.cat([top.delta(), bottom.delta()]), change.delta())
    assert torch.equal(change.halves_swapped().delta(), torch.cat([bottom.delta(), top.delta()]))
    with pytest.raises(InputError, match="cannot be cut"):
        split(change, (1, 1, 1, 1))
    with pytest.raises(InputError, match="LoKr"):
        fuse([change, change], (1, 1))


@pytest.mark.parametrize("shares", [(1, 1, 1, 1, 1), (3, 4)])
def test_rows_that_do_not_divide_are_refused(shares: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="do not divide"):
        split(Numbers().change(UNIT), shares)
    with pytest.raises(InputError, match="rows do not make one layer"):
        fuse([Numbers().change(n + 1) for n, _ in enumerate(shares)], shares)


def test_differences_are_seen() -> None:
    one = Numbers(1).change(UNIT)
    other = Change("LoRA", one.factors | {"lora_B": one.factors["lora_B"] * 2})
    largest = float(one.delta().abs().max())
    bound, _ = difference(one, other)  # they share A
    assert largest <= bound <= 4 * largest
    turned = Change("LoRA", {"lora_A": 2 * one.factors["lora_A"], "lora_B": one.factors["lora_B"]})
    assert difference(one, turned)[0] == pytest.approx(largest)
    assert difference(one, None)[0] == difference(None, one)[0] == float(one.delta().abs().max())
    assert difference(one, Change("LoRA", one.factors, 1.0, torch.ones(UNIT)))[0] == float("inf")
    b = torch.ones(9000, 1)  # more rows than are done at once
    b[8999] = 1.5
    tall, changed = (
        {"lora_A": torch.ones(1, 2), "lora_B": b.clone().fill_(1)},
        {"lora_A": torch.ones(1, 2) * 2, "lora_B": b},
    )
    assert difference(Change("LoRA", tall), Change("LoRA", changed)) == (2.0, 1.0)
