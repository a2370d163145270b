"""A run's plan in words."""

from rich.console import Console

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
        screen.print(f"[{colour}]{finding.severity}[/] {finding.message} [dim]{finding.fix}[/]")
    for note in prepared.notes:
        screen.print(f"[yellow]left out[/] {note}")
    if prepared.suggestions:
        screen.print("[dim]Suggestions (nothing is changed by itself):[/]")
    for s in prepared.suggestions:
        screen.print(f"[dim]  {s.field} {s.value}: {s.reason}[/]")
