"""FLUX.3 image klein: FLUX.2's latents as tokens with half-step positions, references in a stream of their own."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from diffusers import Flux3Transformer2DModel
from diffusers.image_processor import VaeImageProcessor
from diffusers.modular_pipelines import InputParam, ModularPipelineBlocks
from diffusers.modular_pipelines.flux3.denoise import Flux3DenoiseStep, Flux3DistilledDenoiseStep
from diffusers.modular_pipelines.flux3.encoders import Flux3TextEncoderStep
from diffusers.modular_pipelines.flux3.modular_blocks_flux3 import Flux3AutoCoreDenoiseStep
from diffusers.modular_pipelines.flux3.modular_blocks_flux3_distilled import Flux3DistilledAutoCoreDenoiseStep
from PIL import Image
from torch import Tensor
from transformers import Qwen3VLForConditionalGeneration

from likeness.catalog import Card
from likeness.families.base import Condition, Picture, Placement
from likeness.families.flux2 import pack, text_ids, unpack
from likeness.families.folded_vae import FoldedVae
from likeness.families.parts import Parts
from likeness.families.stock import StockFamily, still_there
from likeness.families.vision_text import read_vision_text
from likeness.functional.objective import Flow, exponential
from likeness.lora.names import Names, table

POSITION_STEP = 0.5  # from one token of a picture to the next
_BLOCK = r"(mode_blocks\.(image|image_cond)|txt_mode_blocks|single_transformer_blocks)\.\d+"
_ATTENTION = r"attn\.(to_q|to_k|to_v|to_out\.0)"
TARGETS = {
    "attention": rf"{_BLOCK}\.{_ATTENTION}",
    "all": rf"{_BLOCK}\.({_ATTENTION}|ff\.(linear_in|linear_out))",
}

# What LoRA files of all layouts call its layers.
_BLOCK_NAMES = """
    q_proj = attn.to_q
    k_proj = attn.to_k
    v_proj = attn.to_v
    attn_out = attn.to_out.0
    mlp_in = ff.linear_in
    mlp_out = ff.linear_out
"""
NAMES = (
    Names(
        "flux3",
        table(f"""
            content_mode_blocks.image.{{i}} = mode_blocks.image.{{i}}:
            {_BLOCK_NAMES}
            content_mode_blocks.image_cond.{{i}} = mode_blocks.image_cond.{{i}}:
            {_BLOCK_NAMES}
            txt_mode_blocks.{{i}}:
            {_BLOCK_NAMES}
            single_blocks.{{i}} = single_transformer_blocks.{{i}}:
            {_BLOCK_NAMES}
            early_stream_modulations:
            image.lin = image.linear
            image_cond.lin = image_cond.linear
            txt.lin = txt.linear
            single_stream_modulations:
            image.lin = image.linear
            image_cond.lin = image_cond.linear
            txt.lin = txt.linear
            :
            emb_in.image = x_embedders.image
            emb_in.image_cond = x_embedders.image_cond
            txt_in = context_embedder
            time_in.in_layer = timestep_embedder.linear_1
            time_in.out_layer = timestep_embedder.linear_2
            ref_time_in.in_layer = target_timestep_embedder.linear_1
            ref_time_in.out_layer = target_timestep_embedder.linear_2
            final_layer.image.linear = proj_out
            final_layer.image.adaLN_modulation.1 ~ norm_out.linear
        """),
        depths={"mode_blocks.image": (5,), "single_transformer_blocks": (28,)},
        known_as=("flux3", "loraflux3"),
    ),
)


def load(card: Card, placement: Placement) -> "Flux3":
    """Raises InputError when the base's files are missing or broken."""
    return Flux3(Parts(card, placement))


