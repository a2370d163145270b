"""SDXL and SD 1.5: a UNet that predicts noise or velocity over a thousand steps of a noise schedule."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import diffusers
import torch
from diffusers import (
    AutoencoderKL,
    DDPMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from diffusers.schedulers import KarrasDiffusionSchedulers
from PIL import Image
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTextModelWithProjection

from likeness.catalog import Card
from likeness.errors import InputError
from likeness.families.base import Condition, Picture, Placement
from likeness.families.clip import Clip
from likeness.families.parts import Parts
from likeness.families.placement import release_unused
from likeness.families.still_vae import StillVae
from likeness.families.stock import StockFamily, asked, shown, still_there
from likeness.functional.objective import Diffusion
from likeness.lora.names import Layer, Names, TextEncoder, table

# EDM counts noise in another way, and without steps.
SCHEDULERS = [name for name in KarrasDiffusionSchedulers.__members__ if not name.startswith("EDM")]
_ATTENTION = r".*\.attn[12]\.(to_q|to_k|to_v|to_out\.0)"
_REST = r".*\.attentions\.\d+\.(proj_in|proj_out|transformer_blocks\.\d+\.ff\.net\.(0\.proj|2))"
TARGETS = {"attention": _ATTENTION, "all": rf"({_ATTENTION})|({_REST})"}


def _unet_names(down: tuple[bool, ...]) -> tuple[Layer, ...]:
    """`down`: whether each block on the way down has attention; on the way up it is the other way round.

    The original code counts convolution, resnets and downsamplers through all blocks; there are two resnets in each
    block down, and three in each block up.
    """
    resnet = """
        in_layers.2 = conv1
        emb_layers.1 = time_emb_proj
        out_layers.3 = conv2
        skip_connection = conv_shortcut
    """

    def attention(original: str, ours: str) -> str:
        return f"""
            {original} = {ours}:
            proj_in proj_out
            {original}.transformer_blocks.{{i}} = {ours}.transformer_blocks.{{i}}:
            attn1.to_q attn1.to_k attn1.to_v attn1.to_out.0 attn2.to_q attn2.to_k attn2.to_v attn2.to_out.0
            ff.net.0.proj ff.net.2
        """

    rows = [
        """:
        input_blocks.0.0 = conv_in
        time_embed.0 = time_embedding.linear_1
        time_embed.2 = time_embedding.linear_2
        label_emb.0.0 = add_embedding.linear_1
        label_emb.0.2 = add_embedding.linear_2
        out.2 = conv_out
        """,
        attention("middle_block.1", "mid_block.attentions.0"),
        f"middle_block.0 = mid_block.resnets.0:\n{resnet}",
        f"middle_block.2 = mid_block.resnets.1:\n{resnet}",
    ]
    for block, attends in enumerate(down):
        for n in range(2):
            place = f"input_blocks.{3 * block + n + 1}"
            rows.append(f"{place}.0 = down_blocks.{block}.resnets.{n}:\n{resnet}")
            if attends:
                rows.append(attention(f"{place}.1", f"down_blocks.{block}.attentions.{n}"))
        rows.append(f":\ninput_blocks.{3 * block + 3}.0.op = down_blocks.{block}.downsamplers.0.conv")
    for block, attends in enumerate(reversed(down)):
        for n in range(3):
            place = f"output_blocks.{3 * block + n}"
            rows.append(f"{place}.0 = up_blocks.{block}.resnets.{n}:\n{resnet}")
            if attends:
                rows.append(attention(f"{place}.1", f"up_blocks.{block}.attentions.{n}"))
        sampler = f"output_blocks.{3 * block + 2}.{2 if attends else 1}"
        rows.append(f":\n{sampler}.conv = up_blocks.{block}.upsamplers.0.conv")
    return table("\n".join(rows))


# What LoRA files of all layouts call the layers.
_CLIP_L = "text_encoders.clip_l.transformer"
NAMES = (
    Names(
        "sd15",
        _unet_names((True, True, True, False)),
        network="unet",
        kohya="diffusers",
        text_encoders=(TextEncoder("text_encoder", "lora_te", _CLIP_L),),
        known_as=("sdv1", "stablediffusionv1", "sd15"),
        pipelines=("StableDiffusionPipeline",),
    ),
    Names(
        "sdxl",
        _unet_names((False, True, True)),
        network="unet",
        text_encoders=(
            TextEncoder("text_encoder", "lora_te1", _CLIP_L),
            TextEncoder("text_encoder_2", "lora_te2", "text_encoders.clip_g.transformer"),
        ),
        known_as=("sdxl", "stablediffusionxl"),
        pipelines=("StableDiffusionXLPipeline",),
    ),
)


def load(card: Card, placement: Placement) -> "StableDiffusion":
    """Raises InputError when the base's files are missing or broken, or of a kind that is not trained here."""
    return StableDiffusion(Parts(card, placement))


