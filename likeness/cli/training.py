"""`likeness train`: one run, or several that follow each other."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from likeness.cli.progress import follow
from likeness.cli.scorecard import show_verdict
from likeness.cli.text import show_plan
from likeness.config.stages import StageConfig
from likeness.errors import InputError
from likeness.report.history import read_history
from likeness.service import runs, stages
from likeness.service.runs import Prepared
from likeness.service.scorecards import summary


def train_all(
    config: Path, overrides: list[str], workspace: Path, resume: bool, dry_run: bool, screen: Console | None
) -> Any:
    """Train what a settings file says; returns what --json prints: of a file with stages, a list with one for each."""
    steps = stages.stages_of(config)
    if steps:
        return _train_stages(config, overrides, steps, workspace, resume, dry_run, screen)
    prepared = runs.prepare(config, overrides)
    if screen:
        show_plan(screen, prepared)
    return _as_planned(prepared) if dry_run else _train(prepared, workspace, resume, screen)


def _train_stages(
    config: Path,
    overrides: list[str],
    steps: list[StageConfig],
    workspace: Path,
    resume: bool,
    dry_run: bool,
    screen: Console | None,
) -> list[dict[str, Any]]:
    checked = stages.check_all(config, overrides, steps)
    if screen:
        for number, prepared in enumerate(checked, start=1):
            screen.print(f"[bold]Stage {number} of {len(checked)}[/]")
            show_plan(screen, prepared)
    if dry_run:
        return [_as_planned(prepared) for prepared in checked]
    results: list[dict[str, Any]] = []
    before: Path | None = None
    for number, stage in enumerate(steps, start=1):
        prepared = stages.prepare_stage(config, overrides, stage, before, workspace)
        folder = workspace / prepared.config.name
        begun = (folder / "run.json").exists()
        if screen:
            origin = f", from {before.name}" if before else ""
            screen.print(f"\n[bold]Stage {number} of {len(steps)}: {prepared.config.name}[/]{origin}")
        if begun and resume and read_history(folder).status.word == "finished":
            if screen:
                screen.print("finished before")
            results.append(_results(folder))
        else:
            results.append(_train(prepared, workspace, resume and begun, screen))
        before = folder
    return results


def _train(prepared: Prepared, workspace: Path, resume: bool, screen: Console | None) -> dict[str, Any]:
    folder = (runs.resume if resume else runs.start)(prepared, workspace)
    worker = runs.launch(folder)
    follow(worker, screen)
    try:
        worker.check()
    except InputError:
        if not resume:
            runs.discard(folder)
        raise
    results = _results(folder)
    if screen:
        show_verdict(screen, folder)
        screen.print(f"\n[bold]Done.[/] Open [cyan]{results['report']}[/]")
        if results["grid"]:
            screen.print(f"Epochs side by side: [cyan]{results['grid']}[/]")
        screen.print(f"LoRAs: [cyan]{folder / 'checkpoints'}[/] ({len(results['checkpoints'])} epochs)")
    return results


def _as_planned(prepared: Prepared) -> dict[str, Any]:
    return {
        "plan": asdict(prepared.plan),
        "findings": [asdict(f) for f in prepared.findings],
        "left_out": prepared.notes,
    }


def _results(folder: Path) -> dict[str, Any]:
    return {
        "run": str(folder),
        "grid": str(folder / "grid.png") if (folder / "grid.png").exists() else None,  # none without test prompts
        "report": str(folder / "report.html"),
        "checkpoints": sorted(str(p) for p in (folder / "checkpoints").glob("epoch-*.safetensors")),
        "verdict": summary(read_history(folder)),
    }
