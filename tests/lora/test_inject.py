import math

import pytest
import torch
from torch import nn

from likeness.errors import InputError
from likeness.lora import inject as lora
from likeness.lora.kinds import TYPES, Size, Type, scale
from tests.lora.networks import SIZES, change_of, clip, made_up, network


def put(networks: lora.Networks, kind: Type = "lora", seed: int = 1, **sizes: Size) -> None:
    lora.inject(networks, sizes or SIZES, kind, dropout=0, seed=seed)


def x() -> torch.Tensor:
    return torch.linspace(-1, 1, 18).reshape(3, 6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", TYPES)
def test_nothing_changes_at_first(kind: Type, dtype: torch.dtype) -> None:
    net = network(dtype)
    before = net(x().to(dtype))
    put({"unet": net}, kind)
    assert torch.equal(net(x().to(dtype)), before)


def test_the_lora_alone_is_trained_in_fp32() -> None:
    net = network(torch.bfloat16)
    put({"unet": net})
    weights = lora.trainable({"unet": net})
    assert {id(p) for p in net.parameters() if p.requires_grad} == {id(p) for p in weights.values()}
    assert [(n, tuple(w.shape), w.dtype) for n, w in weights.items()] == [
        ("unet.conv.lora_A.weight", (2, 4, 3, 3), torch.float32),
        ("unet.conv.lora_B.weight", (6, 2, 1, 1), torch.float32),
        ("unet.first.lora_A.weight", (2, 6), torch.float32),
        ("unet.first.lora_B.weight", (10, 2), torch.float32),
        ("unet.second.lora_A.weight", (4, 10), torch.float32),
        ("unet.second.lora_B.weight", (16, 4), torch.float32),
    ]
    assert lora.sizes({"unet": net}) == SIZES


@pytest.mark.parametrize("kind", TYPES)
def test_the_effect_is_the_formulas(kind: Type) -> None:
    """`Change` states the formula of each type; PEFT's layers must compute it."""
    net, plain = network(), network()
    put({"unet": net}, kind)
    weights = made_up({"unet": net})
    lora.load({"unet": net}, weights)
    for name, layer in (("first", plain.first), ("second", plain.second), ("conv", plain.conv)):
        change = change_of(f"unet.{name}", weights, kind, SIZES[f"unet.{name}"])
        changed = layer.weight.flatten(1) + change.delta()
        if change.magnitude is not None:
            changed = changed * (change.magnitude / changed.norm(dim=1))[:, None]
        layer.weight.data = changed.reshape(layer.weight.shape)
    assert torch.allclose(net(x()), plain(x()), atol=1e-5)
    assert not torch.allclose(net(x()), network()(x()), atol=1e-2)


def test_scales() -> None:
    assert [scale(kind, Size(4, 6.0)) for kind in TYPES] == [1.5, 1.5, 6 / math.sqrt(4), 1.5, 1.5]


@pytest.mark.parametrize("kind", TYPES)
def test_a_weight_starts_from_the_seed_and_its_name_alone(kind: Type) -> None:
    def start(*names: str, seed: int = 1, noise: int = 5) -> dict[str, torch.Tensor]:
        networks = {name: network() for name in names}
        torch.manual_seed(noise)
        state = torch.get_rng_state()
        put(networks, kind, seed, **{f"{name}.first": Size(2, 2.0) for name in names})
        assert torch.equal(torch.get_rng_state(), state)
        return {n: w.detach() for n, w in lora.trainable(networks).items()}

    one = start("a", "b")
    for other in (start("a", "b", noise=6), start("b", "a"), start("a"), start("b")):
        assert all(torch.equal(w, one[n]) for n, w in other.items())
    assert any(not torch.equal(w, one[n]) for n, w in start("a", "b", seed=2).items())
    assert any(not torch.equal(w, one[n.replace("a.", "b.", 1)]) for n, w in one.items() if n.startswith("a."))


@pytest.mark.parametrize("kind", TYPES)
def test_weights_go_in_and_out(kind: Type) -> None:
    net = network()
    networks, base = {"unet": net}, net(x())
    put(networks, kind)
    first, other = made_up(networks, 1), made_up(networks, 2)
    lora.load(networks, first)
    before = net(x())
    with lora.swapped(networks, other):
        inside = net(x())
        assert not torch.equal(inside, before)
    assert torch.equal(net(x()), before)
    with pytest.raises(RuntimeError), lora.swapped(networks, other):
        raise RuntimeError
    assert torch.equal(net(x()), before)
    lora.load(networks, other)
    assert torch.equal(net(x()), inside)
    with lora.disabled(networks):
        assert torch.equal(net(x()), base)
    assert torch.equal(net(x()), inside)
    assert all(w.requires_grad for w in lora.trainable(networks).values())
    with pytest.raises(KeyError):
        lora.load(networks, dict(list(other.items())[:1]))


def test_a_text_encoder_beside_the_denoiser() -> None:
    networks = {"unet": network(), "text_encoder": clip()}
    ids = torch.arange(6)[None]
    before = networks["text_encoder"](ids).last_hidden_state
    layer = "text_encoder.encoder.layers.1.self_attn.q_proj"
    put(networks, **{"unet.first": Size(2, 2.0), layer: Size(3, 3.0)})
    assert list(lora.trainable(networks)) == [f"{n}.lora_{s}.weight" for n in (layer, "unet.first") for s in "AB"]
    lora.load(networks, made_up(networks))
    assert not torch.allclose(networks["text_encoder"](ids).last_hidden_state, before)
    with lora.disabled(networks):
        assert torch.equal(networks["text_encoder"](ids).last_hidden_state, before)


@pytest.mark.parametrize(("kind", "packed"), [("loha", (30, 1)), ("dora", (10, 6))])
def test_a_weight_that_is_packed_is_not_computed_with(kind: Type, packed: tuple[int, int]) -> None:
    net = network()
    net.first.weight = nn.Parameter(torch.zeros(packed, dtype=torch.uint8), requires_grad=False)
    with pytest.raises(InputError, match=rf"type '{kind}' does not go with unet\.first.* Fix: hardware\.quantize"):
        put({"unet": net}, kind, **{"unet.first": Size(2, 2.0)})
    put({"unet": net}, "lora", **{"unet.first": Size(2, 2.0)})
