"""How stock pipelines tell of their steps."""

from collections.abc import Callable
from typing import Any

AfterStep = Callable[[Any, int, Any, dict[str, Any]], dict[str, Any]]


def telling(on_step: Callable[[int], None] | None) -> AfterStep:
    """For a pipeline's `callback_on_step_end`: calls `on_step` with the number of steps that are done."""

    def after_step(pipeline: Any, step: int, t: Any, values: dict[str, Any]) -> dict[str, Any]:
        if on_step is not None:
            on_step(step + 1)
        return {}

    return after_step
