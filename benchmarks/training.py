"""Training speed and peak memory beside a plain diffusers + peft loop that does the same work.

    python -m benchmarks.training

Each measurement is a process of its own. The sides take turns, round after round, so that whatever else the machine
does hits all of them. Nothing is asserted: times depend on the machine.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from likeness.catalog import Card
from likeness.config.run import RunConfig
from likeness.errors import LikenessError, RunFailed
from likeness.events import RunStarted, Stage, StepDone, read_events
from likeness.service import runs
from likeness.worker import ENVIRONMENT

EXAMPLE = Path(__file__).parent.parent / "examples" / "character" / "mika.yaml"
SIDES = ("likeness", "plain")
# exp(0.5), the FLUX schedule's shift of noise levels for pictures of 256 tokens and fewer.
SHIFT = 1.6487


@dataclass(frozen=True)
class Case:
    side: str  # likeness | plain
    precision: str  # bf16 | fp32

    def __str__(self) -> str:
        return f"{self.side} {self.precision}"


@dataclass(frozen=True)
class Measurement:
    """One process. Seconds are counted from its start."""

    loaded: float
    encode_seconds: float
    first_step: float
    images_per_second: list[float]  # of each step after the warm-up
    peak_bytes: int  # of the process, or of the GPU where there is one
    trainable: int
    mean_loss: float


@dataclass
class Results:
    """What all rounds gave for one case."""

    case: Case
    rounds: list[Measurement] = field(default_factory=list)

    def speeds(self) -> list[float]:
        return [v for m in self.rounds for v in m.images_per_second]

    def median(self, name: str) -> float:
        return statistics.median(getattr(m, name) for m in self.rounds)


@dataclass(frozen=True)
class Plan:
    """What every process is to do."""

    base: str
    steps: int  # measured ones
    warm_up: int
    threads: int
    batch_size: int | None = None  # the settings' own if None

    @property
    def all_steps(self) -> int:
        return self.warm_up + self.steps


def prepare(case: Case, plan: Plan, folder: Path) -> Path:
    """The run folder of a likeness run over the example, one epoch long and full batches only."""
    overrides = [
        f"base={plan.base}",
        f"hardware.precision={case.precision}",
        f"hardware.threads={plan.threads}",
        "train.epochs=1",
        "train.sample_every=0",
        "train.probe_every=0",
        "sampling.prompts=[]",
        "data.hold_out=0",
    ]
    overrides += [f"train.batch_size={plan.batch_size}"] if plan.batch_size else []
    first = runs.prepare(EXAMPLE, overrides)
    wanted = plan.all_steps * first.config.train.batch_size
    repeats = -(-wanted // len(first.examples))
    return runs.start(runs.prepare(EXAMPLE, [*overrides, f"data.datasets.0.repeats={repeats}"]), folder)


def plain_job(config: RunConfig, card: Card, examples: Sequence[Any], plan: Plan) -> dict[str, Any]:
    """The same work in plain words, for `benchmarks.plain`."""
    return {
        "base": card.location,
        "precision": config.hardware.precision,
        "threads": plan.threads,
        "steps": plan.all_steps,
        "images": [e.path for e in examples],
        "captions": [e.caption for e in examples],
        "caption_dropout": config.data.captions.dropout,
        "size": config.data.resolution or card.resolution,
        "text_tokens": card.text_tokens,
        "text_layers": list(card.text_layers),
        "batch_size": config.train.batch_size,
        "learning_rate": config.optim.learning_rate,
        "rank": config.lora.rank,
        "alpha": config.lora.alpha,
        "shift": SHIFT,
    }


def execute(command: Sequence[str], log: Path, settings: Mapping[str, str] = {}) -> tuple[float, int]:
    """Run a Python module to its end, with `settings` in its environment: (start in seconds since 1970, peak bytes).

    Raises RunFailed with its words.
    """
    environment = {k: v for k, v in os.environ.items() if k not in ("LIKENESS_PARENT", *ENVIRONMENT)}
    environment |= {"HF_HUB_DISABLE_PROGRESS_BARS": "1", **settings}
    with log.open("wb") as out:
        began = time.time()
        process = subprocess.Popen([sys.executable, "-m", *command], stdout=out, stderr=out, env=environment)
        # This process is small: its own peak, which a child starts with on Linux, is far below any child's.
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        words = "\n".join(log.read_text(errors="replace").strip().splitlines()[-15:])
        raise RunFailed(f"{' '.join(command)}: exit code {process.returncode}\n{words}")
    return began, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def measure_likeness(case: Case, plan: Plan, scratch: Path) -> Measurement:
    """The product's own worker over a run folder; times are those in its events."""
    folder = prepare(case, plan, scratch)
    began, peak = execute(["likeness.worker", "train", str(folder)], folder / "log.txt")
    log = list(read_events(folder / "events.jsonl"))
    steps = [e for e in log if isinstance(e, StepDone)][: plan.all_steps]
    encoding = [e.time for e in log if isinstance(e, Stage) and e.name == "encoding"]
    ends = [e.time for e in steps]
    on_gpu = any(e.device.startswith("cuda") for e in log if isinstance(e, RunStarted))
    return Measurement(
        loaded=encoding[0] - began,
        encode_seconds=encoding[-1] - encoding[0],
        first_step=ends[0] - began,
        images_per_second=speeds(ends, _batch_size(folder), plan.warm_up),
        peak_bytes=steps[-1].memory_bytes if on_gpu else peak,
        trainable=count_trained(folder / "checkpoints" / "epoch-001.safetensors"),
        mean_loss=statistics.fmean(e.loss for e in steps),
    )


