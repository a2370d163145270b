"""Test prompts for a dataset: by rules, or by a language model whose answer is checked."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from likeness.config.caption import ServerConfig
from likeness.config.data import DatasetConfig
from likeness.config.load import read_config
from likeness.dataset.checks.trigger import captions_of, guess_trigger
from likeness.dataset.ingest import Reading, read_dataset
from likeness.dataset.manifest import Example
from likeness.dataset.prompts import SLOTS, Idea, suggest_prompts
from likeness.errors import InputError
from likeness.service.datasets import kind_of
from likeness.service.reading import archive_folder, open_index, read_datasets
from likeness.service.workers import Order

KINDS = ("character", "style", "product", "environment", "edit")


@dataclass(frozen=True)
class Suggested:
    """`author` is 'rules' or the model's name; `notes` say what was taken for granted, and what fell back."""

    kind: str
    trigger: str
    captions: list[str]
    ideas: list[Idea]
    author: str
    notes: list[str]


@dataclass(frozen=True)
class LanguageModel:
    """Behind an OpenAI-compatible address, which ends in /v1; any other is taken for an Ollama server's."""

    server: ServerConfig
    model: str


def suggest(path: Path, trigger: str | None = None, kind: str | None = None) -> Suggested:
    """Prompts by rules, for a folder or the datasets of a settings file.

    Raises InputError for settings that cannot be read, and where there is not one picture.
    """
    if kind is not None and kind not in KINDS:
        raise InputError(f"--kind: '{kind}' is not known. Fix: one of {', '.join(KINDS)}")
    notes: list[str] = []
    if path.suffix.lower() in (".yaml", ".yml") and not path.is_dir():
        loaded = read_config(path)
        kind, trigger = kind or loaded.config.kind, loaded.config.trigger if trigger is None else trigger
        readings = read_datasets(loaded)
    else:
        if not path.exists():
            raise InputError(f"{path}: no such folder. Fix: give the path of a folder with pictures, or of settings")
        kind = kind or kind_of(path)
        readings = [_read(path, trigger or "", kind)]
        guess = guess_trigger(readings[0].examples) if trigger is None and kind != "edit" else None
        if guess:
            readings, trigger = [_read(path, guess, kind)], guess
            notes.append(f"'{guess}' was taken for the trigger word. Fix: say which it is with --trigger")
    examples = [e for reading in readings for e in reading.examples if e.type == "train"]
    if not examples:
        problems = [problem.message for reading in readings for problem in reading.problems]
        raise InputError(*(problems or [f"{path}: holds no pictures. Fix: give the folder of the dataset"]))
    trigger = trigger or ""
    captions = _captions(examples)
    if not captions:
        notes.append("there are no captions, so these are general. Fix: caption the dataset first")
    if not trigger and kind != "edit":
        notes.append("there is no trigger, so the prompts do not call what is learned. Fix: --trigger WORD")
    return Suggested(kind, trigger, captions, suggest_prompts(captions, trigger, kind), "rules", notes)


def order(suggested: Suggested, model: LanguageModel) -> Order:
    """To ask a language model for better ones. Raises InputError where no model is named."""
    if not model.model:
        raise InputError("--model: the server needs the name of a model. Fix: --model NAME")
    endpoint = model.server.endpoint.rstrip("/")
    endpoint += "" if endpoint.endswith("/v1") else "/v1"  # where Ollama speaks OpenAI's protocol
    job = {
        "kind": suggested.kind,
        "trigger": suggested.trigger,
        "captions": suggested.captions,
        "rules": {idea.slot: idea.prompt for idea in suggested.ideas},
        "model": model.model,
        "server": model.server.model_dump(mode="json") | {"endpoint": endpoint},
    }
    return Order("prompts", job)


def better(result: dict[str, Any], suggested: Suggested) -> Suggested:
    """The model's prompts where they are good, else those of the rules, with a note that says why."""
    told: dict[str, str] = result["prompts"]
    ideas = [
        Idea(i.slot, told[i.slot], f"written by {result['model']}") if i.slot in told else i for i in suggested.ideas
    ]
    author = str(result["model"]) if told else "rules"
    notes = [*suggested.notes, *result["notes"]]
    return Suggested(suggested.kind, suggested.trigger, suggested.captions, ideas, author, notes)


def as_yaml(suggested: Suggested) -> str:
    """The prompts as a settings file has them."""
    lines = ["sampling:", f"  max_prompts: {len(SLOTS)}", "  prompts:"]
    for idea in suggested.ideas:
        text = json.dumps(idea.prompt, ensure_ascii=False)
        if suggested.kind == "edit":
            lines += [f"    - prompt: {text}", "      reference: SOURCE.png"]
        else:
            lines.append(f"    - {text}")
    return "\n".join(lines)


def _captions(examples: Sequence[Example]) -> list[str]:
    return list(dict.fromkeys(text for e in examples for text in captions_of(e) if text.strip()))


def _read(path: Path, trigger: str, kind: str) -> Reading:
    settings = DatasetConfig(path=str(path.absolute()))
    with open_index() as index:
        return read_dataset(
            settings, index=index, store=archive_folder(), kind=kind, trigger=trigger, require_captions=False
        )
