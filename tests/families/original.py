"""Weights under the names that the models' makers gave them: the inverse of what loaders do."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

Weights = dict[str, Tensor]

_FLUX2 = {
    "x_embedder": "img_in", "context_embedder": "txt_in", "proj_out": "final_layer.linear",
    "time_guidance_embed.timestep_embedder.linear_1": "time_in.in_layer",
    "time_guidance_embed.timestep_embedder.linear_2": "time_in.out_layer",
}  # fmt: skip
_FLUX2_DOUBLE = {
    "attn.to_out.0": "img_attn.proj", "attn.to_add_out": "txt_attn.proj", "ff.linear_in": "img_mlp.0",
    "ff.linear_out": "img_mlp.2", "ff_context.linear_in": "txt_mlp.0", "ff_context.linear_out": "txt_mlp.2",
    "attn.norm_q": "img_attn.norm.query_norm", "attn.norm_k": "img_attn.norm.key_norm",
    "attn.norm_added_q": "txt_attn.norm.query_norm", "attn.norm_added_k": "txt_attn.norm.key_norm",
}  # fmt: skip
_FLUX2_SINGLE = {
    "attn.to_qkv_mlp_proj": "linear1", "attn.to_out": "linear2", "attn.norm_q": "norm.query_norm",
    "attn.norm_k": "norm.key_norm",
}  # fmt: skip
_FUSED = {
    "img_attn.qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "txt_attn.qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
}


def flux2(weights: Mapping[str, Tensor]) -> Weights:
    """A transformer as Black Forest Labs has it: q, k and v in one, shift before scale."""
    found: Weights = {}
    for name, weight in weights.items():
        stem = name.removesuffix(".weight")
        if stem == "norm_out.linear":
            scale, shift = weight.chunk(2)
            found["final_layer.adaLN_modulation.1.weight"] = torch.cat([shift, scale])
        elif block := re.fullmatch(r"(single_)?transformer_blocks\.(\d+)\.(.*)", stem):
            table, where = (_FLUX2_SINGLE, "single_blocks") if block[1] else (_FLUX2_DOUBLE, "double_blocks")
            if block[3] in table:
                new = table[block[3]]
                found[f"{where}.{block[2]}.{new}.{'scale' if '_norm' in new else 'weight'}"] = weight
        else:
            found[f"{_FLUX2.get(stem, stem.replace('.linear', '.lin'))}.weight"] = weight
    for number in {name.split(".")[1] for name in weights if name.startswith("transformer_blocks.")}:
        for new, parts in _FUSED.items():
            rows = [weights[f"transformer_blocks.{number}.{part}.weight"] for part in parts]
            found[f"double_blocks.{number}.{new}.weight"] = torch.cat(rows)
    return found


def vae(weights: Mapping[str, Tensor], levels: int = 4) -> Weights:
    """An autoencoder as CompVis has it: levels counted from the full size in both halves, attention by convolutions."""
    found: Weights = {}
    for name, weight in weights.items():
        name = re.sub(r"up_blocks\.(\d+)", lambda m: f"up.{levels - 1 - int(m[1])}", name)
        for old, new in {
            "down_blocks.": "down.", ".resnets.": ".block.", "conv_shortcut": "nin_shortcut",
            "downsamplers.0": "downsample", "upsamplers.0": "upsample", "mid_block.block.0": "mid.block_1",
            "mid_block.block.1": "mid.block_2", "mid_block.attentions.0": "mid.attn_1", "group_norm": "norm",
            "conv_norm_out": "norm_out", "to_out.0": "proj_out", "to_q": "q", "to_k": "k", "to_v": "v",
        }.items():  # fmt: skip
            name = name.replace(old, new)
        linear = ".attn_1." in name and weight.dim() == 2
        found[name] = weight[:, :, None, None] if linear else weight
    return found


def unet(weights: Mapping[str, Tensor], layers: int = 1) -> Weights:
    """A UNet as CompVis has it: input, middle and output blocks in one row each."""
    levels = len({name.split(".")[1] for name in weights if name.startswith("down_blocks.")})
    found: Weights = {}
    for name, weight in weights.items():
        for old, new in {
            "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
            "add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2",
            "conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2",
        }.items():  # fmt: skip
            name = re.sub(rf"^{old}\b", new, name)
        name = re.sub(r"^mid_block\.resnets\.(\d)", lambda m: f"middle_block.{2 * int(m[1])}", name)
        name = name.replace("mid_block.attentions.0", "middle_block.1")
        name = re.sub(r"^(down|up)_blocks\.(\d)\.(\w+)\.(\d)", lambda m: _place(m, layers, levels, weights), name)
        name = name.replace(".op.conv.", ".op.")
        if re.match(r"(input|output)_blocks\.\d+\.0\.|middle_block\.[02]\.", name):
            for old, new in {
                "norm1": "in_layers.0", "conv1": "in_layers.2", "norm2": "out_layers.0", "conv2": "out_layers.3",
                "time_emb_proj": "emb_layers.1", "conv_shortcut": "skip_connection",
            }.items():  # fmt: skip
                name = name.replace(f".{old}.", f".{new}.")
        found[name] = weight
    return found


def _place(found: re.Match[str], layers: int, levels: int, weights: Mapping[str, Tensor]) -> str:
    side, block, kind, number = found[1], int(found[2]), found[3], int(found[4])
    per_block = layers + 1
    if kind == "downsamplers":
        return f"input_blocks.{(block + 1) * per_block}.0.op"
    if side == "down":
        return f"input_blocks.{1 + block * per_block + number}.{int(kind == 'attentions')}"
    here = block * per_block + (per_block - 1 if kind == "upsamplers" else number)
    attends = any(n.startswith(f"up_blocks.{block}.attentions.") for n in weights)
    return f"output_blocks.{here}.{1 + attends if kind == 'upsamplers' else int(kind == 'attentions')}"


def second_clip(weights: Mapping[str, Tensor]) -> Weights:
    """SDXL's second text encoder as OpenCLIP has it: q, k and v in one, the projection the other way round."""
    found: Weights = {}
    names = {
        "embeddings.token_embedding.weight": "token_embedding.weight",
        "embeddings.position_embedding.weight": "positional_embedding",
        "final_layer_norm.weight": "ln_final.weight", "final_layer_norm.bias": "ln_final.bias",
    }  # fmt: skip
    for name, weight in weights.items():
        name = name.removeprefix("text_model.")
        if name == "text_projection.weight":
            found["text_projection"] = weight.T
        elif name in names:
            found[names[name]] = weight
        elif block := re.fullmatch(r"encoder\.layers\.(\d+)\.(.*)\.(weight|bias)", name):
            layer = {
                "layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj",
                "self_attn.out_proj": "attn.out_proj",
            }  # fmt: skip
            if block[2] in layer:
                found[f"transformer.resblocks.{block[1]}.{layer[block[2]]}.{block[3]}"] = weight
            elif block[2] == "self_attn.q_proj":
                stem = name.rpartition("q_proj")[0]
                rows = [w for part in "qkv" for n, w in weights.items() if n.endswith(f"{stem}{part}_proj.{block[3]}")]
                found[f"transformer.resblocks.{block[1]}.attn.in_proj_{block[3]}"] = torch.cat(rows)
    return found
