"""The runs of a workspace, and which went out from which."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from likeness.errors import InputError
from likeness.report.history import mapping, read_history
from likeness.service.workers import is_held


@dataclass(frozen=True)
class RunSummary:
    """One run in few words. `parent` is the run whose LoRA it went on from, with the epoch."""

    name: str
    folder: Path
    kind: str
    base: str
    trigger: str
    state: str  # 'training', or as report.history.Status has it
    epochs: int  # that have a LoRA
    planned_epochs: int
    suggested: int | None  # epoch, by the scorecard
    parent: tuple[str, int] | None
    began: float  # seconds since 1970


@dataclass
class Branch:
    """A run with those that went out from it."""

    run: RunSummary
    children: list["Branch"] = field(default_factory=list["Branch"])


def is_training(folder: Path) -> bool:
    """Whether a process holds the run."""
    return is_held(folder / "lock")


def runs_in(workspace: Path) -> list[RunSummary]:
    """All runs of a workspace, newest first; what cannot be read as one is left out."""
    found: list[RunSummary] = []
    for file in workspace.glob("*/run.json"):
        try:
            found.append(summary_of(file.parent))
        except (InputError, OSError):
            continue
    return sorted(found, key=lambda run: -run.began)


def summary_of(folder: Path) -> RunSummary:
    """Raises InputError where `folder` is no run."""
    history = read_history(folder)
    parent = mapping(history.run_json.get("parent"))
    return RunSummary(
        name=folder.name,
        folder=folder,
        kind=str(history.config("kind") or ""),
        base=str(mapping(history.run_json.get("base")).get("name") or history.config("base") or ""),
        trigger=str(history.config("trigger") or ""),
        state="training" if is_training(folder) else history.status.word,
        epochs=len(history.checkpoints),
        planned_epochs=int(history.config("train.epochs") or 0),
        suggested=history.verdict.suggested if history.verdict else None,
        parent=(str(parent["run"]), int(parent["epoch"])) if parent else None,
        began=(folder / "manifest.jsonl").stat().st_mtime if (folder / "manifest.jsonl").exists() else 0.0,
    )


def family_tree(runs: Sequence[RunSummary]) -> list[Branch]:
    """The runs as trees: each below the one that it went on from, where that is among them."""
    branches = {run.name: Branch(run) for run in runs}
    roots: list[Branch] = []
    for run in runs:
        above = branches.get(run.parent[0]) if run.parent else None
        (roots if above is None or above.run is run else above.children).append(branches[run.name])
    return roots
