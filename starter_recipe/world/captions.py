"""Captions: the clauses of a picture in prose or as tags, long or short, in free order, now and then with a name.

However it is said, `reading.read` finds in a caption only what the picture shows.
"""

import random
import re
from collections.abc import Mapping

from starter_recipe.world import words
from starter_recipe.world.picture import FIXED_COLOUR_ACCESSORIES, TIMELESS_SCENES, Picture, can_hold

OMIT = 0.12
# Pieces, counted by `pieces`; measured so that no caption passes 48 tokens of the starter's tokenizer.
LONGEST = 39
# What is left out first where a caption grows too long.
_LEAST_FIRST = ("name", "skin", "framing", "emblem", "expression", "hair", "style", "pose", "accessory")
_SYLLABLES = (
    "zo", "ra", "mi", "ka", "lu", "ven", "tor", "bli", "shi", "no", "qua", "fel", "dor", "pi", "gra", "wyn", "ek", "ju",
    "bel", "sto", "ma", "ya", "x", "_",
)  # fmt: skip


def article(phrase: str) -> str:
    """'an orange cat', 'a red hat'."""
    return ("an " if phrase[0] in "aeiou" else "a ") + phrase


def made_up_name(rng: random.Random) -> str:
    """A random trigger-like word, so that the text encoder learns the slot 'a name stands here'."""
    return "".join(rng.choice(_SYLLABLES) for _ in range(rng.choice((2, 2, 3))))


def pieces(text: str) -> int:
    """About how many tokens a text has: words, the parts of long or made-up ones, and punctuation."""
    return sum(1 + (len(w) > 9) + ("_" in w) for w in re.findall(r"\w+|[^\w\s]", text))


def coloured(template: str, colour: str, gray: bool) -> str:
    """Fill in `{c}`, or take it out where no colour can be seen; 'a' becomes 'an' where it must."""
    filled = template.replace("{c} ", "" if gray else f"{colour} ")
    return re.sub(r"\ba (?=[aeiou])", "an ", filled)


def accessory_words(p: Picture, rng: random.Random | None = None) -> str:
    """'a red scarf', 'glasses' or '' for none. Colour is left out where it cannot be seen or is fixed."""
    if p.accessory == "none":
        return ""
    name = _say(words.ACCESSORIES[p.accessory], rng)
    fixed = p.is_gray or p.accessory in FIXED_COLOUR_ACCESSORIES
    phrase = name if fixed else f"{p.accessory_colour} {name}"
    return phrase if name in words.PLURALS else article(phrase)


def noun_words(p: Picture, rng: random.Random | None = None) -> str:
    """'orange cat'."""
    name = _say(words.NOUNS.get(p.noun, (p.noun,)), rng)
    return name if p.is_gray else f"{p.colour} {name}"


def prop_words(p: Picture, rng: random.Random | None = None) -> str:
    """'red balloon'."""
    name = _say(words.NOUNS.get(p.prop, (p.prop,)), rng)
    return name if p.is_gray else f"{p.prop_colour} {name}"


def _say(ways: tuple[str, ...], rng: random.Random | None) -> str:
    """One way to say it: the plain one most often, and always without dice."""
    return ways[0] if rng is None or rng.random() < 0.6 else rng.choice(ways)


