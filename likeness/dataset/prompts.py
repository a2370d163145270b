"""Test prompts for a dataset, from what its captions say: one as the captions, three that each leave them in one thing,
and a control without the trigger. Pure functions."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from likeness.dataset import prompt_words as words
from likeness.dataset.captions import has_trigger
from likeness.dataset.checks.lexicon import STYLE_WORDS
from likeness.dataset.prompt_words import Value

SLOTS = ("baseline", "unseen pose", "new environment", "other framing", "control")
COMMON_STYLE = 0.3  # of the captions, that a style must be named in to stand in the prompts too
MOST_WORDS = 60

_WORD = re.compile(r"\w[\w'-]*")


@dataclass(frozen=True)
class Idea:
    """A prompt for one of the slots, and why it is a test."""

    slot: str
    prompt: str
    why: str


@dataclass(frozen=True)
class Aspect:
    """One thing that captions vary: the value that they have most often, and one that they never have."""

    usual: str  # '' where captions do not speak of it
    unseen: str


def suggest_prompts(captions: Sequence[str], trigger: str, kind: str) -> list[Idea]:
    """One prompt for each slot. `captions` with the trigger filled in; for edits, the instructions."""
    if kind == "edit":
        return _edit_prompts(captions)
    poses, places, framings = _aspects_of(kind)
    pose, place, framing = (aspect(captions, values) for values in (poses, places, framings))
    style = "" if kind == "style" else common_style(captions, trigger)
    subject = call(captions, trigger, kind)

    def made(*parts: str) -> str:
        joined = ", ".join(part for part in (*parts, style) if part)
        return _with_trigger(joined, captions, trigger) if kind == "style" else f"{subject}, {joined}".rstrip(", ")

    usual = (pose.usual or (pose.unseen if kind == "style" else ""), framing.usual, place.usual)
    baseline = made(*usual)
    if not any((pose.usual, framing.usual, place.usual)) and captions:
        baseline = most_typical(captions)
    name = {"style": "subject", "product": "use", "environment": "situation"}.get(kind, "pose")
    where = "light or weather" if kind == "environment" else "environment"
    control = control_of(made(usual[0], usual[1], place.unseen), trigger, kind, noun_of(captions, trigger, kind))
    unseen_pose = _other(captions, poses, usual[0]) if kind == "style" else pose.unseen
    return [
        Idea("baseline", baseline, "as the captions: what was learned should be there"),
        Idea("unseen pose", made(unseen_pose, usual[1], usual[2]), f"a {name} that no caption has: {unseen_pose}"),
        Idea("new environment", made(usual[0], usual[1], place.unseen),
             f"{'an' if where[0] == 'e' else 'a'} {where} that no caption has: {place.unseen}"),
        Idea("other framing", made(usual[0], framing.unseen, usual[2]),
             f"a framing that no caption has: {framing.unseen}"),
        Idea("control", control, "without the trigger: should stay as the base draws it"),
    ]  # fmt: skip


def aspect(captions: Sequence[str], values: Sequence[Value]) -> Aspect:
    """What captions say of one thing. Where they have every value, the rarest stands for the unseen one."""
    counts = _counts(captions, values)
    seen = [v for v in values if counts[v.words]]
    usual = max(seen, key=lambda v: counts[v.words]).words if seen else ""
    others = [v for v in values if v.words != usual]
    unseen = next((v for v in others if not counts[v.words]), min(others, key=lambda v: counts[v.words])).words
    return Aspect(usual, unseen)


def call(captions: Sequence[str], trigger: str, kind: str) -> str:
    """How prompts name the thing: the trigger, with the noun that captions put behind it; without a trigger, the
    noun alone."""
    noun = noun_of(captions, trigger, kind)
    if not trigger:
        return _with_article(noun) if noun else words.SOME.get(kind, "a picture")
    joined = sum(re.search(rf"{re.escape(trigger)} (?:\w+ )?{noun}\b", c) is not None for c in captions) if noun else 0
    return f"{trigger} {noun}" if joined > len(captions) / 2 else trigger


def noun_of(captions: Sequence[str], trigger: str, kind: str) -> str:
    """What the thing is, where at least half of the captions say it; else ''."""
    known = set(words.NOUNS.get(kind, "").split())
    counts = Counter(w for c in captions for w in {m.lower() for m in _WORD.findall(c)} if w in known and w != trigger)
    noun, count = max(counts.items(), key=lambda item: (item[1], item[0]), default=("", 0))
    return noun if count >= max(1, len(captions) / 2) else ""


def common_style(captions: Sequence[str], trigger: str) -> str:
    """The part between commas that names a style in most captions, and in a good share of them; '' where none is."""
    counts: Counter[str] = Counter()
    for caption in captions:
        pieces = (piece.strip(" .") for piece in caption.split(","))
        counts.update({p for p in pieces if STYLE_WORDS.search(p) and len(p.split()) <= 5 and trigger not in p.split()})
    style, count = max(counts.items(), key=lambda item: (item[1], item[0]), default=("", 0))
    return style if count and count >= COMMON_STYLE * len(captions) else ""


def most_typical(captions: Sequence[str]) -> str:
    """The caption that shares most words with all others, cut to a length that prompts may have."""
    sets = [{w.lower() for w in _WORD.findall(c)} for c in captions]

    def overlap(i: int) -> float:
        return sum(len(sets[i] & other) / max(1, len(sets[i] | other)) for other in sets)

    best = captions[max(range(len(captions)), key=lambda i: (overlap(i), -i))]
    return " ".join(best.split()[:MOST_WORDS])


def control_of(prompt: str, trigger: str, kind: str, noun: str = "") -> str:
    """The prompt without the trigger: an ordinary thing of its kind stands in its place; of a style, nothing."""
    if not trigger or not has_trigger(prompt, trigger):
        return prompt
    mark = rf"(?<!\w){re.escape(trigger)}(?!\w)"
    if kind == "style":
        bare = re.sub(rf",?\s*(?:\b(?:in|by)\b )?(?:the style of )?{mark}(?: style)?", "", prompt, count=1)
        return _tidied(bare) or words.SOME["style"]
    nouns = "|".join(words.NOUNS.get(kind, "").split())
    thing = _with_article(noun) if noun else words.SOME.get(kind, "a picture")
    found = re.search(rf"(?:\b(?:an?|the) )?{mark}(?:,? (?:an? )?((?:{nouns})\b))?" if nouns else mark, prompt)
    assert found is not None
    own = found.group(1) if found.lastindex else None
    return _tidied(prompt[: found.start()] + (_with_article(own) if own else thing) + prompt[found.end() :])


def problems_with(ideas: Mapping[str, str], captions: Sequence[str], trigger: str, kind: str) -> dict[str, str]:
    """What is wrong with prompts that somebody else made, by slot; nothing where they are good."""
    found: dict[str, str] = {}
    told: set[str] = set()
    known = {" ".join(c.lower().split()) for c in captions}
    for slot in SLOTS:
        text = " ".join(ideas.get(slot, "").split())
        needs = bool(trigger) and kind != "edit"
        if not text:
            found[slot] = "there is none"
        elif not 2 <= len(text.split()) <= MOST_WORDS:
            found[slot] = f"it has {len(text.split())} words"
        elif needs and slot != "control" and not has_trigger(text, trigger):
            found[slot] = f"it lacks the trigger '{trigger}'"
        elif needs and slot == "control" and trigger.lower() in text.lower():
            found[slot] = f"the control has the trigger '{trigger}'"
        elif text.lower() in told and kind != "edit":
            found[slot] = "it repeats another one"
        elif slot not in ("baseline", "control") and text.lower() in known and kind != "edit":
            found[slot] = "it is a caption of the dataset"
        told.add(text.lower())
    return found


def _aspects_of(kind: str) -> tuple[tuple[Value, ...], tuple[Value, ...], tuple[Value, ...]]:
    """The values of pose, environment and framing, or what stands for them."""
    match kind:
        case "style":
            return words.SUBJECTS, words.PLACES, words.VIEWS
        case "product":
            return words.USES, words.SURFACES, words.PRODUCT_FRAMINGS
        case "environment":
            return words.SITUATIONS, words.LIGHTS, words.VIEWS
        case _:
            return words.POSES, words.PLACES, words.FRAMINGS


def _edit_prompts(captions: Sequence[str]) -> list[Idea]:
    """Of edits the instruction is given, and what should be new is the source picture."""
    ranked = [text for text, _ in Counter(c.strip() for c in captions if c.strip()).most_common()]
    main = ranked[0] if ranked else "make the edit"
    second = ranked[1] if len(ranked) > 1 else main
    counts = _counts(captions, words.INSTRUCTIONS)
    other = min(words.INSTRUCTIONS, key=lambda v: counts[v.words]).words
    return [
        Idea("baseline", main, "on a source picture like those of the pairs: the edit should be made"),
        Idea("unseen pose", second, "on a source picture whose pose or subject no pair has"),
        Idea("new environment", main, "on a source picture of a place that no pair has: it should stay as it is"),
        Idea("other framing", second, "on a source picture of another framing or art direction"),
        Idea("control", other, "an instruction that was not learned: should be followed as the base does"),
    ]


def _other(captions: Sequence[str], values: Sequence[Value], taken: str) -> str:
    counts = _counts(captions, values)
    return min((v for v in values if v.words != taken), key=lambda v: counts[v.words]).words


def _with_trigger(text: str, captions: Sequence[str], trigger: str) -> str:
    """A style's trigger where captions have it: 'in X style', 'X style', or in front."""
    if not trigger:
        return text
    mark = re.escape(trigger)
    for form, pattern in (
        (f"in the style of {trigger}", rf"in the style of {mark}"),
        (f"in {trigger} style", rf"in {mark} style"),
        (f"{trigger} style", rf"{mark} style"),
    ):
        if 2 * sum(re.search(pattern, c) is not None for c in captions) > len(captions):
            return f"{text}, {form}"
    return f"{trigger}, {text}"


def _counts(captions: Sequence[str], values: Sequence[Value]) -> dict[str, int]:
    return {v.words: sum(_has(caption, v) for caption in captions) for v in values}


def _has(caption: str, value: Value) -> bool:
    return re.search(value.seen_by, caption, re.IGNORECASE) is not None


def _with_article(noun: str) -> str:
    return f"{'an' if noun[:1] in 'aeiou' else 'a'} {noun}"


def _tidied(text: str) -> str:
    return re.sub(r"\s*,(?:\s*,)*\s*", ", ", re.sub(r"\s+", " ", text)).strip(" ,")
