"""A run's plan in words."""

from typing import Any

from rich.console import Console
from rich.markup import escape

from likeness.service.runs import Prepared


def show_plan(screen: Console, prepared: Prepared) -> None:
    """What will be trained, how long, what the data check found, and what experience suggests."""
    config, plan = prepared.config, prepared.plan
    kind = f"{'an' if config.kind[0] in 'aeiou' else 'a'} {config.kind}"
    screen.print(f"[bold]{config.name}[/]: a LoRA of rank {config.lora.rank} for {kind} on base '{config.base}'")
    kept = f", {plan.held_out} held out to measure with" if plan.held_out else ""
    screen.print(f"{plan.images} pictures{kept}; {plan.arithmetic}")
    for finding in prepared.findings:
        colour = "yellow" if finding.severity == "warning" else "dim"
        screen.print(f"[{colour}]{finding.severity}[/] {escape(finding.message)} [dim]{escape(finding.fix)}[/]")
    for note in prepared.loaded.notes:
        screen.print(f"[dim]{note}[/]")
    for note in prepared.notes:
        screen.print(f"[yellow]note[/] {escape(note)}")  # file names may look like markup
    if prepared.suggestions:
        screen.print("[dim]Suggestions (nothing is changed by itself):[/]")
    for s in prepared.suggestions:
        screen.print(f"[dim]  {s.field} {s.value}: {s.reason}[/]")


def show_conversion(screen: Console, result: dict[str, Any]) -> None:
    """What was read and written, and that both do the same."""
    for side in (result["from"], result["to"]):
        kinds = " and ".join(f"{count} {kind}" for kind, count in side["kinds"].items())
        screen.print(
            f"[cyan]{side['path']}[/]\n    {side['layout']}: {kinds} layers of {result['family']}, "
            f"rank {_listed(side['ranks'])}, alpha {_listed(side['alphas'])} ({side['alpha_from']})"
        )
    far = result["largest_difference"]
    screen.print(f"verified: largest difference of any layer's weight change {'at most ' if far else ''}{far:.3g}")


def _listed(numbers: list[float]) -> str:
    if len(numbers) > 4:
        return f"{numbers[0]:g} to {numbers[-1]:g}"
    return ", ".join(f"{n:g}" for n in numbers) or "none"
