"""Names of the studio's own things in a run's settings, and the files that they stand for.

`dataset:ID_OR_NAME` is a dataset as it is now, `dataset:ID_OR_NAME@3` its version 3, `dataset:ID_OR_NAME/FILE` a
picture of it; `run:NAME/EPOCH` is the LoRA of an epoch; `model:ID_OR_NAME` one of the library.
"""

import copy
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from likeness.errors import InputError, NotFound
from likeness.studio import datasets, lora_choice, plan_versions, trust
from likeness.studio.lora_choice import LoraChoice
from likeness.studio.workspace import Studio

DATASET = "dataset:"
_VERSION = re.compile(r"(?P<name>.+)@(?P<number>\d{1,6})")
_MASK_WORDS = ("auto", "alpha", "none")


@dataclass(frozen=True)
class Used:
    """A dataset that a run learns from, at the version that was frozen for it."""

    dataset_id: str
    name: str
    version: int
    digest: str


@dataclass
class Resolved:
    """Settings in which every name of the studio's is an absolute path."""

    values: dict[str, Any]
    datasets: list[Used] = field(default_factory=list[Used])
    problems: list[str] = field(default_factory=list[str])


def resolve(studio: Studio, config: dict[str, Any]) -> Resolved:
    """Freeze the datasets that are named, and put paths in the place of all names.

    Raises InputError with every name that leads nowhere. What else is wrong with the settings is left for their check.
    """
    try:
        trust.check_tree(config)
        found = Resolved(copy.deepcopy(config))
    except RecursionError as e:
        raise InputError("config: is nested too deep to be settings. Fix: give groups, lists and plain values") from e
    for number, entry in enumerate(_entries(found.values, "data", "datasets")):
        place = f"data.datasets.{number}"
        _replace(found, entry, "path", f"{place}.path", lambda text: _dataset_folder(studio, text, found))
        _replace(found, entry, "captions_file", f"{place}.captions_file", _absolute)
        if not _is_mask_word(entry.get("masks")):
            _replace(found, entry, "masks", f"{place}.masks", _absolute)
        _replace(found, entry, "controls", f"{place}.controls", _absolute)
    for number, entry in enumerate(_entries(found.values, "sampling", "prompts")):
        place = f"sampling.prompts.{number}.reference"
        _replace(found, entry, "reference", place, lambda text: _picture(studio, text, found))
    lora = found.values.get("lora")
    if isinstance(lora, dict):
        group = cast(dict[str, Any], lora)
        _replace(found, group, "start_from", "lora.start_from", lambda text: str(lora_file(studio, text)))
        if group.get("training_adapter") not in ("auto", "off"):
            _replace(found, group, "training_adapter", "lora.training_adapter", _absolute)
    if found.problems:
        raise InputError(*found.problems)
    return found


def lora_file(studio: Studio, text: str) -> Path:
    """The LoRA that 'run:NAME/EPOCH', 'model:ID_OR_NAME' or a path stands for. Raises NotFound, InputError."""
    if not text.startswith((lora_choice.RUN, lora_choice.MODEL)):
        trust.check("lora", text)
        return Path(_absolute(text))
    try:
        return lora_choice.choose(studio, [LoraChoice(text)])[0].path
    except InputError as e:
        raise type(e)(*(problem.removeprefix("loras: ") for problem in e.problems)) from e


def _dataset_folder(studio: Studio, text: str, found: Resolved) -> str:
    if not text.startswith(DATASET):
        return _absolute(text)
    return str(_frozen(studio, text.removeprefix(DATASET), found))


def _frozen(studio: Studio, wanted: str, found: Resolved) -> Path:
    """The folder of a dataset's version, which is frozen now where none is named."""
    match = _VERSION.fullmatch(wanted)
    dataset = datasets.get(studio, match["name"] if match else wanted)
    if match:
        version = datasets.version(studio, dataset.id, int(match["number"]))
    else:
        version = datasets.freeze(studio, dataset.id, plan_versions.NOTE)
        plan_versions.drop_others(studio, dataset.id, version.number)
    use = Used(dataset.id, dataset.name, version.number, version.digest)
    if use not in found.datasets:
        found.datasets.append(use)
    return datasets.version_folder(studio, dataset.id, version.number)


def _picture(studio: Studio, text: str, found: Resolved) -> str:
    """A source picture: of a dataset by the path that it has there, or a file."""
    if not text.startswith(DATASET):
        return _absolute(text)
    wanted, _, file = text.removeprefix(DATASET).partition("/")
    folder = _frozen(studio, wanted, found)
    path = Path(os.path.normpath(folder / file))
    if not file or not path.is_relative_to(folder) or not path.is_file():
        raise NotFound(f"dataset '{wanted}' has no picture '{file}'. Fix: give its path in the dataset")
    return str(path)


def _absolute(text: str) -> str:
    """A path that does not depend on where the settings file lies. Raises InputError for one that leads nowhere."""
    path = Path(os.path.abspath(os.path.expanduser(text)))
    if not os.path.isabs(os.path.expanduser(text)) and not path.exists():
        raise InputError(f"nothing is at '{text}'. Fix: give dataset:NAME, or an absolute path on the server")
    return str(path)


def _entries(values: dict[str, Any], group: str, name: str) -> list[dict[str, Any]]:
    """The entries of a list of settings that are groups; a bare string is spelled out in place."""
    holder: Any = values.get(group)
    listed: Any = cast(dict[str, Any], holder).get(name) if isinstance(holder, dict) else None
    if not isinstance(listed, list):
        return []
    whole = cast(list[Any], listed)
    shorthand = "path" if name == "datasets" else "prompt"
    for number, entry in enumerate(whole):
        if isinstance(entry, str):
            whole[number] = {shorthand: entry}
    return [cast(dict[str, Any], entry) for entry in whole if isinstance(entry, dict)]


def _replace(found: Resolved, group: dict[str, Any], key: str, place: str, change: Callable[[str], str]) -> None:
    """Change the text, or each text of a list, at `key`; what is neither is left for the check of the settings."""
    value: Any = group.get(key)
    try:
        if isinstance(value, str) and value:
            group[key] = change(value)
        elif isinstance(value, list):
            group[key] = [change(v) if isinstance(v, str) and v else v for v in cast(list[Any], value)]
    except InputError as e:
        found.problems += [f"{place}: {problem}" for problem in e.problems]


def _is_mask_word(value: Any) -> bool:
    return not isinstance(value, str) or value in _MASK_WORDS or value.startswith(("-", "_"))
