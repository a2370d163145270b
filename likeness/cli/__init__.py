"""The command line: each command parses, calls the service, and shows what comes back."""

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from pydantic import ValidationError
from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from likeness import __version__
from likeness.catalog import CARDS, Card
from likeness.errors import InputError, LikenessError
from likeness.service.conversions import Layout
from likeness.service.numbers import option_problems

app = App(
    name="likeness",
    help="Teach an image model a character, a style, a product, a place or an edit, and see that it learned it.",
    version=__version__,
)
screen = Console(highlight=False)
Json = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON for machines.")]
Workspace = Annotated[Path, Parameter(help="Folder that holds the runs.")]


def _examples(*lines: str) -> str:
    return "Examples:\n\n" + "\n\n".join(lines)


# Shown under each command's help.
_EXAMPLES = {
    "train": _examples(
        "likeness train maya.yaml",
        "likeness train maya.yaml --dry-run",
        "likeness train maya.yaml --set train.epochs=15 --set optim.learning_rate=5e-5",
        "likeness train maya.yaml --resume",
    ),
    "sample": _examples(
        'likeness sample --base starter --prompt "a girl with red hair, smiling" --seed 1,2,3',
        "likeness sample --base starter --lora mika.safetensors:0.8 --prompt 'mika_char on a beach' -o beach.png",
        'likeness sample --base starter --reference photo.png --prompt "make it night"',
    ),
    "convert": _examples(
        "likeness convert mika.safetensors --to comfyui",
        "likeness convert downloaded.safetensors --to diffusers --output mine.safetensors",
        "likeness convert old.safetensors --to kohya --base flux2-klein-base-4b --json",
    ),
    "models": _examples(
        "likeness models",
        "likeness models --json",
    ),
    "doctor": _examples(
        "likeness doctor",
    ),
}


@app.command(help_epilogue=_EXAMPLES["train"])
def train(
    config: Path,
    /,
    *,
    set_: Annotated[
        list[str] | None, Parameter(name="--set", negative="", help="Override a setting: KEY=VALUE.")
    ] = None,
    workspace: Workspace = Path("runs"),
    resume: Annotated[bool, Parameter(negative="", help="Go on with the run from its last saved state.")] = False,
    dry_run: Annotated[bool, Parameter(negative="", help="Check everything and show the plan; train nothing.")] = False,
    json_: Json = False,
) -> int:
    """Train a LoRA as CONFIG.yaml says.

    Every epoch leaves a finished LoRA file and its test pictures. Ctrl-C saves and stops; --resume goes on.
    """
    from likeness.cli.training import train_all

    results = train_all(config, set_ or [], workspace, resume, dry_run, None if json_ else screen)
    print_json(results, json_)
    return 0


app.command(
    "likeness.cli.serve:serve",
    name="serve",
    help="Open the studio: train, compare and generate in the browser, over REST and through MCP.",
)
app.command("likeness.cli.mcp:mcp", name="mcp", help="Give an agent the tools to train, look, choose and generate.")
app.command(
    "likeness.cli.keys:keys", name="keys", help="Make, list and revoke the keys with which the studio is called."
)
app.command("likeness.cli.runs:runs", name="runs", help="List the runs of a workspace, and which went out from which.")
app.command(
    "likeness.cli.compare:compare",
    name="compare",
    help="Show a run's epochs side by side, at several strengths and seeds, and other LoRAs beside them.\n\n"
    "Pictures that are missing are drawn and kept, so the next time nothing is drawn. With options, a page is written "
    "in which any two pictures can be compared with a slider or subtracted.",
)
app.command(
    "likeness.cli.evaluate:evaluate",
    name="evaluate",
    help="Draw the test prompts at several strengths and seeds, measure them, and suggest a strength.\n\n"
    "Measured are likeness to the training pictures, how prompts are followed, how varied the pictures are, and how "
    "far prompts without the trigger drift from the base. Pictures are kept: after Ctrl-C the same command goes on.",
)
app.command(
    "likeness.cli.prompts:prompts",
    name="prompts",
    help="Suggest test prompts for a dataset (a folder, or a settings file) from its captions.\n\n"
    "One prompt is as the captions are, three each leave them in one thing (pose, environment, framing), and a control "
    "lacks the trigger. Without --llm nothing leaves this machine; with it, the captions are sent to that address.",
)


