"""From a YAML file to a RunConfig in which every value is known to be allowed, and known where it came from.

A value is taken from the first of these that has one: `--set`, the file, the base model's Card, the declared default.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from likeness.catalog import Card, find_card, place_of, resolve_base, run_base
from likeness.catalog.header import FILES
from likeness.config.data import DatasetConfig
from likeness.config.document import OVERRIDE, Document, apply_override, read_document, set_value
from likeness.config.model import ModelConfig
from likeness.config.run import RunConfig
from likeness.config.stages import StageConfig
from likeness.config.tree import Key, dotted, parse_key, section_at
from likeness.config.wording import in_words
from likeness.errors import InputError


@dataclass(frozen=True)
class Loaded:
    """A run's settings. `sources` maps every dotted setting to 'default', 'card NAME', 'FILE:LINE' or '--set'."""

    config: RunConfig
    sources: dict[str, str]
    card: Card
    path: Path
    notes: tuple[str, ...] = ()  # what should be known of the base before the start


def read_config(path: Path, overrides: Sequence[str] = (), stage: str | None = None) -> Loaded:
    """Read settings from a YAML file, with overrides of the form 'train.epochs=3'; of one stage, where it has several.

    Relative paths in the file start at its folder, those in overrides at the working folder; each is then tried from
    the other. They are absolute in the result, and need not exist, except for `base`.
    Raises InputError with one line for each problem: place, setting, what is wrong.
    """
    document = read_document(path)
    if stage is not None:
        _enter_stage(document, stage)
    for override in overrides:
        apply_override(document, override)
    notes = _follow_run(document, path.parent)
    card, problems = _find_base(document, path.parent)
    for setting, value in (card.run_defaults() if card else {}).items():
        document.fill(setting, value, f"card {card.name}" if card else "")
    try:
        config = RunConfig.model_validate(_with_all_groups(document.values))
    except ValidationError as e:
        raise document.error(*problems, *in_words(e)) from e
    if card is None:
        raise document.error(*problems)
    if clashes := [*_clashes(config, card), *_memory_clashes(config)]:
        raise document.error(*clashes)
    notes += _file_note(config.base, card)
    config, sources = _with_absolute_paths(config, card, document, path.parent), _sources(config, document)
    return Loaded(config, sources, card, path, notes)


def read_stages(path: Path) -> list[StageConfig]:
    """The stages that a settings file names; none where it is a single run. Raises InputError where they are wrong."""
    document = read_document(path)
    written = document.values.get("stages") or []
    try:
        stages = _Stages.model_validate({"stages": written}).stages
    except ValidationError as e:
        raise document.error(*in_words(e)) from e
    problems: list[tuple[Key, str]] = []
    for number, stage in enumerate(stages):
        if stage.name in [s.name for s in stages[:number]]:
            problems.append((("stages", number, "name"), f"'{stage.name}' is the name of an earlier stage too"))
        for setting in stage.settings:
            if what := _not_of_a_stage(setting):
                problems.append((("stages", number, "settings", setting), f"{setting} {what}"))
    if problems:
        raise document.error(*problems)
    return stages


def _not_of_a_stage(setting: str) -> str | None:
    """Why a setting cannot be one stage's own; None where it can."""
    if setting.split(".")[0] in ("name", "stages", "base", "model"):
        return "is the same in all stages; set it outside of them"
    if section_at(parse_key(setting)):
        return "is a group; name single settings, such as 'train.epochs: 4'"
    if setting.startswith("lora.") and setting != "lora.dropout":
        return "cannot differ: a stage goes on with the layers of the one before"
    return None


class _Stages(BaseModel):
    stages: list[StageConfig]


def _enter_stage(document: Document, name: str) -> None:
    """Make of a document with stages that of one stage."""
    written: list[dict[str, Any]] = document.values.pop("stages")
    number = next(i for i, stage in enumerate(written) if stage["name"] == name)
    origins = {key: origin for key, origin in document.origins.items() if key[0] == "stages"}
    for key in origins:
        del document.origins[key]
    if isinstance(document.values.get("name"), str):
        document.values["name"] += f"-{name}"
    for setting, value in (written[number].get("settings") or {}).items():
        set_value(document, setting, value, origins[("stages", number, "settings", setting)])


def config_to_dict(config: RunConfig) -> dict[str, Any]:
    """Plain values, ready for JSON; `config_from_dict` is the way back. A run has no stages: each is one of its own."""
    return config.model_dump(mode="json", exclude={"stages"})


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


def _follow_run(document: Document, folder: Path) -> tuple[str, ...]:
    """Where `base` is the folder of a run, put that run's base in its place; tells of it."""
    base = document.values.get("base")
    run = place_of(base, _places(document, ("base",), folder)) if isinstance(base, str) and base else None
    if run is None or not (run / "run.json").is_file():
        return ()
    before, choice = run_base(run)
    document.values["base"] = before
    for setting, value in vars(choice).items():
        if value:
            document.fill(f"model.{setting}", value, f"run {run.name}")
    return (f"base: {before}, as in run {run.name}; what that run learned is not part of it (lora.start_from is)",)


def _file_note(base: str, card: Card) -> tuple[str, ...]:
    """A file of weights does not say which of several sisters it is; tell what it is taken for."""
    if card.source.checkpoint is None and "transformer" not in dict(card.source.parts):
        return ()
    if os.path.splitext(base)[1] not in FILES:
        return ()
    return (f"base: {os.path.basename(base)} is taken for {card.title}; what it lacks comes from {card.location}",)


