"""FLUX.2 klein and dev of 90,000 random weights each: they train a step in milliseconds."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKLFlux2,
    DiffusionPipeline,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Pipeline,
    Flux2Transformer2DModel,
)
from PIL import Image
from torch import nn
from transformers import (
    AutoTokenizer,
    Mistral3Config,
    Mistral3ForConditionalGeneration,
    ProcessorMixin,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from likeness.catalog import STARTER_FOLDER, Card, resolve_base
from tests.tiny_text import TOKENIZER

# As Mistral's own: the start of the text is in the template, and messages are lists of pieces.
DEV_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}[{{ m.role }}]"
    "{% for piece in m.content %}{{ piece.text }}{% endfor %}[/{{ m.role }}]{% endfor %}"
)
STRENGTH = 3.0  # with which three steps of training can be seen
DEV_TEXT_TOKENS = 160  # the system message takes 111


def make(card: Card, folder: Path) -> None:
    """Write the variant that `card` describes to `folder`. Pictures are 32 pixels or more, in steps of 16."""
    facts: dict[str, Any] = {"resolution": 64, "steps": 2, "text_layers": [1, 2, 3], "text_tokens": 48}
    if card.name == "starter":
        shutil.copytree(STARTER_FOLDER, folder)
        facts["max_references"] = card.max_references
    elif card.pipeline == "Flux2Pipeline":
        make_dev(folder)
        facts["text_tokens"] = DEV_TEXT_TOKENS
    else:
        make_tiny_base(folder, distilled=card.distilled, strength=STRENGTH)
    (folder / "likeness.json").write_text(json.dumps(facts), encoding="utf-8")


def make_tiny_base(folder: Path, seed: int = 0, distilled: bool = False, strength: float = 1.0) -> Path:
    """Write a klein with the starter's settings to `folder` and return it."""
    torch.manual_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(TOKENIZER)
    text_encoder = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=3,
            num_attention_heads=2, num_key_value_heads=2, head_dim=8, max_position_embeddings=512,
            tie_word_embeddings=True,
        )
    )  # fmt: skip
    vae = tiny_vae()
    Flux2KleinPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=2.0, use_dynamic_shifting=False),
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        transformer=tiny_transformer(guidance=False, strength=strength),
        is_distilled=distilled,
    ).save_pretrained(folder)
    shutil.copy(STARTER_FOLDER / "likeness.json", folder)
    return folder


def make_dev(folder: Path) -> None:
    """With the scheduler of the published one, whose shift depends on the picture's size and the number of steps."""
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(TOKENIZER, bos_token="<|im_start|>")
    tokenizer.chat_template = DEV_TEMPLATE
    text_encoder = Mistral3ForConditionalGeneration(
        Mistral3Config(
            text_config={
                "model_type": "mistral", "vocab_size": len(tokenizer), "hidden_size": 16, "intermediate_size": 32,
                "max_position_embeddings": 512, "num_attention_heads": 2, "num_hidden_layers": 4,
                "num_key_value_heads": 1, "head_dim": 8,
            },
            vision_config={
                "model_type": "pixtral", "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
                "intermediate_size": 16, "image_size": 28, "patch_size": 14,
            },
            image_token_index=1,
        )
    )  # fmt: skip
    vae = tiny_vae()
    vae.bn.running_mean.normal_(0, 0.2)
    vae.bn.running_var.uniform_(0.5, 1.5)
    Flux2Pipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        transformer=tiny_transformer(guidance=True, strength=STRENGTH),
    ).save_pretrained(folder)


def tiny_vae() -> Any:
    """Eight pixels to a side of its four channels, as the published one; shared with FLUX.3."""
    return AutoencoderKLFlux2(
        block_out_channels=(8, 8, 8, 8), decoder_block_out_channels=(8, 8, 8, 8), layers_per_block=1,
        latent_channels=4, norm_num_groups=4, mid_block_add_attention=False, sample_size=64,
    )  # fmt: skip


def tiny_transformer(guidance: bool, strength: float) -> Flux2Transformer2DModel:
    """`strength` times as much in every matrix as classes start with."""
    transformer = Flux2Transformer2DModel(
        patch_size=1, in_channels=16, num_layers=1, num_single_layers=2, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=48, mlp_ratio=2.0, axes_dims_rope=(4, 4, 4, 4), guidance_embeds=guidance, rope_theta=2000,
    )  # fmt: skip
    amplify(transformer, strength)
    return transformer


@torch.no_grad()
def amplify(network: nn.Module, strength: float) -> None:
    """Multiply all matrices, so that attention, and with it positions and captions, shows in the output."""
    for parameter in network.parameters():
        if parameter.ndim > 1:
            parameter.mul_(strength)


class TextProcessor(ProcessorMixin):
    """What a PixtralProcessor is for texts; itself it cannot be made without torchvision."""

    def __init__(self, tokenizer: Any):
        super().__init__(tokenizer, chat_template=tokenizer.chat_template)


def open_stock(folder: Path) -> Any:
    """The stock pipeline in `folder`, in fp32."""
    pipeline: Any = DiffusionPipeline.from_pretrained(folder, dtype=torch.float32)
    if isinstance(pipeline, Flux2Pipeline):
        pipeline.tokenizer = TextProcessor(pipeline.tokenizer)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def stock(card: Card, base: Path, lora: Path, prompt: str, references: list[Image.Image], seed: int) -> Image.Image:
    """What the stock pipeline draws for `prompt` with the LoRA file, at the size of the contract's test pictures."""
    pipeline, facts = open_stock(base), resolve_base(str(base))
    pipeline.load_lora_weights(lora)
    size = references[0].size if references else (facts.resolution, facts.resolution)
    return pipeline(
        prompt=prompt, image=references or None, width=size[0], height=size[1], num_inference_steps=facts.steps,
        guidance_scale=facts.guidance, generator=torch.Generator().manual_seed(seed), **facts.pipeline_arguments,
    ).images[0]  # fmt: skip
