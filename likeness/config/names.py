"""Names that people give to runs, stages, voices and views: each is a folder's or file's name too."""

import re

NAME = r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$"
NAME_FORM = "letters, digits, '.', '_' and '-', and should not start with '.'"
MOST_NAME = 100  # characters


def is_name(text: str) -> bool:
    """Whether a text can be a name."""
    return len(text) <= MOST_NAME and re.fullmatch(NAME, text) is not None
