"""What diffusers itself makes of the files: the same change of every weight, without our code in between."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import (
    Flux2KleinPipeline,
    FluxPipeline,
    FluxTransformer2DModel,
    Krea2Pipeline,
    Krea2Transformer2DModel,
    QwenImagePipeline,
    QwenImageTransformer2DModel,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
    ZImagePipeline,
    ZImageTransformer2DModel,
)
from peft.tuners.lora import LoraLayer
from peft.tuners.lycoris_utils import LycorisLayer
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from likeness.lora.change import Change
from likeness.lora.layouts import Lora, write_layout
from likeness.lora.names import Names
from tests.lora.loras import Numbers, names_of
from tests.lora.test_names import SDXL

LAYERS = (
    "to_q", "to_k", "to_v", "to_out.0", "add_q_proj", "ff.linear_in", "proj_mlp", "net.2", "w1", "conv1", "fc1",
    "q_proj",
    "out_proj",  # without it diffusers 0.42.1 leaves the other projections of a kohya text encoder out
)  # fmt: skip


def lora_for(names: Names, networks: Mapping[str, nn.Module]) -> Lora:
    """Rank 4, at scale 2, for some layers of the networks."""
    r = Numbers()
    changes: dict[str, Change] = {}
    for prefix, network in networks.items():
        for name, layer in network.named_modules():
            if isinstance(layer, nn.Linear | nn.Conv2d) and name.endswith(LAYERS):
                outputs, inputs, *kernel = layer.weight.shape
                factors = {"lora_A": r(4, inputs, *kernel), "lora_B": r(outputs, 4, *[1 for _ in kernel])}
                full = name if prefix == names.network or name.startswith("text_model") else f"text_model.{name}"
                changes[f"{prefix}.{full}"] = Change("LoRA", factors, 1 / 3)
    return Lora(names, "diffusers", "", changes, {})


def changes_in(networks: Mapping[str, nn.Module]) -> dict[str, torch.Tensor]:
    """The change of each weight, as PEFT's layers compute it."""
    found: dict[str, torch.Tensor] = {}
    for prefix, network in networks.items():
        for name, layer in network.named_modules():
            if isinstance(layer, LoraLayer | LycorisLayer):
                module: Any = layer
                (adapter,) = module.active_adapters
                text = "" if prefix in ("transformer", "unet") or name.startswith("text_model") else "text_model."
                found[f"{prefix}.{text}{name}"] = module.get_delta_weight(adapter).flatten(1).detach()
    return found


def assert_loaded(lora: Lora, networks: Mapping[str, nn.Module]) -> None:
    loaded = changes_in(networks)
    assert lora.changes.keys() <= loaded.keys() and lora.changes
    for name, change in loaded.items():
        if name in lora.changes:
            expected = lora.changes[name].delta()
            assert torch.allclose(change, expected, atol=1e-5 * float(expected.abs().max())), name
        else:  # part of a fused layer
            assert not change.any(), name


def transformer(family: str) -> tuple[Any, Any]:
    """A pipeline class and a tiny transformer; the rest of the pipeline has no part in loading."""
    torch.manual_seed(0)
    if family == "flux1":
        return FluxPipeline, FluxTransformer2DModel(
            in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
            joint_attention_dim=32, pooled_projection_dim=32, axes_dims_rope=(4, 4, 8),
        )  # fmt: skip
    if family == "qwen_image":
        return QwenImagePipeline, QwenImageTransformer2DModel(
            in_channels=16, num_layers=1, attention_head_dim=16, num_attention_heads=2, joint_attention_dim=16,
            axes_dims_rope=(8, 4, 4),
        )  # fmt: skip
    if family == "z_image":
        return ZImagePipeline, ZImageTransformer2DModel(
            dim=32, n_layers=2, n_refiner_layers=1, n_heads=2, n_kv_heads=2, cap_feat_dim=16, axes_dims=(8, 4, 4)
        )
    return Krea2Pipeline, Krea2Transformer2DModel(
        num_layers=1,
        attention_head_dim=16,
        num_attention_heads=4,
        num_key_value_heads=2,
        axes_dims_rope=(4, 6, 6),
        intermediate_size=64,
        text_hidden_dim=32,
        text_num_attention_heads=2,
        text_num_key_value_heads=2,
        text_intermediate_size=32,
    )


def load(pipeline_class: Any, network: Any, path: Path) -> None:
    state, *alphas, metadata = pipeline_class.lora_state_dict(
        str(path), return_lora_metadata=True, **({"return_alphas": True} if pipeline_class is FluxPipeline else {})
    )
    pipeline_class.load_lora_into_transformer(state, *alphas, transformer=network, metadata=metadata)


@pytest.mark.parametrize(
    ("family", "layout"),
    [
        ("flux1", "diffusers"),
        ("qwen_image", "diffusers"), ("qwen_image", "comfyui"), ("qwen_image", "kohya"),
        ("z_image", "diffusers"), ("z_image", "comfyui"), ("z_image", "kohya"),
        ("krea2", "diffusers"), ("krea2", "comfyui"),
    ],
)  # fmt: skip
def test_transformers(tmp_path: Path, family: str, layout: str) -> None:
    pipeline_class, network = transformer(family)
    networks = {"transformer": network}
    lora = lora_for(names_of(family), networks)
    write_layout(tmp_path / "it.safetensors", lora, layout)
    load(pipeline_class, network, tmp_path / "it.safetensors")
    assert_loaded(lora, networks)


