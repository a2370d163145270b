"""Text as it may stand in a caption or a message."""

import re

_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")  # control signs, and halves of characters


def one_line(text: str) -> str:
    """Prompts are typed on one line, so captions are trained as one: line breaks become single spaces.

    Control signs and characters that are not whole become spaces too: no encoder reads them, and terminals obey them.
    """
    lines = (_UNSEEN.sub(" ", line).strip() for line in text.splitlines())
    return " ".join(line for line in lines if line)


def is_plain(name: str) -> bool:
    """Whether a file name can be shown and stored: whole characters, no control signs."""
    return not _UNSEEN.search(name)
