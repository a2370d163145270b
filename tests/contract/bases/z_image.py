"""A Z-Image of 370,000 random weights."""

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, ZImagePipeline, ZImageTransformer2DModel
from PIL import Image
from torch import nn
from transformers import AutoTokenizer, Qwen3Config, Qwen3Model

from likeness.catalog import Card
from tests.tiny_text import TOKENIZER

SIDE = 64  # pixels
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)


def make(card: Card, folder: Path) -> None:
    """Write the variant that `card` describes to `folder`. Pictures are 32 pixels or more, in steps of 16."""
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(TOKENIZER)
    tokenizer.chat_template = TEMPLATE
    text_encoder = Qwen3Model(
        Qwen3Config(
            vocab_size=len(tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=3,
            num_attention_heads=2, num_key_value_heads=2, head_dim=8, max_position_embeddings=1024,
        )
    )  # fmt: skip
    kind: Any = AutoencoderKL  # its annotations know tuples of one alone
    vae = kind(
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8,) * 4, layers_per_block=1, latent_channels=16, norm_num_groups=4,
        scaling_factor=0.3611, shift_factor=0.1159, use_quant_conv=False, use_post_quant_conv=False,
    )  # fmt: skip
    transformer = ZImageTransformer2DModel(
        in_channels=16, dim=32, n_layers=2, n_refiner_layers=1, n_heads=2, n_kv_heads=2, cap_feat_dim=16,
        axes_dims=[8, 4, 4], axes_lens=[1024, 64, 64],
    )  # fmt: skip
    for parameter in transformer.parameters():  # padding tokens start as zeros
        if not parameter.any():
            nn.init.normal_(parameter, std=0.1)
    ZImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=6.0 if card.name == "z-image" else 3.0),
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        transformer=transformer,
    ).save_pretrained(folder)
    facts = {"title": card.title, "resolution": SIDE, "steps": 2}
    (folder / "likeness.json").write_text(json.dumps(facts), encoding="utf-8")


def stock(card: Card, base: Path, lora: Path, prompt: str, references: list[Image.Image], seed: int) -> Image.Image:
    """What diffusers itself draws."""
    pipeline: Any = ZImagePipeline.from_pretrained(base, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.load_lora_weights(lora)
    return pipeline(
        prompt=prompt, width=SIDE, height=SIDE, num_inference_steps=2, guidance_scale=card.guidance,
        generator=torch.Generator().manual_seed(seed),
    ).images[0]  # fmt: skip
