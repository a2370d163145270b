"""Validation errors in plain words."""

import difflib
import re
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from likeness.config.tree import Key, kind_at, section_at, suggest

# What a value should be, by pydantic's error type.
SHOULD_BE = {
    "greater_than_equal": "at least {ge}",
    "greater_than": "more than {gt}",
    "less_than_equal": "at most {le}",
    "less_than": "less than {lt}",
    "literal_error": "{expected}",
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "bool_type": "true or false",
    "list_type": "a list",
    "model_type": "a group of settings",
    "too_short": "a list with at least {min_length} entry",
    "string_too_short": "at least {min_length} character long",
    "string_too_long": "at most {max_length} characters long",
}


def in_words(error: ValidationError) -> list[tuple[Key, str]]:
    """Each setting at fault, and what is wrong with it."""
    by_key: dict[Key, list[ErrorDetails]] = {}
    for details in error.errors(include_url=False):
        by_key.setdefault(_key(details), []).append(details)
    return [(key, _words(key, errors)) for key, errors in by_key.items()]


def _key(details: ErrorDetails) -> Key:
    """Where the error lies, without the names pydantic gives to the branches of a union."""
    key = details["loc"]
    if details["type"] == "extra_forbidden":
        return key
    while kind_at(key) is None:
        key = key[:-1]
    return key


def _words(key: Key, errors: list[ErrorDetails]) -> str:
    first = errors[0]
    if first["type"] == "extra_forbidden":
        return f"no such setting{suggest(key)}"
    if first["type"] == "missing":
        section = section_at(key[:-1])
        description = section.model_fields[str(key[-1])].description if section else ""
        return f"is missing. {description}"
    if first["type"] not in (*SHOULD_BE, "string_pattern_mismatch"):
        return first["msg"]
    allowed = ", or ".join(dict.fromkeys(_should_be(key, e) for e in errors))
    return f"should be {allowed} (got {_shown(first['input'])}){_hint(first)}"


def _should_be(key: Key, error: ErrorDetails) -> str:
    if error["type"] == "string_pattern_mismatch":
        section = section_at(key[:-1])
        extra: Any = section.model_fields[str(key[-1])].json_schema_extra if section else None
        return extra["form"]  # a setting with a pattern also says it in words
    context = {name: f"{v:g}" if isinstance(v, float) else v for name, v in error.get("ctx", {}).items()}
    return SHOULD_BE.get(error["type"], error["msg"]).format(**context)


def _hint(error: ErrorDetails) -> str:
    value, kind = error["input"], error["type"]
    if kind == "string_type" and isinstance(value, (int, float)):
        return "; put it in quotes"
    if kind == "list_type" and isinstance(value, str):
        return f"; write it as [{value}]"
    if kind == "literal_error" and isinstance(value, str):
        choices = re.findall(r"'([^']*)'", error.get("ctx", {}).get("expected", ""))
        if close := difflib.get_close_matches(value.lower(), choices, n=1):
            return f"; did you mean '{close[0]}'?"
    if kind in ("int_type", "float_type") and isinstance(value, str) and re.fullmatch(r"[-+\d.eE]+", value):
        return "; write it as a plain number, without quotes"
    return ""


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a group of settings"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…'"
