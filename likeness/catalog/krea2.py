"""Krea 2 (Krea): Raw to train on, Turbo to draw with."""

from dataclasses import replace

from likeness.catalog.card import Card

RAW = Card(
    name="krea2-raw",
    family="krea2",
    pipeline="Krea2Pipeline",
    title="Krea 2 Raw",
    repository="krea/Krea-2-Raw",
    licence="Krea 2 Community License",
    languages=("en",),
    parameters="12.8B",
    good_for="styles and looks away from the usual; training on a large GPU, for drawing on krea2-turbo",
    pick="when the look matters more than the last detail of a prompt",
    resolution=1024,
    multiple=16,
    steps=28,
    guidance=4.5,  # added to the plain prediction: 5.5 as most other models count it
    guidance_off=0.0,
    text_tokens=512,
    tensors=({"text_fusion.projector.weight": (1, 12)}, {"txtfusion.projector.weight": (1, 12)}),
    runs_on=("krea2-turbo",),
    download_bytes=34_800_000_000,  # transformer 25.6, text encoder 8.9, VAE 0.3 GB
)

CARDS = (
    RAW,
    replace(
        RAW,
        name="krea2-turbo",
        title="Krea 2 Turbo (distilled)",
        repository="krea/Krea-2-Turbo",
        marks=(("model_index.json", "is_distilled", True),),
        good_for="drawing in 8 steps, with LoRAs trained on krea2-raw",
        pick="to draw fast with a finished LoRA; to train only where Raw cannot be had",
        distilled=True,
        steps=8,
        guidance=0.0,
        negative_prompt=False,
        training_adapter="ostris/krea2_turbo_training_adapter/krea2_turbo_training_adapter_v1.safetensors",
        runs_on=(),
    ),
)
