"""Captions: the text files beside pictures, the words in file names, and the trigger word."""

import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from likeness.dataset.manifest import Example
from likeness.dataset.metadata import read_object
from likeness.dataset.wording import one_line
from likeness.errors import InputError

CAPTION_SUFFIXES = (".txt", ".caption", ".json")  # in this order
MOST_BYTES = 4 << 20
MOST_LINES = 32  # of a shared file for one picture: a manifest must not hold every line once for each picture

Lines = Literal["join", "first", "draw"]

_PLACEHOLDER = re.compile(r"\[trigger\]", re.IGNORECASE)
_COUNTER = re.compile(r"[\s_-]*(\(\d+\)|[\s_-]\d+)$")


def read_captions(file: Path, lines: Lines = "join") -> tuple[str, ...]:
    """The captions of one picture from a text file beside it: one, or several of which one is drawn at each showing.

    A `.json` file may hold other things; it then has none. Raises InputError for a file that is empty or not text.
    """
    if file.suffix.lower() == ".json":
        return read_object(file)
    text = _text_of(file)
    texts = [one_line(text)] if lines == "join" else [t for line in text.splitlines() if (t := one_line(line))]
    if not texts or not texts[0]:
        raise InputError(f"{file}: the caption is empty. Fix: write what the picture shows, or delete the file")
    return tuple(dict.fromkeys(texts if lines == "draw" else texts[:1]))


def read_shared(file: Path) -> tuple[str, ...]:
    """The lines of a text file that many pictures share. Raises InputError for a file that is empty or not text."""
    return read_captions(file, "draw")


def some_of(lines: Sequence[str], key: str) -> tuple[str, ...]:
    """The lines that one picture draws from: all where they are few, else some that `key` decides."""
    if len(lines) <= MOST_LINES:
        return tuple(lines)
    return tuple(random.Random(key).sample(lines, MOST_LINES))


def caption_of_name(stem: str) -> str:
    """'a_girl_on_a_beach_02' as 'a girl on a beach'."""
    return one_line(_COUNTER.sub("", stem).replace("_", " "))


def _text_of(file: Path) -> str:
    try:
        if file.stat().st_size > MOST_BYTES:
            raise InputError(f"{file}: is larger than {MOST_BYTES >> 20} MB. Fix: is it a caption?")
        data = file.read_bytes()
    except OSError as e:
        raise InputError(f"{file}: cannot be read ({e.strerror}). Fix: check its permissions") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(_not_text(file)) from None
    if "\0" in text:  # UTF-16 without a mark passes for UTF-8
        raise InputError(_not_text(file))
    return text


def _not_text(file: Path) -> str:
    return f"{file}: the caption is not UTF-8 text. Fix: save the file again with the encoding UTF-8"


def apply_trigger(caption: str, trigger: str) -> str:
    """The caption with every `[trigger]` replaced by the trigger word."""
    return _PLACEHOLDER.sub(lambda _: trigger, caption)


def has_placeholder(caption: str) -> bool:
    """Whether the caption has a `[trigger]` that is to be replaced."""
    return _PLACEHOLDER.search(caption) is not None


def has_trigger(caption: str, trigger: str) -> bool:
    """Whether the trigger stands in the caption as a whole word, spelled exactly so: tokenizers see case."""
    return re.search(rf"(?<!\w){re.escape(trigger)}(?!\w)", caption) is not None


def without_trigger(caption: str, trigger: str, instead: str = "") -> str:
    """The caption with `instead` in the trigger's place. Where that is nothing, no comma is left alone."""
    text = re.sub(rf"(?<!\w){re.escape(trigger)}(?!\w)", lambda _: instead, caption)
    parts = (one_line(part) for part in text.split(","))
    return ", ".join(part for part in parts if part)


def trigger_report(examples: Sequence[Example], trigger: str) -> list[str]:
    """Paths of the examples whose caption lacks the trigger. A `[trigger]` placeholder counts as having it."""
    return [e.path for e in examples if not has_trigger(apply_trigger(e.caption, trigger), trigger)]
