"""The scorecard of a run, made again when it has ended."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from likeness.errors import InputError
from likeness.report.history import History, read_history
from likeness.service.measuring import encoder_problem
from likeness.service.workers import Order


def order(
    run: Path,
    *,
    encoder: str | None = None,
    seeds: int | None = None,
    against: Path | None = None,
    device: str = "auto",
) -> Order:
    """To measure the epochs of `run` and write what is found into the run's events and report.

    `encoder`: other than the run's. `seeds`: pictures for each test prompt; those that are missing are drawn, which
    loads the base on `device`. `against`: another run, to say which of the two learned better. Raises InputError;
    nothing has been written then.
    """
    history = read_history(run)  # tells what is no run
    if not history.samples and not history.probes:
        raise InputError(f"{run}: has neither test pictures nor measured losses. Fix: train at least one epoch")
    if encoder is not None and (problem := encoder_problem(encoder)):
        raise InputError(f"--encoder: {problem}")
    if seeds is not None and not 1 <= seeds <= 64:
        raise InputError(f"--seeds: {seeds} should be between 1 and 64. Fix: 4 tell most, at four times the drawing")
    if seeds is not None and not history.prompts:
        raise InputError(f"--seeds: {run} has no test prompts to draw. Fix: leave it out")
    if against is not None:
        read_history(against)
    other = str(against.resolve()) if against else None
    content = {"run": str(run.resolve()), "encoder": encoder, "seeds": seeds, "against": other, "device": device}
    return Order("scorecard", content)


@dataclass(frozen=True)
class Outcome:
    """`better` is 'A' for the run, 'B' for the one it was held against, or 'cannot tell', with the reason `why`; both
    are empty where it was held against none."""

    history: History
    better: str = ""
    why: str = ""


def outcome(result: dict[str, Any], run: Path) -> Outcome:
    """What the worker's result and the run's new events say together."""
    return Outcome(read_history(run), **result)


def summary(history: History) -> dict[str, Any] | None:
    """The latest verdict as plain values; None where there is none."""
    if history.verdict is None:
        return None
    return {key: value for key, value in asdict(history.verdict).items() if key != "time"}