class Flux3(StockFamily):
    """A FLUX.3 image klein, sampled through the denoising blocks of its modular pipeline.

    The pipeline's prompt upsampler stays out: prompts and captions are taken as they are written.
    """

    # Sampling shifts times by 6.93 at every size. For training that leaves too little of the clean end, and the
    # latents are FLUX.2's, of which the same noise destroys as much.
    objective = Flow(exponential(0.5, 1.15))
    blocks = ("mode_blocks.image", "mode_blocks.image_cond", "txt_mode_blocks", "single_transformer_blocks")
    targets = TARGETS

    def __init__(self, parts: Parts):
        super().__init__(parts, FoldedVae(parts))
        self._text_encoder = parts.network("text_encoder", Qwen3VLForConditionalGeneration)
        self._reader = read_vision_text(parts, "tokenizer", pictures=False)
        self._transformer = parts.network("transformer", Flux3Transformer2DModel)
        self._flow_map = bool(self._transformer.config.flow_map)
        self._pictures: Any = VaeImageProcessor(do_resize=False)
        self._pipeline = _denoising_pipeline(self._transformer, self._flow_map)

    @property
    def text_identity(self) -> str:
        settings = (self.card.text_layers, self.card.text_tokens, str(self.placement.dtype))
        return self._parts.identity("text_encoder", "tokenizer", settings=settings)

    # --- text

    @torch.no_grad()
    def encode_text(self, texts: Sequence[str], references: Sequence[Image.Image] = ()) -> list[Condition]:
        """Each text in a window of its own, as long as the next multiple of 80 tokens: what the window has of padding
        is attended to, so it is part of the caption."""
        encoder = still_there(self._text_encoder)
        step: Any = Flux3TextEncoderStep
        rows = [
            step._get_qwen3_vl_prompt_embeds(
                encoder,
                self._reader,
                text,
                device=self.placement.device,
                max_sequence_length=self.card.text_tokens,
                hidden_states_layers=self.card.text_layers,
            )
            for text in texts
        ]
        return [{"embeds": row[0].cpu()} for row in rows]

    # --- images

    def reference_size(self, source: tuple[int, int], target: tuple[int, int]) -> tuple[int, int]:
        """That of the picture to be drawn: what stays the same in an edit then stays in place."""
        return target

    # --- training

    def predict(
        self, x_t: Tensor, t: Tensor, conditions: Sequence[Condition], references: Sequence[Tensor] = ()
    ) -> Tensor:
        windows: dict[int, list[int]] = {}  # a batch of the network has one length of text
        for row, condition in enumerate(conditions):
            windows.setdefault(len(condition["embeds"]), []).append(row)
        parts = [
            self._velocity(x_t[rows], t[rows], [conditions[i] for i in rows], [r[rows] for r in references])
            for rows in windows.values()
        ]
        order = torch.tensor([row for rows in windows.values() for row in rows])
        return torch.cat(parts)[order.argsort()]

    def _velocity(
        self, x_t: Tensor, t: Tensor, conditions: Sequence[Condition], references: Sequence[Tensor]
    ) -> Tensor:
        device, dtype = self.placement.device, self.placement.dtype
        height, width = x_t.shape[-2:]
        text = torch.stack([c["embeds"] for c in conditions]).to(device, dtype)  # (B, L, D)
        time = t.to(device, dtype)
        extra: dict[str, Tensor] = {}
        if references:
            ids = [token_ids(r.shape[-2], r.shape[-1], number) for number, r in enumerate(references, start=1)]
            extra["image_cond_hidden_states"] = torch.cat([pack(r) for r in references], dim=1).to(device, dtype)
            extra["image_cond_ids"] = torch.cat(ids).to(device)
        if self._flow_map:  # asked where it would step to; to the time itself is the velocity there
            extra["target_timestep"] = time
        out = self._transformer(
            hidden_states=pack(x_t).to(device, dtype),
            encoder_hidden_states=text,
            timestep=time,
            img_ids=token_ids(height, width, 0).to(device),
            txt_ids=text_ids(text.shape[1]).float().to(device),
            return_dict=False,
            **extra,
        )[0]
        return unpack(out, height, width)

    # --- sampling

    def sample(self, picture: Picture, on_step: Callable[[int], None] | None = None) -> Image.Image:
        device = self.placement.device
        own: dict[str, Any] = {}
        if not self._flow_map:  # a flow map has its guidance inside
            self._pipeline.guider.guidance_scale = picture.guidance
            own["negative_prompt_embeds"] = picture.negative["embeds"][None].to(device)
        if picture.references:
            own["image_cond_latents"] = [self.encode_images(self._pictures.preprocess(r)) for r in picture.references]
        latents = self._pipeline(
            prompt_embeds=picture.condition["embeds"][None].to(device),
            height=picture.height,
            width=picture.width,
            num_inference_steps=picture.steps,
            generator=torch.Generator().manual_seed(picture.seed),
            on_step=on_step,
            output="latents",
            **own,
        )
        return self._pictures.postprocess(self._vae.decode(latents), output_type="pil")[0]


class _TellStep(ModularPipelineBlocks):
    """The end of a denoising step: says how many are done."""

    model_name = "flux3"

    @property
    def description(self) -> str:
        return "Tells the caller after every step."

    @property
    def inputs(self) -> list[InputParam]:
        return [InputParam("on_step")]

    def __call__(self, components: Any, block_state: Any, i: int, t: Tensor) -> tuple[Any, Any]:
        if block_state.on_step is not None:
            block_state.on_step(i + 1)
        return components, block_state


def _denoising_pipeline(transformer: Flux3Transformer2DModel, flow_map: bool) -> Any:
    """The part of the stock pipeline from encoded text to latents, with its own scheduler."""
    denoising: Any = Flux3DistilledAutoCoreDenoiseStep() if flow_map else Flux3AutoCoreDenoiseStep()
    for workflow in denoising.sub_blocks.values():
        loop: Any = Flux3DistilledDenoiseStep() if flow_map else Flux3DenoiseStep()
        loop.sub_blocks["tell"] = _TellStep()
        loop.set_progress_bar_config(disable=True)
        workflow.sub_blocks["denoise"] = loop  # a new one: the stock blocks share theirs with every pipeline
    pipeline = denoising.init_pipeline()
    pipeline.update_components(transformer=transformer)
    return pipeline


def token_ids(height: int, width: int, reference: int) -> Tensor:
    """(h·w, 4) positions (t, h, w, l) of an image's tokens. `reference`: 0 for the picture to be drawn, 1, 2, … for
    the references, which lie below it."""
    rows, columns = torch.arange(height) * POSITION_STEP, torch.arange(width) * POSITION_STEP
    return torch.cartesian_prod(torch.zeros(1), rows, columns, torch.tensor([-float(reference)]))
