"""Requests in the words of hosted trainers, as settings of a run here. One table; what is not in it is refused.

A client that was written for one of them can send its body as it is, but for two things that belong to us: `base`,
where its own word for a model is none of ours, and a dataset of the studio for the pictures.
"""

import copy
import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from likeness.config.document import set_in
from likeness.config.plan import SOME
from likeness.config.tree import parse_key
from likeness.errors import InputError

Dialect = Literal["scenario", "fal", "bfl", "replicate", "krea", "civitai"]
Change = Callable[[Any], Any]


@dataclass(frozen=True)
class Field:
    """One field of a request. `setting`: where it goes; '' for one that has nothing to decide here, with the reason
    `why`. `steps`: it says how long to train in steps, which becomes epochs."""

    setting: str = ""
    change: Change = lambda value: value
    why: str = ""
    steps: bool = False


@dataclass(frozen=True)
class Translated:
    """`config`: a tree of settings, as a YAML file would hold it. `notes`: fields that decide nothing here, and why."""

    config: dict[str, Any]
    steps: int | None = None  # that were asked for; see `with_steps`
    notes: list[str] = field(default_factory=list[str])


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("should be text")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("should be a number")
    return float(value)


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise ValueError("should be a whole number")
    return int(value)


def _texts(value: Any) -> list[str]:
    found = cast(list[Any], value) if isinstance(value, list) else [None]
    if not all(isinstance(text, str) for text in found):
        raise ValueError("should be a list of texts")
    return cast(list[str], found)


def _sides(value: Any) -> list[int]:
    """Replicate writes '512,768,1024'."""
    parts = (
        value.split(",") if isinstance(value, str) else cast(list[Any], value) if isinstance(value, list) else [value]
    )
    try:
        return [int(part) for part in parts]
    except (TypeError, ValueError) as e:
        raise ValueError("should be sizes in pixels, such as 512,768,1024") from e


def _one_of(words: Mapping[str, str]) -> Change:
    """One of these words, in capitals or not, as what we call it."""

    def change(value: Any) -> str:
        if not isinstance(value, str) or value.lower() not in words:
            raise ValueError(f"should be one of {', '.join(words)}")
        return words[value.lower()]

    return change


def _only(allowed: tuple[Any, ...], told: str) -> Change:
    """For fields that can ask for what is not done here."""

    def change(value: Any) -> None:
        if value not in allowed:
            raise ValueError(told)

    return change


_KINDS = {"character": "character", "subject": "character", "style": "style", "product": "product",
          "object": "product", "general": "style", "default": "character"}  # fmt: skip
_OPTIMIZERS = {name: name for name in ("adamw", "adamw8bit", "prodigy", "adafactor", "lion")}
_SCHEDULES = {name: name for name in ("constant", "cosine", "linear")}
_HOOK = "webhooks are a setting of the studio, for all runs (PUT /api/v1/settings); leave it out"
_CAPTIONS = "captions are written before a run, in the dataset (POST /api/v1/datasets/ID/captions)"
_PICTURES = "data.datasets.0.path"
_DATASET = Field(_PICTURES, _text)
_RATE = Field("optim.learning_rate", _number)
_RANK = Field("lora.rank", _whole)
_TRIGGER = Field("trigger", _text)
# Ours, in every dialect: what none of theirs has a word for, or another one for the same.
_OURS = {"name": Field("name", _text), "base": Field("base", _text), "dataset": _DATASET, "kind": Field("kind", _text)}

