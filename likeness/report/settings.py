"""A run's settings as rows of text: dotted key, value, and where the value came from."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, cast

from likeness.report.history import History, mapping


class Setting(NamedTuple):
    key: str  # dotted: 'optim.learning_rate'
    value: str
    source: str  # 'default', 'maya.yaml:5', '--set' …; '' where it was not recorded


def read_settings(history: History) -> tuple[list[Setting], list[Setting]]:
    """(those somebody or something chose, the defaults), each in the order of run.json."""
    sources = mapping(history.run_json.get("sources"))
    leaves = _leaves(mapping(history.run_json.get("config")))
    rows = [Setting(key, _words(value), _source(key, sources)) for key, value in leaves]
    return [r for r in rows if r.source != "default"], [r for r in rows if r.source == "default"]


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Single values, and lists of single values, by dotted key; list entries that are groups count from 0."""
    inside: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        inside = mapping(value).items()
    elif isinstance(value, list):
        entries = cast(list[Any], value)
        inside = enumerate(entries) if any(isinstance(e, dict) for e in entries) else ()
    empty = True
    for name, inner in inside:
        empty = False
        yield from _leaves(inner, f"{key}.{name}" if key else str(name))
    if empty and key:
        yield key, value


def _source(key: str, sources: dict[str, Any]) -> str:
    """Where the key came from: as recorded for itself, for its first entry, or for the section it was given with."""
    for candidate in (key, f"{key}.0"):
        if candidate in sources:
            return str(sources[candidate])
    above = key.rpartition(".")[0]
    return _source(above, sources) if above else ""


def _words(value: Any) -> str:
    """As one would write it in the settings file."""
    if value is None or value == "" or value == [] or value == {}:
        return "–"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(_words(e) for e in cast(list[Any], value))
    return str(value)
