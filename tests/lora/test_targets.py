from collections.abc import Callable

import pytest
from torch import nn

from likeness.errors import InputError
from likeness.families import Family
from likeness.lora import inject as lora
from likeness.lora.kinds import Size
from likeness.lora.targets import Rule, Targets, choose_layers
from tests.lora.networks import clip

SIZE = Size(4, 4.0)


def unet() -> nn.Module:
    """Just enough of one to have its names."""

    def block() -> nn.Module:
        resnet = nn.ModuleDict({"conv1": nn.Conv2d(2, 2, 3), "time_emb_proj": nn.Linear(2, 2)})
        projections = {name: nn.Linear(2, 2) for name in ("to_q", "to_k")}
        attention = nn.ModuleDict({**projections, "to_out": nn.ModuleList([nn.Linear(2, 2)])})
        return nn.ModuleDict({"resnets": nn.ModuleList([resnet]), "attn": attention})

    return nn.ModuleDict({"conv_in": nn.Conv2d(2, 2, 3), "blocks": nn.ModuleList([block(), block()])})


def chosen(pattern: str = r".*\.attn\..*", *rules: Rule, **wanted: object) -> dict[str, Size]:
    return choose_layers({"unet": unet(), "text_encoder": clip()}, Targets(pattern, SIZE, rules, **wanted))  # type: ignore[arg-type]


def test_whole_names_of_layers_must_match() -> None:
    names = list(chosen())
    assert names[:3] == ["unet.blocks.0.attn.to_q", "unet.blocks.0.attn.to_k", "unet.blocks.0.attn.to_out.0"]
    assert names[6:8] == [f"text_encoder.encoder.layers.0.self_attn.{n}_proj" for n in ("k", "v")]
    assert len(names) == 6 + 8


def test_rules_the_first_that_matches_counts() -> None:
    sizes = chosen(
        r".*\.attn\..*",
        Rule(r"blocks\.0\..*", rank=8),
        Rule(r".*to_q", alpha=2.0),
        Rule(r"text_encoder\..*", 1, 1.0),
        exclude=r".*\.to_out\.0",
    )
    assert sizes["unet.blocks.0.attn.to_q"] == Size(8, 4.0)
    assert sizes["unet.blocks.1.attn.to_q"] == Size(4, 2.0)
    assert sizes["unet.blocks.1.attn.to_k"] == SIZE
    assert {s for n, s in sizes.items() if n.startswith("text_encoder")} == {Size(1, 1.0)}
    assert not any("to_out" in name for name in sizes)


def test_convolutions_of_the_blocks() -> None:
    more = chosen(convolutions=True).keys() - chosen().keys()
    assert more == {f"unet.blocks.{n}.resnets.0.conv1" for n in range(2)}


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (Targets("third", SIZE), "lora.targets: 'third' matches no layer of the base, such as .*Fix: use 'all'"),
        (Targets("attn", SIZE), r"lora.targets: 'attn' .*Fix: the whole name must match, so write '\.\*\(attn\)\.\*'"),
        (Targets(".*to_q", SIZE, (Rule("to_v", 1),)), "lora.modules.0.match: 'to_v' matches none of the chosen"),
        (Targets(".*to_q", SIZE, exclude="to_k"), "lora.exclude: 'to_k' matches none of the chosen.*'unet.blocks"),
        (Targets(".*to_q", SIZE, exclude=".*"), "lora.exclude: '.*' leaves no layer"),
    ],
)  # fmt: skip
def test_what_matches_nothing_is_refused_with_names_that_are_there(wanted: Targets, words: str) -> None:
    with pytest.raises(InputError, match=words):
        choose_layers({"unet": unet()}, wanted)


def test_convolutions_where_there_are_none() -> None:
    network = nn.ModuleDict({"attn": nn.Linear(2, 2)})
    with pytest.raises(InputError, match=r"lora\.conv: the blocks of this base's net hold no convolutions"):
        choose_layers({"net": network}, Targets("attn", SIZE, convolutions=True))


@pytest.mark.parametrize(("preset", "more"), [("attention", False), ("all", True)])
def test_presets_match_every_linear_layer_they_should(
    open_tiny: Callable[..., Family], preset: str, more: bool
) -> None:
    family = open_tiny()
    (network,) = family.networks.values()
    linear = {n for n, m in network.named_modules() if isinstance(m, nn.Linear)}
    expected = {n for n in linear if ".attn." in n}
    if more:
        expected |= {n for n in linear if ".ff." in n or ".ff_context." in n}
    sizes = choose_layers(family.networks, Targets(family.lora_targets(preset), SIZE))
    assert {n.removeprefix("transformer.") for n in sizes} == expected
    assert len(expected) >= 12
    lora.inject(family.networks, sizes, "lora", dropout=0, seed=0)
    assert lora.sizes(family.networks) == sizes
    assert list(choose_layers(family.networks, Targets(family.lora_targets(preset), SIZE))) == list(sizes)
