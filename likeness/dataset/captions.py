"""Captions: the text files beside pictures, and the trigger word in them."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from likeness.dataset.manifest import Example
from likeness.errors import InputError

CAPTION_SUFFIXES = (".txt", ".caption")  # in this order

_PLACEHOLDER = re.compile(r"\[trigger\]", re.IGNORECASE)


def find_sidecar(base: Path) -> Path | None:
    """The caption file of a picture whose path without its suffix is `base`: `.txt` first, then `.caption`."""
    for suffix in CAPTION_SUFFIXES:
        for spelling in (suffix, suffix.upper()):
            file = base.with_name(base.name + spelling)
            if file.is_file():
                return file
    return None


def read_sidecar(base: Path) -> str | None:
    """The caption beside a picture, on one line; None if there is no caption file.

    Raises InputError for a file that is empty or not UTF-8 text.
    """
    file = find_sidecar(base)
    if file is None:
        return None
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(_not_text(file)) from None
    except OSError as e:
        raise InputError(f"{file}: cannot be read ({e.strerror}). Check its permissions.") from None
    if "\0" in text:  # UTF-16 without a mark passes for UTF-8
        raise InputError(_not_text(file))
    caption = one_line(text)
    if not caption:
        raise InputError(f"{file}: the caption is empty. Write what the picture shows, or delete the file.")
    return caption


def one_line(text: str) -> str:
    """Prompts are typed on one line, so captions are trained as one: line breaks become single spaces."""
    return " ".join(stripped for line in text.splitlines() if (stripped := line.strip()))


def _not_text(file: Path) -> str:
    return f"{file}: the caption is not UTF-8 text. Save the file again with the encoding UTF-8."


def apply_trigger(caption: str, trigger: str) -> str:
    """The caption with every `[trigger]` replaced by the trigger word."""
    return _PLACEHOLDER.sub(lambda _: trigger, caption)


def apply_triggers(examples: Iterable[Example], trigger: str | None) -> list[Example]:
    """All examples with their placeholders filled. Raises InputError where one is used but no trigger is set."""
    examples = list(examples)
    if trigger is None:
        problems = [
            f"{e.path}: the caption uses [trigger], but the config sets no trigger. Add `trigger: WORD`."
            for e in examples
            if _PLACEHOLDER.search(e.caption)
        ]
        if problems:
            raise InputError(*problems)
        return examples
    return [replace(e, caption=apply_trigger(e.caption, trigger)) for e in examples]


def has_trigger(caption: str, trigger: str) -> bool:
    """Whether the trigger stands in the caption as a whole word, spelled exactly so: tokenizers see case."""
    return re.search(rf"(?<!\w){re.escape(trigger)}(?!\w)", caption) is not None


def trigger_report(examples: Sequence[Example], trigger: str) -> list[str]:
    """Paths of the examples whose caption lacks the trigger. A `[trigger]` placeholder counts as having it."""
    return [e.path for e in examples if not has_trigger(apply_trigger(e.caption, trigger), trigger)]
