import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from likeness.catalog import CARDS, Choice, resolve_base
from likeness.config.hardware import HardwareConfig
from likeness.errors import InputError
from likeness.families import Family, open_family
from likeness.families.parts import Parts
from likeness.families.placement import choose_placement
from likeness.families.weights import plain_numbers
from tests.contract.bases import stable_diffusion
from tests.families import original

PLACEMENT = choose_placement(HardwareConfig(device="cpu", precision="fp32"))
BF16 = replace(PLACEMENT, dtype=torch.bfloat16)
COMFY = "model.diffusion_model."
LAYER = "single_transformer_blocks.0.attn.to_out.weight"

Weights = dict[str, Tensor]
State = Callable[[str], Weights]


@pytest.fixture
def state(tiny_base: Path) -> State:
    """The weights of one of the tiny base's parts."""
    return lambda part: load_file(next((tiny_base / part).glob("*.safetensors")))


def write(path: Path, weights: Mapping[str, Tensor]) -> Path:
    save_file({name: weight.contiguous() for name, weight in weights.items()}, path)
    return path


def opened(base: Path | str, placement: Any = PLACEMENT, **choice: Any) -> Family:
    choice = {name: str(value) if isinstance(value, Path) else value for name, value in choice.items()}
    return open_family(resolve_base(str(base), choice=Choice(**choice)), placement)


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    a, b = one.state_dict(), other.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[n], b[n]) and a[n].dtype == b[n].dtype for n in a)


@pytest.mark.parametrize("layout", ["diffusers", "comfyui", "makers"])
@pytest.mark.parametrize("placement", [PLACEMENT, BF16], ids=["fp32", "bf16"])
def test_a_transformer_in_one_file(layout: str, placement: Any, tiny_base: Path, state: State, tmp_path: Path):
    weights = state("transformer")
    if layout != "diffusers":
        weights = original.flux2(weights)
    if layout == "comfyui":
        weights = {COMFY + name: weight for name, weight in weights.items()}
    file = write(tmp_path / "mine.safetensors", weights)
    family = opened(file, placement, parts_from=tiny_base)
    own = Parts(resolve_base(str(tiny_base)), placement)
    expected = own.network("transformer", type(family.networks["transformer"]))
    assert same(family.networks["transformer"], expected)
    assert family.text_identity == opened(tiny_base, placement).text_identity


def test_a_vae_and_a_text_encoder_in_files_of_their_own(tiny_base: Path, state: State, tmp_path: Path):
    other = {n: w + 0.01 if w.is_floating_point() else w for n, w in state("vae").items()}
    makers = original.vae(other)
    for inside, name in (("encoder.", "quant_conv"), ("decoder.", "post_quant_conv")):  # as Black Forest Labs has them
        makers |= {f"{inside}{name}.{kind}": makers.pop(f"{name}.{kind}") for kind in ("weight", "bias")}
    text = {name: weight * 1.01 for name, weight in state("text_encoder").items()}
    vae, encoder = write(tmp_path / "vae.safetensors", makers), write(tmp_path / "qwen.safetensors", text)
    plain, changed = opened(tiny_base), opened(tiny_base, vae=vae, text_encoder=encoder)
    found: Any = changed
    assert all(torch.equal(w, other[n]) for n, w in found._vae.network.state_dict().items() if w.is_floating_point())
    assert torch.equal(found._text_encoder.state_dict()["model.norm.weight"], text["model.norm.weight"])
    assert plain.image_identity != changed.image_identity and plain.text_identity != changed.text_identity


def test_fp8_weights_are_multiplied_with_their_scales(tiny_base: Path, state: State, tmp_path: Path):
    weights, expected = state("transformer"), state("transformer")
    for number, name in enumerate(n for n in sorted(weights) if weights[n].dim() == 2):
        scale = torch.tensor(0.03) if number % 2 else torch.linspace(0.01, 0.1, len(weights[name]))[:, None]
        small = (weights[name] / scale).to(torch.float8_e4m3fn)
        expected[name] = small.float() * scale
        weights |= {name: small, name.replace("weight", "scale_weight" if number % 3 else "weight_scale"): scale}
        weights[name.replace("weight", "input_scale")] = torch.ones(())
    weights["scaled_fp8"] = torch.zeros(2).to(torch.float8_e4m3fn)
    file = write(tmp_path / "scaled.safetensors", {COMFY + name: weight for name, weight in weights.items()})
    found = opened(tiny_base, transformer=file).networks["transformer"].state_dict()
    assert found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in found)
    folder = tmp_path / "transformer"  # such weights in a folder, which loaders read without the scales
    folder.mkdir()
    shutil.copy(tiny_base / "transformer" / "config.json", folder)
    write(folder / "diffusion_pytorch_model.safetensors", weights)
    found = opened(tiny_base, transformer=folder).networks["transformer"].state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in found)


