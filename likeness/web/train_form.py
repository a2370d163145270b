"""The form of the page 'Train': which fields it has, and how they and a run's settings become each other."""

import json
import re
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from likeness.catalog import Card
from likeness.config.document import parse_value, set_in
from likeness.config.tree import Key, all_settings, dotted, kind_at, parse_key, section_at
from likeness.errors import InputError

PREFIX = "set:"  # of the names of fields that are settings by their dotted name
TOP = ("name", "kind", "base", "trigger", "description")
BASIC = ("train.epochs", "data.datasets.0.repeats", "optim.learning_rate", "lora.rank", "train.batch_size",
         "data.resolution")  # fmt: skip
PROMPTS = 4  # rows, at least
LONG = 60  # letters of a default that asks for more than a line
# What has a place of its own on the page, or is no single value.
_ELSEWHERE = (*TOP, "data.datasets.0.path", "data.datasets.0.type", "sampling.prompts.0", "lora.modules.0", "stages.0")
_TITLES = {
    "model": "Parts of the base", "data": "Pictures", "data.datasets.0": "The dataset", "train": "Length and noise",
    "data.augment": "Variations of pictures", "data.augment.random": "Variations drawn at random",
    "data.augment.fixed": "Changes to every picture", "data.captions": "Variations of captions",
    "data.masked_loss": "Masks", "data.detail_crops": "Detail crops", "preserve": "Preservation", "optim": "Optimizer",
    "lora": "LoRA", "sampling": "Test pictures", "scorecard": "Scorecard", "hardware": "Device and memory",
}  # fmt: skip


@dataclass(frozen=True)
class Setting:
    """One field. `kind`: 'number', 'text', 'choice' (with `options`) or 'list'."""

    key: str  # dotted
    label: str
    kind: Literal["number", "text", "choice", "list"]
    options: tuple[str, ...]
    help: str
    default: str  # what it is where nothing is said

    @property
    def name(self) -> str:
        return PREFIX + self.key

    @property
    def choices(self) -> list[tuple[str, str]]:
        """The options with what stands on them; none of them is as usual."""
        return [("", f"as usual ({self.default})" if self.default else "as usual"), *((o, o) for o in self.options)]

    @property
    def long(self) -> bool:
        """Whether it is text of several lines."""
        return self.kind == "text" and len(self.default) > LONG


@dataclass(frozen=True)
class Group:
    """Settings that belong together. `words` is a sentence about them."""

    key: str
    title: str
    words: str
    settings: tuple[Setting, ...]


def settings(card: Card | None = None) -> dict[str, Setting]:
    """All fields by their dotted names, with the defaults of a base."""
    own = card.run_defaults() if card else {}
    found: dict[str, Setting] = {}
    for leaf in all_settings():
        key = leaf[:-1] if isinstance(leaf[-1], int) else leaf  # a list of plain values is one field
        name = dotted(key)
        if not any(name == place or name.startswith(f"{place}.") for place in _ELSEWHERE):
            found[name] = _setting(key, own)
    return found


def groups(card: Card | None = None) -> list[Group]:
    """The fields that are not among the basic ones, as they are declared."""
    by_group: dict[str, list[Setting]] = {}
    for name, setting in settings(card).items():
        if name not in BASIC:
            by_group.setdefault(name.rpartition(".")[0], []).append(setting)
    return [Group(key, _TITLES.get(key, key), _words(parse_key(key)), tuple(found)) for key, found in by_group.items()]


def _words(key: Key) -> str:
    section: type[BaseModel] | None = section_at(key)
    return " ".join((section.__doc__ or "").split()).partition(". ")[0].rstrip(".") + "." if section else ""


def _setting(key: Key, own: Mapping[str, Any]) -> Setting:
    section = section_at(key[:-1])
    assert section is not None
    info = section.model_fields[str(key[-1])]
    kind, options = _field_kind(kind_at(key))
    missing = info.default is PydanticUndefined and info.default_factory is None
    default = own.get(dotted(key), None if missing else info.get_default(call_default_factory=True))
    label = str(key[-1]).replace("_", " ").capitalize().replace("Ema", "EMA").replace("snr", "SNR")
    return Setting(dotted(key), label, kind, options, info.description or "", as_text(default))


def _field_kind(kind: Any) -> tuple[Literal["number", "text", "choice", "list"], tuple[str, ...]]:
    """How a value of this declared type is asked for."""
    branches = list(_branches(kind))
    if all(get_origin(b) is Literal or b is type(None) for b in branches):
        return "choice", tuple(str(v) for b in branches if get_origin(b) is Literal for v in get_args(b))
    if bool in branches:
        return "choice", ("true", "false")
    if any(get_origin(b) is list or b is list for b in branches):
        return "list", ()
    if all(b in (int, float, type(None)) for b in branches):
        return "number", ()
    return "text", ()


def _branches(kind: Any) -> Iterator[Any]:
    if get_origin(kind) is Annotated:
        yield from _branches(get_args(kind)[0])
    elif get_origin(kind) in (Union, types.UnionType):
        for inner in get_args(kind):
            yield from _branches(inner)
    else:
        yield kind


