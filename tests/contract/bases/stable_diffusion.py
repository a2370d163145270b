"""An SDXL or SD 1.5 of some 200,000 random weights."""

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DiffusionPipeline,
    EulerDiscreteScheduler,
    PNDMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from PIL import Image
from transformers import CLIPTextModel, CLIPTextModelWithProjection

from likeness.catalog import Card
from tests.contract.bases.clip import WIDTH, clip_encoder, clip_tokenizer

SIDE = 64  # pixels
# SDXL takes the layer before the first encoder's last: nothing behind it learns.
IDLE = {"character": r"^text_encoder\.(text_model\.)?encoder\.layers\.2\."}
SCHEDULE: dict[str, Any] = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "steps_offset": 1,
}


def make(card: Card, folder: Path) -> None:
    """Write the variant that `card` describes to `folder`. Pictures are 64 pixels or more, in steps of 64."""
    torch.manual_seed(0)
    if card.pipeline == "StableDiffusionXLPipeline":
        _xl(folder)
    else:
        _one_five(folder)
    (folder / "likeness.json").write_text(json.dumps({"resolution": SIDE, "steps": 2}), encoding="utf-8")


def _xl(folder: Path) -> None:
    unet = _unet(
        (False, True), cross_attention_dim=2 * WIDTH, use_linear_projection=True, transformer_layers_per_block=(1, 2),
        attention_head_dim=(2, 2), addition_embed_type="text_time", addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + WIDTH,
    )  # fmt: skip
    make_pipeline: Any = StableDiffusionXLPipeline  # annotates an enumeration of schedulers
    make_pipeline(
        unet=unet,
        vae=_vae(0.13025),
        text_encoder=clip_encoder(CLIPTextModel, layers=3),
        text_encoder_2=clip_encoder(CLIPTextModelWithProjection),
        tokenizer=clip_tokenizer(),
        tokenizer_2=clip_tokenizer(pad="!"),
        scheduler=EulerDiscreteScheduler(**SCHEDULE, timestep_spacing="leading"),
        add_watermarker=False,
    ).save_pretrained(folder)


def _one_five(folder: Path) -> None:
    make_pipeline: Any = StableDiffusionPipeline
    make_pipeline(
        unet=_unet((True, False), cross_attention_dim=WIDTH, attention_head_dim=2),
        vae=_vae(0.18215),
        text_encoder=clip_encoder(CLIPTextModel),
        tokenizer=clip_tokenizer(),
        scheduler=PNDMScheduler(**SCHEDULE, skip_prk_steps=True, set_alpha_to_one=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)


def _unet(attends: tuple[bool, ...], **shape: Any) -> UNet2DConditionModel:
    """`attends`: whether each block on the way down looks at the text. It begins and ends like the published one's, so
    that layers have names that it has too."""
    return UNet2DConditionModel(
        sample_size=8, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4,
        down_block_types=tuple("CrossAttnDownBlock2D" if a else "DownBlock2D" for a in attends),
        up_block_types=tuple("CrossAttnUpBlock2D" if a else "UpBlock2D" for a in reversed(attends)),
        **shape,
    )  # fmt: skip


def _vae(scaling_factor: float) -> AutoencoderKL:
    make_vae: Any = AutoencoderKL  # annotates tuples of one
    return make_vae(
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8,) * 4, layers_per_block=1, latent_channels=4, norm_num_groups=4,
        scaling_factor=scaling_factor,
    )  # fmt: skip


def stock(card: Card, base: Path, lora: Path, prompt: str, references: list[Image.Image], seed: int) -> Image.Image:
    """What diffusers itself draws."""
    pipeline: Any = DiffusionPipeline.from_pretrained(base, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.load_lora_weights(lora)
    return pipeline(
        prompt=prompt, width=SIDE, height=SIDE, num_inference_steps=2, guidance_scale=card.guidance,
        generator=torch.Generator().manual_seed(seed),
    ).images[0]  # fmt: skip
