"""`likeness scorecard`: which epoch of a run to take, and why."""

import json
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from likeness.cli import Json, screen
from likeness.events import VerdictGiven
from likeness.report.history import read_history
from likeness.report.scorecard import scorecard_table

_EXAMPLES = "Examples:\n\n" + "\n\n".join((
    "likeness scorecard runs/maya",
    "likeness scorecard runs/maya --seeds 4",
    "likeness scorecard runs/maya --against runs/maya-2",
    "likeness scorecard runs/maya --encoder facebook/dinov2-small --json",
))  # fmt: skip
_COLOURS = {"sweet spot": "green", "underfit": "yellow", "overfit": "yellow", "cannot tell": "yellow"}
_SHORT = {
    "held-out loss": "held out",
    "training loss": "training",
    "likeness": "likeness",
    "followed": "followed",
    "preserved": "preserved",
    "prompt": "prompt",
    "diversity": "diversity",
    "leak": "leak",
    "copied": "copied",
}
_MARKS = {"suggested": "green", "sweet spot": "cyan", "overfit": "yellow", "": "default"}

scorecard = App(name="scorecard", help_epilogue=_EXAMPLES)


@scorecard.default
def measure(
    run: Path,
    /,
    *,
    encoder: Annotated[
        str | None,
        Parameter(help="What pictures are compared by: none, a folder or 'owner/name'. Default: the run's."),
    ] = None,
    seeds: Annotated[
        int | None, Parameter(help="Pictures for each test prompt; those that are missing are drawn.")
    ] = None,
    against: Annotated[
        Path | None, Parameter(help="Another run: say which of the two learned better, or that it cannot be told.")
    ] = None,
    device: Annotated[str, Parameter(help="Where to draw: auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    json_: Json = False,
) -> int:
    """Measure all epochs of a run that has ended, and say which one to take.

    Pictures, losses and files that the run left are used; nothing is trained. The result goes into the run's events and
    report.
    """
    from likeness.cli.progress import follow
    from likeness.service import scorecards
    from likeness.service.workers import begin

    worker = begin(scorecards.order(run, encoder=encoder, seeds=seeds, against=against, device=device))
    follow(worker, screen if not json_ else None)
    outcome = scorecards.outcome(worker.finish(), run)
    verdict = outcome.history.verdict
    if json_:
        found = scorecards.summary(outcome.history) or {}
        held = {"against": str(against), "better": outcome.better, "why": outcome.why} if against else {}
        print(json.dumps({**found, **held}, indent=2))
    elif verdict is not None:
        show_table(screen, verdict)
        show_verdict(screen, run)
        if against:
            which = {"A": f"{run} learned better", "B": f"{against} learned better"}.get(outcome.better)
            screen.print(
                f"\n[bold]{escape(which or 'Cannot tell which run learned better')}[/]: {escape(outcome.why)}."
            )
    return 0


def show_verdict(to: Console, run: Path) -> None:
    """The sentence, and why; nothing where no epoch was judged."""
    verdict = read_history(run).verdict
    if verdict is None:
        return
    to.print(f"\n[bold {_COLOURS.get(verdict.verdict, 'default')}]{escape(verdict.sentence)}[/]")
    for reason in verdict.reasons:
        to.print(f"  [dim]{escape(reason)}[/]")
    for advice in verdict.advice:
        to.print(f"  {escape(advice)}")


def show_table(to: Console, verdict: VerdictGiven) -> None:
    """Every epoch with the measures that matter most; the report and --json have all of them."""
    found = scorecard_table(verdict)
    shown = [(place, name) for place, (name, _) in enumerate(found.columns) if name in _SHORT]
    table = Table(box=None, pad_edge=False)
    for name in ("epoch", *(_SHORT[name] for _, name in shown)):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for row in found.rows:
        cells = [row.cells[place].text for place, _ in shown]
        table.add_row(str(row.epoch or "base"), *cells, f"[{_MARKS[row.mark]}]{row.mark}[/]")
    to.print(table)