def _find_base(document: Document, folder: Path) -> tuple[Card | None, list[tuple[Key, str]]]:
    base = document.values.get("base")
    if not isinstance(base, str) or not base:
        return None, []  # told by the validation
    try:
        model = ModelConfig.model_validate(document.values.get("model") or {})
    except ValidationError:
        return None, []  # told by the validation too
    model = _with_absolute_parts(model, document, folder)
    try:
        return resolve_base(base, _places(document, ("base",), folder), model.choice()), []
    except InputError as e:
        return None, [_keyed(problem) for problem in e.problems]


def _keyed(problem: str) -> tuple[Key, str]:
    """A problem with the base as (setting, what is wrong): those of single parts begin with 'model.vae: '."""
    name, _, what = problem.partition(": ")
    return (parse_key(name), what) if name == "base" or name.startswith("model.") else (("base",), problem)


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
    rate, own = config.optim.learning_rate, config.optim.text_encoder_learning_rate
    if config.optim.optimizer == "prodigy" and own not in (None, 0, rate):
        yield (
            ("optim", "text_encoder_learning_rate"),
            f"should be {rate:g} like optim.learning_rate, or 0: prodigy has one rate for all (got {own:g})",
        )
    if config.lora.dropout and config.lora.type in ("lokr", "loha"):
        yield ("lora", "dropout"), f"'{config.lora.type}' has no input to switch off; leave it out"
    if config.preserve.weight and not (config.trigger or any(d.trigger for d in config.data.datasets)):
        yield ("preserve", "weight"), "needs a trigger to leave out of the captions; set trigger, or leave this out"
    if config.preserve.class_word and not config.preserve.weight:
        yield ("preserve", "class_word"), "does nothing without preserve.weight; set that to 1, or leave this out"
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


def _memory_clashes(config: RunConfig) -> Iterator[tuple[Key, str]]:
    """Ways to save memory that do not work together."""
    hardware = config.hardware
    if hardware.offload and hardware.checkpointing == "none":
        yield (
            ("hardware", "offload"),
            "saves nothing without checkpointing, since every block would be kept for the backward pass; add "
            "hardware.checkpointing: blocks",
        )
    if hardware.quantize != "none" and config.lora.type == "dora":
        yield (
            ("hardware", "quantize"),
            "DoRA needs the base's own weights to measure their length; use another lora.type, or no quantizing",
        )
    if hardware.quantize in ("nf4", "int4") and config.lora.type in ("lokr", "loha"):
        yield (
            ("hardware", "quantize"),
            f"'{config.lora.type}' needs weights in their plain shape; use 'int8' or 'fp8', or another lora.type",
        )
    if hardware.offload and hardware.compile:
        yield ("hardware", "compile"), "compiled blocks cannot wait in main memory; leave out compile or offload"


def _with_absolute_paths(config: RunConfig, card: Card, document: Document, folder: Path) -> RunConfig:
    def absolute(text: str, *key: str | int) -> str:
        return _absolute(text, document, key, folder)

    datasets = [_with_absolute_dataset(d, i, absolute) for i, d in enumerate(config.data.datasets)]
    prompts = [
        p.model_copy(update={"reference": [absolute(r, "sampling", "prompts", i, "reference") for r in p.reference]})
        for i, p in enumerate(config.sampling.prompts)
    ]
    lora = config.lora
    if lora.start_from is not None:
        lora = lora.model_copy(update={"start_from": absolute(lora.start_from, "lora", "start_from")})
    if lora.training_adapter not in ("auto", "off"):
        place = absolute(lora.training_adapter, "lora", "training_adapter")
        lora = lora.model_copy(update={"training_adapter": place})
    place = place_of(config.base, _places(document, ("base",), folder))
    by_folder = place is not None and place.is_dir()
    return config.model_copy(
        update={
            "base": str(card.path if by_folder else place or config.base),
            "model": _with_absolute_parts(config.model, document, folder),
            "data": config.data.model_copy(update={"datasets": datasets}),
            "lora": lora,
            "sampling": config.sampling.model_copy(update={"prompts": prompts}),
        }
    )


def _with_absolute_dataset(dataset: DatasetConfig, number: int, absolute: Callable[..., str]) -> DatasetConfig:
    here = ("data", "datasets", number)
    paths: dict[str, Any] = {"path": absolute(dataset.path, *here, "path")}
    if dataset.captions_file is not None:
        paths["captions_file"] = absolute(dataset.captions_file, *here, "captions_file")
    if dataset.mask_folder is not None:
        paths["masks"] = absolute(dataset.mask_folder, *here, "masks")
    paths["controls"] = [absolute(path, *here, "controls", i) for i, path in enumerate(dataset.controls)]
    return dataset.model_copy(update=paths)


def _with_absolute_parts(model: ModelConfig, document: Document, folder: Path) -> ModelConfig:
    parts = {name: _absolute(text, document, ("model", name), folder) for name, text in model.choice().parts.items()}
    if model.parts_from is not None and find_card(model.parts_from) is None:
        place = place_of(model.parts_from, _places(document, ("model", "parts_from"), folder))
        parts |= {"parts_from": str(place)} if place else {}
    return model.model_copy(update=parts)


def _absolute(text: str, document: Document, key: Key, folder: Path) -> str:
    candidates = [os.path.abspath(place / os.path.expanduser(text)) for place in _places(document, key, folder)]
    return next((c for c in candidates if os.path.exists(c)), candidates[0])


def _places(document: Document, key: Key, folder: Path) -> tuple[Path, Path]:
    return (Path(), folder) if document.origin(key) == OVERRIDE else (folder, Path())


def _sources(config: RunConfig, document: Document) -> dict[str, str]:
    def source(key: Key) -> str:
        whole = key[:-1] if isinstance(key[-1], int) else key  # a list may be written as its single entry
        return document.origins.get(key) or document.origins.get(whole, "default")

    return {dotted(key): source(key) for key in _leaves(config_to_dict(config), ())}


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
