"""Qwen-Image 2.1: text, references and the picture in one stream, with alpha, read by Qwen3-VL."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from diffusers import (
    AutoencoderKLQwenImage21,
    FlowMatchEulerDiscreteScheduler,
    QwenImage21Pipeline,
    QwenImage21Transformer2DModel,
)
from diffusers.models.transformers.transformer_qwenimage21 import QwenImage21KVCache
from diffusers.utils.torch_utils import randn_tensor
from PIL import Image
from torch import Tensor, nn
from transformers import Qwen3VLForConditionalGeneration

from likeness.catalog import Card
from likeness.families.base import Condition, Picture, Placement
from likeness.families.euler import denoise
from likeness.families.film_vae import FilmVae
from likeness.families.parts import Parts
from likeness.families.qwen_image import REFERENCE_STEP, SEEN, size_of_area
from likeness.families.stock import StockFamily, shown, still_there
from likeness.families.vision_text import after_pictures, read_vision_text
from likeness.functional.objective import Flow, exponential
from likeness.lora.names import Names, table

SLOT = 4  # tokens of a picture that stand where the text encoder has one
_ATTENTION = r"transformer_blocks\.\d+\.attn\.(to_q|to_k|to_v|to_out\.0)"
TARGETS = {
    "attention": _ATTENTION,
    "all": rf"{_ATTENTION}|transformer_blocks\.\d+\.img_mlp\.(proj|gate_layer|out)",
}

# What LoRA files of all layouts call its layers.
NAMES = (
    Names(
        "qwen_image_21",
        # gate_up: as in ComfyUI's checkpoint.
        table("""
            transformer_blocks.{i}:
            attn.to_q attn.to_k attn.to_v attn.to_out.0 img_mlp.out
            img_mlp.gate_up = img_mlp.gate_layer img_mlp.proj
            :
            img_in txt_in.in_layer txt_in.out_layer modulation.1 norm_out.linear proj_out
            time_text_embed.timestep_embedder.linear_1 time_text_embed.timestep_embedder.linear_2
        """),
        depths={"transformer_blocks": (32,)},
        known_as=("qwenimage21",),
    ),
)


def load(card: Card, placement: Placement) -> "QwenImage21":
    """Raises InputError when the base's files are missing or broken."""
    return QwenImage21(Parts(card, placement))


