"""A FLUX.3 image klein of 110,000 random weights, in the layout of its modular pipeline: no scheduler, no guider."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKLFlux2,
    Flux3AutoBlocks,
    Flux3DistilledAutoBlocks,
    Flux3Transformer2DModel,
)
from PIL import Image
from transformers import AutoTokenizer, Qwen3VLConfig, Qwen3VLForConditionalGeneration

from likeness.catalog import Card, resolve_base
from tests.contract.bases.flux2 import STRENGTH, TextProcessor, amplify, tiny_vae
from tests.tiny_text import TOKENIZER

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
IDLE = {"character": r"\.mode_blocks\.image_cond\."}  # which only references pass through


def make(card: Card, folder: Path) -> None:
    """Write the variant that `card` describes to `folder`. Pictures are 32 pixels or more, in steps of 16."""
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(TOKENIZER)
    tokenizer.chat_template = TEMPLATE
    text_encoder = Qwen3VLForConditionalGeneration(
        Qwen3VLConfig(
            text_config={
                "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2,
                "num_key_value_heads": 2, "head_dim": 8, "vocab_size": len(tokenizer),
                "max_position_embeddings": 1024,
                "rope_scaling": {"mrope_section": [1, 1, 2], "rope_type": "default", "mrope_interleaved": True},
            },
            vision_config={
                "depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 16,
                "patch_size": 16, "num_position_embeddings": 16, "deepstack_visual_indexes": [0],
            },
        )
    )  # fmt: skip
    vae = tiny_vae()
    vae.bn.running_mean.normal_(0, 0.2)
    vae.bn.running_var.uniform_(0.5, 1.5)
    transformer = Flux3Transformer2DModel(
        in_channels=16, cond_in_channels=16, num_layers=1, num_single_layers=2, attention_head_dim=16,
        num_attention_heads=2, joint_attention_dim=48, axes_dims_rope=(4, 4, 4, 4), flow_map=card.distilled,
    )  # fmt: skip
    amplify(transformer, STRENGTH)
    parts = {"text_encoder": text_encoder, "tokenizer": tokenizer, "vae": vae, "transformer": transformer}
    for name, part in parts.items():
        part.save_pretrained(folder / name)
    facts = {"resolution": 64, "steps": 2, "text_layers": [1, 2, 3]}
    (folder / "likeness.json").write_text(json.dumps(facts), encoding="utf-8")
    (folder / "modular_model_index.json").write_text(json.dumps({"_class_name": card.pipeline}), encoding="utf-8")


def open_stock(folder: Path) -> Any:
    """The stock pipeline on the parts in `folder`, in fp32, without its prompt upsampler."""
    transformer: Any = Flux3Transformer2DModel.from_pretrained(folder / "transformer")
    blocks: Any = Flux3DistilledAutoBlocks() if transformer.config.flow_map else Flux3AutoBlocks()
    blocks = deepcopy(blocks)
    blocks.sub_blocks.pop("prompt_upsampler")
    pipeline = blocks.init_pipeline()
    pipeline.update_components(
        transformer=transformer,
        vae=AutoencoderKLFlux2.from_pretrained(folder / "vae"),
        text_encoder=Qwen3VLForConditionalGeneration.from_pretrained(folder / "text_encoder", dtype=torch.float32),
        tokenizer=TextProcessor(AutoTokenizer.from_pretrained(folder / "tokenizer")),
    )
    return pipeline


def draw(pipeline: Any, guidance: float, negative: str = "", **call: Any) -> Image.Image:
    """The stock pipeline's picture; `guidance` and `negative` count where it takes them."""
    if "guider" in pipeline.component_names:
        pipeline.guider.guidance_scale = guidance
        call["negative_prompt"] = negative if guidance != 1 else None
    return pipeline(**call, output="images")[0]


def stock(card: Card, base: Path, lora: Path, prompt: str, references: list[Image.Image], seed: int) -> Image.Image:
    """What the stock pipeline draws for `prompt` with the LoRA file, at the size of the contract's test pictures."""
    pipeline, facts = open_stock(base), resolve_base(str(base))
    pipeline.load_lora_weights(lora)
    size = references[0].size if references else (facts.resolution, facts.resolution)
    return draw(
        pipeline, facts.guidance, prompt=prompt, image=references or None, width=size[0], height=size[1],
        num_inference_steps=facts.steps, generator=torch.Generator().manual_seed(seed),
        text_encoder_out_layers=facts.text_layers,
    )  # fmt: skip
