"""Layers are dropped by name or by the norm of their change."""

from dataclasses import replace

import pytest

from likeness.errors import InputError
from likeness.lora.prune import pruned
from tests.lora.loras import names_of, random_lora


def test_by_name() -> None:
    lora = random_lora(names_of("flux2"))
    found = pruned(lora, [r".*\.ff\..*", r"transformer\.proj_out"])
    assert found.dropped and set(found.dropped) | found.lora.changes.keys() == lora.changes.keys()
    assert all(".ff." in name or name == "transformer.proj_out" for name in found.dropped)
    assert not any(".ff." in name for name in found.lora.changes) and "transformer.proj_out" in found.dropped
    energy = {name: float(c.delta().square().sum()) for name, c in lora.changes.items()}
    assert found.kept == pytest.approx(sum(energy[n] for n in found.lora.changes) / sum(energy.values()), rel=1e-5)


def test_the_smallest_by_the_norm_of_their_change() -> None:
    lora = random_lora(names_of("flux2"))
    scales = {name: replace(c, scale=1 + 100 * (n % 7 != 3)) for n, (name, c) in enumerate(lora.changes.items())}
    count = sum(c.scale == 1 for c in scales.values())
    found = pruned(replace(lora, changes=scales), smallest=count)
    assert found.dropped == [name for name, c in scales.items() if c.scale == 1]
    assert found.kept is not None and found.kept > 0.99


def test_refusals() -> None:
    lora = random_lora(names_of("flux2"))
    for patterns, smallest, words in (
        (["nothing"], 0, "matches no layer. Names here are such as transformer"),
        (["("], 0, "no regular expression"),
        ([".*"], 0, "all 39 layers would be dropped"),
        ([], 39, "Fix: drop fewer"),
    ):
        with pytest.raises(InputError, match=words):
            pruned(lora, patterns, smallest)
    dora = random_lora(names_of("flux2"), dora=True)
    with pytest.raises(InputError, match="--smallest: in a DoRA"):
        pruned(dora, smallest=1)
    assert pruned(dora, [r".*\.ff\..*"]).kept is None