def measure_plain(case: Case, plan: Plan, scratch: Path) -> Measurement:
    """The plain loop on the same examples with the same settings."""
    prepared = runs.prepare(EXAMPLE, [f"base={plan.base}", f"hardware.precision={case.precision}"])
    config = prepared.config
    if plan.batch_size:
        config = config.model_copy(update={"train": config.train.model_copy(update={"batch_size": plan.batch_size})})
    job = plain_job(config, prepared.loaded.card, prepared.examples, plan)
    scratch.mkdir(parents=True)
    (scratch / "job.json").write_text(json.dumps(job))
    began, peak = execute(["benchmarks.plain", str(scratch / "job.json")], scratch / "log.txt")
    result: dict[str, Any] = json.loads((scratch / "result.json").read_text())
    return Measurement(
        loaded=result["loaded"] - began,
        encode_seconds=result["encoded"] - result["loaded"],
        first_step=result["ends"][0] - began,
        images_per_second=speeds(result["ends"], job["batch_size"], plan.warm_up),
        peak_bytes=result.get("device_bytes", peak),
        trainable=result["trainable"],
        mean_loss=statistics.fmean(result["losses"]),
    )


MEASURE = {"likeness": measure_likeness, "plain": measure_plain}


def speeds(ends: Sequence[float], batch_size: int, warm_up: int) -> list[float]:
    """Images per second of each step after the first `warm_up` (at least one, which has no beginning), from the steps'
    ends in seconds. All that happens between two steps counts."""
    first = max(1, warm_up)
    return [batch_size / (ends[i] - ends[i - 1]) for i in range(first, len(ends))]


def count_trained(path: Path) -> int:
    """Weights in a LoRA file, read from its header alone."""
    with path.open("rb") as f:
        header: dict[str, Any] = json.loads(f.read(int.from_bytes(f.read(8), "little")))
    shapes = [entry["shape"] for name, entry in header.items() if name != "__metadata__"]
    return sum(rows * columns for rows, columns in shapes)


def _batch_size(folder: Path) -> int:
    return json.loads((folder / "run.json").read_text())["config"]["train"]["batch_size"]


