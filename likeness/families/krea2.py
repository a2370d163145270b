"""Krea 2: one stream of text and picture tokens, and the text as layers of a Qwen3-VL fused inside the transformer."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from diffusers import AutoencoderKLQwenImage, FlowMatchEulerDiscreteScheduler, Krea2Pipeline, Krea2Transformer2DModel
from PIL import Image
from torch import Tensor
from transformers import AutoTokenizer, Qwen3VLModel

from likeness.catalog import Card
from likeness.families.base import Condition, Picture, Placement
from likeness.families.film_vae import FilmVae
from likeness.families.parts import Parts
from likeness.families.patches import PATCH, pack, padded, unpack
from likeness.families.stock import StockFamily, asked, shown, still_there
from likeness.functional.objective import Flow, constant, exponential
from likeness.lora.names import Names, table

_ATTENTION = (
    r"(transformer_blocks|text_fusion\.layerwise_blocks|text_fusion\.refiner_blocks)\.\d+"
    r"\.attn\.(to_q|to_k|to_v|to_out\.0|to_gate)"
)
# Beside the attention: what the model's makers train by default, text fusion's projector and time embedding included.
_REST = (
    r"(transformer_blocks|text_fusion\.layerwise_blocks|text_fusion\.refiner_blocks)\.\d+\.ff\.(up|down)"
    r"|img_in|final_layer\.linear|text_fusion\.projector|(txt_in|time_embed)\.linear_[12]|time_mod_proj"
)
TARGETS = {"attention": _ATTENTION, "all": rf"({_ATTENTION})|({_REST})"}

# What LoRA files of all layouts call its layers.
_BLOCK_NAMES = """
    attn.wq = attn.to_q
    attn.wk = attn.to_k
    attn.wv = attn.to_v
    attn.wo = attn.to_out.0
    attn.gate = attn.to_gate
    mlp.gate = ff.gate
    mlp.up = ff.up
    mlp.down = ff.down
"""
NAMES = (
    Names(
        "krea2",
        table(f"""
            blocks.{{i}} = transformer_blocks.{{i}}:
            {_BLOCK_NAMES}
            txtfusion.layerwise_blocks.{{i}} = text_fusion.layerwise_blocks.{{i}}:
            {_BLOCK_NAMES}
            txtfusion.refiner_blocks.{{i}} = text_fusion.refiner_blocks.{{i}}:
            {_BLOCK_NAMES}
            :
            first = img_in
            txtmlp.1 = txt_in.linear_1
            txtmlp.3 = txt_in.linear_2
            txtfusion.projector = text_fusion.projector
            tmlp.0 = time_embed.linear_1
            tmlp.2 = time_embed.linear_2
            tproj.1 = time_mod_proj
            last.linear = final_layer.linear
        """),
        depths={"transformer_blocks": (28,)},
        known_as=("krea2", "lorakrea2"),
    ),
)


def load(card: Card, placement: Placement) -> "Krea2":
    """Raises InputError when the base's files are missing or broken."""
    return Krea2(Parts(card, placement))


class Krea2(StockFamily):
    """A Krea 2 pipeline, taken apart for training and put together for sampling."""

    blocks = ("transformer_blocks",)
    targets = TARGETS

    def __init__(self, parts: Parts):
        super().__init__(parts, FilmVae(parts, AutoencoderKLQwenImage))
        by_size = exponential(0.5, 1.15, most=6400)
        distilled_shift = constant(math.exp(1.15))
        self.objective = Flow(distilled_shift if self.card.distilled else lambda cells: by_size(cells // PATCH**2))
        self._text_encoder = parts.network("text_encoder", Qwen3VLModel)
        self._transformer = parts.network("transformer", Krea2Transformer2DModel)
        self._pipeline: Any = Krea2Pipeline(  # Any: its annotations are narrower than what it takes
            scheduler=parts.other("scheduler", FlowMatchEulerDiscreteScheduler),
            vae=self._vae.network,
            text_encoder=self._text_encoder,
            tokenizer=parts.other("tokenizer", AutoTokenizer),
            transformer=self._transformer,
            text_encoder_select_layers=parts.index().get("text_encoder_select_layers"),
            is_distilled=self.card.distilled,
        )
        self._pipeline.set_progress_bar_config(disable=True)

    @property
    def text_identity(self) -> str:
        layers = self._pipeline.text_encoder_select_layers
        settings = (layers, self.card.text_tokens, str(self.placement.dtype))
        return self._parts.identity("text_encoder", "tokenizer", settings=settings)

    # --- text

    @torch.no_grad()
    def encode_text(self, texts: Sequence[str], references: Sequence[Image.Image] = ()) -> list[Condition]:
        """Each `embeds` (L, layers, D), without padding.

        The pipeline pads to a fixed length between prompt and closing words, with positions that skip the padding. In
        the transformer no token looks at padding and all text has the same position, so that leaving it out changes
        nothing, and a caption takes a tenth of the cache.
        """
        still_there(self._text_encoder)
        rows: list[Condition] = []
        for text in texts:  # one by one: a batch would round differently from the pipeline's single prompt
            embeds, mask = self._pipeline.encode_prompt(
                text, device=self.placement.device, max_sequence_length=self.card.text_tokens
            )
            rows.append({"embeds": embeds[0][mask[0]].cpu()})
        return rows

    def release_encoders(self) -> None:
        self._pipeline.text_encoder = None
        super().release_encoders()

    # --- training

    def predict(
        self, x_t: Tensor, t: Tensor, conditions: Sequence[Condition], references: Sequence[Tensor] = ()
    ) -> Tensor:
        device, dtype = self.placement.device, self.placement.dtype
        height, width = x_t.shape[-2:]
        text, mask = padded([c["embeds"].to(device, dtype) for c in conditions])
        out = self._transformer(
            hidden_states=pack(x_t).to(device, dtype),
            encoder_hidden_states=text,
            timestep=t.to(device),  # in fp32, as the model computes with it
            position_ids=self._pipeline.prepare_position_ids(text.shape[1], height // PATCH, width // PATCH, device),
            encoder_attention_mask=mask,
            return_dict=False,
        )[0]
        return unpack(out, height, width)

    # --- sampling

    def sample(self, picture: Picture, on_step: Callable[[int], None] | None = None) -> Image.Image:
        device, dtype = self.placement.device, self.placement.dtype
        texts = [c["embeds"].to(device, dtype) for c in (picture.condition, picture.negative)]
        embeds, mask = padded(texts)  # the pipeline counts positions once for both
        if mask is None:
            mask = torch.ones(embeds.shape[:2], dtype=torch.bool, device=device)
        tokens = self._pipeline(
            prompt_embeds=embeds[:1],
            prompt_embeds_mask=mask[:1],
            negative_prompt_embeds=embeds[1:],
            negative_prompt_embeds_mask=mask[1:],
            **asked(picture, on_step),
        ).images
        scale = self._pipeline.vae_scale_factor
        pixels = self._vae.decode(unpack(tokens, picture.height // scale, picture.width // scale))
        return shown(self._pipeline, pixels)