@app.command(help_epilogue=_EXAMPLES["sample"])
def sample(
    *,
    base: Annotated[str, Parameter(help="A name from `likeness models`, a hub repository, a folder, file or run.")],
    prompt: Annotated[list[str], Parameter(negative="", help="What to draw; repeat for several.")],
    parts_from: Annotated[str | None, Parameter(help="For a file: where its other parts are, as for --base.")] = None,
    lora: Annotated[list[str] | None, Parameter(negative="", help="FILE or FILE:STRENGTH; repeat for several.")] = None,
    negative: Annotated[str, Parameter(help="What to avoid.")] = "",
    seed: Annotated[str, Parameter(help="A seed, or several: 1,2,3.")] = "42",
    width: int | None = None,
    height: int | None = None,
    steps: int | None = None,
    guidance: float | None = None,
    reference: Annotated[list[Path] | None, Parameter(help="Source picture to edit; may be repeated.")] = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"], help="A .png, or a folder for several.")] = None,
    device: str = "auto",
    precision: Annotated[str, Parameter(help="fp32, bf16, fp16 or auto.")] = "fp32",
    workspace: Workspace = Path("runs"),
    json_: Json = False,
) -> int:
    """Draw pictures with a base model and any LoRAs."""
    from likeness.cli.progress import follow
    from likeness.service import samples
    from likeness.service.numbers import hardware, parse_numbers

    job = samples.SampleJob(
        base=base,
        prompts=tuple(prompt),
        parts_from=parts_from,
        loras=tuple(samples.LoraUse.parse(text) for text in lora or []),
        negative_prompt=negative,
        seeds=tuple(parse_numbers("--seed", seed)),
        width=width,
        height=height,
        steps=steps,
        guidance=guidance,
        references=tuple(reference or ()),
        output=output,
        hardware=hardware(device, precision),
    )
    worker = samples.start(job, workspace)
    follow(worker, screen if not json_ else None)
    worker.check()
    result = samples.result(worker.folder)
    print_json(result, json_)
    if not json_:
        for picture in result["pictures"]:
            screen.print(f"[cyan]{picture['path']}[/]  seed {picture['seed']}")
    return 0


@app.command(help_epilogue=_EXAMPLES["convert"])
def convert(
    file: Path,
    /,
    *,
    to: Annotated[Layout, Parameter(help="Whose key names the new file has.")],
    output: Annotated[Path | None, Parameter(name=["--output", "-o"], help="Default: FILE-LAYOUT.safetensors.")] = None,
    base: Annotated[str | None, Parameter(help="What it was trained on, where the file does not tell.")] = None,
    force: Annotated[bool, Parameter(negative="", help="Replace the output where it exists.")] = False,
    json_: Json = False,
) -> int:
    """Write a LoRA file with the key names that another program reads. What it does to the model stays the same."""
    from likeness.cli.progress import follow
    from likeness.cli.text import show_conversion
    from likeness.service import conversions
    from likeness.service.workers import begin

    worker = begin(conversions.order(conversions.Conversion(file, to, output, base, force)))
    follow(worker, None)
    result = worker.finish()
    print_json(result, json_)
    if not json_:
        show_conversion(screen, result)
    return 0


app.command(
    "likeness.cli.scorecard:scorecard", name="scorecard", help="Measure a run's epochs and say which one to take."
)
for _name, _words in {
    "merge": "Make one LoRA of several, each FILE or FILE:STRENGTH; or put them into a copy of their base.\n\n"
    "Weight changes are added, never factors: ranks, alphas, types and key names may differ.",
    "extract": "Write what a fine-tuned checkpoint has that its base has not, as a LoRA.\n\n"
    "Both are names from `likeness models`, hub repositories, folders or files.",
    "resize": "Write a LoRA of a lower rank that changes weights as nearly as possible in the same way.",
    "prune": "Write a LoRA without some of its layers. Names are those of diffusers, as in `likeness inspect`.",
    "inspect": "Say what a LoRA file is: for which base, of which kind and rank, how it was trained, where it acts.\n\n"
    "Exit code 1 where the file looks damaged.",
}.items():  # loaded when they are called
    app.command(f"likeness.cli.lora:{_name}_command", name=_name, help=_words)
