"""FLUX.2 klein (and the starter, which has its classes) and dev: packed tokens, references appended at t = 10, 20, …"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from diffusers import (
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Pipeline,
    Flux2Transformer2DModel,
)
from PIL import Image
from torch import Tensor
from transformers import AutoTokenizer, Mistral3ForConditionalGeneration, Qwen3ForCausalLM

from likeness.catalog import Card
from likeness.families.base import Condition, Picture, Placement
from likeness.families.folded_vae import FoldedVae
from likeness.families.parts import Parts
from likeness.families.stock import StockFamily, asked, shown, still_there
from likeness.functional.objective import Flow, exponential
from likeness.lora.names import Names, table

MOST_REFERENCE_PIXELS = 1024 * 1024  # the pipelines scale larger ones down
TRAINING_GUIDANCE = 1.0  # what dev's guidance embedding says in training: the caption alone, nothing made stronger
REFERENCE_TIME = 10  # first id of the first reference's tokens, the second's is 20; the picture to be drawn has 0
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

# What LoRA files of all layouts call its layers.
NAMES = (
    Names(
        "flux2",
        table("""
            double_blocks.{i} = transformer_blocks.{i}:
            img_attn.qkv = attn.to_q attn.to_k attn.to_v
            txt_attn.qkv = attn.add_q_proj attn.add_k_proj attn.add_v_proj
            img_attn.proj = attn.to_out.0
            txt_attn.proj = attn.to_add_out
            img_mlp.0 = ff.linear_in
            img_mlp.2 = ff.linear_out
            txt_mlp.0 = ff_context.linear_in
            txt_mlp.2 = ff_context.linear_out
            single_blocks.{i} = single_transformer_blocks.{i}:
            linear1 = attn.to_qkv_mlp_proj
            linear2 = attn.to_out
            :
            img_in = x_embedder
            txt_in = context_embedder
            time_in.in_layer = time_guidance_embed.timestep_embedder.linear_1
            time_in.out_layer = time_guidance_embed.timestep_embedder.linear_2
            guidance_in.in_layer = time_guidance_embed.guidance_embedder.linear_1
            guidance_in.out_layer = time_guidance_embed.guidance_embedder.linear_2
            double_stream_modulation_img.lin = double_stream_modulation_img.linear
            double_stream_modulation_txt.lin = double_stream_modulation_txt.linear
            single_stream_modulation.lin = single_stream_modulation.linear
            final_layer.linear = proj_out
            final_layer.adaLN_modulation.1 ~ norm_out.linear
        """),
        depths={"transformer_blocks": (5, 8), "single_transformer_blocks": (20, 24, 48)},
        known_as=("flux2", "loraflux2"),
    ),
)


def load(card: Card, placement: Placement) -> "Flux2":
    """Raises InputError when the base's files are missing or broken."""
    return Flux2(Parts(card, placement))