def as_text(value: Any) -> str:
    """A value as it stands in a field; '' for none."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        listed = cast(Sequence[Any], value)
        flow = yaml.safe_dump(list(listed), default_flow_style=True, width=10**6, allow_unicode=True).strip()
        return flow.removeprefix("[").removesuffix("]")
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    return str(value)


# --- from settings to fields, and back


@dataclass(frozen=True)
class Row:
    """A test prompt, with the source picture of an edit."""

    prompt: str = ""
    reference: str = ""
    more: str = ""  # what else is set for it, as JSON


@dataclass(frozen=True)
class Filled:
    """What stands in the fields: `top` by setting, `dataset` as its path, `values` by dotted name, and `rest`, as JSON:
    settings for which there is no field."""

    top: dict[str, str]
    dataset: str
    rows: list[Row]
    values: dict[str, str]
    rest: str = ""


def fill(config: Mapping[str, Any]) -> Filled:
    """The fields for a tree of settings."""
    known = settings()
    values: dict[str, str] = {}
    rest: dict[str, Any] = {}
    rows: list[Row] = []
    dataset = ""
    for key, value in _leaves(config, ()):
        name = dotted(key)
        if name in TOP:
            continue
        if name == "data.datasets.0.path":
            dataset = str(value)
        elif name in known:
            values[name] = as_text(value)
        elif key[:2] != ("sampling", "prompts"):
            rest[name] = value
    for entry in _at(config, "sampling", "prompts") or []:
        rows.append(_row({"prompt": entry} if isinstance(entry, str) else dict(entry)))
    rows += [Row()] * (PROMPTS - len(rows))
    top = {name: str(config.get(name) or "") for name in TOP}
    return Filled(top, dataset, rows, values, json.dumps(rest) if rest else "")


def read(form: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The tree of settings that the fields say: of what is empty, nothing. Raises InputError for what is no value."""

    def one(name: str) -> str:
        return next(iter(form.get(name, ())), "").strip()

    config: dict[str, Any] = {name: one(name) for name in TOP if one(name)}
    if one("base-own") and "base" not in config:  # a model that is not on the page
        config["base"] = one("base-own")
    set_in(config, ("data", "datasets", 0, "path"), one("dataset"))
    problems: list[str] = []
    known = settings()
    for field in form:
        setting = known.get(field.removeprefix(PREFIX)) if field.startswith(PREFIX) else None
        if setting is None or not (text := one(field)):
            continue
        try:
            set_in(config, parse_key(setting.key), _value(setting, text))
        except InputError as e:
            problems += [f"{setting.key}: '{text[:80]}' cannot be read. Fix: {e}"]
    prompts = [p for p in _prompts(form) if p.get("prompt")]
    if prompts:
        set_in(config, ("sampling", "prompts"), prompts)
    problems += _add_rest(config, one("rest"))
    if problems:
        raise InputError(*problems)
    return config


def _value(setting: Setting, text: str) -> Any:
    key = parse_key(setting.key)
    if setting.kind == "text" and all(b in (str, type(None)) for b in _branches(kind_at(key))):
        return text
    if setting.kind == "choice" and "true" not in setting.options:
        return text
    if setting.kind == "list" and not text.startswith("["):
        text = f"[{text}]"
    return parse_value(text, key)


def _prompts(form: Mapping[str, Sequence[str]]) -> Iterator[dict[str, Any]]:
    texts, references, more = (list(form.get(name, ())) for name in ("prompt", "reference", "prompt-more"))
    for number, text in enumerate(texts):
        reference = references[number].strip() if number < len(references) else ""
        row: dict[str, Any] = {"prompt": text.strip()}
        if reference:
            row["reference"] = [part for part in re.split(r"\s*\|\s*", reference) if part]
        yield row | _object(more[number] if number < len(more) else "")


def _row(entry: dict[str, Any]) -> Row:
    found = entry.pop("reference", None) or []
    references = [found] if isinstance(found, str) else cast(list[str], found)
    text = str(entry.pop("prompt", ""))
    return Row(text, " | ".join(references), json.dumps(entry) if entry else "")


def _add_rest(config: dict[str, Any], text: str) -> list[str]:
    """Settings without a field; they come from an earlier run, through the browser, and are checked like all others."""
    for name, value in _object(text).items():
        key = parse_key(name)
        try:
            set_in(config, key, value)
        except (TypeError, IndexError, KeyError, AttributeError):
            return [f"{name[:80]}: cannot be set. Fix: reload the page"]
    return []


def _object(text: str) -> dict[str, Any]:
    try:
        found: Any = json.loads(text) if text else {}
    except ValueError:
        return {}
    return cast(dict[str, Any], found) if isinstance(found, dict) else {}


def _at(tree: Mapping[str, Any], *key: str) -> Any:
    found: Any = tree
    for part in key:
        found = cast(Mapping[str, Any], found).get(part) if isinstance(found, Mapping) else None
    return found


def _leaves(value: Any, key: Key) -> Iterator[tuple[Key, Any]]:
    """Single values, and lists of them, by where they are."""
    if isinstance(value, Mapping):
        for name, inner in cast(Mapping[str, Any], value).items():
            yield from _leaves(inner, (*key, name))
    elif isinstance(value, list) and any(isinstance(entry, dict) for entry in cast(list[Any], value)):
        for number, entry in enumerate(cast(list[Any], value)):
            yield from _leaves(entry, (*key, number))
    elif key[-2:] == ("data", "datasets") and isinstance(value, list):  # written as bare paths
        for number, entry in enumerate(cast(list[Any], value)):
            yield (*key, number, "path"), entry
    else:
        yield key, value