FIELDS: dict[Dialect, dict[str, Field]] = {
    "scenario": {
        "batchSize": Field("train.batch_size", _whole),
        "conceptPrompt": _TRIGGER,
        "learningRate": _RATE,
        "learningRateTextEncoder": Field("optim.text_encoder_learning_rate", _number),
        "maxTrainSteps": Field(steps=True, change=_whole),
        "nbEpochs": Field("train.epochs", _whole),
        "nbRepeats": Field("data.datasets.0.repeats", _whole),
        "rank": _RANK,
        "samplePrompts": Field("sampling.prompts", _texts),
        "sampleSourceImages": Field("sampling.references", _texts),  # put into the prompts below
        "shortDescription": Field("description", _text),
        "classSlug": Field("kind", _one_of(_KINDS)),
        "optimizeFor": Field(why="the scorecard recommends an epoch, whatever it is to be good at"),
        "wandbKey": Field(why="curves are written for TensorBoard, into the run folder"),
    },
    "fal": {
        "images_data_url": _DATASET,
        "image_data_url": _DATASET,
        "trigger_phrase": _TRIGGER,
        "trigger_word": _TRIGGER,
        "steps": Field(steps=True, change=_whole),
        "learning_rate": _RATE,
        "default_caption": Field("data.datasets.0.caption", _text),
        "resolution": Field("data.resolutions", _sides),
        "create_masks": Field(change=_only((False, None), "masks are not made here; put NAME-masklabel.png beside the "
                                           "pictures, and leave this out"), why="masks are files of the dataset"),
        "is_style": Field("kind", lambda value: "style" if value else "character"),
    },
    "bfl": {
        "file_data": _DATASET,
        "finetune_comment": Field("description", _text),
        "mode": Field("kind", _one_of(_KINDS)),
        "trigger_word": _TRIGGER,
        "iterations": Field(steps=True, change=_whole),
        "learning_rate": _RATE,
        "lora_rank": _RANK,
        "finetune_type": Field(change=_only(("lora",), "only 'lora' is trained here"), why="a LoRA is trained"),
        "captioning": Field(why=_CAPTIONS),
        "priority": Field(why="batch size, resolution and rank say how good or how fast"),
        "webhook_url": Field(change=_only(("", None), _HOOK), why="none was asked for"),
        "webhook_secret": Field(change=_only(("", None), _HOOK), why="none was asked for"),
    },
    "replicate": {
        "input_images": _DATASET,
        "trigger_word": _TRIGGER,
        "steps": Field(steps=True, change=_whole),
        "lora_rank": _RANK,
        "optimizer": Field("optim.optimizer", _one_of(_OPTIMIZERS)),
        "batch_size": Field("train.batch_size", _whole),
        "resolution": Field("data.resolutions", _sides),
        "learning_rate": _RATE,
        "caption_dropout_rate": Field("data.captions.dropout", _number),
        "autocaption": Field(why=_CAPTIONS),
        "autocaption_prefix": Field(why=_CAPTIONS),
        "autocaption_suffix": Field(why=_CAPTIONS),
        "cache_latents_to_disk": Field(why="latents are always kept on disk"),
    },
    "krea": {
        "urls": Field(change=_only(([],), "pictures are not fetched with the run; import them into a dataset, and name "
                                   "that in `dataset`"), why="no pictures named"),
        "model": Field("base", _text),
        "type": Field("kind", _one_of(_KINDS)),
        "trigger_word": _TRIGGER,
        "learning_rate": _RATE,
        "max_train_steps": Field(steps=True, change=_whole),
        "batch_size": Field("train.batch_size", _whole),
    },
    "civitai": {
        "engine": Field(why="there is one trainer here"),
        "ecosystem": Field("base", _text),
        "model": Field("base", _text),
        "epochs": Field("train.epochs", _whole),
        "numberOfRepeats": Field("data.datasets.0.repeats", _whole),
        "lr": _RATE,
        "textEncoderLr": Field("optim.text_encoder_learning_rate", _number),
        "networkDim": _RANK,
        "networkAlpha": Field("lora.alpha", _number),
        "triggerWord": _TRIGGER,
        "trainBatchSize": Field("train.batch_size", _whole),
        "resolution": Field("data.resolutions", _sides),
        "optimizerType": Field("optim.optimizer", _one_of(_OPTIMIZERS)),
        "lrScheduler": Field("optim.schedule", _one_of(_SCHEDULES)),
        "trainingData.type": Field(change=_only(("zip", "dataset"), "should be zip"), why="what a dataset is is seen"),
        "trainingData.sourceUrl": _DATASET,
        "trainingData.count": Field(why="pictures are counted here"),
        "samples.prompts": Field("sampling.prompts", _texts),
        "samples.negativePrompt": Field("sampling.negative_prompt", _text),
    },
}  # fmt: skip


