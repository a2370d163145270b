"""`likeness compare`: epochs, strengths, seeds and LoRAs beside each other."""

import json
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from likeness.cli import Json, screen

_EXAMPLES = "Examples:\n\n" + "\n\n".join((
    "likeness compare runs/maya",
    "likeness compare runs/maya --epochs 4,7",
    "likeness compare runs/maya --strengths 0.5,0.75,1 --prompt 1,2",
    "likeness compare runs/maya --epochs 0,4,7 --seeds 3 --prompt 'maya_char reading in a library'",
    "likeness compare runs/maya --lora runs/maya/checkpoints/epoch-007.safetensors --lora other.safetensors:0.8",
    "likeness compare runs/maya --epochs 4,7 --seeds 3 --save choice",
    "likeness compare runs/maya --view choice",
))  # fmt: skip

compare = App(name="compare", help_epilogue=_EXAMPLES)


@compare.default
def show(
    run: Path,
    /,
    *,
    epochs: Annotated[
        str | None, Parameter(help="Epochs to show, such as 0,3,7 (0 is the base). Default: all.")
    ] = None,
    strengths: Annotated[
        str | None,
        Parameter(help="Each at these strengths, such as 0.5,0.75,1. Without --epochs: the recommended one."),
    ] = None,
    seeds: Annotated[int | None, Parameter(help="Pictures for each prompt, each from other noise. Default: 1.")] = None,
    prompt: Annotated[
        list[str] | None,
        Parameter(negative="", help="Test prompts by number, such as 1,3, or a new one; repeat for several."),
    ] = None,
    lora: Annotated[
        list[str] | None, Parameter(negative="", help="FILE or FILE:STRENGTH to show as well; repeat for several.")
    ] = None,
    view: Annotated[str | None, Parameter(help="Open what was saved under this name.")] = None,
    save: Annotated[str | None, Parameter(help="Keep what is shown under this name.")] = None,
    device: Annotated[str, Parameter(help="Where to draw: auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    output: Annotated[
        Path | None, Parameter(name=["--output", "-o"], help="The grid's file. Default: in the run.")
    ] = None,
    json_: Json = False,
) -> int:
    """Show what the options name; all epochs where they name nothing."""
    from likeness.cli.progress import follow
    from likeness.errors import InputError
    from likeness.service import comparisons
    from likeness.service.numbers import parse_numbers
    from likeness.service.pictures import open_album, parse_strengths
    from likeness.service.samples import LoraUse
    from likeness.service.workers import begin

    asked = comparisons.View(
        tuple(parse_numbers("--epochs", epochs)) if epochs else (),
        tuple(parse_strengths(strengths)) if strengths else (),
        1 if seeds is None else seeds,
        tuple(prompt or ()),
        tuple(LoraUse.parse(text) for text in lora or ()),
    )
    if asked == comparisons.View() and view is None and save is None:
        return _whole_run(run, output, json_)
    album = open_album(run)
    if view is not None:
        if asked != comparisons.View():
            raise InputError("--view: says by itself what is shown. Fix: leave the other options out")
        asked = comparisons.load_view(run, view)
    laid = comparisons.lay_out(album, asked)
    drawn = len(laid.missing)
    if save is not None:
        comparisons.save_view(run, save, asked)
    if order := comparisons.order(laid, device):
        worker = begin(order)
        follow(worker, None if json_ else screen)
        worker.finish()
    page, grid = comparisons.write(laid, save or view or comparisons.LATEST, output)
    if json_:
        told = {
            "page": str(page),
            "grid": str(grid),
            "epochs": list(asked.epochs),
            "columns": [label for label, _ in laid.columns],
            "rows": [{"prompt": row.prompt.prompt, "seed": row.seed} for row in laid.rows],
            "pictures": [[str(laid.paths[c, r]) for c in range(len(laid.columns))] for r in range(len(laid.rows))],
            "drawn": drawn,
        }
        print(json.dumps(told, indent=2))
    else:
        screen.print(f"{len(laid.paths)} pictures, {drawn} of them drawn now")
        screen.print(f"Page: [cyan]{page}[/]\nGrid: [cyan]{grid}[/]")
        if save is not None:
            screen.print(f"Open it again: likeness compare {run} --view {save}")
    return 0


def _whole_run(run: Path, output: Path | None, json_: bool) -> int:
    """All epochs with test pictures, and the run's report."""
    from likeness.cli.scorecard import show_verdict
    from likeness.report.grid import save_grid
    from likeness.report.history import read_history
    from likeness.report.page import write_report
    from likeness.service.comparisons import view_names
    from likeness.service.scorecards import summary

    history = read_history(run)
    path = output or run / "grid.png"
    save_grid(history, path)
    report = write_report(run)
    views = view_names(run)
    if json_:
        told: dict[str, Any] = {
            "grid": str(path),
            "report": str(report),
            "epochs": history.epochs,
            "verdict": summary(history),
            "views": views,
        }
        print(json.dumps(told, indent=2))
        return 0
    show_verdict(screen, run)
    screen.print(f"Grid: [cyan]{path}[/]\nReport: [cyan]{report}[/]")
    if views:
        screen.print(f"Saved views: {', '.join(views)} (--view NAME)")
    return 0
