"""A settings file as plain values, each remembering where it was written."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import yaml

from likeness.config.tree import Key, dotted, is_list, kind_at, parse_key, shorthand_at, suggest
from likeness.errors import InputError

OVERRIDE = "--set"  # origin of what came from the command line


@dataclass
class Document:
    """Values, and for each its origin: 'maya.yaml:5' or '--set'. A key without a value (null) counts as not written."""

    name: str  # of the file, for messages
    values: dict[str, Any] = field(default_factory=dict[str, Any])
    origins: dict[Key, str] = field(default_factory=dict[Key, str])

    def origin(self, key: Key) -> str:
        """Where `key` was written, or else the nearest thing around it; the file's name where nothing was."""
        for end in range(len(key), 0, -1):
            if found := self.origins.get(key[:end]):
                return found
        return self.name

    def error(self, *problems: tuple[Key, str]) -> InputError:
        """Problems as (setting, what is wrong), told in the order of the file, one line each."""
        origins = [(self.origin(key), key, what) for key, what in problems]
        return InputError(*(_problem(*problem) for problem in sorted(origins, key=lambda p: _line_number(p[0]))))

    def fill(self, setting: str, value: object, origin: str) -> None:
        """Set a dotted setting where nothing was written; leaves alone what is not a group of settings."""
        key = parse_key(setting)
        holder: Any = self.values
        for part in key[:-1]:
            holder = holder.setdefault(part, {})
            if not _is(dict, holder):
                return
        if key[-1] not in holder:
            holder[key[-1]] = value
            self.origins[key] = origin


def read_document(path: Path) -> Document:
    """Read a YAML file. Raises InputError for a file that is not there, not text, not YAML, or not a mapping."""
    name = path.name
    reader = _Reader(lambda line: f"{name}:{line}")
    values = reader.read(_read_text(path), (), name)
    if values is None:
        raise InputError(f"{name}: is empty; it needs at least name, base and data.datasets")
    if not isinstance(values, dict):
        raise InputError(f"{name}: should be settings of the form 'name: value'")
    return Document(name, cast(dict[str, Any], values), reader.origins)


def apply_override(document: Document, text: str) -> None:
    """Apply one 'a.b.0.c=value' with the value read as YAML. Raises InputError where it leads nowhere."""
    setting, equals, raw = text.partition("=")
    setting = setting.strip()
    if not equals or not setting:
        raise InputError(f"--set {text}: should be of the form key=value, for example --set optim.learning_rate=5e-5")
    key = parse_key(setting)
    _check_exists(key)
    reader = _Reader(lambda _: OVERRIDE)
    value = reader.read(raw, key, f"--set {setting}")
    _put(document, key, value, OVERRIDE, reader.origins)


def set_value(document: Document, setting: str, value: object, origin: str) -> None:
    """Set a dotted setting to a value that was written at `origin`, in place of what the file says of it otherwise.

    Raises InputError where there is no such setting.
    """
    key = parse_key(setting)
    _check_exists(key, origin)
    _put(document, key, value, origin)


def _put(document: Document, key: Key, value: object, origin: str, inner: Mapping[Key, str] | None = None) -> None:
    """Replace what is at `key`; `inner` says where the parts of the value were written, if that is known."""
    holder = _holder(document, key, origin)
    for old in [k for k in document.origins if k[: len(key)] == key]:
        del document.origins[old]
    if value is None and isinstance(key[-1], str):
        holder.pop(key[-1], None)  # nothing given: back to the default
        return
    holder[key[-1]] = value
    document.origins |= {key: origin, **(inner or {})}


def set_in(tree: dict[str, Any], key: Key, value: object) -> None:
    """Set what lies at `key` in settings that are put together bit by bit: mappings and lists on the way are made."""
    holder: Any = tree
    for part, following in pairwise(key):
        if isinstance(part, int):
            while len(holder) <= part:
                holder.append({})
            holder = holder[part]
        else:
            holder = holder.setdefault(part, [] if isinstance(following, int) else {})
    if isinstance(key[-1], int):
        while len(holder) <= key[-1]:
            holder.append(None)
    holder[key[-1]] = value


def _holder(document: Document, key: Key, origin: str = OVERRIDE) -> Any:
    """The mapping or list in which the last part of `key` lies; mappings on the way are made."""
    holder: Any = document.values
    for i, part in enumerate(key):
        if isinstance(part, int):
            count = len(holder) if _is(list, holder) else 0
            if part >= count:
                have = f"has {count} of them, counted from 0" if count else "is empty"
                whole = dotted(key[:i])
                raise InputError(_problem(origin, key, f"{whole} {have}; to set the whole list: --set '{whole}=[…]'"))
        elif not _is(dict, holder):
            raise document.error((key[:i], "should be a group of settings"))
        if i < len(key) - 1:
            holder = holder[part] if isinstance(part, int) else holder.setdefault(part, {})
    return holder


def parse_value(text: str, key: Key) -> Any:
    """The value that `text` would be for the setting `key` in a file. Raises InputError where it is none."""
    return _Reader(lambda _: OVERRIDE).read(text, key, dotted(key))


def _check_exists(key: Key, origin: str = OVERRIDE) -> None:
    for end in range(1, len(key) + 1):
        part = key[:end]
        if kind_at(part) is not None:
            continue
        if is_list(part[:-1]):
            whole = dotted(part[:-1])
            raise InputError(_problem(origin, key, f"{whole} is a list; say which entry, for example {whole}.0"))
        raise InputError(_problem(origin, key, f"no such setting{suggest(part)}"))