def test_kohya_for_flux1(tmp_path: Path) -> None:
    """Its reader knows one width only, so that no tiny network will do."""
    r, width, one = Numbers(), 3072, "single_transformer_blocks.1."
    outputs = {f"transformer_blocks.0.attn.to_{x}": width for x in "qkv"}
    outputs |= {f"{one}attn.to_{x}": width for x in "qv"} | {f"{one}proj_mlp": 4 * width, f"{one}proj_out": width}
    changes = {f"transformer.{n}": r.change(height, scale=2.0) for n, height in outputs.items()}
    write_layout(tmp_path / "it.safetensors", Lora(names_of("flux1"), "", "", changes, {}), "kohya")
    state: Any = FluxPipeline.lora_state_dict(str(tmp_path / "it.safetensors"))
    for name, change in changes.items():
        loaded = state[f"{name}.lora_B.weight"].float() @ state[f"{name}.lora_A.weight"].float()
        assert torch.allclose(loaded, change.delta(), atol=1e-5), name
    assert not state[f"transformer.{one}attn.to_k.lora_B.weight"].any()


@pytest.mark.parametrize("layout", ["diffusers", "comfyui", "kohya", "peft"])
def test_a_whole_pipeline(tmp_path: Path, tiny_base: Path, layout: str) -> None:
    pipeline = Flux2KleinPipeline.from_pretrained(tiny_base)
    networks = {"transformer": pipeline.transformer}
    lora = lora_for(names_of("flux2"), networks)
    write_layout(tmp_path / "it.safetensors", lora, layout)
    pipeline.load_lora_weights(str(tmp_path / "it.safetensors"))
    assert_loaded(lora, networks)


def test_lokr(tmp_path: Path, tiny_base: Path) -> None:
    pipeline = Flux2KleinPipeline.from_pretrained(tiny_base)
    r = Numbers()
    changes = {
        f"transformer.transformer_blocks.0.attn.to_{x}": Change(
            "LoKr", {"lokr_w1": r(4, 4), "lokr_w2_a": r(8, 2), "lokr_w2_b": r(2, 8)}, 2.0
        )
        for x in "qkv"
    }
    lora = Lora(names_of("flux2"), "diffusers", "", changes, {})
    write_layout(tmp_path / "it.safetensors", lora, "diffusers")
    pipeline.load_lora_weights(str(tmp_path / "it.safetensors"))
    assert_loaded(lora, {"transformer": pipeline.transformer})


@pytest.mark.parametrize("scale", [2.0, 1 / 3])
def test_dora(tmp_path: Path, tiny_base: Path, scale: float) -> None:
    """The magnitude arrives as well, also where folding the scale takes more bits than the file had."""
    pipeline = Flux2KleinPipeline.from_pretrained(tiny_base)
    r = Numbers()
    changes: dict[str, Change] = {}
    for name in ("transformer_blocks.0.attn.to_q", "single_transformer_blocks.0.attn.to_out"):
        rows, columns = pipeline.transformer.get_submodule(name).weight.shape
        factors = {"lora_A": r(4, columns), "lora_B": r(rows, 4)}
        changes[f"transformer.{name}"] = Change("LoRA", factors, scale, r(rows).abs())
    lora = Lora(names_of("flux2"), "", "", changes, {})
    write_layout(tmp_path / "it", lora, "diffusers")
    pipeline.load_lora_weights(str(tmp_path / "it"))
    assert_loaded(lora, {"transformer": pipeline.transformer})
    for name, change in changes.items():
        layer: Any = pipeline.transformer.get_submodule(name.removeprefix("transformer."))
        (loaded,) = layer.lora_magnitude_vector.values()
        assert change.magnitude is not None and torch.equal(loaded.weight.detach().float(), change.magnitude.float())


@pytest.mark.parametrize("layout", ["diffusers", "kohya"])
def test_sdxl_with_both_text_encoders(tmp_path: Path, layout: str) -> None:
    text = CLIPTextConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, vocab_size=99,
        eos_token_id=98, bos_token_id=97, projection_dim=16,
    )  # fmt: skip
    networks: dict[str, Any] = {
        "unet": UNet2DConditionModel(**SDXL),
        "text_encoder": CLIPTextModel(text),
        "text_encoder_2": CLIPTextModelWithProjection(text),
    }
    lora = lora_for(names_of("sdxl"), networks)
    write_layout(tmp_path / "it.safetensors", lora, layout)
    read: Any = StableDiffusionXLPipeline.lora_state_dict(
        str(tmp_path / "it.safetensors"), unet_config=networks["unet"].config, return_lora_metadata=True
    )
    state, alphas, metadata = read
    StableDiffusionXLPipeline.load_lora_into_unet(state, alphas, unet=networks["unet"], metadata=metadata)
    for prefix in ("text_encoder", "text_encoder_2"):
        StableDiffusionXLPipeline.load_lora_into_text_encoder(
            state, alphas, text_encoder=networks[prefix], prefix=prefix, metadata=metadata
        )
    assert_loaded(lora, networks)