class QwenImage21(StockFamily):
    """A Qwen-Image 2.1 pipeline, taken apart for training and sampling.

    The pipeline itself only tells its prompt template here: it cannot be given text that goes with pictures ready
    encoded.
    """

    objective = Flow(exponential(0.5, 0.9, most=8192))
    blocks = ("transformer_blocks",)
    targets = TARGETS

    def __init__(self, parts: Parts):
        super().__init__(parts, FilmVae(parts, AutoencoderKLQwenImage21))
        self._text_encoder = parts.network("text_encoder", Qwen3VLForConditionalGeneration)
        # The transformer was trained on the last layer's output as it is before the final norm.
        self._text_encoder.model.language_model.norm = nn.Identity()
        self._transformer = parts.network("transformer", QwenImage21Transformer2DModel)
        self._scheduler = parts.other("scheduler", FlowMatchEulerDiscreteScheduler)
        self._sigmas: Sequence[float] | None = parts.index().get("sample_sigmas")
        self._reader: Any = read_vision_text(parts)
        nothing: Any = None
        self._pipeline: Any = QwenImage21Pipeline(
            scheduler=nothing, vae=self._vae.network, text_encoder=nothing, processor=self._reader, transformer=nothing
        )

    @property
    def text_identity(self) -> str:
        settings = (self.card.text_tokens, str(self.placement.dtype))
        return self._parts.identity("text_encoder", "processor", settings=settings)

    # --- text

    @torch.no_grad()
    def encode_text(self, texts: Sequence[str], references: Sequence[Image.Image] = ()) -> list[Condition]:
        """Each `embeds` (L, D) with its own L, and `slots` (L,): where a reference's latents take the place of text.

        The system message, which is the same for all, is left out.
        """
        encoder = still_there(self._text_encoder)
        pictures = [on_white(r) for r in references]
        before = " ".join(f"<image{k}>{SEEN}" for k in range(1, len(pictures) + 1))
        start = self._pipeline._drop_idx
        rows: list[Condition] = []
        for text in texts:  # one by one: a batch would round differently from the pipeline's single prompt
            # An empty text is a space to the model.
            prompt = self._pipeline.prompt_template_t2i.format(before + (text or " "))
            read = self._reader(prompt, pictures).to(self.placement.device)
            hidden = encoder.model(**read, use_cache=False).last_hidden_state[0]
            slots = read["mm_token_type_ids"][0] == 1
            end = max(start, after_pictures(slots)) + self.card.text_tokens
            rows.append({"embeds": hidden[start:end].cpu(), "slots": slots[start:end].cpu()})
        return rows

    # --- images

    def encode_images(self, pixels: Tensor) -> Tensor:
        """Pixels (B, 3, H, W) are opaque; (B, 4, H, W) have their own alpha, in [-1, 1] like the colours."""
        if pixels.shape[1] == 3:
            pixels = torch.cat([pixels, torch.ones_like(pixels[:, :1])], dim=1)
        return super().encode_images(pixels)

    def reference_size(self, source: tuple[int, int], target: tuple[int, int]) -> tuple[int, int]:
        """Its own aspect at the area that the model was trained at, whatever is drawn."""
        return size_of_area(source, self.card.resolution, REFERENCE_STEP)

    # --- training

    def predict(
        self, x_t: Tensor, t: Tensor, conditions: Sequence[Condition], references: Sequence[Tensor] = ()
    ) -> Tensor:
        """Captions of one length at a time: the picture's place in the stream comes after the text's, so that padding
        would move it."""
        batch, _, height, width = x_t.shape
        by_length: dict[int, list[int]] = {}
        for row, condition in enumerate(conditions):
            by_length.setdefault(len(condition["embeds"]), []).append(row)
        parts: list[Tensor] = []
        for rows in by_length.values():
            text, seen = [conditions[row] for row in rows], [r[rows] for r in references]
            parts.append(self._velocity(tokens_of(x_t[rows]), (height, width), t[rows], text, seen))
        order = torch.tensor([row for rows in by_length.values() for row in rows]).argsort()
        velocity = torch.cat(parts)[order.to(parts[0].device)]
        return velocity.transpose(1, 2).reshape(batch, -1, height, width)

    def _velocity(
        self,
        tokens: Tensor,
        size: tuple[int, int],
        t: Tensor,
        conditions: Sequence[Condition],
        references: Sequence[Tensor],
        **cache: Any,
    ) -> Tensor:
        """(B, L, C) of the picture's tokens. `size` is height and width of its latents; the `conditions` are of one
        length and layout."""
        device, dtype = self.placement.device, self.placement.dtype
        slots = torch.stack([c["slots"] for c in conditions]).to(device)
        own = slots.new_ones(len(tokens), tokens.shape[1] // SLOT)
        shapes = [(1, *shape) for shape in (*(r.shape[-2:] for r in references), size)]
        out = self._transformer(
            hidden_states=torch.cat([*(tokens_of(r).to(tokens.device) for r in references), tokens], 1).to(
                device, dtype
            ),
            encoder_hidden_states=torch.stack([c["embeds"] for c in conditions]).to(device, dtype),
            timestep=t.to(device),
            img_shapes=[shapes] * len(tokens),
            img_mask=torch.cat([slots, own], dim=1),
            return_dict=False,
            **cache,
        )[0]
        return out[:, -tokens.shape[1] :]

    # --- sampling

    @torch.no_grad()
    def sample(self, picture: Picture, on_step: Callable[[int], None] | None = None) -> Image.Image:
        """An RGBA picture. Pixels of the references are taken as they are: at `reference_size`."""
        device, dtype = self.placement.device, self.placement.dtype
        cell = self._pipeline.vae_scale_factor  # pixels
        size = (picture.height // cell, picture.width // cell)
        shape = (1, self._transformer.config.in_channels, *size)
        noise = randn_tensor(shape, torch.Generator().manual_seed(picture.seed), device, dtype)
        prepare = self._pipeline.image_processor.preprocess
        references = [self.encode_images(prepare(r.convert("RGBA"), r.height, r.width)) for r in picture.references]

        def along(condition: Condition) -> Callable[[Tensor, Tensor], Tensor]:
            # What text and references are to the picture does not depend on the time: worked out in the first step.
            cache = QwenImage21KVCache(len(self._transformer.transformer_blocks))

            def velocity(tokens: Tensor, time: Tensor) -> Tensor:
                mode = "extract" if cache.get_layer(0).k is None else "cached"
                kept = {"kv_cache": cache, "kv_cache_mode": mode}
                return self._velocity(tokens, size, time, [condition], references, **kept)

            return velocity

        wanted, unwanted = along(picture.condition), along(picture.negative)

        def velocity(tokens: Tensor, time: Tensor) -> Tensor:
            towards = wanted(tokens, time)
            if picture.guidance <= 1:
                return towards
            away = unwanted(tokens, time)
            return away + picture.guidance * (towards - away)

        tokens = denoise(
            self._scheduler, tokens_of(noise), picture.steps, velocity, sigmas=self._sigmas, on_step=on_step
        )
        pixels = self._vae.decode(tokens.transpose(1, 2).reshape(shape))
        return shown(self._pipeline, pixels)


def tokens_of(latents: Tensor) -> Tensor:
    """(B, C, h, w) to (B, h·w, C): here every latent is a token."""
    return latents.flatten(2).transpose(1, 2)


def on_white(picture: Image.Image) -> Image.Image:
    """As the text encoder is shown a picture with alpha."""
    if picture.mode != "RGBA":
        return picture.convert("RGB")
    white = Image.new("RGB", picture.size, "white")
    white.paste(picture, mask=picture.getchannel("A"))
    return white
