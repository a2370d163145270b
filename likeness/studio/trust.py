"""Whether who asks may name files of this machine. People at the machine may, and keys that may do everything; with
other keys, settings name what the studio has: datasets, runs, models, bases of the catalogue or the hub."""

import os
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, cast

from likeness.errors import InputError

_AT_THE_MACHINE: ContextVar[bool] = ContextVar("at_the_machine", default=True)
# Settings that hold words of people, or expressions, whatever these look like.
_WORDS = frozenset((
    "name", "kind", "prompt", "prompts", "negative_prompt", "description", "note", "trigger", "caption", "instruction",
    "text", "match", "targets", "exclude", "caption_system_prompt", "caption_user_prompt", "system", "endpoint",
    "caption_endpoint",
))  # fmt: skip


@contextmanager
def from_elsewhere() -> Generator[None]:
    """Whoever asks in this block sits at another machine."""
    before = _AT_THE_MACHINE.set(False)
    try:
        yield
    finally:
        _AT_THE_MACHINE.reset(before)


def check(field: str, text: str) -> None:
    """Raises InputError where `text` is a place on this machine and who asks may name none."""
    if not _AT_THE_MACHINE.get() and is_place(text):
        raise InputError(
            f"{field}: '{text}' is a place on the server, which this key may not name. Fix: name what the studio has, "
            "such as dataset:NAME, run:NAME/EPOCH, model:NAME or a base of the list; or use a key with --scope admin"
        )


def check_tree(values: Mapping[str, Any], prefix: str = "") -> None:
    """Raises InputError for every place in a tree of settings, as `check` does."""
    if _AT_THE_MACHINE.get():
        return
    problems: list[str] = []
    for field, text in _texts(values, prefix):
        try:
            check(field, text)
        except InputError as e:
            problems += e.problems
    if problems:
        raise InputError(*problems)


def is_place(text: str) -> bool:
    """Whether a text leads to a file or folder: absolute, from the home or upwards, or to what is there."""
    return (
        os.path.isabs(text)
        or text.startswith(("~", "file:", "\\"))
        or ".." in text.replace("\\", "/").split("/")
        or (bool(text.strip()) and os.path.exists(text))
    )


def _texts(value: Any, field: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield field, value
    elif isinstance(value, Mapping):
        for name, inner in cast(Mapping[str, Any], value).items():
            if name not in _WORDS or not isinstance(inner, str):
                yield from _texts(inner, f"{field}.{name}" if field else str(name))
    elif isinstance(value, list):
        for number, inner in enumerate(cast(list[Any], value)):
            words = isinstance(inner, str) and field.rpartition(".")[2] in _WORDS
            if not words:
                yield from _texts(inner, f"{field}.{number}")
