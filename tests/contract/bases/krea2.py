"""A Krea 2 of 120,000 random weights, with half as many heads for keys as for queries and two tapped text layers."""

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKLQwenImage, FlowMatchEulerDiscreteScheduler, Krea2Pipeline, Krea2Transformer2DModel
from PIL import Image
from torch import nn
from transformers import AutoTokenizer, Qwen3VLConfig, Qwen3VLModel

from likeness.catalog import Card
from tests.tiny_text import TOKENIZER

SIDE = 64  # pixels
CHANNELS = 4  # of the latents


def make(card: Card, folder: Path) -> None:
    """Write the variant that `card` describes to `folder`. Pictures are 32 pixels or more, in steps of 16."""
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(TOKENIZER)
    text_encoder = Qwen3VLModel(
        Qwen3VLConfig(
            text_config={
                "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2,
                "num_key_value_heads": 2, "head_dim": 8, "vocab_size": len(tokenizer),
                "max_position_embeddings": 1024, "initializer_range": 0.3,  # so that its layers differ
                "rope_scaling": {"mrope_section": [1, 1, 2], "rope_type": "default", "mrope_interleaved": True},
            },
            vision_config={
                "depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 16,
                "patch_size": 16, "num_position_embeddings": 16, "deepstack_visual_indexes": [0],
            },
        )
    )  # fmt: skip
    vae = AutoencoderKLQwenImage(
        base_dim=8, z_dim=CHANNELS, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True],
        latents_mean=[0.1, -0.2, 0.3, 0.0], latents_std=[1.5, 0.7, 1.0, 2.0],
    )  # fmt: skip
    transformer = Krea2Transformer2DModel(
        in_channels=4 * CHANNELS, num_layers=2, attention_head_dim=16, num_attention_heads=4, num_key_value_heads=2,
        intermediate_size=64, timestep_embed_dim=32, text_hidden_dim=16, num_text_layers=2,
        text_num_attention_heads=2, text_num_key_value_heads=2, text_intermediate_size=32,
        num_layerwise_text_blocks=1, num_refiner_text_blocks=1, axes_dims_rope=(4, 6, 6),
    )  # fmt: skip
    for parameter in transformer.parameters():  # norms and modulation tables start as zeros
        if not parameter.any():
            nn.init.normal_(parameter, std=0.1)
    Krea2Pipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(
            use_dynamic_shifting=True, base_shift=0.5, max_shift=1.15, base_image_seq_len=256, max_image_seq_len=6400
        ),
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        transformer=transformer,
        text_encoder_select_layers=(1, 2),
        is_distilled=card.distilled,
    ).save_pretrained(folder)
    (folder / "likeness.json").write_text(json.dumps({"resolution": SIDE, "steps": 2}), encoding="utf-8")


def stock(card: Card, base: Path, lora: Path, prompt: str, references: list[Image.Image], seed: int) -> Image.Image:
    """What diffusers itself draws."""
    pipeline: Any = Krea2Pipeline.from_pretrained(base, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.load_lora_weights(lora)
    return pipeline(
        prompt=prompt, width=SIDE, height=SIDE, num_inference_steps=2, guidance_scale=card.guidance,
        generator=torch.Generator().manual_seed(seed),
    ).images[0]  # fmt: skip
