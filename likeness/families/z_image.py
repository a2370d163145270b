"""Z-Image: pictures and captions go in as lists, the clock counts 1 - t, and the answer is -velocity."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, ZImagePipeline, ZImageTransformer2DModel
from PIL import Image
from torch import Tensor
from transformers import AutoTokenizer, Qwen3Model

from likeness.catalog import Card
from likeness.families.base import Condition, Picture, Placement
from likeness.families.parts import Parts
from likeness.families.still_vae import StillVae
from likeness.families.stock import StockFamily, asked, shown, still_there
from likeness.functional.objective import Flow, constant
from likeness.lora.names import Names, table

_BLOCK = r"(layers|noise_refiner|context_refiner)\.\d+"
_ATTENTION = rf"{_BLOCK}\.attention\.(to_q|to_k|to_v|to_out\.0)"
TARGETS = {
    "attention": _ATTENTION,
    "all": rf"({_ATTENTION})|({_BLOCK}\.feed_forward\.(w1|w2|w3))",
}

# What LoRA files of all layouts call its layers.
_BLOCK_NAMES = """
    attention.qkv = attention.to_q attention.to_k attention.to_v
    attention.out = attention.to_out.0
    feed_forward.w1 feed_forward.w2 feed_forward.w3 adaLN_modulation.0
"""
NAMES = (
    Names(
        "z_image",
        table(f"""
            layers.{{i}}:
            {_BLOCK_NAMES}
            noise_refiner.{{i}}:
            {_BLOCK_NAMES}
            context_refiner.{{i}}:
            {_BLOCK_NAMES}
            :
            x_embedder = all_x_embedder.2-1
            final_layer.linear = all_final_layer.2-1.linear
            final_layer.adaLN_modulation.1 = all_final_layer.2-1.adaLN_modulation.1
            t_embedder.mlp.0 t_embedder.mlp.2 cap_embedder.1
        """),
        comfyui="diffusers",
        kohya="diffusers",
        known_as=("zimage",),
    ),
)


def load(card: Card, placement: Placement) -> "ZImage":
    """Raises InputError when the base's files are missing or broken."""
    return ZImage(Parts(card, placement))


class ZImage(StockFamily):
    """A Z-Image pipeline, taken apart for training and put together for sampling."""

    # The samplers' shifts (6, Turbo 3) would leave hardly a step near the clean end, where likeness is learned.
    objective = Flow(constant(2.0))
    blocks = ("noise_refiner", "context_refiner", "layers")
    targets = TARGETS

    def __init__(self, parts: Parts):
        super().__init__(parts, StillVae(parts))
        self._text_encoder = parts.network("text_encoder", Qwen3Model)
        self._transformer = parts.network("transformer", ZImageTransformer2DModel)
        self._pipeline: Any = ZImagePipeline(  # Any: its annotations are narrower than what it takes
            scheduler=parts.other("scheduler", FlowMatchEulerDiscreteScheduler),
            vae=self._vae.network,
            text_encoder=self._text_encoder,
            tokenizer=parts.other("tokenizer", AutoTokenizer),
            transformer=self._transformer,
        )
        self._pipeline.set_progress_bar_config(disable=True)

    @property
    def text_identity(self) -> str:
        settings = (self.card.text_tokens, str(self.placement.dtype))
        return self._parts.identity("text_encoder", "tokenizer", settings=settings)

    # --- text

    @torch.no_grad()
    def encode_text(self, texts: Sequence[str], references: Sequence[Image.Image] = ()) -> list[Condition]:
        """Each `embeds` (L, D) with its own L: the pipeline cuts the padding away by its mask."""
        still_there(self._text_encoder)
        rows: list[Condition] = []
        for text in texts:  # as a string each: a list would have its texts replaced by what the tokenizer is given
            embeds, _ = self._pipeline.encode_prompt(
                text,
                device=self.placement.device,
                do_classifier_free_guidance=False,
                max_sequence_length=self.card.text_tokens,
            )
            rows.append({"embeds": embeds[0].cpu()})
        return rows

    def release_encoders(self) -> None:
        self._pipeline.text_encoder = None
        super().release_encoders()

    # --- training

    def predict(
        self, x_t: Tensor, t: Tensor, conditions: Sequence[Condition], references: Sequence[Tensor] = ()
    ) -> Tensor:
        device, dtype = self.placement.device, self.placement.dtype
        pictures = list(x_t.to(device, dtype).unsqueeze(2))  # B of (C, 1, h, w): films of one frame
        captions = [c["embeds"].to(device, dtype) for c in conditions]
        # The time stays in fp32: bf16 has no number between 0.996 and 1.
        out = self._transformer(pictures, (1 - t).to(device), captions, return_dict=False)[0]
        return -torch.stack(out).squeeze(2)

    # --- sampling

    def sample(self, picture: Picture, on_step: Callable[[int], None] | None = None) -> Image.Image:
        device, dtype = self.placement.device, self.placement.dtype
        latents = self._pipeline(
            prompt_embeds=[picture.condition["embeds"].to(device, dtype)],
            negative_prompt_embeds=[picture.negative["embeds"].to(device, dtype)],
            **asked(picture, on_step),
        ).images
        return shown(self._pipeline, self._vae.decode(latents))
