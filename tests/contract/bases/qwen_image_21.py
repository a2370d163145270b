"""A Qwen-Image 2.1 of 150,000 random weights."""

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKLQwenImage21,
    FlowMatchEulerDiscreteScheduler,
    QwenImage21Pipeline,
    QwenImage21Transformer2DModel,
)
from PIL import Image
from torch import nn
from transformers import AutoTokenizer, Qwen3VLConfig, Qwen3VLForConditionalGeneration
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from likeness.catalog import Card
from likeness.dataset.buckets import bucket_size
from likeness.families.vision_text import VisionText
from tests.contract.bases.qwen_image import SIDE, make_scheduler, make_tokenizer, special_ids, strengthen, write_parts

CHANNELS = 8  # of the latents
TURBO_SIGMAS = [1.0, 0.6]  # the real ones are eight


def make(card: Card, folder: Path) -> None:
    """Write the variant that `card` describes to `folder`. Pictures are 32 pixels or more, in steps of 32."""
    torch.manual_seed(0)
    tokenizer = make_tokenizer()
    reader = Qwen2VLImageProcessorPil(min_pixels=32 * 32, max_pixels=64 * 32 * 32, patch_size=16)
    transformer = QwenImage21Transformer2DModel(
        in_channels=CHANNELS, out_channels=CHANNELS, num_layers=2, attention_head_dim=16, num_attention_heads=2,
        context_in_dim=16, axes_dims_rope=(4, 6, 6),
    )  # fmt: skip
    for parameter in transformer.parameters():  # norms start as zeros
        if not parameter.any():
            nn.init.normal_(parameter, std=0.1)
    strengthen(transformer.transformer_blocks, 6)
    strengthen(transformer.proj_out, 3)
    parts: dict[str, Any] = {
        "scheduler": FlowMatchEulerDiscreteScheduler(shift=1.0) if card.distilled else make_scheduler(),
        "vae": AutoencoderKLQwenImage21(
            base_dim=4, decoder_base_dim=4, z_dim=CHANNELS, dim_mult=[1, 1, 1, 1, 1], num_res_blocks=1,
            temperal_downsample=[False, True, True, True],
            latents_mean=[0.1 * k for k in range(CHANNELS)], latents_std=[1.5, 0.7, 1.0, 2.0, 1.1, 0.9, 1.2, 0.8],
        ),
        "text_encoder": make_text_encoder(tokenizer),
        "processor": ("Qwen3VLProcessor", tokenizer, reader),
        "transformer": transformer,
    }  # fmt: skip
    settings = {"sample_sigmas": TURBO_SIGMAS} if card.distilled else {}
    write_parts(card.pipeline, parts, folder, **settings)


def make_text_encoder(tokenizer: Any) -> Qwen3VLForConditionalGeneration:
    config = Qwen3VLConfig(
        text_config={
            "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2,
            "num_key_value_heads": 2, "head_dim": 8, "vocab_size": len(tokenizer), "max_position_embeddings": 4096,
            "bos_token_id": None, "eos_token_id": None,
            "rope_scaling": {"mrope_section": [1, 1, 2], "rope_type": "default", "mrope_interleaved": True},
        },
        vision_config={
            "depth": 2, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 16,
            "patch_size": 16, "num_position_embeddings": 16, "deepstack_visual_indexes": [0],
        },
        **special_ids(tokenizer),
    )  # fmt: skip
    return Qwen3VLForConditionalGeneration(config)


def stock(
    card: Card, base: Path, lora: Path | None, prompt: str, references: list[Image.Image], seed: int
) -> Image.Image:
    """What diffusers itself draws, with its own text encoding."""
    pipeline = stock_pipeline(card, base)
    if lora is not None:
        pipeline.load_lora_weights(lora)
    width, height = bucket_size(*references[-1].size, SIDE, card.multiple) if references else (SIDE, SIDE)
    guided = {"negative_prompt": " ", "true_cfg_scale": card.guidance} if card.guidance > 1 else {}
    return pipeline(
        prompt=prompt, image=references or None, width=width, height=height, output_resolution=SIDE,
        num_inference_steps=2, generator=torch.Generator().manual_seed(seed), **guided,
    ).images[0]  # fmt: skip


def stock_pipeline(card: Card, base: Path) -> Any:
    """Put together by hand, as a processor cannot be made here."""
    reader: Any = VisionText(
        AutoTokenizer.from_pretrained(base / "processor"), Qwen2VLImageProcessorPil.from_pretrained(base / "processor")
    )
    scheduler: Any = FlowMatchEulerDiscreteScheduler.from_pretrained(base / "scheduler")
    pipeline: Any = QwenImage21Pipeline(
        scheduler=scheduler,
        vae=AutoencoderKLQwenImage21.from_pretrained(base / "vae"),
        text_encoder=Qwen3VLForConditionalGeneration.from_pretrained(base / "text_encoder"),
        processor=reader,
        transformer=QwenImage21Transformer2DModel.from_pretrained(base / "transformer"),
        sample_sigmas=TURBO_SIGMAS if card.distilled else None,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
