"""The tree of settings: what is at 'data.datasets.0.repeats', and what was meant by a name that is nowhere."""

import difflib
from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel

from likeness.config.run import RunConfig

Key = tuple[str | int, ...]  # ("data", "datasets", 0, "repeats")


def dotted(key: Key) -> str:
    return ".".join(str(part) for part in key)


def parse_key(text: str) -> Key:
    return tuple(int(part) if part.isdecimal() else part for part in text.split("."))


def kind_at(key: Key) -> Any:
    """The declared type at `key`, () being the whole run; None where there is no such setting."""
    kind: Any = RunConfig
    for part in key:
        if isinstance(part, int):
            kind = get_args(kind)[0] if get_origin(kind) is list else None
        else:
            section = _as_section(kind)
            kind = section.model_fields[part].annotation if section and part in section.model_fields else None
        if get_origin(kind) is Annotated:
            kind = get_args(kind)[0]
    return kind


def section_at(key: Key) -> type[BaseModel] | None:
    """The group of settings at `key`; None where there is none, or a single setting."""
    return _as_section(kind_at(key))


def is_list(key: Key) -> bool:
    return get_origin(kind_at(key)) is list


def shorthand_at(key: Key) -> str | None:
    """The setting that a bare string at `key` stands for: 'path' of a dataset, 'prompt' of a test picture."""
    return getattr(kind_at(key), "shorthand", None)


def all_settings(key: Key = ()) -> Iterator[Key]:
    """Every setting below `key`, without the groups themselves; list entries are shown as entry 0."""
    if is_list(key):
        key = (*key, 0)
    if section := section_at(key):
        for name in section.model_fields:
            yield from all_settings((*key, name))
    else:
        yield key


def suggest(key: Key) -> str:
    """'; did you mean …?' for a setting that does not exist, else '; known here are …'."""
    section, wrong = section_at(key[:-1]), str(key[-1])
    near = list(section.model_fields) if section else []
    anywhere: dict[str, str] = {}  # name -> the first setting called so; also by initials, for 'lr'
    for setting in all_settings():
        words = str(setting[-1]).split("_")
        for spelling in ("_".join(words), "".join(word[0] for word in words)):
            anywhere.setdefault(spelling, dotted(setting))
    if wrong in anywhere and len(wrong) > 1:
        return f"; did you mean '{anywhere[wrong]}'?"
    if close := difflib.get_close_matches(wrong, near, n=1):
        return f"; did you mean '{close[0]}'?"
    if close := difflib.get_close_matches(wrong, anywhere, n=1, cutoff=0.75):
        return f"; did you mean '{anywhere[close[0]]}'?"
    return f"; known here are {', '.join(near)}" if near else ""


def _as_section(kind: Any) -> type[BaseModel] | None:
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None
