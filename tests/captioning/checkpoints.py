"""Vision language models of random weights, in the classes of real ones: what they write is noise, the way is real."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoTokenizer,
    BlipConfig,
    BlipForConditionalGeneration,
    BlipImageProcessorPil,
    CLIPImageProcessorPil,
    Florence2Config,
    Florence2ForConditionalGeneration,
    Florence2Processor,
    GitConfig,
    GitForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    VisionEncoderDecoderModel,
    ViTConfig,
    ViTImageProcessorPil,
    ViTModel,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from tests.contract.bases.qwen_image import make_text_encoder, make_tokenizer, special_ids
from tests.tiny_text import TOKENIZER

SIDE = 32
SHAPE = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
SQUARE = {"height": SIDE, "width": SIDE}


def qwen25(folder: Path) -> None:
    tokenizer = make_tokenizer()
    reader = Qwen2VLImageProcessorPil(min_pixels=28 * 28, max_pixels=16 * 28 * 28)
    _save(folder, make_text_encoder(tokenizer), tokenizer, reader)


def qwen3(folder: Path) -> None:
    tokenizer = make_tokenizer()
    text = {**SHAPE, "num_key_value_heads": 2, "head_dim": 8, "vocab_size": len(tokenizer)}
    vision = {"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 16}
    config = Qwen3VLConfig(
        text_config={**text, "rope_scaling": {"mrope_section": [1, 1, 2], "rope_type": "default"}},
        vision_config={**vision, "num_position_embeddings": 64, "deepstack_visual_indexes": [0]},
        **special_ids(tokenizer),
    )
    reader = Qwen2VLImageProcessorPil(min_pixels=32 * 32, max_pixels=16 * 32 * 32, patch_size=16)
    _save(folder, Qwen3VLForConditionalGeneration(config), tokenizer, reader)


def llava(folder: Path) -> None:
    """A chat model by its own processor; its template refuses a system's words, as some do."""
    tokenizer = make_tokenizer()
    tokenizer.chat_template = None
    vision = {**SHAPE, "model_type": "clip_vision_model", "image_size": SIDE, "patch_size": 16}
    config = LlavaConfig(
        vision_config=vision,
        text_config={**SHAPE, "model_type": "llama", "vocab_size": len(tokenizer), "num_key_value_heads": 2},
        image_token_index=tokenizer.convert_tokens_to_ids("<|image_pad|>"),
        vision_feature_layer=-1,
    )
    reader = CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=SQUARE)
    template = (
        "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
        "{% for c in m['content'] %}{{ '<|image_pad|>' if c['type'] == 'image' else c['text'] }}{% endfor %}"
        "{% endfor %}"
    )
    processor = LlavaProcessor(
        reader, tokenizer, patch_size=16, vision_feature_select_strategy="default", num_additional_image_tokens=1,
        image_token="<|image_pad|>", chat_template=template,
    )  # fmt: skip
    _save(folder, LlavaForConditionalGeneration(config), processor)


def florence(folder: Path) -> None:
    special = {"bos_token": "<s>", "extra_special_tokens": {"image_token": "<image>"}}
    tokenizer: Any = AutoTokenizer.from_pretrained(TOKENIZER, **special)
    end = tokenizer.eos_token_id
    config = Florence2Config(
        vision_config={
            "depths": (1, 1), "patch_size": (7, 3), "patch_stride": (4, 2), "patch_padding": (3, 1),
            "patch_prenorm": (False, True), "embed_dim": (8, 16), "num_heads": (2, 2), "num_groups": (2, 2),
            "window_size": 4, "projection_dim": 16,
        },
        text_config={
            "model_type": "bart", "d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 16,
            "decoder_ffn_dim": 16, "encoder_attention_heads": 2, "decoder_attention_heads": 2,
            "vocab_size": len(tokenizer), "max_position_embeddings": 128, "pad_token_id": tokenizer.pad_token_id,
            "eos_token_id": end, "bos_token_id": tokenizer.bos_token_id, "decoder_start_token_id": end,
            "forced_eos_token_id": end,
        },
        image_token_id=tokenizer.image_token_id,
    )  # fmt: skip
    reader = CLIPImageProcessorPil(size=SQUARE, do_center_crop=False)
    reader.image_seq_length = 17  # 4 × 4 places, and their mean
    _save(folder, Florence2ForConditionalGeneration(config), Florence2Processor(reader, tokenizer))


def blip(folder: Path) -> None:
    tokenizer = make_tokenizer()
    end = tokenizer.eos_token_id
    ids = {"bos_token_id": tokenizer.pad_token_id, "pad_token_id": tokenizer.pad_token_id, "sep_token_id": end}
    text = {**SHAPE, **ids, "eos_token_id": end, "vocab_size": len(tokenizer), "encoder_hidden_size": 16,
            "max_position_embeddings": 64}  # fmt: skip
    config = BlipConfig(
        text_config=text, vision_config={**SHAPE, "image_size": SIDE, "patch_size": 16}, image_text_hidden_size=16
    )
    _save(folder, BlipForConditionalGeneration(config), tokenizer, BlipImageProcessorPil(size=SQUARE))


def git(folder: Path) -> None:
    tokenizer = make_tokenizer()
    ids = {"bos_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
    config = GitConfig(
        vision_config={**SHAPE, "image_size": SIDE, "patch_size": 16}, **SHAPE, **ids, vocab_size=len(tokenizer),
        pad_token_id=tokenizer.pad_token_id, max_position_embeddings=64,
    )  # fmt: skip
    reader = CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=SQUARE)
    _save(folder, GitForCausalLM(config), tokenizer, reader)


def encoder_decoder(folder: Path, width: int = SIDE) -> None:
    """As the shipped captioner and, of twice the width, the instructor."""
    tokenizer = make_tokenizer()
    end = tokenizer.eos_token_id
    decoder = GPT2Config(
        vocab_size=len(tokenizer), n_positions=32, n_embd=16, n_layer=1, n_head=2, n_inner=16, bos_token_id=end,
        eos_token_id=end, pad_token_id=end, add_cross_attention=True, is_decoder=True,
    )  # fmt: skip
    encoder = ViTModel(ViTConfig(**SHAPE, image_size=[SIDE, width], patch_size=16))
    model = VisionEncoderDecoderModel(encoder=encoder, decoder=GPT2LMHeadModel(decoder))
    for settings in (model.config, model.generation_config):
        settings.decoder_start_token_id = settings.eos_token_id = settings.pad_token_id = end
    model.generation_config.bos_token_id = end
    model.generation_config.max_length, model.generation_config.min_new_tokens = 32, 4
    _save(folder, model, tokenizer, ViTImageProcessorPil(size={"height": SIDE, "width": width}))


KINDS: dict[str, Callable[[Path], None]] = {
    "qwen2.5-vl": qwen25,
    "qwen3-vl": qwen3,
    "llava": llava,
    "florence-2": florence,
    "blip": blip,
    "git": git,
    "encoder-decoder": encoder_decoder,
}


def make(kind: str, folder: Path) -> Path:
    torch.manual_seed(0)
    KINDS[kind](folder)
    return folder


def _save(folder: Path, *parts: Any) -> None:
    for part in parts:
        part.save_pretrained(folder)
