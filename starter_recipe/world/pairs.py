"""Aligned before/after pictures with the instruction that leads from one to the other."""

import random
from collections.abc import Callable, Iterable
from dataclasses import replace

from starter_recipe.world import words
from starter_recipe.world.captions import accessory_words, article, prop_words
from starter_recipe.world.picture import (
    ACCESSORIES,
    ANIMAL_ACCESSORIES,
    ANIMAL_COLOURS,
    ANIMALS,
    BACKDROPS,
    EMBLEM_GARMENTS,
    EMBLEMS,
    EXPRESSIONS,
    FIXED_COLOUR_ACCESSORIES,
    FRONT_ACCESSORIES,
    GARMENT_COLOURS,
    HAIR_COLOURS,
    PROPS,
    SCENES,
    SQUARE,
    STYLES,
    THINGS,
    TIMELESS_SCENES,
    TIMES,
    UPRIGHT_ANIMALS,
    Picture,
    can_hold,
    random_picture,
)  # fmt: skip

STYLE_TARGETS = {
    "flat": "flat style",
    "outline": "outline style",
    "pixel": "pixel art",
    "watercolor": "a watercolor painting",
    "sketch": "a pencil sketch",
    "stained glass": "stained glass",
}
PLACES = {"mountains": "the mountains", "snow": "a snowy landscape", "space": "outer space"}  # the others: a forest
Edited = tuple[Picture, str] | None


def _other(rng: random.Random, choices: Iterable[str], *but: str) -> str:
    return rng.choice([c for c in dict.fromkeys(choices) if c not in but])


def _whom(p: Picture) -> str:
    """'the girl', 'the cat'."""
    return f"the {p.kind if p.is_person else p.noun}"


def _say(rng: random.Random, *ways: str) -> str:
    """The first way is the plain one and comes most often."""
    return ways[0] if rng.random() < 0.35 else rng.choice(ways)


def _style(p: Picture, rng: random.Random) -> Edited:
    if p.is_gray:  # the colours cannot be guessed
        return None
    style = _other(rng, STYLES, p.style)
    to = STYLE_TARGETS[style]
    return replace(p, style=style), _say(rng, f"make it {to}", f"turn it into {to}", f"redraw it as {to}", f"in {to}")


def _time(p: Picture, rng: random.Random) -> Edited:
    if p.scene in TIMELESS_SCENES or p.is_gray:
        return None
    time = _other(rng, TIMES, p.time)
    ways = [
        f"make it {time}",
        f"change it to {time}",
        f"turn the time of day to {time}",
        f"show it {words.TIMES[time][0]}",
    ]
    return replace(p, time=time), _say(rng, *ways)


def _scene(p: Picture, rng: random.Random) -> Edited:
    if rng.random() < 0.12 and p.scene != "plain" and not p.is_gray:
        after = replace(p, scene="plain", time="day", backdrop=rng.choice(BACKDROPS))
        ways = (f"use a plain {after.backdrop} background", f"make the background plain {after.backdrop}")
        return after, _say(rng, *ways)
    scene = _other(rng, SCENES, p.scene, "plain")
    after = replace(p, scene=scene, time="day" if scene in TIMELESS_SCENES else p.time)
    place = PLACES.get(scene, article(scene))
    where = words.SCENES[scene][0]
    if scene == "underwater":
        return after, _say(rng, "change the background to underwater", f"put {_whom(p)} underwater")
    ways = [f"change the background to {place}", f"put {_whom(p)} {where}", f"replace the background with {place}"]
    return after, _say(rng, *ways, f"move {_whom(p)} to {place}")


def _wearable(p: Picture) -> list[str]:
    """What `p` could wear so that it shows."""
    if p.kind == "thing":
        return []
    if p.kind == "animal":
        return [a for a in dict.fromkeys(ANIMAL_ACCESSORIES) if a != "none"]
    hidden = FRONT_ACCESSORIES if p.view == "back" else ()
    hidden += ("backpack", "cape", "wings") if p.framing == "close-up" else ()
    return [a for a in dict.fromkeys(ACCESSORIES) if a != "none" and a not in hidden]


def _add(p: Picture, rng: random.Random) -> Edited:
    if p.accessory != "none" or not (choices := _wearable(p)):
        return None
    after = replace(p, accessory=rng.choice(choices))
    worn = accessory_words(after, rng)
    return after, _say(rng, f"add {worn}", f"give {_whom(p)} {worn}", f"put {worn} on {_whom(p)}", f"now with {worn}")


def _remove(p: Picture, rng: random.Random) -> Edited:
    if p.accessory == "none":
        return None
    ways = (f"remove the {p.accessory}", f"take off the {p.accessory}", f"without the {p.accessory}")
    return replace(p, accessory="none"), _say(rng, *ways)


def _swap_worn(p: Picture, rng: random.Random) -> Edited:
    if p.accessory == "none":
        return None
    after = replace(
        p,
        accessory=_other(rng, _wearable(p), p.accessory),
        accessory_colour=_other(rng, GARMENT_COLOURS, p.garment_colour if p.is_person else p.colour),
    )
    new = accessory_words(after, rng)
    return after, _say(rng, f"replace the {p.accessory} with {new}", f"swap the {p.accessory} for {new}")


