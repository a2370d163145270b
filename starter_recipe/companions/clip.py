"""Train the starter's CLIP: which caption belongs to which picture, and which pictures are alike.

    python -m starter_recipe.companions.clip --minutes 25

Beside the contrastive loss, heads that are thrown away afterwards name what the picture shows; that teaches the vision
tower far faster than captions alone do. A quarter of each batch are pictures before and after an edit, so that small
differences count.
"""

import functools
import random

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

from starter_recipe.companions import FOLDER, WORK
from starter_recipe.companions.course import Course, run
from starter_recipe.companions.text import clip_tokenizer, plain_caption
from starter_recipe.companions.views import (
    PATCH,
    PREPROCESSING,
    SIDE,
    Pixels,
    drawn,
    drawn_pair,
    held_out_seed,
    pixel_values,
    squared,
    training_seed,
)
from starter_recipe.world import Picture, caption, read
from starter_recipe.world import picture as world

WIDTH, LAYERS, INNER, HEADS = 192, 6, 576, 6  # of the vision tower
TEXT_WIDTH, TEXT_LAYERS = 128, 3
UNSEEN = -100  # no loss
PAIRS = 0.25  # of the pictures of a batch come from edit pairs
_DRAWS: dict[str, tuple[str, ...]] = {
    "kind": ("girl", "boy", "animal", "thing"),
    "style": world.STYLES,
    "scene": world.SCENES,
    "time": world.TIMES,
    "backdrop": world.BACKDROPS,
    "hair": world.HAIRS,
    "hair_colour": tuple(world.HAIR_COLOURS),
    "skin": tuple(world.SKINS),
    "garment": world.GARMENTS,
    "garment_colour": tuple(world.COLOURS),
    "emblem": world.EMBLEMS,
    "accessory": world.ACCESSORIES,
    "accessory_colour": tuple(world.COLOURS),
    "expression": world.EXPRESSIONS,
    "pose": (*world.POSES, *world.ANIMAL_POSES),
    "view": world.VIEWS,
    "framing": world.FRAMINGS,
    "noun": (*world.ANIMALS, *world.THINGS),
    "colour": (*world.ANIMAL_COLOURS, *world.COLOURS),
    "prop": ("none", *world.PROPS),
    "prop_colour": tuple(world.COLOURS),
}
ATTRIBUTES = {field: tuple(dict.fromkeys(values)) for field, values in _DRAWS.items()}  # each value once


def make_clip(tokenizer: CLIPTokenizer) -> CLIPModel:
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    shared = {"hidden_act": "gelu"}
    vision = {
        "hidden_size": WIDTH, "intermediate_size": INNER, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
        "image_size": SIDE, "patch_size": PATCH, "projection_dim": TEXT_WIDTH, **shared,
    }  # fmt: skip
    text = {
        "hidden_size": TEXT_WIDTH, "intermediate_size": 3 * TEXT_WIDTH, "num_hidden_layers": TEXT_LAYERS,
        "num_attention_heads": 4, "vocab_size": len(tokenizer), "projection_dim": TEXT_WIDTH,
        "pad_token_id": tokenizer.pad_token_id, **shared, **ends,
    }  # fmt: skip
    # Plain attention: on a CPU the fused kernel's backward pass takes twice as long for a hundred tokens.
    return CLIPModel._from_config(
        CLIPConfig(text_config=text, vision_config=vision, projection_dim=TEXT_WIDTH), attn_implementation="eager"
    )


def labels_of(p: Picture) -> list[int]:
    """An index for each of ATTRIBUTES, UNSEEN where the picture does not show it."""
    seen = read(plain_caption(p))
    for field in ("accessory", "emblem", "prop", "pose", "view", "time"):
        value = getattr(p, field)
        if value in ("none", "standing", "front", "day"):
            seen[field] = value
    if not p.is_person:
        for field in ("view", "emblem", "prop"):
            seen.pop(field, None)
    return [options.index(seen[field]) if field in seen else UNSEEN for field, options in ATTRIBUTES.items()]


