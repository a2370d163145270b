"""Qwen-Image and Qwen-Image-Edit: packed tokens, references appended, and a text encoder that sees them too."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from diffusers import (
    AutoencoderKLQwenImage,
    FlowMatchEulerDiscreteScheduler,
    QwenImageEditPipeline,
    QwenImageEditPlusPipeline,
    QwenImagePipeline,
    QwenImageTransformer2DModel,
)
from diffusers.utils.torch_utils import randn_tensor
from PIL import Image
from torch import Tensor
from transformers import AutoTokenizer, Qwen2_5_VLForConditionalGeneration

from likeness.catalog import Card
from likeness.families.base import Condition, Picture, Placement
from likeness.families.euler import denoise
from likeness.families.film_vae import FilmVae
from likeness.families.parts import Parts
from likeness.families.patches import PATCH, pack, padded, unpack
from likeness.families.stock import StockFamily, shown, still_there
from likeness.families.vision_text import VisionText, after_pictures, read_vision_text
from likeness.functional.objective import Flow, exponential
from likeness.lora.names import Names, table

PIPELINES: dict[str, Any] = {
    kind.__name__: kind for kind in (QwenImagePipeline, QwenImageEditPipeline, QwenImageEditPlusPipeline)
}
SEEN = "<|vision_start|><|image_pad|><|vision_end|>"  # where the text encoder reads a picture
SEEN_SIDE = 384 / 1024  # of the side at which Edit-Plus shows a reference to the text encoder, to that of its latents
REFERENCE_STEP = 32  # pixels; the pipelines bring references to multiples of it
_BY_SIZE = exponential(0.5, 0.9, most=8192)

# What LoRA files of all layouts call its layers.
NAMES = (
    Names(
        "qwen_image",
        table("""
            transformer_blocks.{i}:
            attn.to_q attn.to_k attn.to_v attn.to_out.0
            attn.add_q_proj attn.add_k_proj attn.add_v_proj attn.to_add_out
            img_mlp.net.0.proj img_mlp.net.2 txt_mlp.net.0.proj txt_mlp.net.2 img_mod.1 txt_mod.1
            :
            img_in txt_in norm_out.linear proj_out
            time_text_embed.timestep_embedder.linear_1 time_text_embed.timestep_embedder.linear_2
        """),
        depths={"transformer_blocks": (60,)},
        known_as=("qwenimage", "loraqwenimage"),
    ),
)


def load(card: Card, placement: Placement) -> "QwenImage":
    """Raises InputError when the base's files are missing or broken."""
    return QwenImage(Parts(card, placement))


