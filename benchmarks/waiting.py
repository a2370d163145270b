"""How should a worker's threads wait for one another: asleep, spinning for a moment, or spinning on?

    python -m benchmarks.waiting

A short run of the example by the product's own worker, each way in turn, alone and beside a process that is always
busy. Nothing is asserted: times depend on the machine. libgomp alone knows these settings, so this is for Linux.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.training import EXAMPLE, execute
from likeness.events import SampleSaved, StepDone, read_events
from likeness.service import runs

WAYS = {
    "asleep": {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"},
    "the worker's": {},
    "spinning": {"OMP_WAIT_POLICY": "ACTIVE", "GOMP_SPINCOUNT": "INFINITE"},
}
BESIDE = {"nothing": [], "a busy process": [sys.executable, "-c", "while True: pass"]}
Seconds = dict[str, list[float]]  # of each step and of each picture


@contextmanager
def beside(command: list[str]) -> Iterator[None]:
    process = subprocess.Popen(command) if command else None
    try:
        yield
    finally:
        if process:
            process.kill()
            process.wait()


def measure(way: dict[str, str], folder: Path, threads: int) -> Seconds:
    """One epoch of the example with its test pictures before and after."""
    overrides = ["train.epochs=1", "train.probe_every=0", "data.datasets.0.repeats=8", f"hardware.threads={threads}"]
    run = runs.start(runs.prepare(EXAMPLE, overrides), folder)
    execute(["likeness.worker", "train", str(run)], run / "log.txt", way)
    events = list(read_events(run / "events.jsonl"))
    steps = [b.time - a.time for a, b in pairwise(events) if isinstance(a, StepDone) and isinstance(b, StepDone)]
    drawn = [e for e in events if isinstance(e, SampleSaved)]
    pictures = [b.time - a.time for a, b in pairwise(drawn) if a.epoch == b.epoch]
    return {"step": steps, "picture": pictures}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    found: dict[tuple[str, str], Seconds] = {(b, w): {"step": [], "picture": []} for b in BESIDE for w in WAYS}
    console = Console(width=None if sys.stdout.isatty() else 120)
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(args.rounds):
            for (other, name), seconds in found.items():
                with beside(BESIDE[other]):
                    one = measure(WAYS[name], Path(scratch) / f"{number}-{other}-{name}", args.threads)
                for what, values in one.items():
                    seconds[what] += values
                console.print(f"round {number + 1}, beside {other}: {name}")
    table = Table(title="medians; in brackets how often as fast as asleep", title_justify="left")
    for column in ("beside", "threads wait", "step, s", "picture, s"):
        table.add_column(column)
    for (other, name), seconds in found.items():
        asleep = found[other, "asleep"]
        cells = []
        for what in ("step", "picture"):
            mine, plain = (statistics.median(s[what]) for s in (seconds, asleep))
            cells.append(f"{mine:.2f} ({plain / mine:.2f})")
        table.add_row(other, name, *cells)
    console.print(table)


if __name__ == "__main__":
    main()
