"""FLUX.2 (Black Forest Labs) and the starter, which has its classes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from likeness.catalog.card import Card

STARTER_FOLDER = Path(__file__).resolve().parent.parent / "starter"
FLUX_NON_COMMERCIAL = "FLUX Non-Commercial License"

KLEIN_BASE = Card(
    name="flux2-klein",
    family="flux2",
    pipeline="Flux2KleinPipeline",
    title="FLUX.2 klein",
    licence="see its own model card",
    languages=("en",),
    parameters="",
    good_for="any FLUX.2 klein model or fine-tune",
    resolution=1024,
    multiple=16,
    max_references=4,
    steps=50,
    guidance=4.0,
    text_layers=(9, 18, 27),
    text_tokens=512,
)


def _tensors(width: int) -> tuple[dict[str, tuple[int | None, ...]], ...]:
    """The modulation that all blocks share, first named as diffusers does, then as Black Forest Labs does."""
    names = ("single_stream_modulation.linear.weight", "single_stream_modulation.lin.weight")
    return tuple({name: (3 * width, width)} for name in names)


KLEIN_DISTILLED: dict[str, Any] = {
    "distilled": True,
    "steps": 4,
    "guidance": 1.0,
    "negative_prompt": False,
    "marks": (("model_index.json", "is_distilled", True),),
}

STARTER = replace(
    KLEIN_BASE,
    name="starter",
    title="Likeness starter",
    path=STARTER_FOLDER,
    licence="Apache-2.0",
    parameters="11.6M",
    good_for="learning how training works, tests and demos on any machine; draws a small cartoon world",
    pick="to try a dataset or a setting in minutes before a large model gets it, or where there is no GPU",
    resolution=128,
    max_references=1,
    steps=16,
    guidance=2.5,
    text_layers=(1, 2, 3),
    text_tokens=48,
    defaults={"train.batch_size": 10, "optim.learning_rate": 1e-3},
    runs_on=("starter-distilled",),
    download_bytes=0,
)

CARDS = (
    STARTER,
    replace(
        STARTER,
        **KLEIN_DISTILLED,
        name="starter-distilled",
        title="Likeness starter (distilled)",
        path=STARTER_FOLDER.with_name("starter-distilled"),
        good_for="drawing the starter's world in 4 steps, with LoRAs trained on it; training on it is discouraged",
        pick="to look at a finished LoRA in a moment",
        runs_on=(),
    ),
    replace(
        KLEIN_BASE,
        name="flux2-klein-base-4b",
        title="FLUX.2 klein base 4B",
        repository="black-forest-labs/FLUX.2-klein-base-4B",
        licence="Apache-2.0",
        parameters="3.9B",
        tensors=_tensors(3072),
        good_for="training on one consumer GPU; pictures and edits, free to use",
        pick="the first choice on one GPU, and for commercial work",
        runs_on=("flux2-klein-4b",),
        download_bytes=16_000_000_000,  # transformer 7.8, text encoder 8.0, VAE 0.2 GB
    ),
    replace(
        KLEIN_BASE,
        **KLEIN_DISTILLED,
        name="flux2-klein-4b",
        title="FLUX.2 klein 4B (distilled)",
        repository="black-forest-labs/FLUX.2-klein-4B",
        licence="Apache-2.0",
        parameters="3.9B",
        tensors=_tensors(3072),
        good_for="drawing in 4 steps, with LoRAs trained on flux2-klein-base-4b; training on it is discouraged",
        pick="to draw fast with a finished LoRA",
        download_bytes=16_000_000_000,
    ),
    replace(
        KLEIN_BASE,
        name="flux2-klein-base-9b",
        title="FLUX.2 klein base 9B",
        repository="black-forest-labs/FLUX.2-klein-base-9B",
        licence=FLUX_NON_COMMERCIAL,
        parameters="9.1B",
        tensors=_tensors(4096),
        good_for="training on a large GPU; finer pictures and edits, not for commercial use",
        pick="when 4B misses fine detail and the licence suits",
        runs_on=("flux2-klein-9b",),
        download_bytes=34_800_000_000,  # 18.2 + 16.4 + 0.2 GB
    ),
    replace(
        KLEIN_BASE,
        **KLEIN_DISTILLED,
        name="flux2-klein-9b",
        title="FLUX.2 klein 9B (distilled)",
        repository="black-forest-labs/FLUX.2-klein-9B",
        licence=FLUX_NON_COMMERCIAL,
        parameters="9.1B",
        tensors=_tensors(4096),
        good_for="drawing in 4 steps, with LoRAs trained on flux2-klein-base-9b; training on it is discouraged",
        pick="to draw fast with a finished LoRA",
        download_bytes=34_800_000_000,
    ),
    replace(
        KLEIN_BASE,
        name="flux2-dev",
        pipeline="Flux2Pipeline",
        title="FLUX.2 dev",
        repository="black-forest-labs/FLUX.2-dev",
        licence=FLUX_NON_COMMERCIAL,
        parameters="32.2B",
        tensors=_tensors(6144),
        good_for="the finest pictures and edits of FLUX.2, on the largest GPUs; not for commercial use",
        pick="when klein 9B is not enough, and time and memory are; it was distilled, so it bends less readily",
        max_references=6,
        guidance_off=None,
        negative_prompt=False,
        text_layers=(10, 20, 30),
        download_bytes=112_600_000_000,  # transformer 64.4, text encoder 48.0, VAE 0.2 GB
    ),
)