def compare(cases: Sequence[Case], plan: Plan, rounds: int, scratch: Path, console: Console) -> list[Results]:
    """Measure every case `rounds` times, taking turns."""
    results = [Results(case) for case in cases]
    for number in range(1, rounds + 1):
        for result in results:
            name = f"round-{number}-{result.case}".replace(" ", "-")
            measured = MEASURE[result.case.side](result.case, plan, scratch / name)
            result.rounds.append(measured)
            speed = statistics.median(measured.images_per_second)
            console.print(f"round {number} of {rounds}: {result.case}: {speed:.2f} images/s", highlight=False)
    return results


def ratios(ours: Results, theirs: Results) -> tuple[float, float, float]:
    """Our median speed by theirs: of all steps, and the lowest and highest of the rounds."""
    pairs = zip(ours.rounds, theirs.rounds, strict=True)
    each = [statistics.median(a.images_per_second) / statistics.median(b.images_per_second) for a, b in pairs]
    return statistics.median(ours.speeds()) / statistics.median(theirs.speeds()), min(each), max(each)


def table(results: Sequence[Results]) -> Table:
    grid = Table(title="images/s after warm-up; medians over the rounds elsewhere", title_justify="left")
    columns = ("", "images/s", "min–max", "peak MiB", "load s", "encode s", "first step s", "trained", "loss")
    for name in columns:
        grid.add_column(name, justify="right" if name else "left", no_wrap=True)
    for r in results:
        values = r.speeds()
        grid.add_row(
            str(r.case),
            f"{statistics.median(values):.2f}",
            f"{min(values):.2f}–{max(values):.2f}",
            f"{r.median('peak_bytes') / 2**20:,.0f}",
            *(f"{r.median(name):.1f}" for name in ("loaded", "encode_seconds", "first_step")),
            f"{r.rounds[0].trainable:,}",
            f"{r.median('mean_loss'):.3f}",
        )
    return grid


def sentences(results: Sequence[Results]) -> list[str]:
    """What is to be seen in the table, one line for each precision."""
    found = {str(r.case): r for r in results}
    lines: list[str] = []
    for precision in dict.fromkeys(r.case.precision for r in results):
        ours, theirs = found.get(f"likeness {precision}"), found.get(f"plain {precision}")
        if ours and theirs:
            middle, low, high = ratios(ours, theirs)
            memory = ours.median("peak_bytes") / theirs.median("peak_bytes")
            lines.append(
                f"{precision}: likeness trains at {middle:.2f} times the plain loop's speed "
                f"({low:.2f}–{high:.2f} by round), with {memory:.2f} times its peak memory."
            )
            if ours.rounds[0].trainable != theirs.rounds[0].trainable:
                lines.append(f"{precision}: the two do NOT train the same number of weights; do not compare them.")
    return lines


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=25, help="measured steps a round (%(default)s)")
    parser.add_argument("--warm-up", type=int, default=5, help="steps before them (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="how often the sides take turns (%(default)s)")
    parser.add_argument("--base", default="starter", help="base model (%(default)s)")
    parser.add_argument("--batch-size", type=int, help="the example's own if left out")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="CPU threads (%(default)s)")
    parser.add_argument("--precision", choices=("bf16", "fp32"), nargs="+", default=["bf16", "fp32"])
    parser.add_argument("--side", choices=SIDES, nargs="+", default=list(SIDES))
    parser.add_argument("--json", type=Path, help="file for all figures")
    options = parser.parse_args(arguments)
    for name in ("steps", "rounds", "threads"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be 1 or more")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    console = Console(width=None if sys.stdout.isatty() else 120)
    plan = Plan(options.base, options.steps, options.warm_up, options.threads, options.batch_size)
    cases = [Case(side, precision) for precision in options.precision for side in options.side]
    try:
        with tempfile.TemporaryDirectory(prefix="likeness-benchmark-") as scratch:
            results = compare(cases, plan, options.rounds, Path(scratch), console)
    except LikenessError as e:
        print(e, file=sys.stderr)
        return e.exit_code
    console.print(table(results))
    for line in sentences(results):
        console.print(line, highlight=False)
    if options.json:
        content = {"plan": asdict(plan), "results": [asdict(r) for r in results]}
        options.json.write_text(json.dumps(content, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
