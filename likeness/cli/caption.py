"""`likeness dataset caption`: captions and instructions written by a machine."""

import json
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.markup import escape

from likeness.cli import Json, screen
from likeness.config.caption import CaptionConfig, ServerConfig, TaggerConfig
from likeness.errors import LikenessError
from likeness.service.captions import CaptionJob, Overwrite
from likeness.service.workers import begin

CAPTION_EXAMPLES = "Examples:\n\n" + "\n\n".join((
    "likeness dataset caption photos/maya --trigger maya_char",
    "likeness dataset caption photos/maya --engine ollama --model qwen2.5vl:7b --auto-pull --trigger maya_char",
    "likeness dataset caption pairs/night --kind edit --engine openai --model gpt-5-mini",
    "likeness dataset caption art --kind style --engine vlm --model Qwen/Qwen3-VL-4B-Instruct --overwrite machine",
    "likeness dataset caption art --engine tagger --model SmilingWolf/wd-vit-tagger-v3 --leave-out 'red hair'",
))  # fmt: skip
_SHOWN = 20  # failures, and captions to look at, on the terminal

_Flat = Parameter(name="*", negative=())


def caption(
    folder: Path,
    /,
    *,
    settings: Annotated[CaptionConfig | None, _Flat] = None,
    server: Annotated[ServerConfig | None, _Flat] = None,
    tagger: Annotated[TaggerConfig | None, _Flat] = None,
    overwrite: Annotated[
        Overwrite,
        Parameter(
            help="Captions that may be replaced: 'machine': a machine's that no person has changed; 'all': a person's "
            "too, which are then kept in the record."
        ),
    ] = "none",
    subfolders: Annotated[bool, Parameter(negative=(), help="Caption the folders inside the folder too.")] = False,
    base: Annotated[str | None, Parameter(help="Base to train: captions are to fit its text encoder.")] = None,
    json_: Json = False,
) -> int:
    """Write the captions that a dataset lacks; for pairs, the instructions.

    What a person wrote or changed stays. Ctrl-C keeps what is done; the same command goes on. Pictures that got no
    caption are listed with the reason, and the exit code is 3.
    """
    from likeness.cli.progress import follow
    from likeness.service import captions

    job = CaptionJob(
        folder,
        settings or CaptionConfig(),
        server or ServerConfig(),
        tagger or TaggerConfig(),
        overwrite,
        subfolders,
        base,
    )
    worker = begin(captions.order(job))
    follow(worker, None if json_ else screen)
    outcome = captions.finish(worker)
    code = outcome.error.exit_code if outcome.error else 0
    if json_:
        print(json.dumps({**outcome.result, "exit_code": code}, indent=2))
    else:
        show_captions(outcome.result, outcome.error)
    return code


def show_captions(result: dict[str, Any], error: LikenessError | None) -> None:
    """What was written and kept, what should be looked at, and what failed, each with its reason."""
    kept = [f"{count} by a {who}" for who, count in result["kept"].items() if count]
    screen.print(
        f"{counted(result['captioned'], 'caption')} by {escape(result['model'] or result['engine'])}"
        + (f"; left as they are: {', '.join(kept)}" if kept else "")
    )
    for note in result["notes"]:
        screen.print(f"[dim]note  {escape(note)}[/]", soft_wrap=True)
    for row in result["to_look_at"][:_SHOWN]:
        screen.print(f"[yellow]look at[/] {escape(row['image'])}: {escape('; '.join(row['notes']))}", soft_wrap=True)
    for row in result["failed"][:_SHOWN]:
        image = row["images"][-1]
        told = escape(row["message"] if row["message"].startswith(image) else f"{image}: {row['message']}")
        screen.print(f"[red]{row['reason']}[/] {told}", soft_wrap=True)
    for rows in (result["to_look_at"], result["failed"]):
        if len(rows) > _SHOWN:
            screen.print(f"… and {len(rows) - _SHOWN} more; --json lists all")
    if result["not_tried"]:
        screen.print(f"{result['not_tried']} not tried yet")
    if error:
        screen.print(str(error), style="red", markup=False, soft_wrap=True)
    elif result["captioned"]:
        screen.print(f"What was written, and by whom: [cyan]{escape(result['record'])}[/]")


def counted(count: int, noun: str) -> str:
    """'1 caption', '2 captions'."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
