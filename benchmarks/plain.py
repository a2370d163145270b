"""The loop that anyone would write with diffusers and peft: the yardstick of the training benchmark.

    python -m benchmarks.plain JOB.json

It uses nothing of Likeness. Flow matching as in arXiv 2209.03003, logit-normal times as in arXiv 2403.03206; latents
and text are encoded once and kept in memory; base weights in the precision asked for, LoRA in fp32.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import Flux2KleinPipeline
from peft import LoraConfig
from PIL import Image
from torch import Tensor
from torch.nn import functional

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
# Every linear layer of the attention and of the feed-forward parts.
TARGETS = (
    r"(transformer_blocks\.\d+\.attn\.(to_[qkv]|to_out\.0|add_[qkv]_proj|to_add_out))"
    r"|(transformer_blocks\.\d+\.(ff|ff_context)\.linear_(in|out))"
    r"|(single_transformer_blocks\.\d+\.attn\.(to_qkv_mlp_proj|to_out))"
)


@torch.no_grad()
def encode(pipe: Flux2KleinPipeline, job: dict[str, Any]) -> tuple[Tensor, Tensor, Tensor]:
    """Latents (N, C, h, w), text (N, L, D) and the empty caption's text (L, D)."""
    latents: list[Tensor] = []
    for path in job["images"]:
        with Image.open(path) as image:
            pixels = np.array(image.convert("RGB").resize((job["size"], job["size"]), Image.Resampling.LANCZOS))
        x = torch.from_numpy(pixels).permute(2, 0, 1)[None].to(pipe.device, torch.float32) / 127.5 - 1
        latents.append(pipe._encode_vae_image(x, generator=None))
    layers = {"max_sequence_length": job["text_tokens"], "text_encoder_out_layers": tuple(job["text_layers"])}
    text = [pipe.encode_prompt(caption, device=pipe.device, **layers)[0] for caption in [*job["captions"], ""]]
    return torch.cat(latents), torch.cat(text[:-1]), text[-1][0]


def add_lora(pipe: Flux2KleinPipeline, job: dict[str, Any]) -> list[torch.nn.Parameter]:
    pipe.transformer.requires_grad_(False)
    pipe.transformer.add_adapter(LoraConfig(r=job["rank"], lora_alpha=job["alpha"], target_modules=TARGETS))
    params = [p for p in pipe.transformer.parameters() if p.requires_grad]
    for p in params:
        p.data = p.data.float()
    return params


def train(
    pipe: Flux2KleinPipeline, job: dict[str, Any], latents: Tensor, text: Tensor, empty: Tensor
) -> Iterator[float]:
    """Yields the loss after each update."""
    params = add_lora(pipe, job)
    optimizer = torch.optim.AdamW(params, lr=job["learning_rate"], weight_decay=0.01)
    transformer, dtype = pipe.transformer.train(), pipe.transformer.dtype
    image_ids = pipe._prepare_latent_ids(latents[:1])[0].to(pipe.device)
    text_ids = pipe._prepare_text_ids(text[:1])[0].to(pipe.device)
    for _ in range(job["steps"]):
        rows = torch.randint(len(latents), (job["batch_size"],))
        dropped = torch.rand(len(rows)) < job["caption_dropout"]
        x0, captions = latents[rows], text[rows].clone()
        captions[dropped] = empty
        noise = torch.randn_like(x0)
        t = torch.sigmoid(torch.randn(len(rows), device=x0.device))
        t = job["shift"] * t / (1 + (job["shift"] - 1) * t)
        mixed = (1 - t.view(-1, 1, 1, 1)) * x0 + t.view(-1, 1, 1, 1) * noise
        predicted = transformer(
            hidden_states=pipe._pack_latents(mixed).to(dtype),
            encoder_hidden_states=captions.to(dtype),
            timestep=t.to(dtype),
            img_ids=image_ids,
            txt_ids=text_ids,
            guidance=None,
            return_dict=False,
        )[0]
        loss = functional.mse_loss(predicted.float(), pipe._pack_latents(noise - x0).float())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        optimizer.step()
        yield loss.item()


def main(path: Path) -> None:
    job: dict[str, Any] = json.loads(path.read_text())
    torch.set_num_threads(job["threads"])
    torch.manual_seed(0)
    device = torch.accelerator.current_accelerator() or torch.device("cpu")
    # The VAE in fp32, as on the other side.
    dtypes = {"default": DTYPES[job["precision"]], "vae": torch.float32}
    pipe = Flux2KleinPipeline.from_pretrained(job["base"], dtype=dtypes).to(device)
    pipe.set_progress_bar_config(disable=True)
    loaded = time.time()
    latents, text, empty = encode(pipe, job)
    pipe.text_encoder = None
    encoded = time.time()
    ends: list[float] = []
    losses: list[float] = []
    for loss in train(pipe, job, latents, text, empty):
        ends.append(time.time())
        losses.append(loss)
    trainable = sum(p.numel() for p in pipe.transformer.parameters() if p.requires_grad)
    result = {"loaded": loaded, "encoded": encoded, "ends": ends, "losses": losses, "trainable": trainable}
    if device.type == "cuda":
        result["device_bytes"] = torch.cuda.max_memory_allocated()
    partial = path.with_suffix(".tmp")
    partial.write_text(json.dumps(result))
    os.replace(partial, path.with_name("result.json"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
