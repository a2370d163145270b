"""A training in stages: one settings file, several runs, each going on from the LoRA of the one before."""

import json
from pathlib import Path
from typing import Literal

from likeness.config.load import read_config, read_stages
from likeness.config.stages import StageConfig
from likeness.errors import InputError
from likeness.report.history import read_history
from likeness.service import runs
from likeness.service.runs import Prepared


def stages_of(path: Path) -> list[StageConfig]:
    """The stages of a settings file; none where it is one run. Raises InputError where they are wrong."""
    return read_stages(path)


def check_all(path: Path, overrides: list[str], stages: list[StageConfig]) -> list[Prepared]:
    """Check every stage before the first begins. Raises InputError with the problems of all, by stage."""
    prepared: list[Prepared] = []
    problems: list[str] = []
    for number, stage in enumerate(stages):
        try:
            prepared.append(runs.prepare(path, overrides, stage.name))
        except InputError as e:
            problems += [f"stage {stage.name}: {p}" for p in e.problems if not number or p not in problems]
            continue
        before = prepared[-2].config.train.epochs if len(prepared) > 1 else 0
        if number and isinstance(stage.go_on_from, int) and not 1 <= stage.go_on_from <= before:
            problems.append(
                f"stage {stage.name}: go_on_from: {stage.go_on_from} is no epoch of the stage before, which has "
                f"{before}. Fix: give one of them, 'last' or 'suggested'"
            )
    if problems:
        raise InputError(*problems)
    return prepared


def prepare_stage(
    path: Path, overrides: list[str], stage: StageConfig, before: Path | None, workspace: Path
) -> Prepared:
    """A stage, ready to begin: it goes on from the finished run `before`; None for the first.

    Where it has begun already, it goes on from what it began with. Raises InputError.
    """
    if before is None:
        return runs.prepare(path, overrides, stage.name)
    begun = workspace / read_config(path, overrides, stage.name).config.name / "run.json"
    if begun.exists():
        start = str(json.loads(begun.read_text())["config"]["lora"]["start_from"])
    else:
        start = str(epoch_of(before, stage.go_on_from).absolute())
    return runs.prepare(path, [*overrides, f"lora.start_from={json.dumps(start)}"], stage.name)


def epoch_of(run: Path, which: Literal["last", "suggested"] | int) -> Path:
    """The LoRA of a finished run's epoch. Raises InputError where it has none, or not that one."""
    history = read_history(run)
    if not history.checkpoints:
        raise InputError(f"{run}: has no epoch to go on from. Fix: train it first")
    epoch = max(history.checkpoints) if isinstance(which, str) else which
    if which == "suggested" and history.verdict and history.verdict.suggested in history.checkpoints:
        epoch = history.verdict.suggested
    if epoch not in history.checkpoints:
        raise InputError(f"{run}: has no epoch {epoch} to go on from. Fix: one of {sorted(history.checkpoints)}")
    return history.checkpoints[epoch]
