"""`likeness runs`: what was trained in a workspace."""

from dataclasses import asdict
from pathlib import Path

from rich.markup import escape
from rich.tree import Tree

from likeness.cli import Json, Workspace, print_json, screen
from likeness.service.run_list import Branch, RunSummary, family_tree, runs_in

_COLOURS = {"finished": "green", "training": "cyan", "failed": "red"}


def runs(*, workspace: Workspace = Path("runs"), json_: Json = False) -> int:
    """List the runs of a workspace, newest first, each below the one that it went on from."""
    found = runs_in(workspace)
    if json_:
        print_json([asdict(run) for run in found], True)
        return 0
    if not found:
        screen.print(f"No runs in {workspace}. Begin with: likeness train CONFIG.yaml --workspace {workspace}")
        return 0
    for branch in family_tree(found):
        tree = Tree(_told(branch.run), guide_style="dim")
        _grow(tree, branch)
        screen.print(tree)
    return 0


def _grow(tree: Tree, branch: Branch) -> None:
    for child in branch.children:
        _grow(tree.add(_told(child.run)), child)


def _told(run: RunSummary) -> str:
    colour = _COLOURS.get(run.state, "yellow")
    origin = f" [dim]from {escape(run.parent[0])}, epoch {run.parent[1]}[/]" if run.parent else ""
    suggested = f", suggested {run.suggested}" if run.suggested else ""
    return (
        f"[bold]{escape(run.name)}[/]  [{colour}]{run.state}[/]  {run.kind} on {escape(run.base)}, "
        f"{run.epochs} of {run.planned_epochs} epochs{suggested}{origin}"
    )
