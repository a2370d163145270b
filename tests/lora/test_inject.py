from collections.abc import Callable

import pytest
import torch
from torch import nn

from likeness.errors import InputError
from likeness.families import Family
from likeness.lora import inject as lora

TWO_LAYERS = r"(first|second)"


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.norm = nn.Linear(6, 5), nn.Linear(5, 4), nn.LayerNorm(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.second(torch.tanh(self.first(x))))


@pytest.fixture
def network() -> Network:
    torch.manual_seed(0)
    return Network().requires_grad_(False)


def put(network: nn.Module, targets: str = TWO_LAYERS, seed: int = 1, alpha: float = 4, dropout: float = 0.0) -> None:
    lora.inject(network, rank=2, alpha=alpha, dropout=dropout, targets=targets, seed=seed)


def test_nothing_changes_at_first(network: Network) -> None:
    x = torch.randn(3, 6)
    before = network(x)
    put(network)
    assert torch.equal(network(x), before)


def test_the_lora_alone_is_trained_in_fp32(network: Network) -> None:
    network.bfloat16()
    put(network)
    assert {n for n, p in network.named_parameters() if p.requires_grad} == {
        f"{layer}.lora_{side}.default.weight" for layer in ("first", "second") for side in "AB"
    }
    weights = lora.trainable(network)
    assert [(n, tuple(w.shape), w.dtype) for n, w in weights.items()] == [
        ("first.lora_A.weight", (2, 6), torch.float32),
        ("first.lora_B.weight", (5, 2), torch.float32),
        ("second.lora_A.weight", (2, 5), torch.float32),
        ("second.lora_B.weight", (4, 2), torch.float32),
    ]


def test_the_effect_is_alpha_over_rank_times_ba(network: Network) -> None:
    x = torch.randn(3, 6)
    put(network, alpha=6, targets="first")
    plain = network.first.base_layer(x)  # type: ignore[operator]
    weights = lora.trainable(network)
    weights["first.lora_B.weight"].data.normal_()
    product = weights["first.lora_B.weight"] @ weights["first.lora_A.weight"]
    assert torch.allclose(network.first(x), plain + 6 / 2 * x @ product.T, atol=1e-5)


def test_the_start_depends_on_the_seed_alone() -> None:
    starts: list[torch.Tensor] = []
    for seed, noise in ((1, 5), (1, 6), (2, 5)):
        network = Network()
        torch.manual_seed(noise)
        state = torch.get_rng_state()
        put(network, seed=seed)
        assert torch.equal(torch.get_rng_state(), state)
        starts.append(lora.trainable(network)["first.lora_A.weight"].detach())
    assert torch.equal(starts[0], starts[1]) and not torch.equal(starts[0], starts[2])


def test_weights_go_in_and_out(network: Network) -> None:
    put(network)
    other = {n: torch.randn_like(w) for n, w in lora.trainable(network).items()}
    x = torch.randn(3, 6)
    before = network(x)
    with lora.swapped(network, other):
        inside = network(x)
        assert not torch.equal(inside, before)
    assert torch.equal(network(x), before)
    with pytest.raises(RuntimeError), lora.swapped(network, other):
        raise RuntimeError
    assert torch.equal(network(x), before)
    lora.load(network, other)
    assert torch.equal(network(x), inside)
    with lora.disabled(network):
        assert torch.equal(network(x), before), "B was zero, so this is the base"
    assert torch.equal(network(x), inside)
    assert all(w.requires_grad for w in lora.trainable(network).values())
    with pytest.raises(KeyError):
        lora.load(network, {"first.lora_A.weight": other["first.lora_A.weight"]})


def test_targets_that_match_nothing_are_refused_in_words(network: Network) -> None:
    with pytest.raises(InputError, match=r"lora\.targets: 'third' matches no layer.*Fix"):
        put(network, targets="third")


@pytest.mark.parametrize(("preset", "more"), [("attention", False), ("all", True)])
def test_presets_match_every_linear_layer_they_should(
    open_tiny: Callable[..., Family], preset: str, more: bool
) -> None:
    family = open_tiny()
    linear = {n for n, m in family.denoiser.named_modules() if isinstance(m, nn.Linear)}
    expected = {n for n in linear if ".attn." in n}
    if more:
        expected |= {n for n in linear if ".ff." in n or ".ff_context." in n}
    lora.inject(family.denoiser, rank=1, alpha=1, dropout=0, targets=family.lora_targets(preset), seed=0)
    assert {n.rsplit(".lora_", 1)[0] for n in lora.trainable(family.denoiser)} == expected
    assert len(expected) >= 12