def clauses(p: Picture, rng: random.Random) -> dict[str, str]:
    """What can be said of `p`, by attribute: only what its picture shows."""
    out: dict[str, str] = {}
    if p.is_person:
        hair_colour = _say(words.HAIR_COLOURS.get(p.hair_colour, (p.hair_colour,)), rng)
        out["hair"] = coloured(_say(words.HAIRS[p.hair], rng), hair_colour, p.is_gray)
        if not p.is_gray:
            out["skin"] = _say(words.SKINS[p.skin], rng)
        name = _say(words.GARMENTS[p.garment], rng)
        phrase = name if p.is_gray else f"{p.garment_colour} {name}"
        out["garment"] = phrase if name in words.PLURALS else article(phrase)
        if p.emblem != "none":
            out["emblem"] = _say(words.EMBLEMS[p.emblem], rng)
        if p.prop != "none" and can_hold(p):
            out["prop"] = _say(words.HOLDING, rng).format(article(prop_words(p, rng)))
        if p.view != "back":
            out["expression"] = _say(words.EXPRESSIONS[p.expression], rng)
        if p.view != "front":
            out["view"] = _say(words.VIEWS[p.view], rng)
    if p.accessory != "none":
        out["accessory"] = accessory_words(p, rng)
    if p.pose != "standing" and p.kind != "thing":
        out["pose"] = _say(words.POSES[p.pose], rng)
    if p.is_person or (p.kind == "animal" and p.framing != "full body"):
        out["framing"] = _say(words.FRAMINGS[p.framing], rng)
    out["scene"] = scene_words(p, rng)
    out["style"] = _say(words.STYLES[p.style], rng)
    return out


def scene_words(p: Picture, rng: random.Random | None = None) -> str:
    """'in a forest at night'; by day the time mostly goes without saying."""
    if p.scene == "plain":
        return coloured(_say(words.BACKDROPS, rng), p.backdrop, p.is_gray)
    place = _say(words.SCENES[p.scene], rng)
    unsaid = p.time == "day" and (rng is None or rng.random() < 0.85)
    return place if unsaid or p.scene in TIMELESS_SCENES else f"{place} {_say(words.TIMES[p.time], rng)}"


def caption(
    p: Picture, rng: random.Random, omit: float = OMIT, name: str = "", instead: Mapping[str, str] | None = None
) -> str:
    """Caption `p`, leaving each clause out with probability `omit`; with 0 all is said that fits, in one of many ways.

    With `name`, the caption is what a careful user writes for a character or a product: the name stands for all that
    is constant, and only what varies is said. `instead` gives other words for a clause by attribute ("scene",
    "style", "prop", …), for a place or a style that has a name; empty words leave it unsaid.
    """
    if name:
        return _named(p, rng, omit, name, instead or {})
    said = {**clauses(p, rng), **(instead or {})}
    if p.is_person and omit and rng.random() < 0.12:
        said["name"] = made_up_name(rng)
    kept = {k: v for k, v in said.items() if v and (k in ("accessory", "prop", "view", "name") or rng.random() >= omit)}
    form = rng.random()
    if omit and form < 0.2:  # short
        few = rng.sample(sorted(kept), min(len(kept), rng.choice((1, 2, 2, 3))))
        kept = {k: v for k, v in kept.items() if k in few or (k == "garment" and "emblem" in few)}
    write = _tags if form > 0.82 else _prose
    seed = rng.random()
    text = write(p, kept, random.Random(seed))
    for least in _LEAST_FIRST:
        if pieces(text) <= LONGEST:
            break
        kept.pop(least, None)
        text = write(p, kept, random.Random(seed))
    return text


