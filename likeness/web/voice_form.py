"""The form of the page 'Train a voice': which fields it has, and how they and a run's settings become each other."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from likeness.config.voice import VoiceRunConfig, VoiceSamplingConfig
from likeness.report.history import mapping
from likeness.web.train_form import as_text

PREFIX = "set:"  # of the names of fields that are settings by their dotted name
TEXT = "text:"  # of the names of fields with what is said in a recording, before its id
BASE = "eustlb/pocket-tts"
TOP = ("name", "base", "consent", "speaker", "whose")
BASIC = ("train.epochs", "train.batch_size", "optim.learning_rate", "lora.rank")
ADVANCED = (
    "data.hold_out", "data.transcriber", "language", "measuring.encoder", "measuring.recogniser", "lora.alpha",
    "train.seed", "train.state_every", "optim.optimizer", "optim.weight_decay", "optim.schedule", "optim.warmup_steps",
    "sampling.seed", "hardware.device",
)  # fmt: skip


@dataclass(frozen=True)
class Setting:
    """One field. `options`: where one of a few words is to be chosen."""

    key: str  # dotted
    label: str
    help: str
    default: str
    options: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return PREFIX + self.key

    @property
    def choices(self) -> list[tuple[str, str]]:
        return [("", f"as usual ({self.default})"), *((option, option) for option in self.options)]


def settings(keys: tuple[str, ...]) -> list[Setting]:
    return [_setting(key) for key in keys]


def _setting(key: str) -> Setting:
    field, last = _field(key), key.rpartition(".")[2]
    options = tuple(map(str, get_args(field.annotation))) if get_origin(field.annotation) is Literal else ()
    default = as_text(field.get_default(call_default_factory=True))
    label = last.replace("_", " ").capitalize()
    return Setting(key, label, field.description or "", default, options)


def _field(key: str) -> FieldInfo:
    section: type[BaseModel] = VoiceRunConfig
    *groups, last = key.split(".")
    for group in groups:
        section = cast("type[BaseModel]", section.model_fields[group].annotation)
    return section.model_fields[last]


def _value(key: str, text: str) -> Any:
    """As the setting's type has it; the text where it is none, for the plan to tell."""
    try:
        return TypeAdapter[Any](cast(Any, _field(key).annotation)).validate_python(text, strict=False)
    except ValidationError:
        return text


def read(sent: Mapping[str, list[str]]) -> dict[str, Any]:
    """What the form asks for, as `voice_runs.plan` takes it; empty fields are as usual."""
    ids = [one for one in dict.fromkeys(_one(sent, "recordings").split(",")) if one]
    texts = {one: text for one in ids if (text := _one(sent, TEXT + one))}
    values: dict[str, Any] = {
        "name": _one(sent, "name"), "base": _one(sent, "base"), "consent": _one(sent, "consent"), "recordings": ids,
        "texts": texts,
    }  # fmt: skip
    for key in (*BASIC, *ADVANCED):
        if text := _one(sent, PREFIX + key):
            place = values
            *groups, last = key.split(".")
            for group in groups:
                place = place.setdefault(group, {})
            place[last] = _value(key, text)
    if prompts := [line.strip() for line in _one(sent, "prompts").splitlines() if line.strip()]:
        values.setdefault("sampling", {})["prompts"] = prompts
    return values


def fill(values: Mapping[str, Any]) -> dict[str, Any]:
    """What stands in the fields for these settings: a dict with `top`, `set`, `prompts`, `recordings` and `texts`."""
    found: dict[str, str] = {}
    for setting in settings((*BASIC, *ADVANCED)):
        place: Any = values
        for step in setting.key.split("."):
            place = mapping(place).get(step)
        if place is not None and as_text(place) != setting.default:
            found[setting.key] = as_text(place)
    prompts = mapping(values.get("sampling")).get("prompts") or VoiceSamplingConfig().prompts
    return {
        "top": {key: str(values.get(key) or "") for key in TOP} | {"base": str(values.get("base") or BASE)},
        "set": found,
        "prompts": "\n".join(prompts),
        "recordings": ",".join(values.get("recordings") or ()),
        "texts": dict(values.get("texts") or {}),
    }


def _one(sent: Mapping[str, list[str]], name: str) -> str:
    return next(iter(sent.get(name, ())), "").strip()
