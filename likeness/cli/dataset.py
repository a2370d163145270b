"""`likeness dataset`: datasets on their own."""

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding

from likeness.cli import Json, screen
from likeness.cli.caption import CAPTION_EXAMPLES, caption
from likeness.cli.enhance import ENHANCE_EXAMPLES, enhance
from likeness.dataset.checks import SEVERITIES, Finding, count_by_severity
from likeness.service.datasets import Report

dataset = App(name="dataset")
dataset.command(caption, help_epilogue=CAPTION_EXAMPLES)
dataset.command(enhance, help_epilogue=ENHANCE_EXAMPLES)

_COLOURS = {"error": "red", "warning": "yellow", "advice": "cyan"}
_MOST_NAMES = 8
_MOST_OF_A_KIND = 20  # findings, such as pictures that cannot be read, each of which is told by itself
_CHECK_EXAMPLES = "Examples:\n\n" + "\n\n".join((
    "likeness dataset check photos/maya --trigger maya_char --base starter",
    "likeness dataset check maya.yaml --report check.html",
    "likeness dataset check photos/maya --trigger maya_char --fix",
))  # fmt: skip

Workspace = Annotated[Path, Parameter(help="Folder in which what was measured is kept.")]
Kind = Literal["character", "style", "product", "environment", "edit"]


@dataset.command(help_epilogue=_CHECK_EXAMPLES)
def check(
    folder: Path,
    /,
    *,
    trigger: Annotated[str | None, Parameter(help="The trigger word. Default: what looks like one.")] = None,
    kind: Annotated[Kind | None, Parameter(help="What is learned. Default: edit for pairs, else character.")] = None,
    base: Annotated[str | None, Parameter(help="The base to train with: its size and caption length count.")] = None,
    fix: Annotated[
        bool, Parameter(negative="", help="Mend what is safe: copies aside, trigger into captions. Can be undone.")
    ] = False,
    subfolders: Annotated[bool, Parameter(negative="", help="Check the folders inside the folder too.")] = False,
    report: Annotated[Path | None, Parameter(help="Write a contact sheet to this .html file.")] = None,
    json_: Json = False,
) -> int:
    """Say what is wrong with a dataset: a folder, an archive, a list, or the datasets of a settings file.

    Exit code 2 where something must be put right before training, else 0.
    """
    from likeness.service import datasets

    found = datasets.check(folder, trigger=trigger, kind=kind, base=base, fix=fix, subfolders=subfolders)
    if report:
        datasets.write_contact_sheet(found, report)
    counts = count_by_severity(found.findings)
    if json_:
        print(json.dumps(_as_json(found, counts, report, fix), indent=2))
    else:
        show_report(screen, found, counts)
        if report:
            screen.print(f"Contact sheet: [cyan]{escape(str(report))}[/]")
    return 2 if counts["error"] else 0


@dataset.command(help_epilogue="Examples:\n\nlikeness dataset undo photos/maya")
def undo(folder: Path, /, *, json_: Json = False) -> int:
    """Take back what `check --fix` did in a folder. Captions edited since then stay as they are."""
    from likeness.service import datasets

    done, left = datasets.undo(folder)
    if json_:
        print(json.dumps({"undone": done, "left": left}, indent=2))
        return 0
    for line in done:
        screen.print(escape(line))
    for line in left:
        screen.print(f"[yellow]left[/] {escape(line)}")
    return 0


def _as_json(found: Report, counts: dict[str, int], sheet: Path | None, fix: bool) -> dict[str, object]:
    answer: dict[str, object] = {
        "findings": [asdict(f) for f in found.findings],
        "counts": counts,
        "examples": len(found.examples),
        "kind": found.kind,
        "trigger": found.trigger,
        "notes": found.notes,
    }
    if fix:
        answer["fixed"] = found.fixed
    if sheet:
        answer["report"] = str(sheet)
    return answer


def show_report(screen: Console, found: Report, counts: dict[str, int]) -> None:
    """The findings by severity, with the pictures they are about."""
    trigger = f", trigger '{found.trigger}'" if found.trigger else ""
    screen.print(
        f"[bold]{escape(found.path.name)}[/]: {len(found.examples)} {found.noun}, kind {found.kind}{escape(trigger)}"
    )
    for line in found.fixed:
        screen.print(f"[green]mended[/] {escape(line)}")
    for folder in found.folders if found.fixed else []:
        screen.print(f"[dim]To take this back: likeness dataset undo {escape(str(folder))}[/]")
    for severity in SEVERITIES:
        shown: Counter[str] = Counter()
        for finding in (f for f in found.findings if f.severity == severity):
            shown[finding.check] += 1
            if shown[finding.check] <= _MOST_OF_A_KIND:
                show_finding(screen, finding)
        for name, count in shown.items():
            if count > _MOST_OF_A_KIND:
                screen.print(f"… and {count - _MOST_OF_A_KIND} more of [bold]{name}[/]; --json lists all")
    for note in found.notes:
        screen.print(f"[dim]note  {escape(note)}[/]")
    if found.findings:
        said = ", ".join(f"{n} {s}{'s' if n > 1 and s != 'advice' else ''}" for s, n in counts.items() if n)
        screen.print(f"{said}." + (" --fix can mend some of it." if found.fixable and not found.fixed else ""))
    else:
        screen.print("[green]Nothing was found.[/]")


def show_finding(screen: Console, finding: Finding) -> None:
    """One finding: what, what to do, and the names of the pictures."""
    screen.print(f"[{_COLOURS[finding.severity]}]{finding.severity}[/] [bold]{finding.check}[/]")
    screen.print(Padding(escape(finding.message), (0, 0, 0, 4), expand=False))
    screen.print(Padding(f"[dim]→ {escape(finding.fix)}[/]", (0, 0, 0, 4), expand=False))
    if finding.images:
        names = ", ".join(Path(path).name for path in finding.images[:_MOST_NAMES])
        more = f" and {len(finding.images) - _MOST_NAMES} more" if len(finding.images) > _MOST_NAMES else ""
        screen.print(Padding(f"[dim]{escape(names)}{more}[/]", (0, 0, 0, 4), expand=False))