class Lesson(nn.Module):
    """The CLIP with the heads that are thrown away."""

    def __init__(self, clip: CLIPModel, tokenizer: CLIPTokenizer):
        super().__init__()
        self.clip, self.tokenizer = clip, tokenizer
        self.heads = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, sum(map(len, ATTRIBUTES.values()))))

    def forward(self, pictures: list[Picture], images: list[Pixels], captions: list[str]) -> Tensor:
        text = self.tokenizer(captions, padding=True, truncation=True, return_tensors="pt")
        out = self.clip(**text, pixel_values=pixel_values([squared(image) for image in images]))
        logits = out.logits_per_image.float()
        here = torch.arange(len(logits))
        loss = (functional.cross_entropy(logits, here) + functional.cross_entropy(logits.T, here)) / 2
        labels = torch.tensor([labels_of(p) for p in pictures])
        guesses = self.heads(out.vision_model_output.last_hidden_state[:, 0]).float()
        guesses = guesses.split([*map(len, ATTRIBUTES.values())], dim=1)
        for guess, label in zip(guesses, labels.T, strict=True):
            if (label != UNSEEN).any():
                loss = loss + 0.1 * functional.cross_entropy(guess, label, ignore_index=UNSEEN)
        return loss


def batch_of(course: Course, first: int) -> tuple[list[Picture], list[Pixels], list[str]]:
    """Pictures, pixels and captions: half of them long, half as users write."""
    pairs = int(course.batch * PAIRS / 2)
    drawings = [drawn(training_seed(course.name, first + i)) for i in range(course.batch - 2 * pairs)]
    pictures, images = [p for p, _ in drawings], [image for _, image in drawings]
    for i in range(pairs):
        both, pixels = drawn_pair(training_seed(course.name, first + course.batch - 1 - i))
        pictures += both
        images += pixels
    rng = random.Random(first)
    captions = [caption(p, rng, omit=0) if i % 2 else caption(p, rng) for i, p in enumerate(pictures)]
    return pictures, images, captions


@functools.cache
def held_out(count: int = 256, start: int = 0) -> tuple[list[Picture], list[Pixels], list[str]]:
    """Pictures that no training draws, with different captions."""
    chosen: dict[str, tuple[Picture, Pixels]] = {}
    index = start
    while len(chosen) < count:
        p, image = drawn(held_out_seed(index))
        chosen.setdefault(caption(p, random.Random(index), omit=0), (p, image))
        index += 1
    return [p for p, _ in chosen.values()], [image for _, image in chosen.values()], list(chosen)


@torch.no_grad()
def embed_images(clip: CLIPModel, images: list[Pixels]) -> Tensor:
    """(N, D), each of length one."""
    values = pixel_values([squared(image) for image in images]).to(clip.dtype)
    rows = [clip.get_image_features(pixel_values=part).pooler_output for part in values.split(64)]
    return functional.normalize(torch.cat(rows).float(), dim=1)


@torch.no_grad()
def embed_texts(clip: CLIPModel, tokenizer: CLIPTokenizer, texts: list[str]) -> Tensor:
    """(N, D), each of length one."""
    rows = [
        clip.get_text_features(
            **tokenizer(texts[i : i + 64], padding=True, truncation=True, return_tensors="pt")
        ).pooler_output
        for i in range(0, len(texts), 64)
    ]
    return functional.normalize(torch.cat(rows).float(), dim=1)


def recall(queries: Tensor, answers: Tensor) -> float:
    """R@1: the share of the rows of `queries` (N, D) whose nearest of `answers` (N, D) is their own."""
    nearest = (queries @ answers.T).argmax(dim=1)
    return (nearest == torch.arange(len(queries))).float().mean().item()


def main() -> None:
    course = Course.from_command_line("clip", __doc__, minutes=25, batch=128)
    shipped = FOLDER / course.name
    tokenizer = (
        CLIPTokenizer.from_pretrained(shipped) if course.shipped else clip_tokenizer(WORK / course.name / "tokenizer")
    )
    lesson = Lesson(make_clip(tokenizer), tokenizer)
    if course.shipped:
        lesson.clip.load_state_dict(CLIPModel.from_pretrained(shipped, dtype="float32").state_dict())

    def export() -> dict[str, float]:
        _, images, captions = held_out()
        seen, said = embed_images(lesson.clip, images), embed_texts(lesson.clip, tokenizer, captions)
        folder = FOLDER / course.name
        half = CLIPModel(lesson.clip.config)
        half.load_state_dict(lesson.clip.state_dict())
        half.half().save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        CLIPImageProcessorPil(**PREPROCESSING, do_center_crop=False).save_pretrained(folder)
        return {"image_to_text": recall(seen, said), "text_to_image": recall(said, seen)}

    run(course, lesson, lambda first: lesson(*batch_of(course, first)), export)


if __name__ == "__main__":
    main()
