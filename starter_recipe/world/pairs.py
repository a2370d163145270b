"""Aligned before/after pictures with the instruction that leads from one to the other."""

import random
from dataclasses import replace

from starter_recipe.world.captions import accessory_words, article
from starter_recipe.world.picture import (
    ANIMAL_COLOURS,
    EXPRESSIONS,
    GARMENT_COLOURS,
    HAIR_COLOURS,
    SCENES,
    STYLES,
    TIMES,
    Picture,
    random_picture,
)  # fmt: skip

STYLE_TARGETS = {
    "flat": "flat style",
    "outline": "outline style",
    "pixel": "pixel art",
    "watercolor": "a watercolor painting",
    "sketch": "a pencil sketch",
}
TIME_TARGETS = {"day": "change it to day", "night": "make it night", "sunset": "make it sunset"}
# Weights: the edits that keep most of the picture come oftener, since copying is the hard part to learn.
EDITS = ("style", "style", "time", "scene", "add", "add", "remove", "recolour", "recolour", "recolour", "hair", "mood")


def _other(rng: random.Random, choices, current: str, *, never: str = "") -> str:
    return rng.choice([c for c in dict.fromkeys(choices) if c not in (current, never)])


def apply_edit(kind: str, p: Picture, rng: random.Random) -> tuple[Picture, str] | None:
    """The picture after an edit of this kind and its instruction, or None where it makes no sense."""
    if kind == "style" and not p.is_gray:
        style = _other(rng, STYLES, p.style)
        return replace(p, style=style), f"make it {STYLE_TARGETS[style]}"
    if kind == "time" and p.scene != "plain":
        time = _other(rng, TIMES, p.time)
        return replace(p, time=time), TIME_TARGETS[time]
    if kind == "scene":
        scene = _other(rng, SCENES, p.scene, never="plain")
        return replace(p, scene=scene), "change the background to " + (
            "the mountains" if scene == "mountains" else article(scene)
        )
    if kind == "add" and p.kind != "thing" and p.accessory == "none":
        choices = ["crown", "wide hat", "scarf", "hair bow"]
        choices += ["cap", "headphones", "glasses"] if p.is_person and p.view == "front" else []
        after = replace(p, accessory=rng.choice(choices))
        return after, f"add {accessory_words(after)}"
    if kind == "remove" and p.accessory != "none":
        return replace(p, accessory="none"), f"remove the {p.accessory}"
    if kind == "recolour" and not p.is_gray:
        if p.is_person:
            colour = _other(rng, GARMENT_COLOURS, p.garment_colour)
            return replace(p, garment_colour=colour), f"make the {p.garment} {colour}"
        colour = _other(rng, ANIMAL_COLOURS if p.kind == "animal" else GARMENT_COLOURS, p.colour)
        return replace(p, colour=colour), f"make the {p.noun} {colour}"
    if kind == "hair" and p.is_person and not p.is_gray:
        colour = _other(rng, HAIR_COLOURS, p.hair_colour)
        return replace(p, hair_colour=colour), f"make the hair {colour}"
    if kind == "mood" and p.is_person and p.view != "back":
        mood = _other(rng, EXPRESSIONS, p.expression)
        return replace(p, expression=mood), f"make the {p.kind} look {'happy' if mood == 'smiling' else mood}"
    return None


def edit_pair(rng: random.Random) -> tuple[Picture, Picture, str]:
    """A random (before, after, instruction). Render both with the same seed and they align to the pixel."""
    while True:
        before = random_picture(rng)
        if edited := apply_edit(rng.choice(EDITS), before, rng):
            return before, *edited
