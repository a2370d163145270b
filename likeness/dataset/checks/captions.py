"""What the captions say: something, not too much, and of the right sort for what is learned."""

import re
from collections import defaultdict
from collections.abc import Iterator

from likeness.dataset.checks.finding import Finding
from likeness.dataset.checks.lexicon import COMMANDS, DESCRIBES, SAYS_A_CHANGE, SEVERAL_PEOPLE, STYLE_WORDS
from likeness.dataset.checks.subject import Subject
from likeness.dataset.checks.trigger import captions_of
from likeness.dataset.manifest import Example

LEAST_WORDS = 2  # besides the trigger
SAME_SHARE = 1 / 3  # of the captions, that are word for word the same

_WORDS = re.compile(r"\w+")
_TOKENS_AT_LEAST = re.compile(r"\w+|[^\w\s]")


def _rest(example: Example, caption: str) -> str:
    """The caption without the trigger."""
    return caption.replace(example.trigger, " ") if example.trigger else caption


def _says_nothing(example: Example) -> bool:
    return any(len(_WORDS.findall(_rest(example, text))) < LEAST_WORDS for text in captions_of(example))


def check_emptiness(subject: Subject) -> Iterator[Finding]:
    """Captions of hardly a word besides the trigger."""
    empty = [i for i, e in enumerate(subject.examples) if not all(text.strip() for text in captions_of(e))]
    images = subject.paths(empty)
    edit = subject.rules.kind == "edit"
    words = "instructions" if edit else "captions"
    fix = (
        "Say what changes, as you would ask for it: 'make it night'."
        if edit
        else "Describe what should stay changeable: pose, scene, light, framing."
    )
    total = len(subject.examples)
    if images:
        message = f"Empty {words}: {len(images)} of {total}. Whatever the picture shows is learned as one thing."
        yield Finding("caption_empty", "error", images, message, fix)
    short = [i for i, e in enumerate(subject.examples) if _says_nothing(e) and i not in set(empty)]
    if short:
        images = subject.paths(short)
        triggered = any(subject.examples[i].trigger for i in short) and not edit
        besides = " besides the trigger word" if triggered else ""
        message = f"Almost nothing said{besides}: {len(images)} of {total} {words}. What they leave out is learned too."
        yield Finding("caption", "advice", images, message, fix)


def check_length(subject: Subject) -> Iterator[Finding]:
    """Words and signs are counted: no tokenizer needs fewer tokens, so nothing is flagged without need."""
    most = subject.rules.caption_tokens
    if most is None:
        return
    long = [
        i
        for i, e in enumerate(subject.examples)
        if any(len(_TOKENS_AT_LEAST.findall(text)) > most for text in captions_of(e))
    ]
    if images := subject.paths(long):
        yield Finding(
            "caption_length", "warning", images,
            f"Longer than the {most} tokens that the model reads: {len(images)} of {len(subject.examples)} captions. "
            "The end is cut off.",
            "Shorten them; put what matters first.",
        )  # fmt: skip


def check_repetition(subject: Subject) -> Iterator[Finding]:
    """One caption for many pictures. For edits that is as it should be."""
    if subject.rules.kind == "edit":
        return
    groups: dict[str, list[int]] = defaultdict(list)
    for i, e in enumerate(subject.examples):
        if e.type == "train" and len(captions_of(e)) == 1 and not _says_nothing(e):
            groups[" ".join(captions_of(e)[0].casefold().split())].append(i)
    same = [group for group in groups.values() if len(group) >= 3 and len(group) > SAME_SHARE * len(subject.examples)]
    if same:
        images = subject.paths(i for group in same for i in group)
        yield Finding(
            "caption_same", "warning", images,
            f"Word for word the same: {len(images)} of {len(subject.examples)} captions. Prompts will not be able to "
            "change what differs between these pictures.",
            "Say in each caption what this picture shows: pose, scene, light, framing.",
        )  # fmt: skip


def check_sort(subject: Subject) -> Iterator[Finding]:
    """Captions of the wrong sort for the kind: instructions describe, descriptions command, styles name the style."""
    kind, total = subject.rules.kind, len(subject.examples)
    trained = [(i, e) for i, e in enumerate(subject.examples) if e.type == "train"]
    if kind == "edit":
        wrong = [i for i, e in trained if any(describes(text) for text in captions_of(e))]
        message = "A picture described instead of a change asked for", "An edit model is asked with instructions."
        fix = "Write what to do: 'put on a party hat', 'make it night'."
        found = (wrong, "instructions")
    else:
        found = ([i for i, e in trained if any(COMMANDS.match(_rest(e, text)) for text in captions_of(e))], "captions")
        message = "Instructions where descriptions belong", "There is nothing to change, and prompts will not read so."
        fix = "Describe what the picture shows; for pairs before and after set kind: edit."
    if images := subject.paths(found[0]):
        yield Finding(
            "caption_style", "warning", images, f"{message[0]}: {len(images)} of {total} {found[1]}. {message[1]}", fix
        )
    if kind == "style":
        styled = {i: m.group() for i, e in trained for t in captions_of(e) if (m := STYLE_WORDS.search(_rest(e, t)))}
        if styled:
            shown = ", ".join(f"'{word}'" for word in sorted(set(styled.values()))[:4])
            yield Finding(
                "caption_style", "warning", subject.paths(styled),
                f"The style named in words ({shown}): {len(styled)} of {total} captions. It is then learned as "
                "belonging to these words, and not to the trigger.",
                "Leave all words about the style out; say what is shown.",
            )  # fmt: skip


def describes(instruction: str) -> bool:
    """Whether an instruction describes a picture, and asks for no change."""
    return DESCRIBES.match(instruction) is not None and SAYS_A_CHANGE.search(instruction) is None


def check_several(subject: Subject) -> Iterator[Finding]:
    """Captions that speak of several people, for a character. The pictures themselves are not counted: there is no
    reliable way without a detector."""
    if subject.rules.kind != "character":
        return
    crowded = [
        i
        for i, e in enumerate(subject.examples)
        if e.type == "train" and any(SEVERAL_PEOPLE.search(_rest(e, text)) for text in captions_of(e))
    ]
    if images := subject.paths(crowded):
        yield Finding(
            "several_characters", "advice", images,
            f"Several people spoken of: {len(images)} of {len(subject.examples)} captions. The LoRA cannot tell which "
            "of them the trigger means, and mixes them.",
            "Crop to the one, or leave these pictures out.",
        )  # fmt: skip