def _and(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def _prose(p: Picture, said: dict[str, str], rng: random.Random) -> str:
    """'a girl with long pink hair in a red dress, smiling, in a forest at night, flat style', in some order."""
    left = dict(said)
    lead = _person(p, left, rng) if p.is_person else _creature(p, left, rng)
    if left.get("style") in words.STYLES[p.style] and rng.random() < 0.2:
        left.pop("style")
        lead = f"{rng.choice(words.STYLE_LEADS[p.style])} {lead}"
    name = left.pop("name", "")
    moods = [left.pop(k) for k in ("expression", "pose", "prop") if k in left]
    parts = [_and(moods)] if moods else []
    parts += [left[k] for k in ("view", "framing", "scene", "style") if k in left]
    if rng.random() < 0.3:
        rng.shuffle(parts)
    if "scene" in left and rng.random() < 0.12:  # 'in a forest, a girl …'
        parts.remove(left["scene"])
        return ", ".join([*([name] if name else []), left["scene"], lead, *parts])
    return ", ".join([*([name] if name else []), lead, *parts])


def _person(p: Picture, left: dict[str, str], rng: random.Random) -> str:
    """'a smiling girl with long pink hair wearing a red dress and glasses'; takes from `left` what it says."""
    subject = _say(words.KINDS[p.kind], rng)
    if " " not in left.get("expression", " ") and rng.random() < 0.25:
        subject = f"{left.pop('expression')} {subject}"
    looks = [left.pop(k) for k in ("hair", "skin") if k in left]
    garment = " ".join(left.pop(k) for k in ("garment", "emblem") if k in left)
    clothes = [garment] if garment and not garment.startswith("with ") else []
    clothes += [left.pop("accessory")] if "accessory" in left else []
    wearing = rng.choice(("wearing", "wearing", "in", "dressed in")) if clothes else ""
    with_ = f" with {' and '.join(looks)}" if looks else ""
    dressed = f" {wearing} {' and '.join(clothes)}" if clothes else ""
    if rng.random() < 0.15 and looks and clothes:
        return f"{article(subject)}{dressed}, with {' and '.join(looks)}"
    return f"{article(subject)}{with_}{dressed}"


def _creature(p: Picture, left: dict[str, str], rng: random.Random) -> str:
    """'an orange cat wearing a crown'."""
    noun = noun_words(p, rng)
    if "pose" in left and " " not in left["pose"] and left["pose"] != "asleep" and rng.random() < 0.3:
        noun = f"{left.pop('pose')} {noun}"
    worn = left.pop("accessory", "")
    return article(noun) + (f" {rng.choice(('wearing', 'wearing', 'with'))} {worn}" if worn else "")


def _tags(p: Picture, said: dict[str, str], rng: random.Random) -> str:
    """'girl, long pink hair, red dress, forest, night, flat style': the words of a tagger, in any order."""
    left = dict(said)
    name = left.pop("name", "")
    if "garment" in left and "emblem" in left:
        left["garment"] = f"{left['garment']} {left.pop('emblem')}"
    left.pop("emblem", None)
    if "scene" in left and p.scene != "plain" and said["scene"].startswith(words.SCENES[p.scene]):
        time = "" if p.time == "day" or p.scene in TIMELESS_SCENES else f", {p.time}"
        left["scene"] = words.SCENE_TAGS[p.scene][0] + time
    tags = [re.sub(r"^(a|an) ", "", t) for t in left.values()]
    if rng.random() < 0.6:
        rng.shuffle(tags)
    return ", ".join([*([name] if name else []), p.kind if p.is_person else noun_words(p, rng), *tags])


def _named(p: Picture, rng: random.Random, omit: float, name: str, instead: Mapping[str, str]) -> str:
    """'mika_char wearing a crown, smiling and waving, half body, in a forest, flat style'."""

    def keep() -> bool:
        return rng.random() >= omit

    said = {
        "accessory": accessory_words(p),
        "expression": p.expression,
        "pose": p.pose,
        "view": words.VIEWS[p.view][0] if p.view != "front" else "",
        "framing": p.framing,
        "prop": words.HOLDING[0].format(article(prop_words(p))) if can_hold(p) and p.prop != "none" else "",
        "scene": scene_words(p),
        **instead,
    }
    lead = f"{name} wearing {said['accessory']}" if said["accessory"] else name
    moods: list[str] = []
    parts: list[str] = []
    if p.is_person:
        moods += [said["expression"]] if p.view != "back" and keep() else []
        moods += [said["pose"]] if p.pose != "standing" and keep() else []
        moods += [said["prop"]] if said["prop"] else []
        parts += [" and ".join(m for m in moods if m), said["view"]]
        parts += [said["framing"]] if keep() else []
    elif p.kind == "animal":
        parts += [said["pose"] if p.pose != "standing" else "", said["framing"] if p.framing != "full body" else ""]
    parts += [said["scene"]] if keep() else []
    parts += [instead["style"] if "style" in instead else rng.choice(words.STYLES[p.style][:2])] if keep() else []
    return ", ".join([lead, *(part for part in parts if part)])
