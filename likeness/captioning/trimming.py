"""Words taken out of captions: for engines that cannot be told what to leave unsaid."""

import re
from collections.abc import Sequence

# What belongs to the thing learned, by its noun: 'hair' stands for all of 'with long red hair'.
OWN_NOUNS = {
    "character": (
        "hair", "bangs", "fringe", "braid", "braids", "ponytail", "pigtails", "twintails", "twin tails", "bun", "buns",
        "bob", "bowl cut", "pixie cut", "quiff", "afro", "curls", "spikes", "dreadlocks", "dreads", "mohawk", "haircut",
        "hairstyle", "skin", "eyes", "eyebrows", "eyelashes", "freckles", "beard", "mustache", "moustache", "mole",
        "scar", "breasts",
    ),
    "style": (
        "style", "art", "artwork", "watercolor", "watercolour", "painting", "oil painting", "drawing", "sketch",
        "illustration", "render", "rendering", "cartoon", "anime", "photo", "photograph", "photography",
        "engraving", "etching", "screenshot", "brushstrokes", "line art", "lineart", "cel shading",
        "pixel art", "3d", "monochrome", "greyscale", "grayscale", "sepia", "flat color", "traditional media",
        "official art", "game cg", "concept art", "fan art", "halftone", "impasto", "gouache", "realistic",
        "photorealistic", "art nouveau",
    ),
}  # fmt: skip
# Of what looks like the above, what changes from picture to picture.
_CHANGING = re.compile(
    r"\b(?:closed|half-closed|narrowed|wide|rolling|covering|looking|one|teary|crossed) eyes\b"
    r"|\beyes (?:closed|open)\b|\b(?:wet|messy|floating|blowing) hair\b|\bred panda\b",
    re.IGNORECASE,
)
_LINKS = "with|and|in|of|on|at|by|has|having|wearing|from|as|to|for|beside|behind|under|over|near|holding|while|who|is"
_ENDS = re.compile(rf"\s*(?:$|[,.;:!?]|(?:{_LINKS})\b|\w+ing\b)", re.IGNORECASE)
_BOUNDARY = re.compile(rf"^(?:{_LINKS}|\w+ing)$", re.IGNORECASE)


def own_nouns(kind: str) -> tuple[str, ...]:
    """What belongs to the thing learned when `kind` is learned; nothing where words cannot tell."""
    return OWN_NOUNS.get(kind, ())


def names(text: str, phrases: Sequence[str]) -> list[str]:
    """Those of `phrases` that stand in the text as whole words, in any case."""
    return [p for p in phrases if _pattern(p).search(text)]


def trim_tags(tags: Sequence[str], nouns: Sequence[str], phrases: Sequence[str]) -> list[str]:
    """The tags without those that end with one of `nouns` ('long hair', not 'hair bow') or hold one of `phrases`."""
    return [t for t in tags if not names(t, phrases) and not _headed(t, nouns)]


def _headed(tag: str, nouns: Sequence[str]) -> bool:
    spaced = tag.replace("_", " ")
    return not _CHANGING.search(spaced) and any(re.search(rf"\b{re.escape(n)}$", spaced, re.IGNORECASE) for n in nouns)


def trim_prose(text: str, nouns: Sequence[str], phrases: Sequence[str]) -> str:
    """The text without each of `nouns` together with its adjectives and the word that ties it in, and without
    `phrases`: where one stands before a noun it is dropped by itself ('a red ball' without 'red')."""
    whole = text
    for phrase in sorted({*nouns, *phrases}, key=len, reverse=True):
        start = 0
        while match := _pattern(phrase).search(text, start):
            heads = _ENDS.match(text, match.end()) is not None
            if (phrase in nouns and phrase not in phrases and not heads) or _changing(text, match):
                start = match.end()
                continue
            text = _without_noun(text, match) if heads else text[: match.start()] + text[match.end() :]
            start = 0
    return text if text == whole else _mended(text)


def _changing(text: str, match: re.Match[str]) -> bool:
    return any(m.start() < match.end() and match.start() < m.end() for m in _CHANGING.finditer(text))


def _without_noun(text: str, match: re.Match[str]) -> str:
    """Adjectives back to a comma or a tying word go too; the tying word goes unless more hangs on it."""
    before, after = text[: match.start()], text[match.end() :]
    clause = re.split(r"[,.;:!?]", before)[-1]
    words = clause.split()
    while words and not _BOUNDARY.match(words[-1]):
        words.pop()
    follows = re.match(r"\s+(and|of)\b", after, re.IGNORECASE)
    if follows:
        after = after[follows.end() :]
    elif words:
        words.pop()
    lead = before[: len(before) - len(clause)]
    return f"{lead}{' ' if lead else ''}{' '.join(words)} {after.lstrip() if after[:1].isspace() else after}"


def _mended(text: str) -> str:
    text = re.sub(r"\s+", " ", text)
    text = re.sub(r"\s+([,.;:!?])", r"\1", text)
    text = re.sub(r"(?:,\s*){2,}", ", ", text)
    text = re.sub(r",\s*([.;:!?])", r"\1", text)
    text = re.sub(r"\b(a) (?=[aeio])", r"\1n ", text, flags=re.IGNORECASE)
    text = re.sub(r"\b(a)n (?=[bcdfghjklmnpqrstvwxyz])", r"\1 ", text, flags=re.IGNORECASE)
    text = re.sub(r"(^|[.!?] )\w+[.!?](?= |$)", r"\1", text)  # of a sentence one word is left
    return re.sub(r"^(?:[,.;:!?\s]+|and\s+)+|[,;:\s]+$", "", text)


def _pattern(phrase: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(phrase)}(?!\w)", re.IGNORECASE)
