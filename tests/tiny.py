"""A FLUX.2 klein of 90,000 random weights in the hub's own folder layout: trains a step in milliseconds."""

from pathlib import Path

import torch
from diffusers import AutoencoderKLFlux2, FlowMatchEulerDiscreteScheduler, Flux2KleinPipeline, Flux2Transformer2DModel
from transformers import AutoTokenizer, Qwen3Config, Qwen3ForCausalLM

from likeness.catalog import STARTER_FOLDER


def make_tiny_base(folder: Path, seed: int = 0) -> Path:
    """Write the model to `folder` and return it. Pictures are 32 pixels or more, in steps of 16."""
    torch.manual_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(STARTER_FOLDER / "tokenizer")
    text_encoder = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=3,
            num_attention_heads=2, num_key_value_heads=2, head_dim=8, max_position_embeddings=512,
            tie_word_embeddings=True,
        )
    )  # fmt: skip
    vae = AutoencoderKLFlux2(
        block_out_channels=(8, 8, 8, 8), decoder_block_out_channels=(8, 8, 8, 8), layers_per_block=1,
        latent_channels=4, norm_num_groups=4, mid_block_add_attention=False, sample_size=64,
    )  # fmt: skip
    transformer = Flux2Transformer2DModel(
        patch_size=1, in_channels=16, num_layers=1, num_single_layers=2, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=48, mlp_ratio=2.0, axes_dims_rope=(4, 4, 4, 4), guidance_embeds=False, rope_theta=2000,
    )  # fmt: skip
    Flux2KleinPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=2.0, use_dynamic_shifting=False),
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        transformer=transformer,
    ).save_pretrained(folder)
    return folder
