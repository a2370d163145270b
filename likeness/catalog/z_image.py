"""Z-Image (Tongyi-MAI): one architecture in three variants, and one LoRA works on all of them."""

from dataclasses import replace

from likeness.catalog.card import Card

TURBO_SHIFT = ("scheduler/scheduler_config.json", "shift", 3.0)
NAMES = ("z-image", "z-image-turbo", "z-image-de-turbo")


def _others(name: str) -> tuple[str, ...]:
    return tuple(other for other in NAMES if other != name)


BASE = Card(
    name="z-image",
    family="z_image",
    pipeline="ZImagePipeline",
    title="Z-Image",
    repository="Tongyi-MAI/Z-Image",
    licence="Apache-2.0",
    languages=("en", "zh"),
    parameters="6.2B",
    good_for="people, styles and text in English and Chinese, with varied results; free to use",
    pick="for a LoRA that shall work on all three Z-Images: train here, draw on Turbo",
    resolution=1024,
    multiple=16,
    steps=50,
    guidance=4.0,  # added to the plain prediction: 5.0 as most other models count it
    guidance_off=0.0,
    text_tokens=512,
    tensors=({"cap_embedder.1.weight": (3840, 2560), "noise_refiner.0.attention_norm1.weight": (3840,)},),
    runs_on=_others("z-image"),
    download_bytes=20_500_000_000,  # transformer 12.3, text encoder 8.0, VAE 0.2 GB
)

CARDS = (
    BASE,
    replace(
        BASE,
        name="z-image-turbo",
        title="Z-Image Turbo (distilled)",
        repository="Tongyi-MAI/Z-Image-Turbo",
        marks=(TURBO_SHIFT,),
        good_for="photographs in 9 steps, with LoRAs trained on any of the three",
        pick="to draw fast; for training only in short runs, as long ones undo its few steps in spite of the adapter",
        distilled=True,
        steps=9,
        guidance=0.0,
        negative_prompt=False,
        training_adapter="ostris/zimage_turbo_training_adapter/zimage_turbo_training_adapter_v2.safetensors",
        runs_on=_others("z-image-turbo"),
    ),
    replace(
        BASE,
        name="z-image-de-turbo",
        title="Z-Image De-Turbo",
        repository="ostris/Z-Image-De-Turbo",
        parts_from="z-image-turbo",  # the repository holds a transformer alone
        # Nothing in a folder with all parts tells it from Turbo's, so such a folder has to say it in its likeness.json.
        marks=(TURBO_SHIFT, ("likeness.json", "title", "Z-Image De-Turbo")),
        good_for="Turbo's look without its haste: trains like a base, and takes guidance and negative prompts",
        pick="for a LoRA that is to be drawn on Turbo alone, in longer runs than Turbo itself stands",
        steps=25,
        guidance=2.0,
        runs_on=_others("z-image-de-turbo"),
    ),
)
