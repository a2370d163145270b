"""FLUX.2 klein (and the starter, which has its classes): packed tokens, references appended at t = 10."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKLFlux2,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Transformer2DModel,
)
from PIL import Image
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoTokenizer, Qwen3ForCausalLM

from likeness.catalog import Card
from likeness.errors import InputError
from likeness.families.base import Condition, Picture, Placement
from likeness.families.identity import folder_identity
from likeness.functional import timesteps

REFERENCE_TIME = 10  # first id of a reference's tokens; the pictures to be drawn have 0
# A bare `to_out` would match a ModuleList in the double blocks and a Linear in the single ones, which PEFT refuses.
_DOUBLE_ATTENTION = (
    r"transformer_blocks\.\d+\.attn\.(to_q|to_k|to_v|to_out\.0|add_q_proj|add_k_proj|add_v_proj|to_add_out)"
)
_SINGLE = r"single_transformer_blocks\.\d+\.attn\.(to_qkv_mlp_proj|to_out)"
_DOUBLE_MLP = r"transformer_blocks\.\d+\.(ff|ff_context)\.(linear_in|linear_out)"
TARGETS = {
    "attention": rf"({_DOUBLE_ATTENTION})|({_SINGLE})",
    "all": rf"({_DOUBLE_ATTENTION})|({_DOUBLE_MLP})|({_SINGLE})",
}


class Flux2:
    """A FLUX.2 klein pipeline, taken apart for training and put together for sampling."""

    prefix = "transformer"
    pipeline_class = "Flux2KleinPipeline"

    def __init__(self, card: Card, placement: Placement, pipeline: Flux2KleinPipeline, location: Path):
        self.card, self.placement, self._location = card, placement, location
        self._pipeline: Any = pipeline  # its annotations are narrower than what it takes
        self._vae: AutoencoderKLFlux2 = pipeline.vae
        self._transformer: Flux2Transformer2DModel = pipeline.transformer
        self._text_encoder: Qwen3ForCausalLM | None = pipeline.text_encoder

    @classmethod
    def load(cls, card: Card, placement: Placement) -> "Flux2":
        location = card.path or _download(card)
        load_scheduler: Any = FlowMatchEulerDiscreteScheduler.from_pretrained
        part = {"torch_dtype": placement.dtype}
        try:
            pipeline = Flux2KleinPipeline(
                scheduler=load_scheduler(location, subfolder="scheduler"),
                # The VAE stays in fp32: it is small, and its rounding would be in every latent.
                vae=AutoencoderKLFlux2.from_pretrained(location, subfolder="vae", torch_dtype=torch.float32),
                text_encoder=Qwen3ForCausalLM.from_pretrained(location / "text_encoder", dtype=placement.dtype),
                tokenizer=AutoTokenizer.from_pretrained(location / "tokenizer"),
                transformer=Flux2Transformer2DModel.from_pretrained(location, subfolder="transformer", **part),
                is_distilled=card.distilled,
            )
        except (OSError, ValueError, KeyError, SafetensorError) as e:
            raise InputError(f"base '{card.name}' in {location}: cannot be loaded ({e}). Fix: restore its files") from e
        pipeline.set_progress_bar_config(disable=True)
        pipeline.to(placement.device)
        for module in (pipeline.vae, pipeline.text_encoder, pipeline.transformer):
            module.requires_grad_(False)
            module.eval()
        return cls(card, placement, pipeline, location)

    @property
    def denoiser(self) -> nn.Module:
        return self._transformer

    @property
    def text_identity(self) -> str:
        parts = [folder_identity(self._location / p) for p in ("text_encoder", "tokenizer")]
        settings = (self.card.text_layers, self.card.text_tokens, str(self.placement.dtype))
        return hashlib.sha256(repr((parts, settings)).encode()).hexdigest()

    @property
    def image_identity(self) -> str:
        return folder_identity(self._location / "vae")

    # --- text

    @torch.no_grad()
    def encode_text(self, texts: list[str]) -> list[Condition]:
        if self._text_encoder is None:
            raise RuntimeError("the text encoder has been released; encode prompts before training")
        rows: list[Condition] = []
        for text in texts:  # one by one: a batch would round differently from the pipeline's single prompt
            embeds, _ = self._pipeline.encode_prompt(text, device=self.placement.device, **self.card.pipeline_arguments)
            rows.append({"embeds": embeds[0].cpu()})
        return rows

    # --- images

    @torch.no_grad()
    def encode_images(self, pixels: Tensor) -> Tensor:
        pixels = pixels.to(self.placement.device, self._vae.dtype)
        rows = [self._pipeline._encode_vae_image(p[None], generator=None) for p in pixels]
        return torch.cat(rows).float().cpu()

    def release_encoders(self) -> None:
        """Only the text encoder goes: samples and references still need the VAE."""
        self._text_encoder = None
        self._pipeline.text_encoder = None
        if self.placement.device.type == "cuda":
            torch.cuda.empty_cache()

    # --- training

    def draw_times(self, u: Tensor, tokens: int, how: str, shift: float | None) -> Tensor:
        """Logit-normal by itself, moved towards noise for large pictures as FLUX.1 and .2 do (3.16 at 1024²)."""
        t = timesteps.uniform(u) if how == "uniform" else timesteps.logit_normal(u)
        if shift is None:
            shift = 1.0 if how == "uniform" else resolution_shift(tokens)
        return timesteps.shifted(t, shift)

    def predict_velocity(
        self, x_t: Tensor, t: Tensor, conditions: list[Condition], references: Tensor | None
    ) -> Tensor:
        device, dtype = self.placement.device, self.placement.dtype
        batch, channels, height, width = x_t.shape
        text = torch.stack([c["embeds"] for c in conditions]).to(device, dtype)  # (B, L, D)
        tokens, ids = pack(x_t), token_ids(height, width, 0)
        if references is not None:
            tokens = torch.cat([tokens, pack(references)], dim=1)
            ids = torch.cat([ids, token_ids(references.shape[-2], references.shape[-1], REFERENCE_TIME)])
        out = self._transformer(
            hidden_states=tokens.to(device, dtype),
            encoder_hidden_states=text,
            timestep=t.to(device, dtype),
            img_ids=ids.to(device),
            txt_ids=text_ids(text.shape[1]).to(device),
            guidance=None,
            return_dict=False,
        )[0]
        return out[:, : height * width].permute(0, 2, 1).reshape(batch, channels, height, width)

    # --- sampling

    def sample(self, picture: Picture, on_step: Callable[[int], None] | None = None) -> Image.Image:
        def after_step(pipe: Any, step: int, t: Any, values: dict[str, Any]) -> dict[str, Any]:
            if on_step is not None:
                on_step(step + 1)
            return {}

        device, dtype = self.placement.device, self.placement.dtype
        latents = self._pipeline(
            image=picture.reference,
            prompt_embeds=picture.condition["embeds"][None].to(device, dtype),
            negative_prompt_embeds=picture.negative["embeds"][None].to(device, dtype),
            width=picture.width,
            height=picture.height,
            num_inference_steps=picture.steps,
            guidance_scale=picture.guidance,
            generator=torch.Generator().manual_seed(picture.seed),
            callback_on_step_end=after_step,
            output_type="latent",
        ).images
        with torch.no_grad():  # decoded here, since the VAE is in fp32 whatever the transformer is in
            pixels = self._vae.decode(latents.to(self._vae.dtype), return_dict=False)[0]
        return self._pipeline.image_processor.postprocess(pixels, output_type="pil")[0]

    def load_lora(self, path: Path, name: str) -> None:
        self._pipeline.load_lora_weights(str(path), adapter_name=name)
        if name not in self._pipeline.get_list_adapters().get(self.prefix, []):
            raise ValueError("none of its layers is in this base")  # the loader only logs that

    def set_strengths(self, strengths: dict[str, float]) -> None:
        if strengths:
            self._pipeline.set_adapters(list(strengths), list(strengths.values()))

    def lora_targets(self, preset: str) -> str:
        return TARGETS.get(preset, preset)


def pack(latents: Tensor) -> Tensor:
    """(B, C, h, w) to tokens (B, h·w, C)."""
    return latents.flatten(2).permute(0, 2, 1)


def token_ids(height: int, width: int, time: int) -> Tensor:
    """(h·w, 4) positions (t, h, w, l) of an image's tokens."""
    return torch.cartesian_prod(torch.tensor([time]), torch.arange(height), torch.arange(width), torch.arange(1))


def text_ids(length: int) -> Tensor:
    """(L, 4) positions of the text tokens: only the last coordinate counts up."""
    return torch.cartesian_prod(torch.arange(1), torch.arange(1), torch.arange(1), torch.arange(length))


def resolution_shift(tokens: int) -> float:
    """exp(mu), mu linear from 0.5 at 256 tokens to 1.15 at 4096 (the FLUX schedule), flat below 256.

    Small pictures have less redundancy, so that the same noise destroys more of them.
    """
    mu = 0.5 + (max(tokens, 256) - 256) / (4096 - 256) * (1.15 - 0.5)
    return float(torch.tensor(mu).exp())


def _download(card: Card) -> Path:
    """The hub repository as a local folder; resumes, and uses the local cache when it is complete."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    patterns = [
        "model_index.json",
        *(f"{p}/*" for p in ("scheduler", "vae", "text_encoder", "tokenizer", "transformer")),
    ]
    try:
        return Path(snapshot_download(card.location, allow_patterns=patterns))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as e:
        raise InputError(
            f"base '{card.name}': {card.repository} cannot be fetched ({e}). "
            "Fix: check the network and access rights (HF_TOKEN), or set `base` to a local folder"
        ) from e
