"""How much sooner is a job of the studio done when its worker is forked instead of started?

    python -m benchmarks.starting

One picture of the shipped bases, drawn by a worker of each kind in turn, as the studio has it drawn. The same picture,
to the last bit. Nothing is asserted of times: they depend on the machine. The studio forks on Linux without a GPU.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from likeness.service import workers
from likeness.service.samples import SampleJob, order
from likeness.service.workers import Worker

PROMPT = "a girl with long pink hair waving at the beach at night"
BASES = ("starter-distilled", "starter")


def drawn(base: str, folder: Path) -> tuple[float, bytes]:
    """Seconds until a picture is there, and its file."""
    began = time.perf_counter()
    picture = folder / "picture.png"
    asked = order(SampleJob(base, (PROMPT,), output=picture), folder)
    Worker(asked.verb, asked.write(folder)).check()
    return time.perf_counter() - began, picture.read_bytes()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 120)
    workers.keep_ready()
    forker = workers._forker
    if forker is None:
        raise SystemExit("Workers are forked on Linux without a GPU alone: there is nothing to measure here.")
    seconds: dict[tuple[str, str], list[float]] = {(base, way): [] for base in BASES for way in ("started", "forked")}
    with tempfile.TemporaryDirectory() as scratch:
        drawn(BASES[0], Path(scratch) / "first")  # the forker is there from now on, and files were read once
        for number in range(args.rounds):
            pictures: dict[str, bytes] = {}
            for (base, way), found in seconds.items():
                workers._forker = forker if way == "forked" else None
                took, picture = drawn(base, Path(scratch) / f"{base}-{way}-{number}")
                found.append(took)
                if pictures.setdefault(base, picture) != picture:
                    raise SystemExit(f"{base}: the {way} worker drew another picture")
            console.print(f"round {number + 1} of {args.rounds}")
    table = Table(title="a picture of 128 × 128: seconds from the order to the file, medians", title_justify="left")
    for column in ("base", "worker started", "worker forked", "sooner by", "times as fast"):
        table.add_column(column)
    for base in BASES:
        plain, forked = (statistics.median(seconds[base, way]) for way in ("started", "forked"))
        table.add_row(base, f"{plain:.2f}", f"{forked:.2f}", f"{plain - forked:.2f}", f"{plain / forked:.2f}")
    console.print(table)


if __name__ == "__main__":
    main()
