"""From a YAML file to a RunConfig in which every value is known to be allowed, and known where it came from.

A value is taken from the first of these that has one: `--set`, the file, the base model's Card, the declared default.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from likeness.catalog import Card, find_card, resolve_base
from likeness.config.document import OVERRIDE, Document, apply_override, read_document
from likeness.config.run import RunConfig
from likeness.config.tree import Key, dotted, section_at
from likeness.config.wording import in_words
from likeness.errors import InputError


@dataclass(frozen=True)
class Loaded:
    """A run's settings. `sources` maps every dotted setting to 'default', 'card NAME', 'FILE:LINE' or '--set'."""

    config: RunConfig
    sources: dict[str, str]
    card: Card
    path: Path


def read_config(path: Path, overrides: Sequence[str] = ()) -> Loaded:
    """Read settings from a YAML file, with overrides of the form 'train.epochs=3'.

    Relative paths in the file start at its folder, those in overrides at the working folder; each is then tried from
    the other. They are absolute in the result, and need not exist, except for `base`.
    Raises InputError with one line for each problem: place, setting, what is wrong.
    """
    document = read_document(path)
    for override in overrides:
        apply_override(document, override)
    card, problems = _find_base(document, path.parent)
    for setting, value in (card.run_defaults() if card else {}).items():
        document.fill(setting, value, f"card {card.name}" if card else "")
    try:
        config = RunConfig.model_validate(_with_all_groups(document.values))
    except ValidationError as e:
        raise document.error(*problems, *in_words(e)) from e
    if card is None:
        raise document.error(*problems)
    if clashes := list(_clashes(config, card)):
        raise document.error(*clashes)
    return Loaded(_with_absolute_paths(config, card, document, path.parent), _sources(config, document), card, path)


def config_to_dict(config: RunConfig) -> dict[str, Any]:
    """Plain values, ready for JSON; `config_from_dict` is the way back."""
    return config.model_dump(mode="json")


def config_from_dict(values: Mapping[str, Any], name: str = "run.json") -> RunConfig:
    """The RunConfig that `config_to_dict` described. Raises InputError, naming `name`, where it does not fit."""
    try:
        return RunConfig.model_validate(dict(values))
    except ValidationError as e:
        raise Document(name).error(*in_words(e)) from e


def config_digest(config: RunConfig) -> str:
    """SHA-256 in hex; equal for equal settings, wherever they came from."""
    canonical = json.dumps(config_to_dict(config), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def schema() -> dict[str, Any]:
    """The JSON schema of a settings file."""
    return RunConfig.model_json_schema()


def _find_base(document: Document, folder: Path) -> tuple[Card | None, list[tuple[Key, str]]]:
    base = document.values.get("base")
    if not isinstance(base, str) or not base:
        return None, []  # told by the validation
    try:
        return resolve_base(base, _places(document, ("base",), folder)), []
    except InputError as e:
        return None, [(("base",), problem.removeprefix("base: ")) for problem in e.problems]


def _with_all_groups(values: dict[str, Any]) -> dict[str, Any]:
    """So that what is missing is told as 'data.datasets', not as 'data'."""
    groups: dict[str, Any] = {name: {} for name in RunConfig.model_fields if section_at((name,))}
    return groups | values


def _clashes(config: RunConfig, card: Card) -> Iterator[tuple[Key, str]]:
    """Settings that are fine by themselves but not with this base."""
    if (config.optim.text_encoder_learning_rate or 0) > 0 and not card.trains_text_encoder:
        yield (
            ("optim", "text_encoder_learning_rate"),
            f"{card.title} does not train its text encoder: the loaders of its family ({card.family}) do not take "
            "LoRAs for it, so the result could not be used; leave this setting out",
        )
    sizes = [(("sampling", side), getattr(config.sampling, side)) for side in ("width", "height")]
    for i, prompt in enumerate(config.sampling.prompts):
        here: Key = ("sampling", "prompts", i)
        sizes += [((*here, side), getattr(prompt, side)) for side in ("width", "height")]
        if prompt.reference and not card.edits:
            yield (*here, "reference"), f"{card.title} takes no reference images; leave it out"
        if prompt.negative_prompt and not card.negative_prompt:
            yield (*here, "negative_prompt"), f"{card.title} takes no negative prompt; leave it out"
    for key, size in sizes:
        if size is not None and size % card.multiple:
            near = max(1, round(size / card.multiple)) * card.multiple
            yield key, f"should be a multiple of {card.multiple} with {card.title} (got {size}); for example {near}"
    if config.sampling.negative_prompt and not card.negative_prompt:
        yield ("sampling", "negative_prompt"), f"{card.title} takes no negative prompt; leave it out"
    if config.kind == "edit" and not card.edits:
        yield ("kind",), f"{card.title} takes no reference images, so it cannot learn edits; choose another base"


def _with_absolute_paths(config: RunConfig, card: Card, document: Document, folder: Path) -> RunConfig:
    def absolute(text: str, *key: str | int) -> str:
        candidates = [os.path.abspath(place / os.path.expanduser(text)) for place in _places(document, key, folder)]
        return next((c for c in candidates if os.path.exists(c)), candidates[0])

    datasets = [
        d.model_copy(update={"path": absolute(d.path, "data", "datasets", i, "path")})
        for i, d in enumerate(config.data.datasets)
    ]
    prompts = [
        p.model_copy(update={"reference": absolute(p.reference, "sampling", "prompts", i, "reference")})
        if p.reference
        else p
        for i, p in enumerate(config.sampling.prompts)
    ]
    by_folder = card.path is not None and find_card(config.base) is None
    return config.model_copy(
        update={
            "base": str(card.path) if by_folder else config.base,
            "data": config.data.model_copy(update={"datasets": datasets}),
            "sampling": config.sampling.model_copy(update={"prompts": prompts}),
        }
    )


def _places(document: Document, key: Key, folder: Path) -> tuple[Path, Path]:
    return (Path(), folder) if document.origin(key) == OVERRIDE else (folder, Path())


def _sources(config: RunConfig, document: Document) -> dict[str, str]:
    return {dotted(key): document.origins.get(key, "default") for key in _leaves(config_to_dict(config), ())}


def _leaves(value: Any, key: Key) -> Iterator[Key]:
    """The keys of all single values; an empty list is one."""
    if isinstance(value, dict):
        for name, inner in value.items():  # pyright: ignore[reportUnknownVariableType]
            yield from _leaves(inner, (*key, str(name)))  # pyright: ignore[reportUnknownArgumentType]
    elif isinstance(value, list) and value:
        for i, inner in enumerate(value):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
            yield from _leaves(inner, (*key, i))
    else:
        yield key
