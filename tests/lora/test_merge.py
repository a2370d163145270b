"""Merged changes are what they should be, for every type, rank, alpha and layout."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft import inject_adapter_in_model

from likeness.errors import InputError
from likeness.lora.arithmetic import Cut
from likeness.lora.change import Change
from likeness.lora.kinds import Size, peft_config, sized
from likeness.lora.layouts import Lora, read_any, write_layers, write_layout
from likeness.lora.merge import Recipe, Term, as_lora, combined
from likeness.lora.mixture import Ingredient, layout_for, mixed, resized
from tests.lora.loras import INPUTS, RANK, Numbers, all_names, names_of, random_lora
from tests.lora.networks import network

CPU = torch.device("cpu")
EXACT = 1e-6


def apart(one: torch.Tensor, other: torch.Tensor) -> float:
    """Relative Frobenius distance from `other`."""
    return float((one.double() - other.double()).norm() / other.double().norm())


def delta(change: Change) -> torch.Tensor:
    """fp64, straight from the formulae."""
    wide = replace(change, factors={n: w.double() for n, w in change.factors.items()}, scale=1.0)
    f = wide.factors
    if change.kind == "LoRA":
        return change.scale * (f["lora_B"].flatten(1) @ f["lora_A"].flatten(1))
    if change.kind == "LoHa":
        return change.scale * (f["hada_w1_a"] @ f["hada_w1_b"]) * (f["hada_w2_a"] @ f["hada_w2_b"])
    sides = [f[n] if n in f else f[f"{n}_a"] @ f[f"{n}_b"] for n in ("lokr_w1", "lokr_w2")]
    one = sides[0].reshape(*sides[0].shape, *[1] * (sides[1].dim() - 2))
    return change.scale * torch.kron(one, sides[1]).flatten(1)


def merge(changes: Sequence[Change], strengths: Sequence[float], recipe: Recipe = Recipe()) -> Change:  # noqa: B008
    terms = [Term(n, c, s) for n, (c, s) in enumerate(zip(changes, recipe.weights(strengths), strict=True))]
    return combined(terms, recipe, "layer", "auto", CPU).change


r = Numbers(3)
KINDS = {
    "LoRA": Change("LoRA", {"lora_A": r(3, 24), "lora_B": r(36, 3)}, 1 / 3),
    "LoHa": r.change(36, "LoHa", scale=0.7),
    "LoKr": Change("LoKr", {"lokr_w1": r(2, 3), "lokr_w2_a": r(18, 2), "lokr_w2_b": r(2, 8)}, 0.6),
    "LoKr of products": Change(
        "LoKr", {"lokr_w1_a": r(6, 2), "lokr_w1_b": r(2, 4), "lokr_w2_a": r(6, 2), "lokr_w2_b": r(2, 6)}, 2.0
    ),
    "LoKr of whole factors": Change("LoKr", {"lokr_w1": r(4, 4), "lokr_w2": r(9, 6)}, 1.5),
}
KINDS["LoHa"] = Change(
    "LoHa", {"hada_w1_a": r(36, 2), "hada_w1_b": r(2, 24), "hada_w2_a": r(36, 2), "hada_w2_b": r(2, 24)}, 0.7
)


@pytest.mark.parametrize("kind", KINDS)
def test_every_type_is_exactly_a_lora(kind: str) -> None:
    found = as_lora(KINDS[kind])
    assert found.kind == "LoRA" and found.rank is not None and found.rank <= 24
    assert apart(delta(found), delta(KINDS[kind])) < EXACT


@pytest.mark.parametrize("one", KINDS)
@pytest.mark.parametrize("other", KINDS)
def test_the_sum_is_exact_across_types_and_alphas(one: str, other: str) -> None:
    changes, strengths = (KINDS[one], KINDS[other], KINDS["LoRA"]), (0.8, -1.3, 0.25)
    found = merge(changes, strengths)
    expected = sum(s * delta(c) for s, c in zip(strengths, changes, strict=True))
    assert isinstance(expected, torch.Tensor) and apart(delta(found), expected) < EXACT
    assert found.rank == sum(as_lora(c).rank or 0 for c in changes), "ranks add up"


def test_convolutions_are_exact_too() -> None:
    lora = Change("LoRA", {"lora_A": r(2, 6, 3, 3), "lora_B": r(8, 2, 1, 1)}, 0.5)
    lokr = Change("LoKr", {"lokr_w1": r(2, 3), "lokr_w2": r(4, 2, 3, 3)}, 0.3)
    found = merge((lora, lokr), (1.0, 2.0))
    assert found.factors["lora_A"].shape[1:] == (6, 3, 3) and found.factors["lora_B"].shape[2:] == (1, 1)
    assert apart(delta(found), delta(lora) + 2 * delta(lokr)) < EXACT
    cut = merge((lora, lokr), (1.0, 2.0), Recipe("svd", Cut(3)))
    assert cut.factors["lora_A"].shape == (3, 6, 3, 3) and cut.factors["lora_B"].shape == (8, 3, 1, 1)


def test_the_linear_method_is_the_mean_of_changes() -> None:
    found = merge((KINDS["LoRA"], KINDS["LoHa"]), (3.0, 1.0), Recipe("linear"))
    assert apart(delta(found), 0.75 * delta(KINDS["LoRA"]) + 0.25 * delta(KINDS["LoHa"])) < EXACT
    with pytest.raises(InputError, match="add up to 0"):
        Recipe("linear").weights([1.0, -1.0])


def test_svd_loses_what_the_discarded_singular_values_hold() -> None:
    terms = [Term(0, KINDS["LoRA"], 1.0), Term(1, KINDS["LoHa"], 0.5)]
    total = delta(KINDS["LoRA"]) + 0.5 * delta(KINDS["LoHa"])
    singular = torch.linalg.svdvals(total)
    for rank in (1, 3, 6):
        found = combined(terms, Recipe("svd", Cut(rank)), "layer", "fp32", CPU)
        optimum = float(singular[rank:].norm() / singular.norm())
        assert math.sqrt(found.lost / found.energy) == pytest.approx(optimum, rel=EXACT)
        assert apart(delta(found.change), total) == pytest.approx(optimum, rel=EXACT)
    halves = combined(terms, Recipe("svd", Cut(6)), "layer", "fp16", CPU)
    assert {w.dtype for w in halves.change.factors.values()} == {torch.float16}
    assert apart(delta(halves.change), total) == pytest.approx(math.sqrt(halves.lost / halves.energy), rel=1e-4)
    assert combined(terms, Recipe("svd"), "layer", "auto", CPU).change.rank == 4, (
        "the largest of the ranks: 3 and 2 x 2"
    )


@pytest.mark.parametrize("method", ["ties", "dare"])
def test_ties_and_dare_work_on_changes_and_are_then_cut(method: str) -> None:
    """Full rank kept, the file's layer is the method's result itself."""
    from likeness.functional.randomness import generator
    from likeness.lora.arithmetic import dare, ties

    one, two = KINDS["LoRA"], KINDS["LoKr"]
    recipe = Recipe(method, Cut(24), density=0.4, drop=0.3, seed=5)  # type: ignore[arg-type]
    found = combined([Term(0, one, 0.8), Term(1, two, 0.5)], recipe, "layer", "fp32", CPU)
    scaled = [0.8 * delta(one), 0.5 * delta(two)]
    if method == "ties":
        expected = ties(scaled, 0.4)
    else:
        expected = sum(dare(c, 0.3, generator(5, "dare", n, "layer")) for n, c in enumerate(scaled))
    assert isinstance(expected, torch.Tensor) and apart(delta(found.change), expected) < EXACT
    again = combined([Term(0, one, 0.8), Term(1, two, 0.5)], recipe, "layer", "fp32", CPU)
    assert again.change.same_as(found.change)
    less = combined([Term(0, one, 0.8), Term(1, two, 0.5)], replace(recipe, cut=Cut(4)), "layer", "fp32", CPU)
    optimum = float(torch.linalg.svdvals(expected)[4:].norm() / expected.norm())
    assert math.sqrt(less.lost / less.energy) == pytest.approx(optimum, rel=EXACT)


def test_factors_summed_apart_are_another_thing() -> None:
    """What some tools do: B's and A's are scaled and summed each for itself, with zeros for missing ranks. Then
    strength 0.5 gives a quarter of the change, and cross terms spoil a mixture. Sums of changes have neither."""
    numbers = Numbers(1)
    small = Change("LoRA", {"lora_A": numbers(4, 64), "lora_B": numbers(96, 4)})
    large = Change("LoRA", {"lora_A": numbers(8, 64), "lora_B": numbers(96, 8)})

    def factors_summed(changes: Sequence[Change], strengths: Sequence[float]) -> torch.Tensor:
        up, down = torch.zeros(96, 8).double(), torch.zeros(8, 64).double()
        for change, strength in zip(changes, strengths, strict=True):
            up[:, : change.rank] += strength * change.factors["lora_B"].double()
            down[: change.rank] += strength * change.factors["lora_A"].double()
        return up @ down

    assert apart(factors_summed([small], [0.5]), 0.25 * delta(small)) < EXACT
    assert apart(delta(merge([small], [0.5])), 0.5 * delta(small)) < EXACT
    wanted = delta(small) + delta(large)
    assert apart(factors_summed([small, large], [1.0, 1.0]), wanted) > 0.5
    assert apart(delta(merge([small, large], [1.0, 1.0])), wanted) < EXACT


# --- DoRA


def test_a_doras_change_is_what_peft_makes_of_it() -> None:
    """Merged by PEFT into the layer, at a strength of its own."""
    base = network()
    weight = base.first.weight.detach().clone()
    config = sized(peft_config("dora", "first"), {"first": Size(2, 3.0)})
    inject_adapter_in_model(config, base, "it")
    layer = base.first
    torch.manual_seed(1)
    factors = {"lora_A": torch.randn(2, 6), "lora_B": torch.randn(10, 2)}
    layer.lora_A["it"].weight.data = factors["lora_A"]
    layer.lora_B["it"].weight.data = factors["lora_B"]
    magnitude = torch.rand(10) + 0.5
    layer.lora_magnitude_vector["it"].weight.data = magnitude.clone()
    layer.set_scale("it", 0.7)
    layer.merge()
    expected = layer.get_base_layer().weight - weight
    found = Term(0, Change("LoRA", factors, 1.5, magnitude), 0.7, weight).whole(CPU)
    assert apart(found, expected) < EXACT


def test_a_dora_needs_the_base_and_a_method_that_cuts() -> None:
    dora = Numbers(2).change(12, dora=True)
    weight = torch.randn(12, INPUTS, generator=torch.Generator().manual_seed(0))
    plain = Numbers(5).change(12)
    for recipe, w in ((Recipe("svd"), None), (Recipe("concat"), weight), (Recipe("linear"), weight)):
        with pytest.raises(InputError, match=r"is a DoRA.*--base.*--into-base"):
            combined([Term(0, dora, 1.0, w), Term(1, plain, 1.0)], recipe, "layer", "auto", CPU)
    terms = [Term(0, dora, 1.0, weight), Term(1, plain, 0.5)]
    found = combined(terms, Recipe("svd", Cut(INPUTS)), "layer", "fp32", CPU)
    assert apart(delta(found.change), terms[0].whole(CPU) + 0.5 * delta(plain)) < EXACT


# --- whole files


@pytest.mark.parametrize("layout", ["diffusers", "comfyui", "bfl", "kohya"])
@pytest.mark.parametrize("family", ["flux2", "sdxl"])
def test_files_of_different_layouts_ranks_and_alphas(tmp_path: Path, family: str, layout: str) -> None:
    names = names_of(family)
    first = random_lora(names, scale=1 / 3)
    second = Lora(names, "", "", {n: replace(_narrow(c), scale=2.0) for n, c in first.changes.items()}, {})
    write_layout(tmp_path / "one.safetensors", first, "kohya")
    write_layout(tmp_path / "two.safetensors", second, "diffusers")
    read = [Ingredient(p, read_any(p, all_names()), s) for p, s in
            ((tmp_path / "one.safetensors", 0.8), (tmp_path / "two.safetensors", 0.6))]  # fmt: skip
    found = mixed(read, Recipe(), layout)
    assert found.error == 0
    write_layers(tmp_path / "both.safetensors", Lora(names, layout, "", {}, {}), layout, found.layers)
    back = read_any(tmp_path / "both.safetensors", [names])
    assert back.changes.keys() == first.changes.keys()
    for name, change in back.changes.items():
        expected = 0.8 * delta(first.changes[name]) + 0.6 * delta(second.changes[name])
        assert apart(delta(change), expected) < EXACT, name


def _narrow(change: Change) -> Change:
    """Its first two ranks."""
    return replace(
        change,
        factors={"lora_A": change.factors["lora_A"][:2].clone(), "lora_B": change.factors["lora_B"][:, :2].clone()},
    )


def test_layers_that_only_one_has_are_kept() -> None:
    names = names_of("flux2")
    whole = random_lora(names)
    first = replace(whole, changes=dict(list(whole.changes.items())[:5]))
    found = mixed([Ingredient(Path("a"), first), Ingredient(Path("b"), whole, 0.5)], Recipe(), "diffusers")
    assert len(found.layers) == len(whole.changes)
    assert sorted({c.rank for _, _, c in found.layers if c.rank}) == [RANK, 2 * RANK]


@pytest.mark.parametrize("layout", ["diffusers", "kohya"])
def test_loha_and_lokr_files(layout: str) -> None:
    """Also in layouts that join layers, where a LoKr itself could not go."""
    names = names_of("flux2")
    loras = [random_lora(names, kind) for kind in ("LoHa", "LoKr")]
    found = mixed([Ingredient(Path(k), lora) for k, lora in zip("ab", loras, strict=True)], Recipe(), layout)
    assert {c.kind for _, _, c in found.layers} == {"LoRA"}
    total = math.hypot(*(float((delta(c) + delta(loras[1].changes[n])).norm()) for n, c in loras[0].changes.items()))
    assert math.hypot(*(c.norm() for _, _, c in found.layers)) == pytest.approx(total, rel=EXACT)


def test_refusals() -> None:
    flux, sdxl = random_lora(names_of("flux2")), random_lora(names_of("sdxl"))
    with pytest.raises(InputError, match=r"b: is for sdxl, and a for flux2"):
        mixed([Ingredient(Path("a"), flux), Ingredient(Path("b"), sdxl)], Recipe(), "diffusers")
    wider = {n: replace(c, factors=c.factors | {"lora_A": torch.ones(4, 9)}) for n, c in flux.changes.items()}
    with pytest.raises(InputError, match=r"layer .* has 6 outputs and 5 inputs and 6 outputs and 9 inputs"):
        mixed([Ingredient(Path("a"), flux), Ingredient(Path("b"), replace(flux, changes=wider))], Recipe(), "diffusers")
    with pytest.raises(InputError, match=r"no such layout for family qwen_image"):
        layout_for([random_lora(names_of("qwen_image"))], "bfl")
    loha = {"unet.down_blocks.0.resnets.0.conv1": r.change(6, "LoHa")}
    with pytest.raises(InputError, match=r"a: layer .*conv1 is a LoHa of a convolution"):
        mixed([Ingredient(Path("a"), replace(sdxl, changes=loha))], Recipe(), "diffusers")
    dora = random_lora(names_of("flux2"), dora=True)
    with pytest.raises(InputError, match=r"a: layer .* is a DoRA"):
        mixed([Ingredient(Path("a"), dora)], Recipe(), "diffusers")


def test_the_layout_is_the_one_that_all_have() -> None:
    names = names_of("flux2")
    kohya, diffusers, peft = (Lora(names, layout, "", {}, {}) for layout in ("kohya", "diffusers", "peft"))
    assert layout_for([kohya, kohya], None) == "kohya" and layout_for([kohya, diffusers], None) == "diffusers"
    assert layout_for([peft], None) == "diffusers" and layout_for([kohya], "comfyui") == "comfyui"


# --- resizing


@pytest.mark.parametrize("kind", ["LoRA", "LoHa", "LoKr"])
def test_a_smaller_lora_is_the_nearest_of_its_rank(kind: str) -> None:
    lora = random_lora(names_of("flux2"), kind, scale=0.5)  # type: ignore[arg-type]
    found = resized(lora, Cut(2), "diffusers", "fp32")
    lost = energy = 0.0
    for module, name, change in found.layers:
        before = delta(lora.changes[f"{module or 'transformer'}.{name}"])
        singular = torch.linalg.svdvals(before)
        assert change.rank == 2
        assert float((delta(change) - before).norm()) == pytest.approx(float(singular[2:].norm()), rel=1e-5)
        lost, energy = lost + float(singular[2:].square().sum()), energy + float(singular.square().sum())
    assert found.error == pytest.approx(math.sqrt(lost / energy), rel=EXACT)


def test_layers_that_a_file_joins_are_cut_together(tmp_path: Path) -> None:
    """Trained on one layer of rank 4, queries, keys and values still share a factor after that."""
    names = names_of("flux2")
    numbers = Numbers()
    joined = Change("LoRA", {"lora_A": numbers(4, 8), "lora_B": numbers(18, 4)})
    layers = [("", "double_blocks.0.img_attn.qkv", joined)]
    write_layers(tmp_path / "a.safetensors", Lora(names, "kohya", "", {}, {}), "kohya", layers)
    lora = read_any(tmp_path / "a.safetensors", [names])
    assert len(lora.changes) == 3
    found = resized(lora, Cut(2), "kohya", "fp32")
    assert [(name, c.rank) for _, name, c in found.layers] == [("double_blocks.0.img_attn.qkv", 2)]
    singular = torch.linalg.svdvals(delta(joined))
    assert found.error == pytest.approx(float(singular[2:].norm() / singular.norm()), rel=EXACT)


def test_a_doras_magnitudes_stay() -> None:
    dora = random_lora(names_of("flux2"), dora=True)
    found = resized(dora, Cut(2), "diffusers")
    for _, name, change in found.layers:
        before = dora.changes[f"transformer.{name}"].magnitude
        assert change.magnitude is not None and before is not None and torch.equal(change.magnitude, before)
