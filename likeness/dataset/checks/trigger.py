"""The trigger word in the captions: there, spelled the same everywhere, and a word of its own."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

from likeness.dataset.captions import apply_trigger, has_trigger
from likeness.dataset.checks.finding import Finding
from likeness.dataset.checks.lexicon import ORDINARY_NOUNS
from likeness.dataset.checks.subject import Subject
from likeness.dataset.manifest import Example

CLOSE = 0.8  # difflib's ratio, from which on a word is taken for a misspelled trigger
SHORTEST_MISSPELLED = 5  # letters; among shorter words too many are alike by chance
GUESS_SHARE = 0.6  # of the captions, that have a word which is no word of the language

_WORD = re.compile(r"\w[\w'-]*")
_GLUE = re.compile(r"[\W_]+")


def captions_of(example: Example) -> tuple[str, ...]:
    """All captions that an example may be shown with, placeholders filled."""
    return tuple(apply_trigger(text, example.trigger) for text in example.captions or (example.caption,))


def lacks_trigger(example: Example) -> bool:
    """Whether one of its captions has no trigger, as a whole word and spelled exactly so."""
    return bool(example.trigger) and not all(has_trigger(text, example.trigger) for text in captions_of(example))


def find_variant(caption: str, trigger: str) -> str | None:
    """What stands in the caption in place of the trigger: other case or joints ('Maya char' for 'maya_char'), or, for a
    trigger of at least five letters, a misspelling. None where nothing does."""
    words = list(_WORD.finditer(caption))
    wanted, count = _squashed(trigger), max(1, len(trigger.split()))
    spans = [
        caption[words[i].start() : words[i + n - 1].end()]
        for n in range(1, count + 3)
        for i in range(len(words) - n + 1)
    ]
    for span in spans:
        if _squashed(span) == wanted and span != trigger:
            return span
    if len(wanted) < SHORTEST_MISSPELLED:
        return None
    close = [(SequenceMatcher(None, _squashed(s), wanted).ratio(), s) for s in spans if len(s.split()) == count]
    ratio, span = max(close, default=(0.0, ""))
    return span if ratio >= CLOSE and span != trigger else None


def _squashed(text: str) -> str:
    return _GLUE.sub("", text).casefold()


def guess_trigger(examples: Sequence[Example]) -> str | None:
    """The word that looks like a trigger: joined by '_' or mixed with digits, and in most captions."""
    counts: Counter[str] = Counter()
    for e in examples:
        words = {m.group() for m in _WORD.finditer(e.caption)}
        counts.update(w for w in words if "_" in w.strip("_") or re.search(r"[^\W\d]\d|\d[^\W\d]{2}", w))
    word, count = max(counts.items(), key=lambda item: (item[1], item[0]), default=("", 0))
    return word if count >= 3 and count >= GUESS_SHARE * len(examples) else None


def check_trigger(subject: Subject) -> Iterator[Finding]:
    """Captions without it. An error only where no caption at all has it."""
    asked = [i for i, e in enumerate(subject.examples) if e.trigger]
    lacking = [i for i in asked if lacks_trigger(subject.examples[i])]
    variants = {i: v for i in lacking if (v := _variant_in(subject.examples[i]))}
    if variants:
        seen = Counter(variants.values())
        trigger = subject.examples[next(iter(variants))].trigger
        shown = ", ".join(f"'{v}'" for v, _ in seen.most_common(4))
        yield Finding(
            "trigger_spelling", "warning", subject.paths(variants),
            f"The trigger '{trigger}' spelled differently, as {shown}: {len(variants)} of {len(asked)} captions. To "
            "the text encoder these are other words.",
            f"Write '{trigger}' exactly so everywhere.",
        )  # fmt: skip
    missing = [i for i in lacking if i not in variants]
    if not missing:
        return
    trigger, images = subject.examples[missing[0]].trigger, subject.paths(missing)
    if len(missing) == len(asked):
        message = f"None of the {len(asked)} captions has the trigger word '{trigger}': it would call up nothing."
    else:
        message = (
            f"Without the trigger word '{trigger}', spelled exactly so: {len(images)} of {len(asked)} captions. They "
            "teach that the subject comes uncalled."
        )
    severity = "error" if len(missing) == len(asked) else "warning"
    yield Finding("trigger", severity, images, message, f"Write '{trigger}' or [trigger] into each of them.")


def _variant_in(example: Example) -> str | None:
    return next((v for text in captions_of(example) if (v := find_variant(text, example.trigger))), None)


def check_trigger_word(subject: Subject) -> Iterator[Finding]:
    """A trigger that already means something."""
    for trigger in sorted({e.trigger for e in subject.examples if e.trigger.casefold() in ORDINARY_NOUNS}):
        yield Finding(
            "trigger_common", "advice", (),
            f"The trigger '{trigger}' is an ordinary word: what the base knows by it will be overwritten everywhere.",
            "Choose a word that means nothing yet, such as 'maya_char'.",
        )  # fmt: skip
