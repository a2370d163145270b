"""Test prompts by a language model: what it is asked, and what can be read out of its answer."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from likeness.dataset.prompts import SLOTS

MOST_CAPTIONS = 40
_OBJECT = re.compile(r"\{.*\}", re.DOTALL)

SYSTEM = (
    "You write test prompts for an image model that was fine-tuned on a few captioned pictures. Answer with one JSON "
    "object alone, without markup or comment. Its keys are: " + ", ".join(f'"{slot}"' for slot in SLOTS) + ". Each "
    "value is one prompt of at most 40 words, in the language and manner of the captions."
)
_WHAT = {
    "character": "a character",
    "style": "a style",
    "product": "a product",
    "environment": "a place",
    "edit": "an edit by instruction",
}
_TASK = {
    "baseline": "as the captions usually are",
    "unseen pose": "a pose or action that no caption has",
    "new environment": "surroundings that no caption has",
    "other framing": "a framing or art direction that no caption has",
}


def question(captions: Sequence[str], trigger: str, kind: str, rules: Mapping[str, str]) -> str:
    """What the model is asked. `rules` are the prompts that it should better."""
    lines = [f"The model learned {_WHAT.get(kind, 'something')}" + (f", called up by '{trigger}'." if trigger else ".")]
    if kind == "edit":
        lines.append("Every prompt is an instruction; 'control' is one that was not learned.")
    else:
        lines += [f'"{slot}": {task}.' for slot, task in _TASK.items()]
        if trigger:
            lines.append(f"All of these contain '{trigger}', spelled exactly so.")
            lines.append(f"\"control\": like one of them, with an ordinary thing of its kind, without '{trigger}'.")
    lines += ["Change one thing at a time.", "Captions:", *(f"- {c}" for c in _spread(captions))]
    lines += ["Prompts by a simple rule, to be bettered:", json.dumps(dict(rules), ensure_ascii=False)]
    return "\n".join(lines)


def read_answer(text: str) -> dict[str, str]:
    """The prompts in an answer, by slot; those that are no text are left out. Raises ValueError for no JSON object."""
    found = _OBJECT.search(text)
    if found is None:
        raise ValueError("the answer holds no JSON object")
    try:
        tree: Any = json.loads(found[0])
    except (ValueError, RecursionError) as e:
        raise ValueError("the answer is not whole JSON") from e
    rows = cast(dict[Any, Any], tree)
    by_slot = {re.sub(r"[_-]+", " ", str(key)).strip().lower(): value for key, value in rows.items()}
    return {slot: " ".join(by_slot[slot].split()) for slot in SLOTS if isinstance(by_slot.get(slot), str)}


def _spread(captions: Sequence[str]) -> list[str]:
    """At most 40, from all over the dataset."""
    if len(captions) <= MOST_CAPTIONS:
        return list(captions)
    return [captions[i * len(captions) // MOST_CAPTIONS] for i in range(MOST_CAPTIONS)]