def translate(dialect: Dialect, request: Mapping[str, Any]) -> Translated:
    """The settings that a request asks for. Raises InputError with every field that is unknown or wrong.

    Two fields for one setting must agree. Pictures are named as a dataset of the studio ('dataset:NAME') or a path.
    """
    table = FIELDS[dialect] | {name: f for name, f in _OURS.items() if name not in FIELDS[dialect]}
    if dialect == "scenario" and isinstance(request.get("parameters"), Mapping):
        request = {k: v for k, v in request.items() if k != "parameters"} | dict(request["parameters"])
    found = Translated({})
    problems: list[str] = []
    asked: dict[str, tuple[str, Any]] = {}  # by setting: the field that asked, and the value
    steps: int | None = None
    for name, value in _flat(request, table):
        known = table.get(name)
        if known is None:
            problems.append(f"{name}: no such field of {dialect}. Fix: {_near(name, table)}")
            continue
        if value is None:
            continue
        try:
            changed = known.change(value)
        except ValueError as e:
            problems.append(f"{name}: {e}. Fix: correct it, or leave it out")
            continue
        if known.steps:
            steps = cast(int, changed)
        elif not known.setting:
            found.notes.append(f"{name}: not used; {known.why}")
        elif known.setting in asked and asked[known.setting][1] != changed:
            problems.append(f"{name}: says another thing than {asked[known.setting][0]}. Fix: leave one of them out")
        else:
            asked[known.setting] = (name, changed)
    problems += _join_references(asked)
    if steps is not None and steps < 1:
        problems.append("steps: should be 1 or more. Fix: leave it out for the usual length")
    if steps is not None and {"train.epochs", "data.datasets.0.repeats"} & set(asked):
        problems.append("steps: cannot be had beside epochs or repeats. Fix: give the one or the others")
    if _PICTURES not in asked:
        problems.append("dataset: is missing. Fix: name a dataset of the studio, such as dataset:mika")
    if problems:
        raise InputError(*problems)
    for setting, (_, value) in asked.items():
        set_in(found.config, parse_key(setting), value)
    return Translated(found.config, steps, found.notes)


def with_steps(translated: Translated, images: int, per_update: int) -> dict[str, Any]:
    """The settings with about as many steps as were asked for, over the usual number of epochs, so that there are some
    to choose from; each image is repeated in them as often as that takes. `images` are those that are trained on,
    `per_update` how many go into a step."""
    if translated.steps is None:
        return translated.config
    config = copy.deepcopy(translated.config)
    train: dict[str, Any] = config.setdefault("train", {})
    shown = translated.steps * per_update / max(1, images)  # times each image
    epochs = min(SOME.epochs[0], max(1, round(shown)))
    train["epochs"] = epochs
    config["data"]["datasets"][0]["repeats"] = max(1, round(shown / epochs))
    return config


def _join_references(asked: dict[str, tuple[str, Any]]) -> list[str]:
    """Scenario sends prompts and their source pictures in two lists of one length."""
    found = asked.pop("sampling.references", None)
    if found is None:
        return []
    name, pictures = found
    prompts: list[str] = asked.get("sampling.prompts", ("", []))[1]
    if len(prompts) != len(pictures):
        return [f"{name}: has {len(pictures)} pictures for {len(prompts)} prompts. Fix: one for each, '' for none"]
    joined = [{"prompt": p, "reference": r} if r else {"prompt": p} for p, r in zip(prompts, pictures, strict=True)]
    asked["sampling.prompts"] = (name, joined)
    return []


def _flat(request: Mapping[str, Any], table: Mapping[str, Field]) -> list[tuple[str, Any]]:
    """Fields with those of groups that the dialect has, as 'samples.prompts'."""
    groups = {name.partition(".")[0] for name in table if "." in name}
    flat: list[tuple[str, Any]] = []
    for name, value in request.items():
        if name in groups and isinstance(value, Mapping):
            flat += [(f"{name}.{key}", inner) for key, inner in cast(Mapping[str, Any], value).items()]
        else:
            flat.append((name, value))
    return flat


def _near(name: str, table: Mapping[str, Field]) -> str:
    close = difflib.get_close_matches(name, table, n=1)
    return f"did you mean '{close[0]}'?" if close else f"known are {', '.join(sorted(table))}"
