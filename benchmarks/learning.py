"""How far the example character is learned, epoch by epoch, how far it leaks, and whether prompts are still obeyed.

    python -m benchmarks.learning --run runs/mika

Draws prompts that the run has never seen, with the trigger and without, at every epoch of a finished run, and asks a
judge (see `judge.py`) that was trained on renders of the world and has seen no picture of any model.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.table import Table

from benchmarks.curve import draw_curve
from benchmarks.judge import TRAITS, Judge
from benchmarks.prompts import Trial, trials
from benchmarks.school import ready_judge
from benchmarks.scores import EpochReading, Reading, read
from benchmarks.wearing import worn
from likeness import durable
from likeness.config.sampling import PromptConfig
from likeness.dataset.formats import open_rgb
from likeness.errors import InputError, LikenessError
from likeness.families import Family, open_family
from likeness.families.placement import choose_placement, precision_name, set_up_torch
from likeness.sample.sampler import draw, save_png, settle
from likeness.train.loop import Job
from likeness.worker.epoch import checkpoint_path
from likeness.worker.training import read_job

NEAR_THE_TOP = 0.05  # a trait score this close to the highest one counts as levelled


def finished_epochs(folder: Path) -> list[int]:
    """Epochs with a LoRA file, and 0. Raises InputError where there is no LoRA."""
    files = sorted((folder / "checkpoints").glob("epoch-*.safetensors"))
    if not files:
        raise InputError(f"{folder}: holds no finished epochs. Fix: train the example first (make demo), or give --run")
    return [0, *(int(f.stem.removeprefix("epoch-")) for f in files)]


def chosen_epochs(available: Sequence[int], wanted: str, quick: bool) -> list[int]:
    """Those of '0,3,10', else all, else when `quick` 0, the first, the middle and the last."""
    if wanted:
        try:
            numbers = [int(n) for n in wanted.split(",")]
        except ValueError as e:
            raise InputError(f"--epochs: '{wanted}' is no list of numbers. Fix: write 0,3,10") from e
        if missing := [n for n in numbers if n not in available]:
            raise InputError(f"--epochs: {missing[0]} is not there; there are {', '.join(map(str, available))}")
        return numbers
    if quick:
        return sorted({available[0], available[1], available[(len(available) + 1) // 2], available[-1]})
    return list(available)


def pictures(
    family: Family, job: Job, epochs: Sequence[int], wanted: Sequence[Trial], keep: Path | None = None
) -> Iterator[tuple[int, list[Image.Image]]]:
    """(epoch, pictures of `wanted`), drawn by the product's own sampler; the base is loaded once.

    With `keep`, each picture is also written there.
    """
    texts = [t.prompt.text.replace("{trigger}", job.config.trigger) for t in wanted]
    requests = [
        settle(PromptConfig(prompt=text, seed=t.seed), job.config.sampling, job.card)
        for text, t in zip(texts, wanted, strict=True)
    ]
    conditions = {text: family.encode_text([text])[0] for text in dict.fromkeys(t for r in requests for t in r.texts)}
    for epoch in epochs:
        with worn(family.networks, checkpoint_path(job.folder, epoch) if epoch else None):
            drawn = [draw(family, r, conditions) for r in requests]
        if keep is not None:
            for number, (image, request) in enumerate(zip(drawn, requests, strict=True), start=1):
                save_png(keep / f"epoch-{epoch:03d}" / f"{number:02d}.png", image, request)
        yield epoch, drawn


def measure(
    family: Family,
    job: Job,
    judge: Judge,
    epochs: Sequence[int],
    *,
    quick: bool = False,
    times: int = 1,
    keep: Path | None = None,
) -> Iterator[EpochReading]:
    """One reading an epoch, as soon as it is there. `times`: as many pictures, for less noise."""
    learned, controls = trials(quick, times)
    asked = [t.prompt for t in (*learned, *controls)]
    for epoch, drawn in pictures(family, job, epochs, [*learned, *controls], keep):
        cut = len(learned)
        yield EpochReading(
            epoch,
            read(judge.look(drawn[:cut]), asked[:cut]),
            read(judge.look(drawn[cut:]), asked[cut:]),
        )


def read_examples(job: Job, judge: Judge) -> Reading | None:
    """The run's own pictures in the judge's eyes: about as high as a trait score can get."""
    images = [open_rgb(Path(e.path)) for e in job.examples if Path(e.path).exists()]
    return read(judge.look(images), [None] * len(images)) if images else None


# --- telling


def table(readings: Sequence[EpochReading], examples: Reading | None) -> Table:
    grid = Table(title="probability in the judge's eyes, mean [95 % interval]", title_justify="left")
    for name in ("epoch", *TRAITS, "trait", ">½", "obeyed", "leak", "leak >½", "controls obeyed"):
        grid.add_column(name, justify="right", no_wrap=True)
    for r in readings:
        a, b = r.learned, r.controls
        cells = [str(r.epoch), *(f"{a.traits[n].mean:.2f}" for n in TRAITS), str(a.together), f"{a.together.share:.0%}"]
        grid.add_row(*cells, str(a.obeyed), str(b.together), f"{b.together.share:.0%}", str(b.obeyed))
    if examples is not None:
        cells = [*(f"{examples.traits[n].mean:.2f}" for n in TRAITS), str(examples.together)]
        grid.add_row("data", *cells, f"{examples.together.share:.0%}", "", "", "", "")
    return grid


def conclusion(readings: Sequence[EpochReading]) -> str:
    """One sentence: how high, from when on, at what cost. Needs a reading of the base and one of an epoch."""
    base, trained = readings[0], readings[1:]
    top = max(trained, key=lambda r: r.learned.together.mean)
    level = next(r for r in trained if r.learned.together.mean >= top.learned.together.mean - NEAR_THE_TOP)
    words = f"The trait rises from {base.learned.together.mean:.2f} to {top.learned.together.mean:.2f}"
    words += f", levelling at epoch {level.epoch}; leak {base.controls.together.mean:.2f} → "
    words += f"{level.controls.together.mean:.2f}"
    if base.learned.obeyed and level.learned.obeyed and trained[-1].learned.obeyed:
        words += f"; prompts obeyed {base.learned.obeyed.mean:.2f} → {level.learned.obeyed.mean:.2f} there"
        words += f" and {trained[-1].learned.obeyed.mean:.2f} at the end"
    return words + "."


def judge_table(judge: Judge) -> Table:
    grid = Table(title="the judge, on held-out renders seen through the starter's VAE", title_justify="left")
    for name in ("head", "accuracy", "found", "false alarms", "pictures"):
        grid.add_column(name, justify="right")
    for name, fact in judge.facts.items():
        rates = ["" if fact[k] is None else f"{fact[k]:.1%}" for k in ("found", "false_alarms")]
        grid.add_row(name, f"{fact['accuracy']:.1%}", *rates, str(fact["pictures"]))
    return grid


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning", description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, default=Path("runs/mika"), help="run folder (%(default)s)")
    parser.add_argument("--epochs", default="", help="such as 0,3,10; all if left out")
    parser.add_argument("--quick", action="store_true", help="four epochs and half of the pictures")
    parser.add_argument("--precision", choices=("fp32", "bf16"), help="of the base; as in the run if left out")
    parser.add_argument("--threads", type=int, help="CPU threads; as in the run if left out")
    parser.add_argument("--judge", type=Path, default=Path("build/judge"), help="where the judge is kept (%(default)s)")
    parser.add_argument("--pictures", type=Path, help="folder to keep the drawn pictures in")
    parser.add_argument("--output", type=Path, help="JSON file for the figures")
    parser.add_argument("--plot", type=Path, help="SVG file for the curve")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace, console: Console) -> None:
    job = read_job(options.run)
    epochs = chosen_epochs(finished_epochs(options.run), options.epochs, options.quick)
    asked = {"precision": options.precision, "threads": options.threads}
    hardware = job.config.hardware.model_copy(update={k: v for k, v in asked.items() if v is not None})
    placement = choose_placement(hardware)
    set_up_torch(placement, hardware.threads)
    judge = ready_judge(options.judge, console.print)
    console.print(judge_table(judge))
    family = open_family(job.card, placement)
    readings: list[EpochReading] = []
    examples = read_examples(job, judge)
    with console.status("drawing") as status:
        for reading in measure(family, job, judge, epochs, quick=options.quick, keep=options.pictures):
            readings.append(reading)
            status.update(f"drawing: {len(readings)} of {len(epochs)} epochs")
    console.print(table(readings, examples))
    console.print(
        f"{readings[0].learned.pictures} pictures with '{job.config.trigger}' and "
        f"{readings[0].controls.pictures} without, at each epoch; base in {precision_name(placement.dtype)}."
    )
    if readings[0].epoch == 0 and len(readings) > 1:
        console.print(conclusion(readings))
    if options.output:
        content = {
            "run": job.config.name,
            "base": job.config.base,
            "precision": precision_name(placement.dtype),
            "device": str(placement.device),
            "judge": judge.facts,
            "examples": asdict(examples) if examples else None,
            "epochs": [asdict(r) for r in readings],
        }
        durable.write_text(options.output, json.dumps(content, indent=2) + "\n")
    if options.plot:
        durable.write_text(options.plot, draw_curve(readings))


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    # Wide enough for the table also where the output is a file.
    console = Console(width=None if sys.stdout.isatty() else 160)
    try:
        run(options, console)
    except LikenessError as e:
        print(e, file=sys.stderr)
        return e.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