class QwenImage(StockFamily):
    """A Qwen-Image or Qwen-Image-Edit pipeline, taken apart for training and sampling.

    The pipelines themselves only tell their prompt templates here: they encode text that goes with pictures wrongly
    (positions in the picture get lost), and bring every reference to sizes of their own once more.
    """

    objective = Flow(lambda cells: _BY_SIZE(cells // PATCH**2))
    blocks = ("transformer_blocks",)

    def __init__(self, parts: Parts):
        super().__init__(parts, FilmVae(parts, AutoencoderKLQwenImage))
        self._text_encoder = parts.network("text_encoder", Qwen2_5_VLForConditionalGeneration)
        self._transformer = parts.network("transformer", QwenImageTransformer2DModel)
        self.targets = targets(len(self._transformer.transformer_blocks) - 1)
        self._scheduler = parts.other("scheduler", FlowMatchEulerDiscreteScheduler)
        others: dict[str, Any] = {}
        if self.card.text_sees_references:
            self._reader = read_vision_text(parts)
            others["processor"] = None
        else:
            self._reader = VisionText(parts.other("tokenizer", AutoTokenizer))
        self._pipeline = PIPELINES[self.card.pipeline](
            scheduler=None, vae=self._vae.network, text_encoder=None, tokenizer=None, transformer=None, **others
        )

    @property
    def text_identity(self) -> str:
        settings = (self.card.pipeline, self.card.resolution, self.card.text_tokens, str(self.placement.dtype))
        reader = "processor" if self.card.text_sees_references else "tokenizer"
        return self._parts.identity("text_encoder", reader, settings=settings)

    # --- text

    @torch.no_grad()
    def encode_text(self, texts: Sequence[str], references: Sequence[Image.Image] = ()) -> list[Condition]:
        """Each `embeds` (L, D) with its own L: the template's first words, which are the same for all, are left out."""
        encoder = still_there(self._text_encoder)
        pictures = [self._as_seen(r) for r in references] if self.card.text_sees_references else []
        rows: list[Condition] = []
        for text in texts:  # one by one: a batch would round differently from the pipeline's single prompt
            read = self._reader(self._prompt(text, len(pictures)), pictures).to(self.placement.device)
            hidden = encoder.model(**read, use_cache=False).last_hidden_state[0]
            start = self._pipeline.prompt_template_encode_start_idx
            end = max(start, after_pictures(read["mm_token_type_ids"][0])) + self.card.text_tokens
            rows.append({"embeds": hidden[start:end].cpu()})
        return rows

    def _prompt(self, text: str, pictures: int) -> str:
        template: str = self._pipeline.prompt_template_encode
        text = text or " "  # what the model knows as the empty prompt
        if self.card.pipeline == "QwenImageEditPlusPipeline":
            return template.format("".join(f"Picture {k}: {SEEN}" for k in range(1, pictures + 1)) + text)
        return (template if pictures else template.replace(SEEN, "")).format(text)

    def _as_seen(self, reference: Image.Image) -> Image.Image:
        if self.card.pipeline != "QwenImageEditPlusPipeline":
            return reference
        size = size_of_area(reference.size, self.card.resolution * SEEN_SIDE, REFERENCE_STEP)
        return reference.resize(size, Image.Resampling.LANCZOS)

    # --- images

    def reference_size(self, source: tuple[int, int], target: tuple[int, int]) -> tuple[int, int]:
        """Its own aspect at the area that the model was trained at, whatever is drawn."""
        return size_of_area(source, self.card.resolution, REFERENCE_STEP)

    # --- training

    def predict(
        self, x_t: Tensor, t: Tensor, conditions: Sequence[Condition], references: Sequence[Tensor] = ()
    ) -> Tensor:
        height, width = x_t.shape[-2:]
        return unpack(self._velocity(pack(x_t), (height, width), t, conditions, references), height, width)

    def _velocity(
        self,
        tokens: Tensor,
        size: tuple[int, int],
        t: Tensor,
        conditions: Sequence[Condition],
        references: Sequence[Tensor],
    ) -> Tensor:
        """(B, L, C) of the picture's tokens; `size` is height and width of its latents."""
        device, dtype = self.placement.device, self.placement.dtype
        text, mask = padded([c["embeds"].to(device, dtype) for c in conditions])
        shapes = [(1, h // PATCH, w // PATCH) for h, w in (size, *(r.shape[-2:] for r in references))]
        out = self._transformer(
            hidden_states=torch.cat([tokens, *(pack(r).to(tokens.device) for r in references)], 1).to(device, dtype),
            encoder_hidden_states=text,
            encoder_hidden_states_mask=mask,
            timestep=t.to(device),
            img_shapes=[shapes] * len(tokens),
            return_dict=False,
        )[0]
        return out[:, : tokens.shape[1]]

    # --- sampling

    @torch.no_grad()
    def sample(self, picture: Picture, on_step: Callable[[int], None] | None = None) -> Image.Image:
        """Pixels of the references are taken as they are: at `reference_size`."""
        device, dtype = self.placement.device, self.placement.dtype
        cell = self._pipeline.vae_scale_factor  # pixels
        height, width = picture.height // cell, picture.width // cell
        channels = self._transformer.config.in_channels // PATCH**2
        generator = torch.Generator().manual_seed(picture.seed)
        noise = randn_tensor((1, channels, height, width), generator, device, dtype)
        prepared = [self._pipeline.image_processor.preprocess(r, r.height, r.width) for r in picture.references]
        references = [self.encode_images(pixels) for pixels in prepared]

        def velocity(tokens: Tensor, time: Tensor) -> Tensor:
            wanted = self._velocity(tokens, (height, width), time, [picture.condition], references)
            if picture.guidance <= 1:
                return wanted
            unwanted = self._velocity(tokens, (height, width), time, [picture.negative], references)
            guided = unwanted + picture.guidance * (wanted - unwanted)
            return guided * (wanted.norm(dim=-1, keepdim=True) / guided.norm(dim=-1, keepdim=True))

        tokens = denoise(self._scheduler, pack(noise), picture.steps, velocity, on_step=on_step)
        pixels = self._vae.decode(unpack(tokens, height, width))
        return shown(self._pipeline, pixels)


def targets(last: int) -> dict[str, str]:
    """Presets for a transformer whose last block is number `last`: nothing comes after what that one makes of text."""
    every, early = r"transformer_blocks\.\d+", rf"transformer_blocks\.(?!{last}\.)\d+"
    attention = (
        rf"{every}\.attn\.(to_q|to_k|to_v|to_out\.0|add_k_proj|add_v_proj)|{early}\.attn\.(add_q_proj|to_add_out)"
    )
    rest = (
        rf"{every}\.(img_mlp\.net\.0\.proj|img_mlp\.net\.2|img_mod\.1|txt_mod\.1)"
        rf"|{early}\.(txt_mlp\.net\.0\.proj|txt_mlp\.net\.2)"
    )
    return {"attention": attention, "all": f"{attention}|{rest}"}


def size_of_area(source: tuple[int, int], side: float, step: int) -> tuple[int, int]:
    """(width, height) with the aspect of `source` and about the area of a square with this `side`, in pixels, both
    rounded to the nearest multiple of `step`."""
    aspect = source[0] / source[1]
    width, height = side * math.sqrt(aspect), side / math.sqrt(aspect)
    return max(step, round(width / step) * step), max(step, round(height / step) * step)
