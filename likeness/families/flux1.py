"""FLUX.1 dev, Krea dev, schnell and Kontext: packed tokens, CLIP and T5, a reference told apart by its first id."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from diffusers import (
    FlowMatchEulerDiscreteScheduler,
    FluxKontextPipeline,
    FluxPipeline,
    FluxTransformer2DModel,
)
from diffusers.pipelines.flux.pipeline_flux_kontext import PREFERRED_KONTEXT_RESOLUTIONS
from PIL import Image
from torch import Tensor, nn
from transformers import CLIPTextModel, T5EncoderModel, T5Tokenizer

from likeness.catalog import Card
from likeness.families.base import Condition, Picture, Placement
from likeness.families.clip import Clip
from likeness.families.parts import Parts
from likeness.families.patches import PATCH, pack, unpack
from likeness.families.placement import release_unused
from likeness.families.still_vae import StillVae
from likeness.families.stock import StockFamily, asked, shown, still_there
from likeness.functional.objective import Flow, exponential
from likeness.lora.names import Names, TextEncoder, table

# What a LoRA should learn is the picture itself, not the picture as strong guidance would exaggerate it.
TRAINING_GUIDANCE = 1.0
_DOUBLE_ATTENTION = (
    r"transformer_blocks\.\d+\.attn\.(to_q|to_k|to_v|to_out\.0|add_q_proj|add_k_proj|add_v_proj|to_add_out)"
)
_DOUBLE_MLP = r"transformer_blocks\.\d+\.(ff|ff_context)\.net\.(0\.proj|2)"
_SINGLE_ATTENTION = r"single_transformer_blocks\.\d+\.attn\.(to_q|to_k|to_v)"
_SINGLE_MLP = r"single_transformer_blocks\.\d+\.(proj_mlp|proj_out)"  # the transformer itself has a proj_out too
TARGETS = {
    "attention": rf"({_DOUBLE_ATTENTION})|({_SINGLE_ATTENTION})",
    "all": rf"({_DOUBLE_ATTENTION})|({_DOUBLE_MLP})|({_SINGLE_ATTENTION})|({_SINGLE_MLP})",
}

# What LoRA files of all layouts call its layers.
NAMES = (
    Names(
        "flux1",
        table("""
            double_blocks.{i} = transformer_blocks.{i}:
            img_attn.qkv = attn.to_q attn.to_k attn.to_v
            txt_attn.qkv = attn.add_q_proj attn.add_k_proj attn.add_v_proj
            img_attn.proj = attn.to_out.0
            txt_attn.proj = attn.to_add_out
            img_mlp.0 = ff.net.0.proj
            img_mlp.2 = ff.net.2
            txt_mlp.0 = ff_context.net.0.proj
            txt_mlp.2 = ff_context.net.2
            img_mod.lin = norm1.linear
            txt_mod.lin = norm1_context.linear
            single_blocks.{i} = single_transformer_blocks.{i}:
            linear1 = attn.to_q attn.to_k attn.to_v proj_mlp*4
            linear2 = proj_out
            modulation.lin = norm.linear
            :
            img_in = x_embedder
            txt_in = context_embedder
            time_in.in_layer = time_text_embed.timestep_embedder.linear_1
            time_in.out_layer = time_text_embed.timestep_embedder.linear_2
            vector_in.in_layer = time_text_embed.text_embedder.linear_1
            vector_in.out_layer = time_text_embed.text_embedder.linear_2
            guidance_in.in_layer = time_text_embed.guidance_embedder.linear_1
            guidance_in.out_layer = time_text_embed.guidance_embedder.linear_2
            final_layer.linear = proj_out
            final_layer.adaLN_modulation.1 ~ norm_out.linear
        """),
        text_encoders=(TextEncoder("text_encoder", "lora_te1", "text_encoders.clip_l.transformer"),),
        depths={"transformer_blocks": (19,), "single_transformer_blocks": (38,)},
        known_as=("flux1", "loraflux", "kontext"),
    ),
)


def load(card: Card, placement: Placement) -> "Flux1":
    """Raises InputError when the base's files are missing or broken."""
    return Flux1(Parts(card, placement))


