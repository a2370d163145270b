"""Forms made of a group of settings: each field as its type asks, and what was filled in as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from likeness.studio.preferences import Group

_LABELS = {
    "to": "To", "sender": "From", "host": "SMTP server", "user": "User", "jobs": "Tell of",
    "security": "Encryption", "urls": "Addresses", "secret": "Secret to sign with", 
    "light_jobs": "Jobs without a device", "keep_base_minutes": "Minutes that a base stays loaded",
    "devices": "Devices that jobs may use",
    "most_megabytes": "Most megabytes", "seconds": "Most seconds", "servers": "Servers for captions",
}  # fmt: skip
_WORDS = {"trainings": "trainings", "all": "all jobs", "starttls": "STARTTLS", "tls": "TLS"}


@dataclass(frozen=True)
class Box:
    """One field. `kind`: check, select, lines, secret, number or text."""

    name: str
    label: str
    help: str
    kind: str
    options: tuple[tuple[str, str], ...] = ()


def boxes(group: type[Group]) -> list[Box]:
    """The fields of a group, in their order."""
    return [_box(name, field) for name, field in group.model_fields.items()]


def _box(name: str, field: FieldInfo) -> Box:
    label = _LABELS.get(name, name.replace("_", " ").capitalize())
    help, kind = field.description or "", field.annotation
    if get_origin(kind) is Literal:
        return Box(
            name,
            label,
            help,
            "select",
            tuple((value, _WORDS.get(value) or value) for value in map(str, get_args(kind))),
        )
    if get_origin(kind) is list:
        return Box(name, label, f"{help} One on each line.", "lines")
    kinds: dict[Any, str] = {bool: "check", SecretStr: "secret", int: "number"}
    return Box(name, label, help, kinds.get(kind, "text"))


def values(group: type[Group], filled: Mapping[str, Any]) -> dict[str, Any]:
    """What to set, from what came of the form. A secret's box that was left empty leaves the secret as it is, unless
    it is to be forgotten."""
    found: dict[str, Any] = {}
    for box in boxes(group):
        text = str(filled.get(box.name, "")).strip()
        if box.kind == "check":
            found[box.name] = bool(text)
        elif box.kind == "lines":
            found[box.name] = text.split()
        elif box.kind != "secret":
            found[box.name] = text
        elif text or filled.get(f"forget_{box.name}"):
            found[box.name] = "" if filled.get(f"forget_{box.name}") else text
    return found
