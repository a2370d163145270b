"""What a person should know about a dataset before it is trained. Pure: looks at examples, opens no file."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from likeness.dataset.captions import apply_trigger, trigger_report
from likeness.dataset.manifest import Example

MIN_EXAMPLES = 5
MAX_EXAMPLES = 50
MIN_CAPTION_WORDS = 2  # besides the trigger

_WORDS = re.compile(r"\w+")
_TOKENS_AT_LEAST = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True)
class Finding:
    """One thing found. `images` are the paths it is about; none if it is about the dataset as a whole."""

    check: str
    severity: Literal["warning", "advice"]
    images: tuple[str, ...]
    message: str
    fix: str


def findings(
    examples: Sequence[Example],
    *,
    kind: str,
    trigger: str | None,
    resolution: int,
    max_caption_tokens: int | None = None,
) -> list[Finding]:
    """All findings, warnings first. `kind` is the run's (character, style, product, environment, edit);
    `resolution` is the side in pixels of the square whose area is trained."""
    noun = "pairs" if kind == "edit" else "pictures"
    found = [
        _count(examples, noun),
        _duplicates(examples, noun),
        _small(examples, resolution),
        _trigger_missing(examples, trigger) if trigger else None,
        _near_empty(examples, kind, trigger),
        _too_long(examples, max_caption_tokens) if max_caption_tokens else None,
    ]
    return sorted((f for f in found if f), key=lambda f: f.severity != "warning")


def _count(examples: Sequence[Example], noun: str) -> Finding | None:
    count = len(examples)
    if count < MIN_EXAMPLES:
        message = f"{count} {noun} are few: what they have in common by chance will be learned too."
        return Finding("count", "warning", (), message, f"Add {noun} until there are 10 to 25, each different.")
    if count > MAX_EXAMPLES:
        message = f"{count} {noun} are more than a LoRA usually gains from."
        return Finding("count", "advice", (), message, "Keep the 10 to 50 best ones, or lower repeats and epochs.")
    return None


def _duplicates(examples: Sequence[Example], noun: str) -> Finding | None:
    groups: dict[tuple[str, str | None], list[str]] = defaultdict(list)
    for e in examples:
        groups[e.sha256, e.reference_sha256].append(e.path)
    copied = [paths for paths in groups.values() if len(paths) > 1]
    if not copied:
        return None
    extra = sum(len(paths) - 1 for paths in copied)
    message = f"{extra} of {len(examples)} {noun} are exact copies of others and would count twice or more."
    images = tuple(path for paths in copied for path in paths)
    return Finding("duplicates", "warning", images, message, "Delete the copies; use repeats to weigh a dataset.")


def _small(examples: Sequence[Example], resolution: int) -> Finding | None:
    images = tuple(e.path for e in examples if e.width * e.height < resolution**2)
    if not images:
        return None
    message = f"{len(images)} of {len(examples)} are below {resolution}x{resolution} and would be enlarged: blurred."
    return Finding("resolution", "warning", images, message, "Use larger originals, or lower data.resolution.")


def _trigger_missing(examples: Sequence[Example], trigger: str) -> Finding | None:
    images = tuple(trigger_report(examples, trigger))
    if not images:
        return None
    message = f"{len(images)} of {len(examples)} captions lack the trigger word '{trigger}', spelled exactly so."
    return Finding("trigger", "warning", images, message, f"Write '{trigger}' or [trigger] into each of them.")


def _near_empty(examples: Sequence[Example], kind: str, trigger: str | None) -> Finding | None:
    def words(caption: str) -> int:
        rest = apply_trigger(caption, "").replace(trigger, " ") if trigger else caption
        return len(_WORDS.findall(rest))

    images = tuple(e.path for e in examples if words(e.caption) < MIN_CAPTION_WORDS)
    if not images:
        return None
    if kind == "edit":
        message = f"{len(images)} of {len(examples)} instructions say almost nothing."
        fix = "Say what changes, as you would ask for it: 'make it night'."
    else:
        besides = " besides the trigger word" if trigger else ""
        message = f"{len(images)} of {len(examples)} captions say almost nothing{besides}."
        fix = "Describe what should stay changeable: pose, scene, light, framing."
    return Finding("caption", "advice", images, message, fix)


def _too_long(examples: Sequence[Example], max_tokens: int) -> Finding | None:
    """Words and signs are counted: no tokenizer needs fewer tokens, so nothing is flagged without need."""
    images = tuple(e.path for e in examples if len(_TOKENS_AT_LEAST.findall(e.caption)) > max_tokens)
    if not images:
        return None
    message = f"{len(images)} of {len(examples)} captions exceed the {max_tokens} tokens that the model reads."
    return Finding("caption_length", "warning", images, message, "Shorten them; the end would be cut off.")
