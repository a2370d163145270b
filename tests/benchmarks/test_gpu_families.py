"""The GPU benchmark's own code, on a CPU and tiny transformers: a lent machine's minutes are not for finding typos."""

import pytest
import torch

from benchmarks import gpu_families
from benchmarks.gpu_families import CASES, WAYS, measure


@pytest.mark.parametrize(
    ("case", "way"), [("klein-4b-edit", "fp8+blocks"), ("flux2-dev", "bf16+all"), ("z-image", "nf4+blocks")]
)
def test_a_row_is_measured(case: str, way: str) -> None:
    row = measure(case, way, "cpu", 1, tiny=True)
    assert row["case"] == case and row["way"] == way and row["ms"] > 0 and row["trained"] > 0


@pytest.mark.parametrize("name", CASES)
def test_full_sizes_are_the_published_ones(name: str) -> None:
    """Parameter counts in billions, as the models are known by."""
    from diffusers import Flux2Transformer2DModel, QwenImageTransformer2DModel, ZImageTransformer2DModel

    kinds = {"z-image": ZImageTransformer2DModel, "qwen-image": QwenImageTransformer2DModel}
    known = {
        "klein-4b": 3.88,
        "klein-4b-edit": 3.88,
        "z-image": 6.15,
        "qwen-image": 20.4,
        "klein-9b": 9.08,
        "flux2-dev": 32.2,
    }
    with torch.device("meta"):
        network = kinds.get(name, Flux2Transformer2DModel)(**CASES[name].arguments)
    assert sum(p.numel() for p in network.parameters()) / 1e9 == pytest.approx(known[name], rel=0.01)


def test_a_row_that_fails_says_why() -> None:
    words = gpu_families._row({"case": "klein-4b", "way": WAYS[0], "error": "does not fit"})
    assert "does not fit" in words
