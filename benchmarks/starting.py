"""How much sooner is a job of the studio done when its worker is forked instead of started, and when one has stayed?

    python -m benchmarks.starting

One picture of the shipped bases, drawn by a worker of each kind in turn, as the studio has it drawn. The same picture,
to the last bit. Nothing is asserted of times: they depend on the machine. The studio forks on Linux without a GPU. One
that has stayed has the base open, which counts for more the larger the base is: these are the smallest there are.
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
from likeness.store.tables import Job
from likeness.studio.launching import LocalLauncher

PROMPT = "a girl with long pink hair waving at the beach at night"
BASES, WAYS = ("starter-distilled", "starter"), ("started", "forked", "stayed")


def drawn(base: str, folder: Path, launcher: LocalLauncher | None = None) -> tuple[float, bytes]:
    """Seconds until a picture is there, and its file; by the worker that stayed with `launcher`, if there is one."""
    began = time.perf_counter()
    picture = folder / "picture.png"
    asked = order(SampleJob(base, (PROMPT,), output=picture), folder)
    place = asked.write(folder)
    if launcher is None:
        Worker(asked.verb, place).check()
    else:
        job = Job(id=folder.name, verb=asked.verb, folder=str(place), device="cpu")
        launcher.submit(job)
        while launcher.state(job) is None:
            time.sleep(0.002)
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
    seconds: dict[tuple[str, str], list[float]] = {(base, way): [] for base in BASES for way in WAYS}
    with tempfile.TemporaryDirectory() as scratch:
        staying = {base: LocalLauncher(Path(scratch) / "jobs", lambda: 3600) for base in BASES}
        for base, launcher in staying.items():  # all are there from now on, and files were read once
            drawn(base, Path(scratch) / f"{base}-first", launcher)
        for number in range(args.rounds):
            pictures: dict[str, bytes] = {}
            for (base, way), found in seconds.items():
                workers._forker = forker if way == "forked" else None
                launcher = staying[base] if way == "stayed" else None
                took, picture = drawn(base, Path(scratch) / f"{base}-{way}-{number}", launcher)
                found.append(took)
                if pictures.setdefault(base, picture) != picture:
                    raise SystemExit(f"{base}: the {way} worker drew another picture")
            console.print(f"round {number + 1} of {args.rounds}")
        for launcher in staying.values():
            launcher.rest()
    table = Table(title="a picture of 128 × 128: seconds from the order to the file, medians", title_justify="left")
    for column in ("base", *(f"worker {way}" for way in WAYS), *(f"{way}: times as fast" for way in WAYS[1:])):
        table.add_column(column)
    for base in BASES:
        plain, *others = (statistics.median(seconds[base, way]) for way in WAYS)
        table.add_row(base, *(f"{took:.2f}" for took in (plain, *others)), *(f"{plain / took:.1f}" for took in others))
    console.print(table)


if __name__ == "__main__":
    main()