class Flux2(StockFamily):
    """A FLUX.2 pipeline, taken apart for training and put together for sampling."""

    objective = Flow(exponential(0.5, 1.15))
    blocks = ("transformer_blocks", "single_transformer_blocks")
    targets = TARGETS

    def __init__(self, parts: Parts):
        self._folded = FoldedVae(parts)
        super().__init__(parts, self._folded)
        self._dev = parts.card.pipeline == "Flux2Pipeline"
        kind = Mistral3ForConditionalGeneration if self._dev else Qwen3ForCausalLM
        self._text_encoder = parts.network("text_encoder", kind)
        self._transformer = parts.network("transformer", Flux2Transformer2DModel)
        pipeline: Any = Flux2Pipeline if self._dev else Flux2KleinPipeline
        own = {} if self._dev else {"is_distilled": parts.card.distilled}
        self._pipeline: Any = pipeline(  # Any here and above: their annotations are narrower than what they take
            scheduler=parts.other("scheduler", FlowMatchEulerDiscreteScheduler),
            vae=self._vae.network,
            text_encoder=self._text_encoder,
            # dev's folder holds a PixtralProcessor, which cannot be made without torchvision. For texts alone it does
            # no more than the tokenizer inside it.
            tokenizer=parts.other("tokenizer", AutoTokenizer),
            transformer=self._transformer,
            **own,
        )
        self._pipeline.set_progress_bar_config(disable=True)

    @property
    def text_identity(self) -> str:
        settings = (self.card.text_layers, self.card.text_tokens, str(self.placement.dtype))
        return self._parts.identity("text_encoder", "tokenizer", settings=settings)

    # --- text

    @torch.no_grad()
    def encode_text(self, texts: Sequence[str], references: Sequence[Image.Image] = ()) -> list[Condition]:
        still_there(self._text_encoder)
        rows: list[Condition] = []
        for text in texts:  # one by one: a batch would round differently from the pipeline's single prompt
            embeds, _ = self._pipeline.encode_prompt(text, device=self.placement.device, **self.card.pipeline_arguments)
            rows.append({"embeds": embeds[0].cpu()})
        return rows

    # --- images

    def reference_size(self, source: tuple[int, int], target: tuple[int, int]) -> tuple[int, int]:
        """That of the picture to be drawn: what stays the same in an edit then stays in place. No more than the
        pipeline takes."""
        width, height = target
        if width * height <= MOST_REFERENCE_PIXELS:
            return target
        scale = math.sqrt(MOST_REFERENCE_PIXELS / (width * height))
        multiple = self.card.multiple
        return int(width * scale) // multiple * multiple, int(height * scale) // multiple * multiple

    def release_encoders(self) -> None:
        self._pipeline.text_encoder = None
        super().release_encoders()

    # --- training

    def predict(
        self, x_t: Tensor, t: Tensor, conditions: Sequence[Condition], references: Sequence[Tensor] = ()
    ) -> Tensor:
        device, dtype = self.placement.device, self.placement.dtype
        batch, _, height, width = x_t.shape
        text = torch.stack([c["embeds"] for c in conditions]).to(device, dtype)  # (B, L, D)
        tokens, ids = [pack(x_t)], [token_ids(height, width, 0)]
        for number, reference in enumerate(references, start=1):
            tokens.append(pack(reference))
            ids.append(token_ids(reference.shape[-2], reference.shape[-1], REFERENCE_TIME * number))
        out = self._transformer(
            hidden_states=torch.cat(tokens, dim=1).to(device, dtype),
            encoder_hidden_states=text,
            timestep=t.to(device, dtype),
            img_ids=torch.cat(ids).to(device),
            txt_ids=text_ids(text.shape[1]).to(device),
            guidance=torch.full((batch,), TRAINING_GUIDANCE, device=device) if self._dev else None,
            return_dict=False,
        )[0]
        return unpack(out[:, : height * width], height, width)

    # --- sampling

    def sample(self, picture: Picture, on_step: Callable[[int], None] | None = None) -> Image.Image:
        device, dtype = self.placement.device, self.placement.dtype
        negative = {} if self._dev else {"negative_prompt_embeds": picture.negative["embeds"][None].to(device, dtype)}
        latents = self._pipeline(
            image=list(picture.references) or None,
            prompt_embeds=picture.condition["embeds"][None].to(device, dtype),
            **asked(picture, on_step),
            **negative,
        ).images
        if self._dev:  # whose pipeline hands out the tokens as they are, klein's what the autoencoder decodes
            side = self.card.multiple
            pixels = self._folded.decode(unpack(latents, picture.height // side, picture.width // side))
        else:
            pixels = self._folded.decode_unfolded(latents)
        return shown(self._pipeline, pixels)


def pack(latents: Tensor) -> Tensor:
    """(B, C, h, w) to tokens (B, h·w, C)."""
    return latents.flatten(2).permute(0, 2, 1)


def unpack(tokens: Tensor, height: int, width: int) -> Tensor:
    """(B, h·w, C) to (B, C, h, w)."""
    return tokens.permute(0, 2, 1).reshape(tokens.shape[0], tokens.shape[2], height, width)


def token_ids(height: int, width: int, time: int) -> Tensor:
    """(h·w, 4) positions (t, h, w, l) of an image's tokens."""
    return torch.cartesian_prod(torch.tensor([time]), torch.arange(height), torch.arange(width), torch.arange(1))


def text_ids(length: int) -> Tensor:
    """(L, 4) positions of the text tokens: only the last coordinate counts up."""
    return torch.cartesian_prod(torch.arange(1), torch.arange(1), torch.arange(1), torch.arange(length))