class _Loader(yaml.SafeLoader):
    """YAML with the scalars of YAML 1.2: 1e-4 is a number; 'no', 12:30 and 2026-01-01 are text. Aliases are refused."""

    yaml_implicit_resolvers = {}  # noqa: RUF012  # not those of YAML 1.1 that SafeLoader brings

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = cast(yaml.AliasEvent, self.peek_event())  # pyright: ignore[reportUnknownMemberType]
            raise _marked("a value that starts with '*' would be an alias, which is not supported", event)
        return super().compose_node(parent, index)


for _tag, _pattern, _first in (
    ("null", r"^(~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"^(true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"^[-+]?(0|[1-9][0-9]{0,99})$", list("-+0123456789")),
    ("float", r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$", list("-+.0123456789")),
    ("float", r"^([-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$", list("-+.")),
):
    _Loader.add_implicit_resolver(  # pyright: ignore[reportUnknownMemberType]
        f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first
    )
YAML_SCALARS: dict[str, Any] = (
    _Loader.yaml_implicit_resolvers
)  # which bare words are not text, for whoever writes settings


class _Reader:
    """Turns YAML into values and notes where each was written."""

    def __init__(self, place: Callable[[int], str]):
        self.place = place  # line, from 1 -> origin
        self.origins: dict[Key, str] = {}
        self.problems: list[str] = []

    def read(self, text: str, key: Key, name: str) -> Any:
        """The value of YAML text for the setting `key`; None for no value. `name` is what errors call the text."""
        try:
            self.loader = _Loader(text)
            node = self.loader.get_single_node()
            if node is None:
                return None
            value = self.item(node, key) if key and isinstance(key[-1], int) else self.value(node, key)
        except yaml.YAMLError as e:
            raise InputError(_explain(name, e, self.place)) from e
        except RecursionError as e:
            raise InputError(f"{name}: is nested too deep to be settings") from e
        if self.problems:
            raise InputError(*self.problems)
        return value

    def value(self, node: yaml.Node, key: Key) -> Any:
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, key)
        if isinstance(node, yaml.SequenceNode):
            return [self.item(entry, (*key, i)) for i, entry in enumerate(node.value)]
        try:
            return self.loader.construct_object(node)  # pyright: ignore[reportUnknownMemberType]
        except (ValueError, KeyError, AttributeError) as e:  # PyYAML's for '!!int x', '!!bool x', '!!timestamp x'
            raise _marked(f"the tag '{node.tag}' does not fit the value", node) from e

    def item(self, node: yaml.Node, key: Key) -> Any:
        """An entry of a list; a bare string is spelled out where the list allows it."""
        self.origins[key] = self.place(_line(node))
        value, shorthand = self.value(node, key), shorthand_at(key)
        if shorthand and isinstance(value, str):
            self.origins[(*key, shorthand)] = self.place(_line(node))
            return {shorthand: value}
        return value

    def mapping(self, node: yaml.MappingNode, key: Key) -> dict[str, Any]:
        result: dict[str, Any] = {}
        seen: dict[str, str] = {}  # name -> place
        for name_node, value_node in node.value:
            place = self.place(_line(name_node))
            if not isinstance(name_node, yaml.ScalarNode):
                self.problems.append(f"{place}: a setting's name should be a word; put text with {{ or [ in quotes")
                continue
            name = str(name_node.value)
            here = (*key, name)
            if name in seen:
                first = "" if place == OVERRIDE else f", first at {seen[name]}"
                self.problems.append(_problem(place, here, f"is set twice{first}; remove one"))
                continue
            seen[name] = self.origins[here] = place
            value = self.value(value_node, here)
            if value is None and kind_at(here) is not None:
                del self.origins[here]
            else:
                result[name] = value
        return result


def _marked(problem: str, at: yaml.Node | yaml.Event) -> yaml.MarkedYAMLError:
    mark: Any = at.start_mark
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


def _read_text(path: Path) -> str:
    if path.is_dir():
        raise InputError(f"{path}: is a folder; give the YAML file with the settings")
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as e:
        raise InputError(f"{path}: no such file; give the path of a YAML file with settings") from e
    except UnicodeDecodeError as e:
        raise InputError(f"{path.name}: is not UTF-8 text (byte {e.start + 1}); save it as UTF-8 in your editor") from e
    except OSError as e:
        raise InputError(f"{path}: cannot be read ({e.strerror}); check the path and its permissions") from e


def _line_number(origin: str) -> int:
    number = origin.rpartition(":")[2]
    return int(number) if number.isdecimal() else 0


def _is(kind: type, value: Any) -> bool:
    """isinstance for values of unknown make-up, which the type checker should go on leaving alone."""
    return isinstance(value, kind)


def _problem(origin: str, key: Key, what: str) -> str:
    return f"--set {dotted(key)}: {what}" if origin == OVERRIDE else f"{origin}: {dotted(key)}: {what}"


ADVICE = {  # part of what the YAML parser says -> what to do about it
    "'\\t'": "indent with spaces, not tabs",
    "mapping values are not allowed": "put text that contains ': ' in quotes, and check the indentation",
    "could not determine a constructor": "put text that starts with '!' in quotes",
    "starts with '*'": "put such text in quotes",
    "found another document": "one file holds one run",
    "expected <block end>": "check the indentation and the quotes",
}


def _explain(name: str, error: yaml.YAMLError, place: Callable[[int], str]) -> str:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    origin = place(mark.line + 1) if mark else name
    what = str(getattr(error, "problem", None) or getattr(error, "reason", None) or error)
    advice = next((f"; {do}" for part, do in ADVICE.items() if part in what), "")
    return f"{name if origin == OVERRIDE else origin}: not valid YAML: {what}{advice}"


def _line(node: yaml.Node) -> int:
    mark: Any = node.start_mark
    return mark.line + 1
