"""`likeness merge`, `extract`, `resize`, `prune` and `inspect`: LoRA files on their own."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from rich.console import Console
from rich.markup import escape

from likeness.cli import Json, screen
from likeness.service.lora_files import (
    Extraction,
    FileLayout,
    Merge,
    Method,
    Precision,
    Prune,
    Resize,
    Size,
    order_extraction,
    order_inspection,
    order_merge,
    order_prune,
    order_resize,
)
from likeness.service.samples import LoraUse
from likeness.service.workers import Order, begin

_LONGEST_BAR = 30  # characters
_MOST_SHOWN = 6
_FAINT = 0.01  # a share of the difference that is worth a note

Output = Annotated[Path, Parameter(name=["--output", "-o"], help="The new .safetensors file.")]
OptionalOutput = Annotated[Path | None, Parameter(name=["--output", "-o"], help="Default: a new name beside FILE.")]
Rank = Annotated[int | None, Parameter(help="Cut each layer to this rank at most.")]
Keep = Annotated[float | None, Parameter(help="Cut each layer to this share of its energy (squared norm): 0.95.")]
To = Annotated[FileLayout | None, Parameter(help="Whose key names the new file has. Default: as before.")]
Numbers = Annotated[Precision, Parameter(help="Number format of the new file. auto: fp16 where layers were cut.")]
BaseName = Annotated[str | None, Parameter(help="What it was trained on, where the file does not tell.")]
Device = Annotated[str, Parameter(help="Where to compute: auto, cpu, cuda or cuda:1.")]
Overwrite = Annotated[bool, Parameter(negative="", help="Replace the output where it exists.")]


def _examples(*lines: str) -> str:
    return "Examples:\n\n" + "\n\n".join(lines)


def merge(
    *files: str,
    output: Annotated[
        Path, Parameter(name=["--output", "-o"], help="The new .safetensors file; a folder with --into-base.")
    ],
    method: Annotated[
        Method, Parameter(help="How changes become one: concat and linear are exact, svd cuts, ties and dare thin out.")
    ] = "concat",
    rank: Rank = None,
    keep: Keep = None,
    density: Annotated[float | None, Parameter(help="ties: share of values that each keeps. Default: 0.2.")] = None,
    drop: Annotated[float | None, Parameter(help="dare: probability to drop a value. Default: 0.5.")] = None,
    seed: Annotated[int | None, Parameter(help="dare: which values are dropped. Default: 42.")] = None,
    to: To = None,
    precision: Numbers = "auto",
    base: Annotated[
        str | None, Parameter(help="What they were trained on; needed where files do not tell, and for a DoRA.")
    ] = None,
    into_base: Annotated[str | None, Parameter(help="Write a copy of this base with the LoRAs in its weights.")] = None,
    device: Device = "auto",
    overwrite: Overwrite = False,
    json_: Json = False,
) -> int:
    """The command of this name; what it says of itself is in `cli`."""
    job = Merge(
        loras=tuple(LoraUse.parse(text) for text in files),
        output=output,
        method=method,
        size=Size(rank, keep),
        density=density,
        drop=drop,
        seed=seed,
        layout=to,
        precision=precision,
        base=base,
        into_base=into_base,
        device=device,
        overwrite=overwrite,
    )
    result = _follow(order_merge(job), json_, bar=True)
    if not json_:
        for source in result["sources"]:
            screen.print(f"{escape(source['file'])} at {source['strength']:g}")
        if into_base:
            _show_base(screen, result)
        else:
            _show_file(screen, result)
            screen.print(_error_words(result["error"], "the change asked for"))
    return 0


def extract(
    base: str,
    tuned: str,
    /,
    *,
    output: Output,
    rank: Rank = None,
    keep: Keep = None,
    precision: Numbers = "auto",
    device: Device = "auto",
    overwrite: Overwrite = False,
    json_: Json = False,
) -> int:
    """The command of this name; what it says of itself is in `cli`."""
    job = Extraction(base, tuned, output, Size(rank, keep), precision, device, overwrite)
    result = _follow(order_extraction(job), json_, bar=True)
    if not json_:
        _show_file(screen, result)
        screen.print(_error_words(result["error"], "the difference of the layers' weights"))
        if result["left_out"]:
            share = result["left_out_share"]
            names = ", ".join(result["left_out"][:_MOST_SHOWN])
            style = "yellow" if share > _FAINT else "dim"
            screen.print(
                f"[{style}]note[/] {len(result['left_out'])} other tensors differ too, and no LoRA holds them: "
                f"{share:.2%} of the energy of all differences ({escape(names)})"
            )
    return 0


def resize(
    file: Path,
    /,
    *,
    rank: Rank = None,
    keep: Keep = None,
    output: OptionalOutput = None,
    to: To = None,
    precision: Numbers = "auto",
    base: BaseName = None,
    device: Device = "auto",
    overwrite: Overwrite = False,
    json_: Json = False,
) -> int:
    """The command of this name; what it says of itself is in `cli`."""
    job = Resize(file, Size(rank, keep), output, to, precision, base, device, overwrite)
    result = _follow(order_resize(job), json_)
    if not json_:
        _show_smaller(screen, result)
        screen.print(_error_words(result["error"], "the change that it made"))
        if result["dora"]:
            screen.print("[dim]note[/] It is a DoRA: its magnitudes stay, and the error is that of its directions.")
    return 0


def prune(
    file: Path,
    /,
    *,
    match: Annotated[
        list[str] | None, Parameter(negative="", help="Expression for whole names of layers to drop; may be repeated.")
    ] = None,
    smallest: Annotated[int, Parameter(help="Drop this many layers, those whose weights change least.")] = 0,
    output: OptionalOutput = None,
    to: To = None,
    base: BaseName = None,
    overwrite: Overwrite = False,
    json_: Json = False,
) -> int:
    """The command of this name; what it says of itself is in `cli`."""
    result = _follow(order_prune(Prune(file, tuple(match or ()), smallest, output, to, base, overwrite)), json_)
    if not json_:
        _show_smaller(screen, result)
        dropped = result["dropped"]
        shown = ", ".join(dropped[:_MOST_SHOWN]) + (", …" if len(dropped) > _MOST_SHOWN else "")
        screen.print(f"dropped {len(dropped)} layers: {escape(shown)}")
        if result["kept"] is not None:
            screen.print(f"{result['kept']:.1%} of the change's energy (squared norm) is kept")
    return 0


def inspect(file: Path, /, *, base: BaseName = None, json_: Json = False) -> int:
    """The command of this name; what it says of itself is in `cli`."""
    result = _follow(order_inspection(file, base), json_)
    if not json_:
        show_inspection(screen, result)
    return 1 if result["problems"] else 0


def _follow(order: Order, json_: bool, *, bar: bool = False) -> dict[str, Any]:
    from likeness.cli.progress import follow

    worker = begin(order)
    follow(worker, screen if bar and not json_ else None)
    result = worker.finish()
    if json_:
        print(json.dumps(result, indent=2))
    return result


def _show_file(screen: Console, result: dict[str, Any]) -> None:
    screen.print(
        f"[cyan]{escape(result['path'])}[/]\n    {result['layout']}: {result['layers']} layers of {result['family']}, "
        f"rank {_listed(result['ranks'])}, {_size(result['bytes'])}"
    )


def _show_smaller(screen: Console, result: dict[str, Any]) -> None:
    _show_file(screen, result["before"])
    _show_file(screen, result)


def _show_base(screen: Console, result: dict[str, Any]) -> None:
    screen.print(
        f"[cyan]{escape(result['path'])}[/]\n    {result['base']} with {result['layers']} layers changed, "
        f"in {result['files']} {'file' if result['files'] == 1 else 'files'}"
    )
    screen.print(f"rounding to the base's number format: {result['rounding']:.2%} of the change")


def _error_words(error: float, of: str) -> str:
    return f"error: {error:.3g} of {of} (Frobenius norm)" if error else f"exact: no part of {of} is cut"


def show_inspection(screen: Console, found: dict[str, Any]) -> None:
    """All that `inspect` found, and a bar chart of where the LoRA acts."""
    formats = ", ".join(f"{name}" for name in found["numbers"])
    screen.print(f"[cyan]{escape(found['path'])}[/]  {_size(found['bytes'])}, {found['tensors']} tensors, {formats}")
    kinds = " and ".join(f"{count} {kind}" for kind, count in found["kinds"].items())
    rows = {
        "name": found["name"],
        "base": found["base"],
        "family": found["family"],
        "trigger": found["trigger"],
        "layout": found["layout"],
        "kind": f"{kinds} layers, rank {_listed(found['ranks'])}, alpha {_listed(found['alphas'])}" if kinds else "",
        "alpha from": found["alpha_from"],
        "made of": _made_words(found["made_of"]),
        "captions": ", ".join(f"{tag} ({count})" for tag, count in found["tags"].items()),
        **found["settings"],
    }
    for name, value in rows.items():
        if value:
            screen.print(f"    [dim]{escape(name)}[/] {escape(str(value))}")
    if found["blocks"]:
        screen.print(f"norm of the weight change: {found['norm']:.4g}, by block:")
        _show_bars(screen, found["blocks"])
    for problem in found["problems"]:
        screen.print(f"[red]problem[/] {escape(problem)}")


def _show_bars(screen: Console, blocks: list[dict[str, Any]]) -> None:
    widest, most = max(len(b["name"]) for b in blocks), max(b["norm"] for b in blocks)
    room = max(0, min(_LONGEST_BAR, screen.width - widest - 18))
    for block in blocks:
        bar = "█" * round(room * block["norm"] / most) if most else ""
        screen.print(f"    {block['name']:<{widest}}  {block['norm']:<9.4g} {bar}", no_wrap=True)


def _made_words(made: dict[str, Any]) -> str:
    if not made:
        return ""
    parts = [f"{s['file']} at {s['strength']:g}" for s in made.get("sources", [])]
    parts = parts or [str(made[key]) for key in ("base", "tuned") if made.get(key)]
    return f"{' and '.join(parts)} ({made.get('method', made.get('by', ''))})"


def _listed(numbers: list[float]) -> str:
    if len(numbers) > 4:
        return f"{numbers[0]:g} to {numbers[-1]:g}"
    return ", ".join(f"{n:g}" for n in numbers) or "none"


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"


_EXAMPLES = {
    "merge": _examples(
        "likeness merge mika.safetensors:0.9 woodcut.safetensors:0.6 -o mika-woodcut.safetensors",
        "likeness merge mika.safetensors woodcut.safetensors --method svd --rank 16 -o small.safetensors",
        "likeness merge mika.safetensors --into-base starter -o starter-mika",
    ),
    "extract": _examples("likeness extract flux2-klein-base-4b my-finetune --rank 32 -o my-finetune.safetensors"),
    "resize": _examples(
        "likeness resize mika.safetensors --rank 8",
        "likeness resize mika.safetensors --keep 0.95 -o mika-small.safetensors",
    ),
    "prune": _examples(
        "likeness prune mika.safetensors --match '.*ff.*'",
        "likeness prune mika.safetensors --smallest 10",
    ),
    "inspect": _examples("likeness inspect mika.safetensors", "likeness inspect downloaded.safetensors --json"),
}


def _command(name: str, function: Callable[..., int]) -> App:
    command = App(name=name, help_epilogue=_EXAMPLES[name])
    command.default(function)
    return command


# As the command line finds them.
merge_command, extract_command = _command("merge", merge), _command("extract", extract)
resize_command, prune_command = _command("resize", resize), _command("prune", prune)
inspect_command = _command("inspect", inspect)
