"""Differences of checkpoints as LoRAs, and LoRAs put into checkpoints."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from likeness.errors import InputError
from likeness.lora.arithmetic import Cut
from likeness.lora.baking import RECORD, bake
from likeness.lora.base_weights import BaseWeights
from likeness.lora.extract import extracted
from tests.lora.loras import names_of

NAMES = names_of("flux2")
BLOCK, ONE = "transformer_blocks.0", "single_transformer_blocks.0.attn.to_out"
Tensors = dict[str, torch.Tensor]


def weights(seed: int = 0) -> Tensors:
    """A base of a few layers, with a norm and a bias; two blocks of attention in bf16."""
    g = torch.Generator().manual_seed(seed)
    shapes = {f"{BLOCK}.attn.to_{n}.weight": (12, 10) for n in "qkv"} | {f"{ONE}.weight": (10, 14)}
    shapes |= {"norm_out.linear.weight": (8, 10), f"{BLOCK}.attn.norm_q.weight": (10,), "proj_out.bias": (4,)}
    return {name: torch.randn(shape, generator=g).to(torch.bfloat16) for name, shape in shapes.items()}


def saved(tensors: Tensors, path: Path) -> BaseWeights:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path, {"format": "pt"})
    return BaseWeights({"transformer": [path]}, NAMES)


def test_the_original_names_are_the_same_layers(tmp_path: Path) -> None:
    own = weights()
    original = {
        "double_blocks.0.img_attn.qkv.weight": torch.cat([own[f"{BLOCK}.attn.to_{n}.weight"] for n in "qkv"]),
        "single_blocks.0.linear2.weight": own[f"{ONE}.weight"],
        "final_layer.adaLN_modulation.1.weight": torch.cat(own["norm_out.linear.weight"].chunk(2)[::-1]),
    }
    one, other = saved(own, tmp_path / "a.safetensors"), saved(original, tmp_path / "b.safetensors")
    assert one.places.keys() == other.places.keys() and len(one.places) == 5
    assert all(torch.equal(one[name], other[name]) for name in one.places)
    assert set(one.others) == {f"transformer.{BLOCK}.attn.norm_q.weight", "transformer.proj_out.bias"}
    with pytest.raises(InputError, match=r"no layer transformer\.nowhere"):
        one["transformer.nowhere"]


@pytest.mark.parametrize("rank", [2, 10])
def test_a_difference_is_the_nearest_lora(tmp_path: Path, rank: int) -> None:
    before, after = weights(), weights()
    for name in (f"{BLOCK}.attn.to_q.weight", f"{ONE}.weight"):
        after[name] = after[name] + torch.randn_like(after[name], dtype=torch.float32).to(torch.bfloat16)
    after["proj_out.bias"] = after["proj_out.bias"] + 1
    found = extracted(
        saved(before, tmp_path / "a.safetensors"), saved(after, tmp_path / "b.safetensors"), Cut(rank), "fp32"
    )
    assert set(found.changes) == {f"transformer.{BLOCK}.attn.to_q", f"transformer.{ONE}"} and found.unchanged == 3
    lost = energy = 0.0
    for full, change in found.changes.items():
        key = f"{full.removeprefix('transformer.')}.weight"
        difference = after[key].double() - before[key].double()
        singular = torch.linalg.svdvals(difference)
        assert float((change.delta() - difference).norm()) == pytest.approx(float(singular[rank:].norm()), abs=2e-6)
        lost, energy = lost + float(singular[rank:].square().sum()), energy + float(singular.square().sum())
    assert found.error == pytest.approx(math.sqrt(lost / energy), abs=1e-7)
    assert found.left_out == ["transformer.proj_out.bias"]
    assert found.left_out_share == pytest.approx(4 / (4 + energy), rel=0.02)  # each of the four moved by about 1


def test_what_cannot_be_compared(tmp_path: Path) -> None:
    plain = saved(weights(), tmp_path / "a.safetensors")
    with pytest.raises(InputError, match="are the same"):
        extracted(plain, plain, Cut(2))
    for name, change, words in (
        ("fewer", {f"{ONE}.weight": None}, "in one of the checkpoints alone"),
        ("wider", {f"{ONE}.weight": torch.ones(10, 15)}, r"\(10, 14\) in one checkpoint and \(10, 15\)"),
        ("broken", {f"{ONE}.weight": torch.full((10, 14), math.nan)}, "not finite"),
    ):
        other = {k: w for k, w in (weights() | change).items() if w is not None}
        with pytest.raises(InputError, match=words):
            extracted(plain, saved(other, tmp_path / f"{name}.safetensors"), Cut(2))
    small = weights() | {f"{ONE}.weight": torch.ones(10, 14).to(torch.float8_e4m3fn)}
    with pytest.raises(InputError, match="stored as F8_E4M3"):
        saved(small, tmp_path / "small.safetensors")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A base in two files of weights, with others beside them."""
    place = tmp_path / "base"
    (place / "transformer").mkdir(parents=True)
    (place / "model_index.json").write_text("{}")
    for number, names in enumerate((list(weights())[:3], list(weights())[3:])):
        own = {name: weights()[name] for name in names}
        save_file(own, place / "transformer" / f"model-0000{number + 1}-of-00002.safetensors", {"format": "pt"})
    (place / "transformer" / "model.fp16.safetensors").write_text("another format")
    return place