app.command("likeness.cli.dataset:dataset", name="dataset", help="Check a dataset, mend it, take back what was mended.")
app.command(
    "likeness.cli.voice:voice", name="voice", help="Clone a voice from a recording, train one, and let it say any text."
)


@app.command(help_epilogue=_EXAMPLES["models"])
def models(name: str = "", /, *, json_: Json = False) -> int:
    """List the base models that can be trained: all, or those with NAME in their name."""
    cards = [c for c in CARDS.values() if name.lower() in f"{c.name} {c.title}".lower()]
    if not cards:
        raise InputError(f"no base model has '{name}' in its name. Fix: leave it out to see all")
    print_json([asdict(c) for c in cards], json_)
    if not json_:
        for card in cards:
            screen.print(f"[bold]{card.name}[/]  {card.title}")
            screen.print(Padding("\n".join(_about(card)), (0, 0, 0, 4)))
        screen.print("\nA folder in the diffusers layout, or a hub repository of these families, works as well.")
    return 0


def _about(card: Card) -> Iterator[str]:
    yield f"{card.parameters}, {card.resolution}², {card.licence}"
    sources = "one picture" if card.max_references == 1 else f"up to {card.max_references} pictures"
    edits = f", edits of {sources}" if card.edits else ""
    yield f"{', '.join(card.languages)}; {card.steps} steps, {card.guidance_words}{edits}"
    yield card.good_for
    notes = [f"pick: {card.pick}" if card.pick else "", *_relations(card)]
    if told := "; ".join(filter(None, notes)):
        yield f"[dim]{told}[/]"


def _relations(card: Card) -> Iterator[str]:
    if card.runs_on:
        yield f"LoRAs trained on it also run on {', '.join(card.runs_on)}"
    if card.successor:
        yield f"newer: {card.successor}"


@app.command(help_epilogue=_EXAMPLES["doctor"])
def doctor(*, workspace: Workspace = Path("runs"), json_: Json = False) -> int:
    """Check the installation and the machine."""
    from likeness.service.doctor import checks

    rows = checks(workspace)
    print_json([asdict(c) for c in rows], json_)
    if not json_:
        marks = {"ok": "[green]ok[/]", "warning": "[yellow]warning[/]", "problem": "[red]problem[/]"}
        table = Table(box=None, show_header=False, pad_edge=False)
        for c in rows:
            table.add_row(marks[c.state], c.name, c.message + (f"  → {c.fix}" if c.fix else ""))
        screen.print(table)
    return 1 if any(c.state == "problem" for c in rows) else 0


def print_json(value: Any, wanted: bool) -> None:
    """For `--json`."""
    if wanted:
        print(json.dumps(value, indent=2, default=str))


def main(arguments: list[str] | None = None) -> int:
    """Run a command. Exit codes: 0 done, 1 or 2 bad input, 3 failed with the state saved, 130 interrupted."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        outcome: Any = app(arguments, result_action="return_value", exit_on_error=False, print_error=False)
        return outcome if isinstance(outcome, int) else 0
    except LikenessError as e:
        return _tell(str(e), e.exit_code, arguments)
    except KeyboardInterrupt:
        return _tell("stopped", 130, arguments)
    except BrokenPipeError:  # whoever read the output has enough, as `head` does
        # Or the interpreter would complain on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141  # as a shell names an end by SIGPIPE
    except OSError as e:
        words = f"{e.filename or 'a file'}: {e.strerror or e}. Fix: check the path, its permissions and the free space"
        return _tell(words, 2, arguments)
    except Exception as e:
        if isinstance(e.__cause__, ValidationError):
            return _tell("\n".join(option_problems(e.__cause__)), 2, arguments)
        if type(e).__module__.startswith("cyclopts"):
            return _tell(f"{e} See `likeness --help`.", 2, arguments)
        raise


def _tell(message: str, code: int, arguments: list[str]) -> int:
    if "--json" in arguments:
        print(json.dumps({"error": message, "exit_code": code}, indent=2))
    else:
        Console(stderr=True, highlight=False, soft_wrap=True).print(message, style="red", markup=False)
    return code


if __name__ == "__main__":
    sys.exit(main())
