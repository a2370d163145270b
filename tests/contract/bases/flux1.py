"""A FLUX.1 of 90,000 random weights."""

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DiffusionPipeline,
    FlowMatchEulerDiscreteScheduler,
    FluxKontextPipeline,
    FluxPipeline,
    FluxTransformer2DModel,
)
from diffusers.pipelines.flux.pipeline_flux_kontext import PREFERRED_KONTEXT_RESOLUTIONS
from PIL import Image
from transformers import CLIPTextModel, T5Config, T5EncoderModel, T5Tokenizer

from likeness.catalog import Card
from likeness.dataset.buckets import bucket_size, fit
from tests.contract.bases.clip import WIDTH, clip_encoder, clip_tokenizer

SIDE = 64  # pixels
CHANNELS = 4  # of the latents
TEXT_TOKENS = 24
PIECES = [
    *(("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)),
    *((letter, -3.0) for letter in "abcdefghijklmnopqrstuvwxyz ,._"),
]


def make(card: Card, folder: Path) -> None:
    """Write the variant that `card` describes to `folder`. Pictures are 32 pixels or more, in steps of 16."""
    torch.manual_seed(0)
    make_vae: Any = AutoencoderKL  # annotates tuples of one
    vae = make_vae(
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8,) * 4, layers_per_block=1, latent_channels=CHANNELS, norm_num_groups=4,
        scaling_factor=0.3611, shift_factor=0.1159, use_quant_conv=False, use_post_quant_conv=False,
    )  # fmt: skip
    transformer = FluxTransformer2DModel(
        in_channels=4 * CHANNELS, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=32, pooled_projection_dim=WIDTH, axes_dims_rope=(4, 4, 8),
        guidance_embeds=not card.distilled,
    )  # fmt: skip
    text_encoder_2 = T5EncoderModel(
        T5Config(
            vocab_size=len(PIECES) + 100, d_model=32, d_kv=8, d_ff=37, num_layers=2, num_heads=4,
            feed_forward_proj="gated-gelu",
        )
    )  # fmt: skip
    pipeline: Any = FluxKontextPipeline if card.edits else FluxPipeline
    pipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(
            shift=1.0 if card.distilled else 3.0, use_dynamic_shifting=not card.distilled
        ),
        vae=vae,
        text_encoder=clip_encoder(CLIPTextModel),
        tokenizer=clip_tokenizer(),
        text_encoder_2=text_encoder_2,
        tokenizer_2=T5Tokenizer(vocab=PIECES, model_max_length=512),
        transformer=transformer,
    ).save_pretrained(folder)
    facts = {"resolution": SIDE, "steps": 2, "guidance": card.guidance, "text_tokens": TEXT_TOKENS}
    (folder / "likeness.json").write_text(json.dumps(facts), encoding="utf-8")


def stock(card: Card, base: Path, lora: Path, prompt: str, references: list[Image.Image], seed: int) -> Image.Image:
    """What diffusers itself draws: a reference as near to its own aspect as the tiny base has sizes."""
    pipeline: Any = DiffusionPipeline.from_pretrained(base, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.load_lora_weights(lora)
    edit: dict[str, Any] = {}
    width, height = SIDE, SIDE
    if references:
        (reference,) = references
        width, height = bucket_size(reference.width, reference.height, SIDE, card.multiple)
        aspect = reference.width / reference.height
        _, *preferred = min((abs(aspect - w / h), w, h) for w, h in PREFERRED_KONTEXT_RESOLUTIONS)
        size = preferred[0] * SIDE // 1024 // 16 * 16, preferred[1] * SIDE // 1024 // 16 * 16
        edit = {"image": fit(reference, size), "_auto_resize": False}
    if card.edits:
        edit["max_area"] = width * height
    return pipeline(
        prompt=prompt, width=width, height=height, num_inference_steps=2, guidance_scale=card.guidance,
        max_sequence_length=TEXT_TOKENS, generator=torch.Generator().manual_seed(seed), **edit,
    ).images[0]  # fmt: skip
