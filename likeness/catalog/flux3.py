"""FLUX.3 image klein (Black Forest Labs)."""

from dataclasses import replace

from likeness.catalog.card import Card

KLEIN_BASE = Card(
    name="flux3-klein-base",
    family="flux3",
    pipeline="Flux3ModularPipeline",
    title="FLUX.3 image klein base",
    repository="black-forest-labs/flux-3-image-klein-base",
    licence="FLUX Kommunity License",
    languages=("en",),
    parameters="5.5B",
    good_for="pictures and edits of up to ten pictures, from long and exact captions",
    pick="the newest FLUX that trains on one GPU; its captions should be long, as its own prompt upsampler writes them",
    resolution=1024,
    multiple=16,
    max_references=10,
    steps=50,
    guidance=3.5,
    tensors=(
        {"early_stream_modulations.image.linear.weight": (9216, 3072)},
        {"early_stream_modulations.image.lin.weight": (9216, 3072)},
    ),
    text_layers=(4, 8, 12, 16, 20, 24, 28, 32),
    text_tokens=8192,
    runs_on=("flux3-klein",),
    download_bytes=20_200_000_000,  # transformer 11.1, text encoder 8.9, VAE 0.2 GB
)

CARDS = (
    KLEIN_BASE,
    replace(
        KLEIN_BASE,
        name="flux3-klein",
        pipeline="Flux3DistilledModularPipeline",
        title="FLUX.3 image klein (distilled)",
        repository="black-forest-labs/flux-3-image-klein",
        good_for="drawing in 16 steps, with LoRAs trained on flux3-klein-base; training on it is discouraged",
        pick="to draw fast with a finished LoRA",
        tensors=(  # the time that a step leads to is an input too
            {
                "early_stream_modulations.image.linear.weight": (9216, 3072),
                "target_timestep_embedder.linear_1.weight": (3072, 256),
            },
            {"early_stream_modulations.image.lin.weight": (9216, 3072), "ref_time_in.in_layer.weight": (3072, 256)},
        ),
        distilled=True,
        steps=16,
        guidance=1.0,
        negative_prompt=False,
        runs_on=(),
    ),
)
