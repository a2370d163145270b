"""The trained parts as a whole pipeline folder, as users load it, and sheets of what it draws."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKLFlux2, FlowMatchEulerDiscreteScheduler, Flux2KleinPipeline, Flux2Transformer2DModel
from PIL import Image
from torch import nn
from transformers import PreTrainedTokenizerBase, Qwen3ForCausalLM

from starter_recipe.drawings import PAIR_RENDERS, Size, pair_of
from starter_recipe.text import TEXT_LAYERS, TEXT_TOKENS
from starter_recipe.world import SIZES, render

SHIFT = 2.0
TEXTS = {"max_sequence_length": TEXT_TOKENS, "text_encoder_out_layers": TEXT_LAYERS}
# What Likeness reads in the folder (likeness.json): where the model differs from its family.
FACTS: dict[str, Any] = {
    "resolution": 128, "max_references": 1, "steps": 16, "guidance": 2.5, "text_layers": TEXT_LAYERS,
    "text_tokens": TEXT_TOKENS, "licence": "Apache-2.0",
    "defaults": {"train.batch_size": 10, "optim.learning_rate": 1e-3},
}  # fmt: skip
DISTILLED_FACTS = {**FACTS, "steps": 4, "guidance": 1.0}
PROMPTS = [
    "a girl with long pink hair and light skin wearing a red dress, smiling, half body, in a meadow, flat style",
    "a boy with spiky blue hair and brown skin in a yellow hoodie, angry, half body, in a city at night, outline style",
    "a girl with green twin tails and tan skin wearing a white t-shirt and glasses, surprised, close-up, in a forest",
    "a boy with a black mohawk and dark skin in a green kimono, calm, half body, on a plain yellow background",
    "an orange cat wearing a crown, in a forest, outline style",
    "a white bunny, sleeping, on a plain pink background, flat style",
    "a girl with curly red hair wearing blue overalls, laughing and jumping, full body, on a beach, flat style",
    "a girl with a purple ponytail in a teal sweater and a top hat, sad, half body, at a harbour at sunset",
    "a boy in a purple t-shirt with a star on it, holding a red balloon, half body, in the mountains, watercolor",
    "a blue car, in a desert at sunset, watercolor style",
    "a red mushroom, in a forest at night, pixel art",
    "a black dog wearing a red scarf, in a room, pencil sketch",
]
WIDE_PROMPTS = [
    "a girl with a blonde bob wearing a purple coat, waving, full body, in a city at night, flat style",
    "a gray elephant wearing a bow tie, in front of a castle, outline style",
    "a boy with a brown quiff in an orange jacket, smiling, half body, in a library, flat style",
]
SHEET_PAIRS = 8


def export(
    folder: Path, vae_folder: str | Path, transformer: Flux2Transformer2DModel, encoder: Qwen3ForCausalLM,
    tokenizer: PreTrainedTokenizerBase, *, distilled: bool = False,
) -> None:  # fmt: skip
    """Write a whole pipeline folder: the networks in bf16, whatever they were trained in, the VAE in fp16."""
    pipe = Flux2KleinPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=SHIFT, use_dynamic_shifting=False),
        vae=AutoencoderKLFlux2.from_pretrained(vae_folder, dtype=torch.float16),
        text_encoder=_rounded(Qwen3ForCausalLM(encoder.config), encoder),
        tokenizer=tokenizer,
        transformer=_rounded(Flux2Transformer2DModel(**transformer.config), transformer),
        is_distilled=distilled,
    )
    fresh = folder.with_name(folder.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    pipe.save_pretrained(fresh)
    for config in fresh.glob("*/config.json"):  # where each part lay while it was made is nobody's business
        values = {k: v for k, v in json.loads(config.read_text()).items() if k != "_name_or_path"}
        config.write_text(json.dumps(values, indent=2) + "\n")
    facts = DISTILLED_FACTS if distilled else FACTS
    (fresh / "likeness.json").write_text(json.dumps(facts, indent=2) + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)


def _rounded(twin: nn.Module, model: nn.Module) -> nn.Module:
    twin.load_state_dict(model.state_dict())
    return twin.bfloat16()


def open_pipeline(folder: Path, device: torch.device) -> Flux2KleinPipeline:
    pipe = Flux2KleinPipeline.from_pretrained(folder, dtype=torch.float32).to(device)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def sampling(folder: Path) -> Mapping[str, Any]:
    """The steps and the guidance that the folder asks for."""
    facts = json.loads((folder / "likeness.json").read_text())
    return {"num_inference_steps": facts["steps"], "guidance_scale": facts["guidance"], **TEXTS}


def draw(folder: Path, path: Path, device: torch.device) -> None:
    """A sheet of sampled prompts, of prompts in each other shape, and of held-out edits (source, result, truth)."""
    pipe, how = open_pipeline(folder, device), sampling(folder)

    def drawn(prompts: list[str], size: Size) -> list[Image.Image]:
        generator = torch.Generator().manual_seed(3)
        return pipe(prompt=prompts, width=size[0], height=size[1], generator=generator, **how).images

    images = drawn(PROMPTS, SIZES[0])
    for size in SIZES[1:]:
        images += drawn(WIDE_PROMPTS, size)
    for i in range(SHEET_PAIRS):
        before, after, instruction = pair_of(i)
        source = Image.fromarray(render(before, PAIR_RENDERS + i))
        result = pipe(
            image=source, prompt=instruction, width=before.width, height=before.height,
            generator=torch.Generator().manual_seed(i), **how,
        )  # fmt: skip
        images += [source, result.images[0], Image.fromarray(render(after, PAIR_RENDERS + i))]
    sheet(images).save(path)


def sheet(images: list[Image.Image], per_line: int = 12) -> Image.Image:
    """Side by side, each line as high as its highest picture."""
    lines = [images[i : i + per_line] for i in range(0, len(images), per_line)]
    heights = [max(image.height for image in line) + 2 for line in lines]
    width = max(sum(image.width + 2 for image in line) for line in lines)
    out, y = Image.new("RGB", (width, sum(heights)), "white"), 0
    for line, height in zip(lines, heights, strict=True):
        x = 0
        for image in line:
            out.paste(image, (x, y))
            x += image.width + 2
        y += height
    return out
