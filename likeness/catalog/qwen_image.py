"""Qwen-Image (Alibaba's Qwen team): 2.1 draws and edits in one model, before it there is one for each."""

from dataclasses import replace
from typing import Any

from likeness.catalog.card import Card

STATIC_SHIFT = ("scheduler/scheduler_config.json", "use_dynamic_shifting", False)

QWEN_21 = Card(
    name="qwen-image-2.1",
    family="qwen_image_21",
    pipeline="QwenImage21Pipeline",
    title="Qwen-Image 2.1",
    repository="Qwen/Qwen-Image-2.1",
    licence="Qwen Research License",
    languages=("en", "zh"),
    parameters="7.1B",
    good_for="pictures with text, and edits of up to ten pictures, in one model of moderate size; not for commercial "
    "use",
    pick="the first choice of the Qwen-Images where the licence suits: a third of the size, and one LoRA for pictures "
    "and edits",
    resolution=1024,
    multiple=32,
    max_references=10,
    text_sees_references=True,
    steps=40,
    guidance=1.0,  # off, as its makers recommend; more works
    text_tokens=1024,
    tensors=({"txt_in.text_norm.weight": (4096,), "modulation.1.weight": (16384, 4096)},),
    runs_on=("qwen-image-2.1-turbo",),
    download_bytes=32_400_000_000,  # transformer 14.2, text encoder 17.5, VAE 0.7 GB
)
QWEN = Card(
    name="qwen-image-2512",
    family="qwen_image",
    pipeline="QwenImagePipeline",
    title="Qwen-Image 2512",
    repository="Qwen/Qwen-Image-2512",
    licence="Apache-2.0",
    languages=("en", "zh"),
    parameters="20.4B",
    good_for="pictures with long text in English and Chinese; follows long prompts; free to use, on a large GPU",
    pick="when lettering and long prompts matter most and the result has to be free for commercial use",
    resolution=1024,
    multiple=16,
    steps=50,
    guidance=4.0,
    text_tokens=1024,
    tensors=({"txt_norm.weight": (3584,), "transformer_blocks.0.img_mod.1.weight": (18432, 3072)},),
    download_bytes=57_800_000_000,  # transformer 40.9, text encoder 16.6, VAE 0.3 GB
)
_EDIT: dict[str, Any] = {
    "pipeline": "QwenImageEditPlusPipeline",
    "good_for": "edits told in words, of one to three pictures, with faces and products kept; free to use, on a large "
    "GPU",
    "max_references": 3,
    "text_sees_references": True,
    "steps": 40,
}

CARDS = (
    QWEN_21,
    replace(
        QWEN_21,
        name="qwen-image-2.1-turbo",
        title="Qwen-Image 2.1 Turbo (distilled)",
        repository="Qwen/Qwen-Image-2.1-Turbo",
        marks=(STATIC_SHIFT,),
        good_for="drawing and editing in 8 steps, with LoRAs trained on qwen-image-2.1",
        pick="to draw fast with a finished LoRA",
        distilled=True,
        steps=8,
        negative_prompt=False,
        runs_on=(),
    ),
    QWEN,
    replace(
        QWEN,
        name="qwen-image",
        title="Qwen-Image",
        repository="Qwen/Qwen-Image",
        pick="only for LoRAs that others are to use on the first Qwen-Image",
        successor="qwen-image-2512",
    ),
    replace(
        QWEN,
        **_EDIT,
        name="qwen-image-edit-2511",
        title="Qwen-Image-Edit 2511",
        repository="Qwen/Qwen-Image-Edit-2511",
        marks=(("transformer/config.json", "zero_cond_t", True),),
        pick="to teach an edit, where the result has to be free for commercial use",
    ),
    replace(
        QWEN,
        **_EDIT,
        name="qwen-image-edit-2509",
        title="Qwen-Image-Edit 2509",
        repository="Qwen/Qwen-Image-Edit-2509",
        pick="only for LoRAs that others are to use on it",
        successor="qwen-image-edit-2511",
    ),
    replace(
        QWEN,
        **_EDIT
        | {
            "pipeline": "QwenImageEditPipeline",
            "good_for": "edits told in words, of one picture; free to use, on a large GPU",
            "max_references": 1,
            "steps": 50,
        },
        name="qwen-image-edit",
        title="Qwen-Image-Edit",
        repository="Qwen/Qwen-Image-Edit",
        pick="only for LoRAs that others are to use on it",
        successor="qwen-image-edit-2511",
    ),
)
