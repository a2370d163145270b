"""Texts and pictures as transformers' own processors read them; those are run here without their video half."""

from typing import Any

import pytest
import torch
from PIL import Image
from transformers import Qwen2VLProcessor, Qwen3VLProcessor
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from likeness.errors import InputError
from likeness.families.vision_text import VisionText
from tests.contract.bases.qwen_image import make_tokenizer

SEEN = "<|vision_start|><|image_pad|><|vision_end|>"
TEXTS = [f"{SEEN} a hat beside {SEEN}", f"a longer text about {SEEN}, and what comes after it"]


def make(kind: Any) -> tuple[Any, VisionText]:
    """The processor and ours, with the same parts. Its constructor is what needs torchvision, for videos."""
    patch = 14 if kind is Qwen2VLProcessor else 16
    parts: dict[str, Any] = {
        "tokenizer": make_tokenizer(),
        "image_processor": Qwen2VLImageProcessorPil(
            min_pixels=4 * patch**2, max_pixels=100 * patch**2, patch_size=patch
        ),
    }
    processor = object.__new__(kind)
    tokens: dict[str, Any] = {}
    for name, token in (("image", "<|image_pad|>"), ("video", "<|video_pad|>")):
        identity = parts["tokenizer"].convert_tokens_to_ids(token)
        tokens |= {f"{name}_token": token, f"{name}_token_id": identity, f"{name}_token_ids": [identity]}
    for name, value in (parts | tokens | {"chat_template": parts["tokenizer"].chat_template}).items():
        setattr(processor, name, value)
    return processor, VisionText(**parts)


@pytest.mark.filterwarnings("ignore:.*max_length. is ignored")  # the processors set it themselves
@pytest.mark.parametrize("kind", [Qwen2VLProcessor, Qwen3VLProcessor])
@pytest.mark.parametrize("side", ["left", "right"])
def test_it_reads_as_the_processor_does(kind: Any, side: str) -> None:
    processor, ours = make(kind)
    pictures = [Image.effect_noise(size, 90).convert("RGB") for size in ((300, 200), (96, 131), (40, 40))]
    options: dict[str, Any] = {"padding": True, "padding_side": side, "return_tensors": "pt"}
    for call in ({"text": TEXTS, "images": pictures}, {"text": ["only", "text of any length"]}):
        wanted, got = processor(**call, **options), ours(**call, **options)
        assert set(got) == set(wanted) and "mm_token_type_ids" in got
        assert all(torch.equal(got[name], wanted[name]) and got[name].dtype == wanted[name].dtype for name in wanted)


def test_it_takes_chat_templates_as_the_processor_does() -> None:
    processor, ours = make(Qwen3VLProcessor)
    messages = [{"role": "system", "content": [{"type": "text", "text": "Look closely."}]}]
    for options in ({"tokenize": False, "add_generation_prompt": True}, {"tokenize": True, "return_dict": False}):
        assert ours.apply_chat_template(messages, **options) == processor.apply_chat_template(messages, **options)


def test_a_caption_that_asks_for_a_picture_is_refused() -> None:
    _, ours = make(Qwen2VLProcessor)
    with pytest.raises(InputError, match=r"asks for 1 pictures and there are 0.*Fix: take it out"):
        ours("a <|image_pad|> in a caption")