class Flux1(StockFamily):
    """A FLUX.1 pipeline, taken apart for training and put together for sampling."""

    # Counted in latent pixels, of which a token has four.
    objective = Flow(exponential(0.5, 1.15, fewest=256 * PATCH**2, most=4096 * PATCH**2))
    blocks = ("transformer_blocks", "single_transformer_blocks")
    targets = TARGETS

    def __init__(self, parts: Parts):
        super().__init__(parts, StillVae(parts))
        self._clip: Clip | None = Clip(parts, CLIPTextModel)
        self._t5: T5EncoderModel | None = parts.network("text_encoder_2", T5EncoderModel)
        self._t5_tokenizer: Any = parts.other("tokenizer_2", T5Tokenizer)
        self._transformer = parts.network("transformer", FluxTransformer2DModel)
        self._edits = parts.card.pipeline == "FluxKontextPipeline"
        make: Any = FluxKontextPipeline if self._edits else FluxPipeline
        self._pipeline: Any = make(  # it gets prompts that are encoded already
            scheduler=parts.other("scheduler", FlowMatchEulerDiscreteScheduler),
            vae=self._vae.network,
            text_encoder=None,
            tokenizer=None,
            text_encoder_2=None,
            tokenizer_2=None,
            transformer=self._transformer,
        )
        self._pipeline.set_progress_bar_config(disable=True)

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        encoders = {"text_encoder": self._clip.encoder} if self._clip and self.placement.train_text_encoder else {}
        return {"transformer": self._transformer, **encoders}

    @property
    def text_identity(self) -> str:
        settings = (self.card.text_tokens, str(self.placement.dtype), self.placement.train_text_encoder)
        return self._parts.identity("text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2", settings=settings)

    # --- text

    @torch.no_grad()
    def encode_text(self, texts: Sequence[str], references: Sequence[Image.Image] = ()) -> list[Condition]:
        """T5's tokens, always `text_tokens` of them since padding is attended, and CLIP's summary of the text; in its
        place CLIP's token ids where CLIP is trained."""
        t5, clip = still_there(self._t5), still_there(self._clip)
        rows: list[Condition] = []
        for text in texts:  # one by one: a batch would round differently from the pipeline's single prompt
            tokens = self._t5_tokenizer(
                text, padding="max_length", max_length=self.card.text_tokens, truncation=True, return_tensors="pt"
            )
            embeds: Tensor = t5(tokens.input_ids.to(self.placement.device))[0]
            row = {"embeds": embeds[0].cpu(), "clip_ids": clip.token_ids(text)}
            if not self.placement.train_text_encoder:
                row["pooled"] = clip(row.pop("clip_ids")[None]).pooler_output[0].cpu()
            rows.append(row)
        return rows

    def _pooled(self, conditions: Sequence[Condition]) -> Tensor:
        """(B, P) CLIP's summaries, computed now where CLIP is trained."""
        if self.placement.train_text_encoder and self._clip is not None:
            return self._clip(torch.stack([c["clip_ids"] for c in conditions])).pooler_output
        return torch.stack([c["pooled"] for c in conditions]).to(self.placement.device, self.placement.dtype)

    def release_encoders(self) -> None:
        """T5 goes, and CLIP unless it is trained; samples and references still need the VAE."""
        self._t5 = None
        if not self.placement.train_text_encoder:
            self._clip = None
        release_unused(self.placement.device)

    # --- images

    def reference_size(self, source: tuple[int, int], target: tuple[int, int]) -> tuple[int, int]:
        """Of the sizes that Kontext was trained with, all of about a megapixel, the one nearest in aspect."""
        aspect = source[0] / source[1]
        _, *sides = min((abs(aspect - w / h), w, h) for w, h in PREFERRED_KONTEXT_RESOLUTIONS)
        step = self.card.multiple
        width, height = (max(step, side * self.card.resolution // 1024 // step * step) for side in sides)
        return width, height

    # --- training

    def predict(
        self, x_t: Tensor, t: Tensor, conditions: Sequence[Condition], references: Sequence[Tensor] = ()
    ) -> Tensor:
        device, dtype = self.placement.device, self.placement.dtype
        height, width = x_t.shape[-2:]
        text = torch.stack([c["embeds"] for c in conditions]).to(device, dtype)  # (B, L, D)
        tokens, ids = [pack(x_t)], [token_ids(height, width, 0)]
        for number, reference in enumerate(references, start=1):
            tokens.append(pack(reference))
            ids.append(token_ids(reference.shape[-2], reference.shape[-1], number))
        config: Any = self._transformer.config
        out = self._transformer(
            hidden_states=torch.cat(tokens, dim=1).to(device, dtype),
            encoder_hidden_states=text,
            pooled_projections=self._pooled(conditions),
            timestep=t.to(device, dtype),
            img_ids=torch.cat(ids).to(device),
            txt_ids=torch.zeros(text.shape[1], 3, device=device),
            guidance=torch.full_like(t, TRAINING_GUIDANCE, device=device) if config.guidance_embeds else None,
            return_dict=False,
        )[0]
        return unpack(out[:, : tokens[0].shape[1]], height, width)

    # --- sampling

    @torch.no_grad()
    def sample(self, picture: Picture, on_step: Callable[[int], None] | None = None) -> Image.Image:
        device, dtype = self.placement.device, self.placement.dtype
        # Unless told the area, Kontext draws at a megapixel whatever size is asked for.
        only_edits = {"image": self._encoded(picture.references), "max_area": picture.width * picture.height}
        tokens = self._pipeline(
            **(only_edits if self._edits else {}),
            prompt_embeds=picture.condition["embeds"][None].to(device, dtype),
            pooled_prompt_embeds=self._pooled([picture.condition]),
            **asked(picture, on_step),
        ).images
        scale = self._pipeline.vae_scale_factor
        pixels = self._vae.decode(unpack(tokens, picture.height // scale, picture.width // scale))
        return shown(self._pipeline, pixels)

    def _encoded(self, references: Sequence[Image.Image]) -> Tensor | None:
        """Latents of the reference, which the pipeline takes as they are: left to it, pixels would meet the fp32 VAE in
        the transformer's format."""
        if not references:
            return None
        pixels: Tensor = self._pipeline.image_processor.preprocess(references[0])
        return self.encode_images(pixels).to(self.placement.device)


def token_ids(height: int, width: int, number: int) -> Tensor:
    """(h/2 · w/2, 3) positions of the tokens of latents (h, w): which picture, row, column."""
    rows, columns = torch.arange(height // PATCH), torch.arange(width // PATCH)
    return torch.cartesian_prod(torch.tensor([number]), rows, columns).float()
