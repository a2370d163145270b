"""The tables of layer names agree with the networks themselves, and with what diffusers knows of the original code."""

from collections.abc import Callable
from typing import Any

import diffusers
import pytest
import torch
from accelerate import init_empty_weights
from diffusers.loaders import single_file_utils as converters
from torch import nn

from likeness.catalog import FAMILIES as FILES
from likeness.lora.names import Index, Layer, table
from tests.lora.loras import FAMILIES, all_names, names_of

SDXL: dict[str, Any] = {
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "block_out_channels": (32, 64, 128), "transformer_layers_per_block": (1, 2, 3), "attention_head_dim": 8,
    "cross_attention_dim": 16, "use_linear_projection": True, "addition_embed_type": "text_time",
    "addition_time_embed_dim": 8, "projection_class_embeddings_input_dim": 64,
}  # fmt: skip
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "flux2": lambda: diffusers.Flux2Transformer2DModel(num_layers=2, num_single_layers=2),
    "flux3": lambda: diffusers.Flux3Transformer2DModel(num_layers=2, num_single_layers=2, flow_map=True),
    "flux1": lambda: diffusers.FluxTransformer2DModel(num_layers=2, num_single_layers=2, guidance_embeds=True),
    "qwen_image": lambda: diffusers.QwenImageTransformer2DModel(num_layers=2),
    "qwen_image_21": lambda: diffusers.QwenImage21Transformer2DModel(num_layers=2),
    "z_image": lambda: diffusers.ZImageTransformer2DModel(n_layers=2),
    "krea2": lambda: diffusers.Krea2Transformer2DModel(num_layers=2),
    "sdxl": lambda: diffusers.UNet2DConditionModel(**SDXL),
    "sd15": lambda: diffusers.UNet2DConditionModel(block_out_channels=(32, 64, 64, 64), cross_attention_dim=16),
}


def test_every_family_has_a_table() -> None:
    assert set(FAMILIES.values()) == set(FILES) and {n.family for n in all_names()} == set(FAMILIES)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_layer_of_the_network_is_named_once(family: str) -> None:
    index = names_of(family).index
    with init_empty_weights():
        network = NETWORKS[family]()
    layers = {name for name, module in network.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)}
    assert len(layers) > 20
    for name in layers:
        found = index.find(name)
        assert found is not None and found.part is not None and found.diffusers == (name,), name
        assert index.find(name.replace(".", "_")) == found, name
        # The original name leads back: to this layer, or to the group that this is a part of.
        back = index.find(found.original)
        assert back is not None and name in back.diffusers, found.original
        assert index.find(found.original.replace(".", "_")) == back
    used = {index.find(name).layer for name in layers}  # type: ignore[union-attr]
    # Some sizes of UNet have no such layer in some blocks; Z-Image's context refiner is made without modulation.
    rare = ("conv_shortcut", "samplers.0.conv", "add_embedding", "context_refiner.{i}.adaLN")
    assert [e for e in index.layers if e not in used and not any(r in e.parts[0] for r in rare)] == []


@pytest.mark.parametrize("family", ["flux1", "flux2", "flux3", "z_image", "krea2", "qwen_image_21"])
def test_original_names_and_row_orders_are_those_of_diffusers_own_converters(family: str) -> None:
    convert = {
        "flux1": converters.convert_flux_transformer_checkpoint_to_diffusers,
        "flux2": converters.convert_flux2_transformer_checkpoint_to_diffusers,
        "flux3": converters.convert_flux3_transformer_checkpoint_to_diffusers,
        "z_image": converters.convert_z_image_transformer_checkpoint_to_diffusers,
        "krea2": converters.convert_krea2_transformer_checkpoint_to_diffusers,
        "qwen_image_21": converters.convert_qwen_image21_transformer_checkpoint_to_diffusers,
    }[family]
    width = 3072  # which FLUX.1's converter takes for granted
    checkpoint: dict[str, torch.Tensor] = {}
    expected: dict[str, torch.Tensor] = {}
    for n, layer in enumerate(names_of(family).layers):
        rows = width * sum(layer.shares)
        w = torch.arange(rows, dtype=torch.float).add(1000 * n).unsqueeze(1)
        checkpoint[f"{layer.original.replace('{i}', '0')}.weight"] = w
        straight = torch.cat(w.chunk(2)[::-1]) if layer.swapped else w
        parts = straight.split([width * share for share in layer.shares])
        expected |= {f"{part.replace('{i}', '0')}.weight": p for part, p in zip(layer.parts, parts, strict=True)}
    if family == "flux1":  # it converts biases and norms without asking whether they are there
        _with_biases_and_norms(checkpoint)
    converted = convert(dict(checkpoint), config={})
    for name, w in expected.items():
        assert torch.equal(converted[name], w), name


def _with_biases_and_norms(checkpoint: dict[str, torch.Tensor]) -> None:
    checkpoint |= {k.replace(".weight", ".bias"): w[:, 0] for k, w in checkpoint.items()}
    for norm in ("double_blocks.0.img_attn.norm", "double_blocks.0.txt_attn.norm", "single_blocks.0.norm"):
        checkpoint |= {f"{norm}.{side}_norm.scale": torch.ones(1) for side in ("query", "key")}


def test_original_names_of_a_unet_are_those_of_diffusers_own_converter() -> None:
    network = diffusers.UNet2DConditionModel(**SDXL)
    wanted = {k: w for k, w in network.state_dict().items() if k.endswith(".weight") and w.dim() > 1}
    index = names_of("sdxl").index
    checkpoint: dict[str, torch.Tensor] = {}
    for name, w in network.state_dict().items():
        layer, _, end = name.rpartition(".")
        found = index.find(layer)
        if found is not None:
            checkpoint[f"model.diffusion_model.{found.original}.{end}"] = w
    converted = converters.convert_ldm_unet_checkpoint(checkpoint, dict(network.config))
    assert wanted.keys() <= converted.keys()
    assert all(torch.equal(converted[name], w) for name, w in wanted.items())


def test_the_notation() -> None:
    assert table("""
        outer.{i} = ours.{i}:
        qkv = q k v*2
        a b
        :
        last.1 ~ norm
    """) == (
        Layer(("ours.{i}.q", "ours.{i}.k", "ours.{i}.v"), "outer.{i}.qkv", (1, 1, 2)),
        Layer(("ours.{i}.a",), "outer.{i}.a"),
        Layer(("ours.{i}.b",), "outer.{i}.b"),
        Layer(("norm",), "last.1", swapped=True),
    )  # fmt: skip


def test_names_that_mean_two_layers_are_noticed() -> None:
    with pytest.raises(ValueError, match="may mean"):
        Index(table("a.b_c\na_b.c")).find("a_b_c")
    assert Index(table("block.{i}.x")).find("block.01.x") is None
