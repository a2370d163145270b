import itertools
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from likeness.errors import InputError
from likeness.lora import inject as lora
from likeness.lora.apply import add_changes, add_file, set_strengths
from likeness.lora.change import Change
from likeness.lora.io import LoraInfo, write_lora
from likeness.lora.kinds import TYPES, Size, Type
from tests.lora.networks import SIZES, change_of, clip, made_up, network

X = torch.linspace(-1, 1, 18).reshape(3, 6)
IDS = torch.arange(6)[None]
ENCODER, OTHER = (f"text_encoder.encoder.layers.{n}.self_attn.out_proj" for n in range(2))


def trained(kind: Type, seed: int = 0) -> tuple[dict[str, Change], torch.Tensor]:
    """What a LoRA changes, and what comes out of the network that it was trained in."""
    networks = {"unet": network()}
    lora.inject(networks, SIZES, kind, dropout=0, seed=1)
    weights = made_up(networks, seed)
    lora.load(networks, weights)
    return {layer: change_of(layer, weights, kind, size) for layer, size in SIZES.items()}, networks["unet"](X)


@pytest.mark.parametrize("kind", TYPES)
def test_what_was_trained_is_what_is_applied(kind: Type) -> None:
    changes, expected = trained(kind)
    net = network()
    add_changes({"unet": net}, changes, "one")
    set_strengths({"unet": net}, {"one": 1.0})
    assert torch.allclose(net(X), expected, atol=1e-6)
    assert not any(p.requires_grad for p in net.parameters())


def test_several_of_all_types_at_their_strengths() -> None:
    net, plain = network(), network()
    networks, base = {"unet": net}, net(X)
    kinds: list[Type] = ["lora", "lokr", "loha", "rslora"]
    strengths = dict(zip(kinds, (0.7, -0.5, 2.0, 0.0), strict=True))
    for seed, kind in enumerate(kinds):
        changes, _ = trained(kind, seed)
        add_changes(networks, changes, kind)
        for name, layer in (("first", plain.first), ("second", plain.second), ("conv", plain.conv)):
            layer.weight.data += strengths[kind] * changes[f"unet.{name}"].delta().reshape(layer.weight.shape)
    set_strengths(networks, strengths)
    assert torch.allclose(net(X), plain(X), atol=1e-5)
    set_strengths(networks, {"lora": 1.0})
    assert torch.allclose(net(X), trained("lora")[1], atol=1e-6)
    set_strengths(networks, {})
    assert torch.equal(net(X), base)


def test_a_dora_at_no_strength_is_off() -> None:
    net = network()
    before = net(X)
    add_changes({"unet": net}, trained("dora")[0], "one")
    set_strengths({"unet": net}, {"one": 0.0})
    assert torch.equal(net(X), before)


@pytest.mark.parametrize(("own", "other"), list(itertools.product(("lora", "dora", "lokr"), ("lora", "loha"))))
def test_beside_a_lora_that_is_trained(own: Type, other: Type) -> None:
    """The training adapter's case: active beside the trained one, off for a while, and never trained itself."""
    net = network()
    networks = {"unet": net}
    lora.inject(networks, SIZES, own, dropout=0, seed=1)
    names = list(lora.trainable(networks))
    changes, expected = trained(other)
    add_changes(networks, changes, "beside")
    lora.activate(networks, (lora.TRAINED, "beside"))
    assert list(lora.trainable(networks)) == names and lora.sizes(networks) == SIZES
    assert torch.allclose(net(X), expected, atol=1e-5), "the trained one does nothing at first"
    net.train()
    net(X).square().sum().backward()
    with_gradient = {n for n, p in net.named_parameters() if p.grad is not None}
    assert with_gradient and all(f".{lora.TRAINED}" in n for n in with_gradient)
    net.eval()
    with lora.disabled(networks, "beside"):
        assert torch.allclose(net(X), network()(X), atol=1e-6)
    with lora.disabled(networks):
        assert torch.equal(net(X), network()(X))
    assert torch.allclose(net(X), expected, atol=1e-5)
    assert {n for n, p in net.named_parameters() if p.requires_grad} >= with_gradient
    assert not any(p.requires_grad for n, p in net.named_parameters() if f".{lora.TRAINED}" not in n)


@pytest.mark.parametrize("kind", TYPES)
def test_a_file_over_two_networks(tmp_path: Path, kind: Type) -> None:
    """Written, and read by the names that CLIP has in files: scales that are powers of two lose nothing but to fp16."""
    sizes = {"unet.first": Size(2, 4.0), "unet.conv": Size(4, 4.0), ENCODER: Size(2, 1.0), OTHER: Size(4, 4.0)}
    sizes = {n: Size(s.rank, 4.0) for n, s in sizes.items()} if kind == "rslora" else sizes
    networks = {"unet": network(), "text_encoder": clip()}
    lora.inject(networks, sizes, kind, dropout=0, seed=1)
    weights = {n: w.half().float() for n, w in made_up(networks).items()}
    lora.load(networks, weights)
    info = LoraInfo("it", "none", "", 2, 1, 1, {}, kind)
    write_lora(tmp_path / "it.safetensors", weights, sizes, info=info, targets="all")
    fresh = {"unet": network(), "text_encoder": clip()}
    add_file(fresh, tmp_path / "it.safetensors", "it")
    set_strengths(fresh, {"it": 1.0})
    exact = 1e-6 if kind != "rslora" else 2e-3
    assert torch.allclose(fresh["unet"](X), networks["unet"](X), atol=exact)
    seen, wanted = (n["text_encoder"](IDS).last_hidden_state for n in (fresh, networks))
    assert torch.allclose(seen, wanted, atol=exact)
    assert not torch.allclose(wanted, clip()(IDS).last_hidden_state, atol=1e-2)


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({"unet.gone": (2, 6, 10)}, r"net\.gone"),
        ({"unet.first": (2, 7, 10)}, "layer unet.first has 10 outputs and 6 inputs, the LoRA 10 and 7"),
        ({"text_encoder.encoder.layers.0.mlp.fc1": (2, 8, 16)}, r"text_encoder\.encoder"),
    ],
)
def test_a_layer_that_does_not_fit_is_named(
    tmp_path: Path, tensors: dict[str, tuple[int, int, int]], words: str
) -> None:
    path = tmp_path / "it.safetensors"
    content: dict[str, torch.Tensor] = {}
    for name, (rank, inputs, outputs) in tensors.items():
        content |= {
            f"{name}.lora_A.weight": torch.ones(rank, inputs),
            f"{name}.lora_B.weight": torch.ones(outputs, rank),
        }
    save_file(content, path)
    net = network()
    with pytest.raises(InputError, match=words):
        add_file({"unet": net}, path, "it")
    assert torch.equal(net(X), network()(X))
