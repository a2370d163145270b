"""FLUX.1 (Black Forest Labs): the family before FLUX.2, with the most LoRAs and fine-tunes in the world."""

from dataclasses import replace

from likeness.catalog.card import Card

FLUX1_NON_COMMERCIAL = "FLUX.1 [dev] Non-Commercial License"

BLOCK = {  # first as diffusers names them, then as Black Forest Labs does
    "diffusers": {"x_embedder.weight": (3072, 64), "transformer_blocks.0.norm1_context.linear.weight": (18432, 3072)},
    "original": {"img_in.weight": (3072, 64), "double_blocks.0.img_mod.lin.weight": (18432, 3072)},
}
GUIDED = (
    BLOCK["diffusers"] | {"time_text_embed.guidance_embedder.linear_1.weight": (3072, 256)},
    BLOCK["original"] | {"guidance_in.in_layer.weight": (3072, 256)},
)

DEV = Card(  # without marks: every fine-tune of dev is one of these too
    name="flux1-dev",
    family="flux1",
    pipeline="FluxPipeline",
    title="FLUX.1 dev",
    repository="black-forest-labs/FLUX.1-dev",
    licence=FLUX1_NON_COMMERCIAL,
    languages=("en",),
    parameters="11.9B",
    good_for="pictures from words; fits the many tools and LoRAs made for it; not for commercial use",
    pick="when existing FLUX.1 workflows or LoRAs must be kept",
    successor="flux2-klein-base-9b",
    resolution=1024,
    multiple=16,
    steps=28,
    guidance=3.5,
    guidance_off=None,  # an input of the transformer, not a comparison of two prompts
    negative_prompt=False,
    text_tokens=512,
    text_encoders=2,
    tensors=GUIDED,
    trains_text_encoder=True,
    runs_on=("flux1-krea-dev", "flux1-schnell"),
    download_bytes=33_800_000_000,  # transformer 23.8, T5 9.5, CLIP 0.25, VAE 0.17 GB
)

CARDS = (
    DEV,
    replace(
        DEV,
        name="flux1-krea-dev",
        title="FLUX.1 Krea dev",
        repository="black-forest-labs/FLUX.1-Krea-dev",
        good_for="pictures from words that look like photographs rather than renderings; not for commercial use",
        pick="for photographs, where dev looks too smooth",
        guidance=4.5,
        runs_on=("flux1-dev",),
    ),
    replace(
        DEV,
        name="flux1-kontext-dev",
        pipeline="FluxKontextPipeline",
        title="FLUX.1 Kontext dev",
        repository="black-forest-labs/FLUX.1-Kontext-dev",
        good_for="edits of one picture by an instruction; not for commercial use",
        pick="when existing Kontext workflows or LoRAs must be kept",
        guidance=2.5,
        max_references=1,
        reference_side=16,  # its source is brought to a size that it likes, whatever is drawn
        runs_on=(),
    ),
    replace(
        DEV,
        name="flux1-schnell",
        title="FLUX.1 schnell (distilled)",
        repository="black-forest-labs/FLUX.1-schnell",
        licence="Apache-2.0",
        good_for="drawing in 4 steps; training needs its training adapter",
        pick="to draw fast with a FLUX.1 LoRA, or for commercial work with FLUX.1",
        successor="flux2-klein-base-4b",
        distilled=True,
        marks=(("transformer/config.json", "guidance_embeds", False),),
        tensors=tuple(BLOCK.values()),
        steps=4,
        guidance=1.0,
        text_tokens=256,
        training_adapter="ostris/FLUX.1-schnell-training-adapter/pytorch_lora_weights.safetensors",
        runs_on=(),
    ),
)