class StableDiffusion(StockFamily):
    """An SDXL or SD 1.5 pipeline, taken apart for training and put together for sampling."""

    blocks = ("down_blocks", "mid_block", "up_blocks")
    targets = TARGETS

    def __init__(self, parts: Parts):
        super().__init__(parts, StillVae(parts))
        self._xl = parts.card.pipeline == "StableDiffusionXLPipeline"
        self._clips: dict[str, Clip] = {"text_encoder": Clip(parts, CLIPTextModel)}
        if self._xl:
            self._clips["text_encoder_2"] = Clip(parts, CLIPTextModelWithProjection, "_2")
        self._unet = parts.network("unet", UNet2DConditionModel)
        scheduler = _scheduler(parts)
        self.objective = _objective(scheduler, parts)
        # What SDXL was trained to see in place of no words, unless the base says that it was another way.
        self._blanks = self._xl and bool(parts.index().get("force_zeros_for_empty_prompt", True))
        self._pipeline: Any = _pipeline(self._xl, self._unet, self._vae.network, scheduler)
        self._pipeline.set_progress_bar_config(disable=True)

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        encoders = {n: c.encoder for n, c in self._clips.items()} if self.placement.train_text_encoder else {}
        return {"unet": self._unet, **encoders}

    @property
    def text_identity(self) -> str:
        names = ("text_encoder", "tokenizer", *(("text_encoder_2", "tokenizer_2") if self._xl else ()))
        settings = (self._blanks, str(self.placement.dtype), self.placement.train_text_encoder)
        return self._parts.identity(*names, settings=settings)

    # --- text

    @torch.no_grad()
    def encode_text(self, texts: Sequence[str], references: Sequence[Image.Image] = ()) -> list[Condition]:
        """What the UNet attends to, for SDXL also a summary of the text; in their place token ids where the text
        encoders are trained."""
        clips = still_there(self._clips or None)
        rows: list[Condition] = []
        for text in texts:  # one by one: a batch would round differently from the pipeline's single prompt
            row = {name: clip.token_ids(text) for name, clip in clips.items()}
            if self._blanks:
                row["worded"] = torch.tensor(bool(text))
            if not self.placement.train_text_encoder:
                row = {name: value[0].cpu() for name, value in self._encoded([row]).items()}
            rows.append(row)
        return rows

    def _encoded(self, rows: Sequence[Condition]) -> dict[str, Tensor]:
        """Token ids through the encoders: 'embeds' (B, L, D), for SDXL also 'pooled' (B, P)."""
        outputs = [clip(torch.stack([row[name] for row in rows])) for name, clip in self._clips.items()]
        if not self._xl:
            return {"embeds": outputs[0].last_hidden_state}
        embeds = torch.cat([out.hidden_states[-2] for out in outputs], dim=-1)
        pooled = outputs[-1].text_embeds
        if self._blanks:
            worded = torch.stack([row["worded"] for row in rows]).to(embeds)
            embeds, pooled = embeds * worded[:, None, None], pooled * worded[:, None]
        return {"embeds": embeds, "pooled": pooled}

    def _texts(self, conditions: Sequence[Condition]) -> dict[str, Tensor]:
        """As `_encoded`, computed now where the text encoders are trained."""
        if self.placement.train_text_encoder:
            return self._encoded(conditions)
        names = conditions[0].keys()
        batches = {name: torch.stack([c[name] for c in conditions]) for name in names}
        return {name: b.to(self.placement.device, self.placement.dtype) for name, b in batches.items()}

    def release_encoders(self) -> None:
        """Nothing goes that is trained; samples still need the VAE."""
        if not self.placement.train_text_encoder:
            self._clips = {}
        release_unused(self.placement.device)

    # --- training

    def predict(
        self, x_t: Tensor, t: Tensor, conditions: Sequence[Condition], references: Sequence[Tensor] = ()
    ) -> Tensor:
        device, dtype = self.placement.device, self.placement.dtype
        texts = self._texts(conditions)
        return self._unet(
            x_t.to(device, dtype),
            self.objective.steps(t).to(device),
            encoder_hidden_states=texts["embeds"],
            added_cond_kwargs=self._added(texts, x_t.shape[-2], x_t.shape[-1]),
            return_dict=False,
        )[0]

    def _added(self, texts: Mapping[str, Tensor], height: int, width: int) -> dict[str, Tensor] | None:
        """SDXL's further inputs. Pictures are told as whole and of the size they are trained at, since that is what a
        pipeline tells by itself when it draws."""
        if not self._xl:
            return None
        scale = self._pipeline.vae_scale_factor
        size = (height * scale, width * scale)
        ids = torch.tensor([*size, 0, 0, *size]).to(texts["embeds"])  # original size, crop's corner, size
        return {"text_embeds": texts["pooled"], "time_ids": ids.repeat(len(texts["pooled"]), 1)}

    # --- sampling

    @torch.no_grad()
    def sample(self, picture: Picture, on_step: Callable[[int], None] | None = None) -> Image.Image:
        positive, negative = self._texts([picture.condition]), self._texts([picture.negative])
        pooled = {"pooled_prompt_embeds": positive, "negative_pooled_prompt_embeds": negative} if self._xl else {}
        latents = self._pipeline(
            prompt_embeds=positive["embeds"],
            negative_prompt_embeds=negative["embeds"],
            **{name: texts["pooled"] for name, texts in pooled.items()},
            **asked(picture, on_step),
        ).images
        return shown(self._pipeline, self._vae.decode(latents))