def test_fp8_without_scales_is_cast():
    weight = torch.randn(4, 4).to(torch.float8_e5m2)
    assert torch.equal(plain_numbers({"x.weight": weight}, torch.bfloat16)["x.weight"], weight.to(torch.bfloat16))
    with pytest.raises(InputError, match="fits no weight"):
        plain_numbers({"x.weight": weight, "x.weight_scale": torch.ones(3)}, torch.bfloat16)


@pytest.mark.parametrize("name", ["sd15", "sdxl"])
def test_a_whole_checkpoint_of_stable_diffusion(name: str, tmp_path: Path):
    folder = tmp_path / "base"
    stable_diffusion.make(CARDS[name], folder)
    weights = _checkpoint(folder) | {"v_pred": torch.zeros(0), "ztsnr": torch.zeros(0)}
    file = write(tmp_path / "whole.safetensors", weights)
    found: Any = opened(file, parts_from=folder)
    expected: Any = opened(folder)
    assert same(found._unet, expected._unet) and same(found._vae.network, expected._vae.network)
    for part, clip in found._clips.items():
        assert same(clip.encoder, expected._clips[part].encoder)
    assert found.objective.predicts == "v_prediction"


def test_a_pickle_is_read_with_tensors_alone(tmp_path: Path, tiny_base: Path, state: State):
    file = tmp_path / "mine.ckpt"
    torch.save({"state_dict": state("transformer")}, file)
    found = opened(file, parts_from=tiny_base, allow_pickle=True).networks["transformer"]
    assert same(found, opened(tiny_base).networks["transformer"])
    torch.save({"state_dict": state("transformer") | {"path": Path()}}, file)
    with pytest.raises(InputError, match="holds more than tensors"):
        opened(file, parts_from=tiny_base, allow_pickle=True)


@pytest.mark.parametrize(
    ("name", "weight", "words"),
    [
        (LAYER, None, "1 weights are missing, such as single_transformer"),
        ("odd", torch.zeros(2), "1 weights belong to no layer, such as odd"),
        (LAYER, torch.zeros(3, 3), r"is of size \(3, 3\) in place of"),
    ],
)
def test_a_file_that_does_not_fit_is_told(
    name: str, weight: Tensor | None, words: str, tiny_base: Path, state: State, tmp_path: Path
):
    weights = {n: w for n, w in state("transformer").items() if n != name}
    weights |= {} if weight is None else {name: weight}
    with pytest.raises(InputError, match=words):
        opened(write(tmp_path / "x.safetensors", weights), parts_from=tiny_base)


def test_a_text_encoder_that_does_not_fit_is_told(tiny_base: Path, state: State, tmp_path: Path):
    weights = state("text_encoder")
    short = {n: w for n, w in weights.items() if "layers.1." not in n}
    with pytest.raises(InputError, match=r"weights are missing, such as model\.layers\.1"):
        opened(tiny_base, text_encoder=write(tmp_path / "short.safetensors", short))
    wide = weights | {"model.norm.weight": torch.ones(7)}
    with pytest.raises(InputError, match="sizes are not those of"):
        opened(tiny_base, text_encoder=write(tmp_path / "wide.safetensors", wide))


def test_what_a_folder_lacks_comes_from_another(tiny_base: Path, tmp_path: Path):
    alone = tmp_path / "alone"
    shutil.copytree(tiny_base / "transformer", alone / "transformer")
    shutil.copy(tiny_base / "model_index.json", alone)
    shutil.copy(tiny_base / "likeness.json", alone)
    with pytest.raises(InputError, match="vae cannot be loaded"):
        opened(alone)
    assert opened(alone, parts_from=tiny_base).text_identity == opened(tiny_base).text_identity


def test_only_half_precision_files_are_asked_for_by_name(tiny_base: Path, tmp_path: Path):
    folder = tmp_path / "half"
    shutil.copytree(tiny_base, folder)
    file = next((folder / "vae").glob("*.safetensors"))
    file.rename(file.with_suffix(".fp16.safetensors"))
    assert opened(folder).image_identity != opened(tiny_base).image_identity


def _checkpoint(folder: Path) -> Weights:
    """All networks of a model folder in one file, as CompVis and Stability wrote them."""

    def part(name: str) -> Weights:
        return load_file(next((folder / name).glob("*.safetensors")))

    two = (folder / "text_encoder_2").is_dir()
    first = "conditioner.embedders.0.transformer." if two else "cond_stage_model.transformer."
    text = {f"text_model.{name.removeprefix('text_model.')}": weight for name, weight in part("text_encoder").items()}
    whole = {f"model.diffusion_model.{n}": w for n, w in original.unet(part("unet")).items()}
    whole |= {f"first_stage_model.{n}": w for n, w in original.vae(part("vae")).items()}
    whole |= {first + name: weight for name, weight in text.items()}
    if two:
        second = original.second_clip(part("text_encoder_2"))
        whole |= {f"conditioner.embedders.1.model.{name}": weight for name, weight in second.items()}
    return whole
