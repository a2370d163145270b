"""Captions read back: which attribute values a text names. It understands the world's own words and nothing else."""

import re

from starter_recipe.world import words
from starter_recipe.world.picture import (
    ANIMALS,
    COLOURS,
    HAIR_COLOURS,
    HELD_OUT,
    HELD_OUT_HAIR_COLOURS,
    HELD_OUT_SCHEMES,
    PROPS,
    SCENES,
    THINGS,
)
from starter_recipe.world.words import Words


def _any(phrases: list[str]) -> str:
    """Longer ones first: 'dark glasses' before 'glasses'."""
    return "|".join(re.escape(phrase) for phrase in sorted(phrases, key=len, reverse=True))


def _meanings(table: Words) -> dict[str, str]:
    return {phrase: value for value, phrases in table.items() for phrase in phrases}


def _nouns(names: tuple[str, ...]) -> dict[str, str]:
    return _meanings({name: words.NOUNS.get(name, (name,)) for name in names})


_COLOUR = rf"(?:(?P<c>{_any([*COLOURS, *HELD_OUT_SCHEMES])}) )?"
_HAIR_COLOURS = {c: c for c in (*HAIR_COLOURS, *HELD_OUT_HAIR_COLOURS)} | _meanings(words.HAIR_COLOURS)
_PROP_NAMES = _nouns((*PROPS, *HELD_OUT["prop"]))
_SUBJECT_NAMES = _nouns((*ANIMALS, *THINGS, *HELD_OUT["noun"]))
_Rule = tuple[re.Pattern[str], str, dict[str, str], str, dict[str, str]]


def _rule(pattern: str, field: str, meanings: dict[str, str], colour_field: str = "") -> _Rule:
    """A pattern with groups v (a key of `meanings`) and, where there is a colour, c."""
    hair = colour_field == "hair_colour"
    colours = _HAIR_COLOURS if hair else {c: c for c in (*COLOURS, *HELD_OUT_SCHEMES)}
    return re.compile(rf"(?<![\w-])(?:{pattern})(?![\w-])"), field, meanings, colour_field, colours


def _simple(field: str, table: Words) -> _Rule:
    meanings = _meanings(table)
    return _rule(rf"(?P<v>{_any(list(meanings))})", field, meanings)


def _hair_rules() -> list[_Rule]:
    """First every way with its colour, then every way without: 'red bob hair' is not 'bob hair'."""
    ways = [(way.removeprefix("a "), value) for value, templates in words.HAIRS.items() for way in templates]
    ways.sort(key=lambda pair: len(pair[0]), reverse=True)
    rules: list[_Rule] = []
    for colour in (rf"(?P<c>{_any(list(_HAIR_COLOURS))})\ ", "(?P<c>(?!))?"):
        for way, value in ways:
            said = re.escape(way).replace(re.escape("{c} "), colour)
            rules.append(_rule(f"(?P<v>{said})", "hair", {"": value}, "hair_colour"))
    return rules


# In this order; what one rule has read is taken out of the text before the next one looks.
_RULES: list[_Rule] = [
    _simple("style", {k: words.STYLE_LEADS[k] + words.STYLES[k] for k in words.STYLES}),
    _simple("scene", words.SCENES),
    _simple("time", words.TIMES),
    _rule(rf"(?:(?:on a )?plain |against a )?{_COLOUR}(?:background|backdrop)", "scene", {"": "plain"}, "backdrop"),
    _rule(rf"(?:holding|carrying) an? {_COLOUR}(?P<v>{_any(list(_PROP_NAMES))})", "prop", _PROP_NAMES, "prop_colour"),
    _rule(rf"with an? {_COLOUR}(?P<v>{_any(list(_PROP_NAMES))}) in hand", "prop", _PROP_NAMES, "prop_colour"),
    _simple("emblem", words.EMBLEMS),
    _rule(
        rf"{_COLOUR}(?P<v>{_any(list(_meanings(words.ACCESSORIES)))})",
        "accessory", _meanings(words.ACCESSORIES), "accessory_colour",
    ),
    *_hair_rules(),
    _rule(
        rf"{_COLOUR}(?P<v>{_any(list(_meanings(words.GARMENTS)))})",
        "garment", _meanings(words.GARMENTS), "garment_colour",
    ),
    *(
        _simple(field, table)
        for field, table in (
            ("skin", words.SKINS), ("view", words.VIEWS), ("framing", words.FRAMINGS), ("pose", words.POSES),
            ("expression", words.EXPRESSIONS), ("kind", words.KINDS),
        )
    ),
]  # fmt: skip
_SUBJECT = _rule(rf"{_COLOUR}(?P<v>{_any(list(_SUBJECT_NAMES))})", "noun", _SUBJECT_NAMES, "colour")
_TAGS = {
    **{tag[0]: ("scene", scene) for scene, tag in words.SCENE_TAGS.items() if scene in (*SCENES, *HELD_OUT["scene"])},
    "sunset": ("time", "sunset"),
    "night": ("time", "night"),
}


def read(text: str) -> dict[str, str]:
    """The attribute values that `text` names, by field of `Picture`; what it leaves unsaid is missing."""
    found: dict[str, str] = {}
    for tag in text.split(", "):
        if tag in _TAGS:
            found.setdefault(*_TAGS[tag])
    for rule in _RULES:
        text = _apply(rule, text, found)
    if "kind" not in found:
        _apply(_SUBJECT, text, found)
        if "noun" in found:
            found["kind"] = "animal" if found["noun"] in ANIMALS else "thing"
    return found


def _apply(rule: _Rule, text: str, found: dict[str, str]) -> str:
    """Note what the rule reads; returns the text without it."""
    pattern, field, meanings, colour_field, colours = rule
    match = pattern.search(text)
    if match is None or field in found:
        return text
    found[field] = meanings.get("") or meanings[match["v"]]
    if colour_field and match["c"]:
        found[colour_field] = colours[match["c"]]
    return text[: match.start()] + " … " + text[match.end() :]
