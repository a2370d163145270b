"""`likeness evaluate`: how strong to use a LoRA."""

import json
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from rich.markup import escape
from rich.table import Table

from likeness.cli import Json, screen
from likeness.service.evaluations import Laid, table_of

_EXAMPLES = "Examples:\n\n" + "\n\n".join((
    "likeness evaluate runs/maya",
    "likeness evaluate runs/maya --strengths 0.6,0.7,0.8,0.9,1.0 --seeds 10",
    "likeness evaluate runs/maya --epochs 5,7 --strengths 0.5,1 --seeds 4 --prompt 1,2 --json",
    "likeness evaluate runs/maya --encoder facebook/dinov2-small",
))  # fmt: skip

evaluate = App(name="evaluate", help_epilogue=_EXAMPLES)


@evaluate.default
def measure(
    run: Path,
    /,
    *,
    strengths: Annotated[str, Parameter(help="Strengths to try.")] = "0.6,0.7,0.8,0.9,1.0",
    seeds: Annotated[int, Parameter(help="Pictures for each prompt and strength; more tell more exactly.")] = 10,
    epochs: Annotated[
        str | None, Parameter(help="Epochs to try, such as 5,7. Default: the recommended one, else the last.")
    ] = None,
    prompt: Annotated[
        list[str] | None,
        Parameter(
            name=["--prompt", "--prompts"],
            negative="",
            help="Test prompts by number, such as 1,3, or a new one; repeat for several. Default: the run's.",
        ),
    ] = None,
    encoder: Annotated[
        str | None,
        Parameter(help="What pictures are compared by: none, a folder or 'owner/name'. Default: the run's."),
    ] = None,
    device: Annotated[str, Parameter(help="Where to draw: auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    json_: Json = False,
) -> int:
    """Lay out the protocol, have a worker draw and measure, and show what came of it."""
    from likeness.cli.progress import follow
    from likeness.service import evaluations
    from likeness.service.numbers import parse_numbers
    from likeness.service.pictures import open_album, parse_strengths
    from likeness.service.workers import begin

    protocol = evaluations.Protocol(
        tuple(parse_strengths(strengths)),
        seeds,
        tuple(parse_numbers("--epochs", epochs)) if epochs else (),
        tuple(prompt or ()),
        encoder,
    )
    laid = evaluations.lay_out(open_album(run), protocol)
    if not json_:
        screen.print(_plan(laid))
        for note in laid.notes:
            screen.print(f"[yellow]note:[/] {escape(note)}")
    worker = begin(evaluations.order(laid, device))
    follow(worker, None if json_ else screen)
    result = evaluations.write(worker.finish(), laid)
    if json_:
        print(json.dumps(result, indent=2))
        return 0
    for found in result["epochs"]:
        _show(found, result["encoder"], seeds)
    return 0


def _plan(laid: Laid) -> str:
    trials = len(laid.trials) - 1
    count = sum(len(row) for rows in laid.paths.values() for row in rows)
    factors = f"{_count(len(laid.prompts), 'prompt')} × {_count(laid.protocol.seeds, 'seed')}"
    return f"{factors} × ({_count(trials, 'strength')} + base) = {count} pictures, {len(laid.missing)} to draw"


def _count(number: int, word: str) -> str:
    return f"{number} {word}" + ("" if number == 1 else "s")


def _show(found: dict[str, Any], encoder: str, seeds: int) -> None:
    told = table_of(found, encoder, seeds)
    screen.print(f"\n[bold]Epoch {found['epoch']}[/]")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("at", *told.head[1:]):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for number, cells in enumerate(told.rows):
        narrow = (cell.replace(" ±0.", "±.") for cell in cells)  # so that all columns find room
        table.add_row(*map(escape, narrow), "[green]<[/]" if number == told.marked else "")
    screen.print(table)
    screen.print(f"[dim]{escape(told.notes[0])}[/]")
    colour = "yellow" if found["suggested"] is None else "green"
    screen.print(f"[bold {colour}]{escape(found['sentence'])}[/]")
    for reason in found["reasons"]:
        screen.print(f"  [dim]{escape(reason)}[/]")
    screen.print(f"Page: [cyan]{found['page']}[/]\nGrid: [cyan]{found['grid']}[/]")
