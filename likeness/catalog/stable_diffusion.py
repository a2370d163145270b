"""Stable Diffusion: SDXL and SD 1.5, and the thousands of fine-tunes that have their classes."""

from dataclasses import replace

from likeness.catalog.card import Card


def _tensors(width: int, summary: int | None) -> tuple[dict[str, tuple[int | None, ...]], ...]:
    """As diffusers names them, then as CompVis did. `width` of the text that is attended to, `summary`: length of
    what else SDXL is told. Four input channels: not for inpainting."""
    names = (
        ("conv_in", "mid_block.attentions.0", "add_embedding.linear_1"),
        ("input_blocks.0.0", "middle_block.1", "label_emb.0.0"),
    )
    return tuple(
        {
            f"{first}.weight": (320, 4, 3, 3),
            f"{middle}.transformer_blocks.0.attn2.to_k.weight": (1280, width),
            **({f"{label}.weight": (1280, summary)} if summary else {}),
        }
        for first, middle, label in names
    )


SDXL = Card(
    name="sdxl",
    family="stable_diffusion",
    pipeline="StableDiffusionXLPipeline",
    title="Stable Diffusion XL",
    repository="stabilityai/stable-diffusion-xl-base-1.0",
    licence="CreativeML Open RAIL++-M",
    languages=("en",),
    parameters="2.6B",
    good_for="pictures from words and tags; illustration and anime through its fine-tunes; small GPUs",
    pick="when a fine-tune of it has the look you need, or with 8 to 12 GB of GPU memory",
    successor="flux2-klein-base-4b",
    resolution=1024,
    multiple=64,  # it was trained on sizes in steps of 64
    steps=50,
    guidance=5.0,
    text_tokens=77,
    text_encoders=2,
    tensors=_tensors(2048, 2816),
    trains_text_encoder=True,
    download_bytes=13_900_000_000,  # the fp32 files: UNet 10.3, text encoders 3.3, VAE 0.3 GB
)

CARDS = (
    SDXL,
    replace(
        SDXL,
        name="sd15",
        pipeline="StableDiffusionPipeline",
        title="Stable Diffusion 1.5",
        repository="stable-diffusion-v1-5/stable-diffusion-v1-5",
        licence="CreativeML OpenRAIL-M",
        parameters="0.9B",
        good_for="quick trials and old workflows on the smallest GPUs",
        pick="when nothing larger fits",
        text_encoders=1,
        tensors=_tensors(768, None),
        resolution=512,
        guidance=7.5,
        download_bytes=4_300_000_000,  # the fp32 files: UNet 3.4, text encoder 0.5, VAE 0.3 GB
    ),
)