def opened(folder: Path) -> BaseWeights:
    return BaseWeights({"transformer": sorted((folder / "transformer").glob("model-*.safetensors"))}, NAMES)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_changes_are_put_into_a_copy(folder: Path, tmp_path: Path) -> None:
    before = contents(folder)
    changes = {f"transformer.{BLOCK}.attn.to_k": torch.randn(12, 10).double(),
               f"transformer.{BLOCK}.attn.to_q": torch.randn(12, 10).double() / 100}  # fmt: skip
    made: dict[str, Callable[[], torch.Tensor]] = {name: lambda c=c: c for name, c in changes.items()}
    output = tmp_path / "new"
    found = bake(
        folder, opened(folder), made, output, '{"by": "merge"}', [folder / "transformer/model.fp16.safetensors"]
    )
    assert contents(folder) == before, "the base stays as it is"
    after = contents(output)
    assert set(after) == set(before) - {"transformer/model.fp16.safetensors"} | {RECORD}
    first, second = (f"transformer/model-0000{n}-of-00002.safetensors" for n in (1, 2))
    assert after[second] == before[second] and after["model_index.json"] == before["model_index.json"]
    new, lost, energy = load_file(output / first), 0.0, 0.0
    for name, w in weights().items():
        change = changes.get(f"transformer.{name.removesuffix('.weight')}")
        if name in new:
            expected = w if change is None else (w.double() + change).bfloat16()
            assert torch.equal(new[name], expected) and new[name].dtype == torch.bfloat16
        if change is not None:
            lost += float((new[name].double() - w.double() - change).square().sum())
            energy += float(change.square().sum())
    assert found.layers == 2 and found.files == 1 and found.rounding == pytest.approx(math.sqrt(lost / energy))
    with safe_open(output / first, framework="pt") as f:
        assert f.metadata() == {"format": "pt"}


def test_a_folder_is_whole_or_absent(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "new"
    key = f"transformer.{BLOCK}.attn.to_q"
    for changes, words in (
        ({"transformer.nowhere": torch.ones(2, 2)}, "has no layer transformer.nowhere"),
        ({key: torch.ones(12, 9).double()}, "has 12 outputs and 10 inputs, the LoRA 12 and 9"),
        ({key: torch.full((12, 10), 1e39, dtype=torch.float64)}, "not finite"),
    ):
        with pytest.raises(InputError, match=words):
            bake(folder, opened(folder), {n: lambda c=c: c for n, c in changes.items()}, output, "{}")
        assert sorted(tmp_path.iterdir()) == [folder]
    for number in (1, 2):  # an older one is replaced
        change = torch.full((12, 10), float(number)).double()
        bake(folder, opened(folder), {key: lambda c=change: c}, output, str(number))
        assert (output / RECORD).read_text() == str(number) and sorted(tmp_path.iterdir()) == [folder, output]