def _recolour(p: Picture, rng: random.Random) -> Edited:
    """Of the garment, the animal or the thing; now and then of what is worn or held."""
    if p.is_gray:
        return None
    fields = {"garment_colour": p.garment} if p.is_person else {"colour": p.noun}
    if p.accessory != "none" and p.accessory not in FIXED_COLOUR_ACCESSORIES and rng.random() < 0.2:
        fields = {"accessory_colour": p.accessory}
    elif p.prop != "none" and can_hold(p) and rng.random() < 0.3:
        fields = {"prop_colour": p.prop}
    field, name = next(iter(fields.items()))
    colour = _other(rng, ANIMAL_COLOURS if p.kind == "animal" else GARMENT_COLOURS, getattr(p, field))
    return replace(p, **{field: colour}), recolour_words(name, colour, rng)


def recolour_words(name: str, colour: str, rng: random.Random) -> str:
    """'make the dress blue'."""
    ways = (f"make the {name} {colour}", f"change the {name} to {colour}", f"recolor the {name} {colour}")
    return _say(rng, *ways, f"turn the {name} {colour}", f"paint the {name} {colour}")


def _hair(p: Picture, rng: random.Random) -> Edited:
    if not p.is_person or p.is_gray:
        return None
    c = _other(rng, HAIR_COLOURS, p.hair_colour)
    ways = (f"make the hair {c}", f"dye the hair {c}", f"change the hair color to {c}", f"give {_whom(p)} {c} hair")
    return replace(p, hair_colour=c), _say(rng, *ways)


def _mood(p: Picture, rng: random.Random) -> Edited:
    if not p.is_person or p.view == "back":
        return None
    mood = _other(rng, EXPRESSIONS, p.expression)
    look = "happy" if mood == "smiling" else "amused" if mood == "laughing" else mood
    doing = {"smiling": "smile", "laughing": "laugh"}.get(mood, f"look {look}")
    ways = (f"make {_whom(p)} {doing}", f"change the expression to {mood}", f"now {_whom(p)} is {mood}")
    return replace(p, expression=mood), _say(rng, *ways)


def _hold(p: Picture, rng: random.Random) -> Edited:
    if not can_hold(p):
        return None
    if p.prop != "none" and rng.random() < 0.4:
        return replace(p, prop="none"), _say(
            rng, f"remove the {p.prop}", f"take the {p.prop} away", f"without the {p.prop}"
        )
    after = replace(p, prop=_other(rng, PROPS, p.prop), prop_colour=rng.choice(GARMENT_COLOURS))
    held = article(prop_words(after, rng))
    if p.prop == "none":
        ways = (f"give {_whom(p)} {held}", f"let {_whom(p)} hold {held}", f"add {held} in the hand")
        return after, _say(rng, *ways)
    return after, _say(rng, f"replace the {p.prop} with {held}", f"swap the {p.prop} for {held}")


def _turn_into(p: Picture, rng: random.Random) -> Edited:
    """Another animal or another thing of the same colour."""
    if p.is_person:
        return None
    nouns = THINGS if p.kind == "thing" else [a for a in ANIMALS if p.pose == "standing" or a not in UPRIGHT_ANIMALS]
    noun = _other(rng, nouns, p.noun)
    new = article(noun)
    ways = (f"turn the {p.noun} into {new}", f"replace the {p.noun} with {new}", f"swap the {p.noun} for {new}")
    return replace(p, noun=noun), _say(rng, *ways, f"make it {new}")


def _emblem(p: Picture, rng: random.Random) -> Edited:
    if not p.is_person or p.view != "front" or p.garment not in EMBLEM_GARMENTS or p.framing == "close-up":
        return None
    emblem = _other(rng, EMBLEMS, p.emblem)
    if emblem == "none":
        what = f"the {p.emblem}"
        return replace(p, emblem=emblem), _say(
            rng, f"remove {what} from the {p.garment}", f"take {what} off the {p.garment}"
        )
    what = "stripes" if emblem == "stripes" else article(emblem)
    ways = (f"put {what} on the {p.garment}", f"add {what} to the {p.garment}")
    return replace(p, emblem=emblem), _say(rng, *ways)


_EDITS: dict[str, Callable[[Picture, random.Random], Edited]] = {
    "style": _style,
    "time": _time,
    "scene": _scene,
    "add": _add,
    "remove": _remove,
    "swap": _swap_worn,
    "recolour": _recolour,
    "hair": _hair,
    "mood": _mood,
    "hold": _hold,
    "turn": _turn_into,
    "emblem": _emblem,
}
# Weights: the edits that keep most of the picture come oftener, since copying is the hard part to learn.
EDITS = (
    *("style",) * 4, *("time",) * 2, *("scene",) * 3, *("add",) * 4, *("remove",) * 3, *("swap",) * 2,
    *("recolour",) * 6, *("hair",) * 3, *("mood",) * 3, *("hold",) * 4, *("turn",) * 4, "emblem",
)  # fmt: skip


def apply_edit(kind: str, p: Picture, rng: random.Random) -> tuple[Picture, str] | None:
    """The picture after an edit of this kind and its instruction, or None where it makes no sense."""
    return _EDITS[kind](p, rng)


def edit_pair(rng: random.Random, size: tuple[int, int] = SQUARE) -> tuple[Picture, Picture, str]:
    """A random (before, after, instruction). Render both with the same seed and they align to the pixel."""
    while True:
        before = random_picture(rng, size)
        if edited := apply_edit(rng.choice(EDITS), before, rng):
            return before, *edited
