"""`likeness dataset enhance`: small pictures, made larger."""

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.markup import escape

from likeness.cli import Json, screen
from likeness.cli.caption import counted
from likeness.service.enhancements import Enhancement

ENHANCE_EXAMPLES = "Examples:\n\n" + "\n\n".join((
    "likeness dataset enhance photos/maya --base flux2-klein-base-4b",
    "likeness dataset enhance photos/maya --under 768 --output photos/maya-large",
    "likeness dataset enhance photos/maya --model 4x-sharp.safetensors",
))  # fmt: skip


def enhance(
    folder: Path,
    /,
    *,
    under: Annotated[
        int | None,
        Parameter(help="Enlarge pictures with less area than a square of this side. Default: the base's, or 1024."),
    ] = None,
    base: Annotated[str | None, Parameter(help="The base to train with.")] = None,
    model: Annotated[
        Path | None, Parameter(help="Folder of a Swin2SR model, or a file for spandrel. Default: the shipped one.")
    ] = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"], help="Default: FOLDER-enhanced.")] = None,
    device: Annotated[str, Parameter(help="Where to compute: auto, cpu, cuda, cuda:1 or mps.")] = "auto",
    json_: Json = False,
) -> int:
    """Write a copy of a dataset in which small pictures are twice as large; the originals stay as they are.

    Captions, masks and all other files are copied too. Ctrl-C keeps what is done; the same command goes on.
    """
    from likeness.cli.progress import follow
    from likeness.service import enhancements
    from likeness.service.workers import begin

    worker = begin(enhancements.order(Enhancement(folder, under, base, model, output, device)))
    follow(worker, screen if not json_ else None)
    result = worker.finish()
    if json_:
        print(json.dumps(result, indent=2))
        return 0
    for note in result["notes"]:
        screen.print(f"[yellow]note[/] {escape(note)}")
    count = len(result["enhanced"])
    if not count:
        screen.print(f"No picture is below {result['under']}x{result['under']}; nothing was written.")
        return 0
    pictures, files = counted(count, "picture"), counted(result["copied"], "other file")
    screen.print(f"{pictures} enlarged {result['scale']} times by {escape(result['model'])}, {files} copied")
    screen.print(f"[cyan]{escape(result['output'])}[/]")
    return 0
