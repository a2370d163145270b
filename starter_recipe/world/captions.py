"""The words for a picture: clauses in natural order, with synonyms, omissions and now and then a made-up name."""

import random

from starter_recipe.world.picture import Picture

STYLE_WORDS = {
    "flat": ("flat style", "flat vector style"),
    "outline": ("outline style", "ink outline style"),
    "pixel": ("pixel art", "pixel art style"),
    "watercolor": ("watercolor style", "watercolor painting"),
    "sketch": ("sketch style", "pencil sketch"),
}
SCENE_WORDS = {
    "forest": "in a forest",
    "beach": "on a beach",
    "city": "in a city",
    "mountains": "in the mountains",
    "room": "in a room",
    "desert": "in a desert",
    "meadow": "in a meadow",
}
TIME_WORDS = {"day": "", "sunset": " at sunset", "night": " at night"}
EMBLEM_WORDS = {
    "heart": "with a heart on it",
    "star": "with a star on it",
    "dot": "with a dot on it",
    "stripes": "with stripes",
    "bolt": "with a lightning bolt on it",
}
_SYLLABLES = [
    "zo",
    "ra",
    "mi",
    "ka",
    "lu",
    "ven",
    "tor",
    "bli",
    "shi",
    "no",
    "qua",
    "fel",
    "dor",
    "pi",
    "gra",
    "wyn",
    "ek",
    "ju",
    "bel",
    "sto",
    "ma",
    "ya",
    "x",
    "_",
]


def article(words: str) -> str:
    """'an orange cat', 'a red hat'."""
    return ("an " if words[0] in "aeiou" else "a ") + words


def made_up_name(rng: random.Random) -> str:
    """A random trigger-like word, so that the text encoder learns the slot 'a name stands here'."""
    return "".join(rng.choice(_SYLLABLES) for _ in range(rng.choice((2, 2, 3))))


def accessory_words(p: Picture) -> str:
    """'a red scarf', 'glasses' or '' for none. Colour is left out where it cannot be seen or is fixed."""
    name = p.accessory
    if name == "none":
        return ""
    if name in ("glasses", "sunglasses"):
        return name
    if name in ("crown", "party hat"):
        return article(name)
    coloured = name if p.is_gray else f"{p.accessory_colour} {name}"
    return coloured if name == "headphones" else article(coloured)


def hair_words(p: Picture) -> str:
    colour = "" if p.is_gray else f"{p.hair_colour} "
    if p.hair == "twin tails":
        return f"{colour}twin tails"
    if p.hair == "ponytail":
        return article(f"{colour}ponytail")
    if p.hair == "bun":
        return f"{colour}hair in a bun"
    return f"{p.hair} {colour}hair"


def garment_words(p: Picture) -> str:
    words = p.garment if p.is_gray else f"{p.garment_colour} {p.garment}"
    words = words if p.garment == "overalls" else article(words)
    return f"{words} {EMBLEM_WORDS[p.emblem]}" if p.emblem != "none" else words


def scene_words(p: Picture) -> str:
    if p.scene == "plain":
        return "on a plain background" if p.is_gray else f"on a plain {p.backdrop} background"
    return SCENE_WORDS[p.scene] + TIME_WORDS[p.time]


def caption(p: Picture, rng: random.Random, omit: float = 0.12, name: str = "") -> str:
    """Caption `p`, leaving each clause out with probability `omit`.

    With `name`, the caption is what a careful user writes for a character: the name stands for all that is
    constant, and only what varies is said.
    """

    def keep() -> bool:
        return rng.random() >= omit

    lead: list[str] = []
    parts: list[str] = []
    if p.is_person:
        lead = [_person(p, name, keep, rng)]
        moods = [p.expression] if p.view != "back" and keep() else []
        moods += [p.pose] if p.pose != "standing" and keep() else []
        parts += [" and ".join(moods)] if moods else []
        parts += [f"{p.view} view"] if p.view != "front" else []
        parts += [p.framing] if keep() else []
    else:
        noun = p.noun if p.is_gray else f"{p.colour} {p.noun}"
        worn = accessory_words(p)
        lead = [name or article(noun) + (f" wearing {worn}" if worn else "")]
        parts += [p.framing] if p.kind == "animal" and p.framing != "full body" else []
    parts += [scene_words(p)] if keep() else []
    parts += [rng.choice(STYLE_WORDS[p.style])] if keep() else []
    if not name and rng.random() < 0.2:
        rng.shuffle(parts)
    if not name and p.is_person and rng.random() < 0.15:
        lead.insert(0, made_up_name(rng))
    return ", ".join(lead + parts)


def _person(p: Picture, name: str, keep, rng: random.Random) -> str:
    worn = accessory_words(p)
    if name:
        return f"{name} wearing {worn}" if worn else name
    looks = [hair_words(p)] if keep() else []
    looks += [f"{p.skin} skin"] if not p.is_gray and keep() else []
    clothes = [garment_words(p)] if keep() else []
    clothes += [worn] if worn else []
    words = f"a {p.kind}"
    words += " with " + " and ".join(looks) if looks else ""
    return words + (rng.choice((" wearing ", " in ")) + " and ".join(clothes) if clothes else "")
