"""A Qwen-Image, or Qwen-Image-Edit, of 150,000 random weights."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from diffusers import (
    AutoencoderKLQwenImage,
    FlowMatchEulerDiscreteScheduler,
    QwenImageEditPipeline,
    QwenImageEditPlusPipeline,
    QwenImagePipeline,
    QwenImageTransformer2DModel,
)
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit, pipeline_qwenimage_edit_plus
from PIL import Image
from torch import nn
from transformers import AutoTokenizer, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from likeness.catalog import Card
from likeness.dataset.buckets import bucket_size
from likeness.families.vision_text import VisionText
from tests.tiny_text import TOKENIZER

SIDE = 64  # pixels, that the base is made for
CHANNELS = 4  # of the latents
SPECIAL = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
# The template that the pipelines expect of the processor: pictures as one placeholder each.
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
    "{% if m['content'] is string %}{{ m['content'] }}{% else %}{% for c in m['content'] %}"
    "{% if c['type'] == 'text' %}{{ c['text'] }}{% else %}<|vision_start|><|image_pad|><|vision_end|>{% endif %}"
    "{% endfor %}{% endif %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def make(card: Card, folder: Path) -> None:
    """Write the variant that `card` describes to `folder`. Pictures are 32 pixels or more, in steps of 16."""
    torch.manual_seed(0)
    tokenizer = make_tokenizer()
    transformer = QwenImageTransformer2DModel(
        in_channels=4 * CHANNELS, out_channels=CHANNELS, num_layers=2, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=16, axes_dims_rope=(8, 4, 4), zero_cond_t="2511" in card.name,
    )  # fmt: skip
    strengthen(transformer.transformer_blocks, 5)
    strengthen(transformer.proj_out, 3)
    vae = AutoencoderKLQwenImage(
        base_dim=4, z_dim=CHANNELS, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True],
        latents_mean=[0.1, -0.2, 0.3, 0.0], latents_std=[1.5, 0.7, 1.0, 2.0],
    )  # fmt: skip
    strengthen(vae, 2)
    parts: dict[str, Any] = {
        "scheduler": make_scheduler(),
        "vae": vae,
        "text_encoder": make_text_encoder(tokenizer),
        "tokenizer": tokenizer,
        "transformer": transformer,
    }
    if card.edits:
        reader = Qwen2VLImageProcessorPil(min_pixels=28 * 28, max_pixels=64 * 28 * 28)
        parts["processor"] = ("Qwen2VLProcessor", tokenizer, reader)
    write_parts(card.pipeline, parts, folder)


@torch.no_grad()
def strengthen(network: nn.Module, factor: float) -> None:
    """So that attention tells tokens apart, and text, references and latents are felt in the picture."""
    for weight in network.parameters():
        weight.mul_(factor if weight.ndim > 1 else 1)


def make_tokenizer() -> Any:
    tokenizer: Any = AutoTokenizer.from_pretrained(TOKENIZER)
    tokenizer.add_tokens(list(SPECIAL), special_tokens=True)
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def make_scheduler() -> FlowMatchEulerDiscreteScheduler:
    """As all of them have it but Turbo."""
    return FlowMatchEulerDiscreteScheduler(
        use_dynamic_shifting=True, base_shift=0.5, max_shift=0.9, base_image_seq_len=256, max_image_seq_len=8192,
        shift_terminal=0.02,
    )  # fmt: skip


def make_text_encoder(tokenizer: Any) -> Qwen2_5_VLForConditionalGeneration:
    config = Qwen2_5_VLConfig(
        text_config={
            "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
            "num_key_value_heads": 2, "vocab_size": len(tokenizer), "max_position_embeddings": 4096,
            "bos_token_id": None, "eos_token_id": None,
            "rope_scaling": {"mrope_section": [1, 1, 2], "rope_type": "default"},
        },
        vision_config={
            "depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 16,
            "fullatt_block_indexes": [0],
        },
        **special_ids(tokenizer),
    )  # fmt: skip
    return Qwen2_5_VLForConditionalGeneration(config)


def special_ids(tokenizer: Any) -> dict[str, Any]:
    names = ("vision_start", "vision_end", "image", "video")
    return {f"{name}_token_id": tokenizer.convert_tokens_to_ids(s) for name, s in zip(names, SPECIAL, strict=True)}


def write_parts(pipeline: str, parts: dict[str, Any], folder: Path, **settings: object) -> None:
    """By hand, as a processor cannot be made here: (class name, its pieces), which lie in its folder as on the hub."""
    index: dict[str, Any] = {"_class_name": pipeline, "_diffusers_version": "0.42.0", **settings}
    for name, part in parts.items():
        kind, *pieces = part if isinstance(part, tuple) else (type(part).__name__, part)
        for piece in pieces:
            piece.save_pretrained(folder / name)
        library = "diffusers" if name in ("scheduler", "vae", "transformer") else "transformers"
        index[name] = [library, kind]
    (folder / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
    (folder / "likeness.json").write_text(json.dumps({"resolution": SIDE, "steps": 2}), encoding="utf-8")


def stock(
    card: Card, base: Path, lora: Path | None, prompt: str, references: list[Image.Image], seed: int
) -> Image.Image:
    """What diffusers itself draws, with its own text encoding but for the positions in pictures that it loses."""
    pipeline = stock_pipeline(card, base, edit=bool(references))
    see_positions(pipeline)
    if lora is not None:
        pipeline.load_lora_weights(lora)
    edit: dict[str, Any] = {}
    width, height = SIDE, SIDE
    if references:
        edit = {"image": references if card.pipeline == "QwenImageEditPlusPipeline" else references[0]}
        width, height = bucket_size(*references[-1].size, SIDE, card.multiple)
    with areas_of(SIDE):
        return pipeline(
            prompt=prompt, negative_prompt=" ", true_cfg_scale=card.guidance, width=width, height=height,
            num_inference_steps=2, generator=torch.Generator().manual_seed(seed), **edit,
        ).images[0]  # fmt: skip


def stock_pipeline(card: Card, base: Path, *, edit: bool) -> Any:
    """Put together by hand, as a processor cannot be made here."""
    parts: dict[str, Any] = {
        "scheduler": FlowMatchEulerDiscreteScheduler.from_pretrained(base / "scheduler"),
        "vae": AutoencoderKLQwenImage.from_pretrained(base / "vae"),
        "text_encoder": Qwen2_5_VLForConditionalGeneration.from_pretrained(base / "text_encoder"),
        "tokenizer": AutoTokenizer.from_pretrained(base / "tokenizer"),
        "transformer": QwenImageTransformer2DModel.from_pretrained(base / "transformer"),
    }
    kinds: dict[str, Any] = {k.__name__: k for k in (QwenImageEditPipeline, QwenImageEditPlusPipeline)}
    pipeline: Any = QwenImagePipeline(**parts)
    if card.edits:
        reader = VisionText(parts["tokenizer"], Qwen2VLImageProcessorPil.from_pretrained(base / "processor"))
        editing = kinds[card.pipeline](**parts, processor=None)
        if edit:
            pipeline, pipeline.processor = editing, reader
        else:  # these refuse to draw without a picture; what they say beside it to the text encoder is their own
            template = editing.prompt_template_encode.replace("<|vision_start|><|image_pad|><|vision_end|>", "")
            pipeline.prompt_template_encode = template
            pipeline.prompt_template_encode_start_idx = editing.prompt_template_encode_start_idx
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def see_positions(pipeline: Any) -> None:
    """Tell the text encoder which tokens are pictures', as the pipelines forget to (diffusers issue 14194)."""
    encoder = pipeline.text_encoder
    forward = encoder.forward

    def told(**values: Any) -> Any:
        pictures = (values["input_ids"] == encoder.config.image_token_id).long()
        return forward(**values, mm_token_type_ids=pictures)

    encoder.forward = told


@contextmanager
def areas_of(side: int) -> Generator[None]:
    """The pipelines' sizes of references, which are for a side of 1024, made smaller."""
    sizes: Any = pipeline_qwenimage_edit_plus.calculate_dimensions

    def small(area: float, aspect: float) -> tuple[int, ...]:
        return tuple(max(32, size) for size in sizes(area * (side / 1024) ** 2, aspect))

    def small_of_three(area: float, aspect: float) -> tuple[int | None, ...]:
        return *small(area, aspect), None

    with (
        patch.object(pipeline_qwenimage_edit, "calculate_dimensions", small_of_three),
        patch.object(pipeline_qwenimage_edit_plus, "calculate_dimensions", small),
    ):
        yield