def _pipeline(xl: bool, unet: UNet2DConditionModel, vae: AutoencoderKL, scheduler: Any) -> Any:
    """The stock pipeline for prompts that are encoded already."""
    make: Any = StableDiffusionXLPipeline if xl else StableDiffusionPipeline
    unchecked = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    return make(
        unet=unet,
        vae=vae,
        scheduler=scheduler,
        text_encoder=None,
        tokenizer=None,
        **({"text_encoder_2": None, "tokenizer_2": None, "add_watermarker": False} if xl else unchecked),
    )


def _scheduler(parts: Parts) -> Any:
    """The base's own scheduler, of the class that it names. Raises InputError for one that is not of a noise schedule
    in steps."""
    _, name = parts.index().get("scheduler", ("diffusers", "EulerDiscreteScheduler"))
    if name not in SCHEDULERS:
        raise InputError(
            f"base '{parts.card.name}': its scheduler is a {name}; bases for one of {', '.join(SCHEDULERS)} can be "
            "trained. Fix: use another base"
        )
    return parts.other("scheduler", getattr(diffusers, name))


def _objective(scheduler: Any, parts: Parts) -> Diffusion:
    """What the base was trained to predict and over which noise, as its scheduler's settings say. Training never
    touches the scheduler itself: drawing changes its state."""
    predicts = scheduler.config.prediction_type
    if predicts not in ("epsilon", "v_prediction"):
        raise InputError(
            f"base '{parts.card.name}': it predicts '{predicts}', bases that predict 'epsilon' or 'v_prediction' can "
            "be trained. Fix: use another base, or correct prediction_type in its scheduler_config.json"
        )
    training: Any = DDPMScheduler.from_config(scheduler.config)
    return Diffusion(training.alphas_cumprod, predicts)
