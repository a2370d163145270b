"""How fast a large dataset is read, checked and planned, and in how much memory.

python -m benchmarks.large_dataset [--pictures 100000] [--side 64] [--keep FOLDER]

The pictures are small JPEG files of noise with captions: what is measured is the work per file, not that per pixel,
which a real dataset adds (about 10 ms a megapixel and core). Each phase runs in a process of its own, so that its
memory can be told from that of Python and its libraries, and at two sizes, so that growth can be seen.

index   every file found, read and hashed, every picture and caption looked at; then the same again, unchanged
check   every check of `likeness dataset check`; then the same again, from what the index keeps
plan    the manifest written, every entry of the run's cache named and looked for, an epoch's batches drawn
"""

import argparse
import gc
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# No more imports here: what the starting process has in memory counts into the peaks of those that it starts.

PER_FOLDER = 1000
DRAWN = 1000  # different pictures; more would only be more to draw
SETTLING_SECONDS = 3  # the index keeps nothing of files that were just written
PHASES = ("write", "index", "index", "check", "check", "plan")


def write_pictures(folder: Path, count: int, side: int) -> None:
    """`count` pictures, each of other bytes, and a caption beside each; what is there is left."""
    from PIL import Image

    base = [
        Image.frombytes("RGB", (4, 4), random.Random(n).randbytes(48)).resize((side, side), Image.Resampling.BICUBIC)
        for n in range(min(count, DRAWN))
    ]
    for number in range(count):
        file = folder / f"{number // PER_FOLDER:04}" / f"{number:06}.jpg"
        if file.exists():
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        base[number % len(base)].save(file, quality=80, comment=str(number))
        file.with_suffix(".txt").write_text(f"a cat in place {number}")


def read(folder: Path, kept: Path) -> tuple[Any, list[Any]]:
    """The index and the examples."""
    from likeness.config.data import DatasetConfig
    from likeness.dataset.index import Index
    from likeness.dataset.ingest import read_dataset

    index = Index(kept / "index.sqlite")
    settings = DatasetConfig(path=str(folder), subfolders=True)
    reading = read_dataset(settings, index=index, store=kept, kind="style")
    assert not reading.problems, reading.problems[:3]
    return index, reading.examples


def index_phase(folder: Path, kept: Path) -> Callable[[], int]:
    import likeness.config.data
    import likeness.dataset.ingest  # noqa: F401  so that it counts as memory before

    return lambda: len(read(folder, kept)[1])


def check_phase(folder: Path, kept: Path) -> Callable[[], int]:
    from likeness.dataset.checks import Rules, findings, measure

    index, examples = read(folder, kept)

    def check() -> int:
        found = {finding.check for finding in findings(measure(examples, Rules("style", 64), index))}
        assert {"count", "near_duplicates"} <= found or len(examples) <= DRAWN, found
        return len(examples)

    return check


def plan_phase(folder: Path, kept: Path) -> Callable[[], int]:
    from likeness.catalog import resolve_base
    from likeness.config.data import DataConfig
    from likeness.config.hardware import HardwareConfig
    from likeness.dataset.manifest import write_manifest
    from likeness.dataset.order import epoch_batches
    from likeness.families import open_family
    from likeness.families.placement import choose_placement
    from likeness.train.cache import Cache
    from likeness.train.loader import Preparation

    family = open_family(resolve_base("starter"), choose_placement(HardwareConfig(device="cpu")))
    _, examples = read(folder, kept)
    data = DataConfig.model_validate({"datasets": [str(folder)]})

    def plan() -> int:
        write_manifest(kept / "manifest.jsonl", examples)
        work = Preparation(family, data, [64], seed=1, epochs=1)
        items = [work.item(e) for e in examples]
        assert len(work.missing(Cache(kept / "cache"))) > len(items)
        return sum(map(len, epoch_batches([(item.buckets, 1) for item in items], 4, seed=1, epoch=1)))

    return plan


def measured(phase: str, folder: Path, kept: Path) -> str:
    """One row of the table."""
    work = {"index": index_phase, "check": check_phase, "plan": plan_phase}[phase](folder, kept)
    gc.collect()
    before, began, worked = peak_mib(), time.monotonic(), time.process_time()
    count = work()
    seconds, worked, after = time.monotonic() - began, time.process_time() - worked, peak_mib()
    growth = (after - before) * 1024 / count
    return f"{count:,} | {phase} | {seconds:.1f} | {count / seconds:,.0f} | {worked:.1f} | {after} | {growth:.1f} |"


def peak_mib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main() -> None:
    """Every phase at a tenth of the size and at the whole."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--keep", type=Path, help="folder for the pictures, kept for the next time")
    parser.add_argument("--phase", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.phase:
        phase, folder, kept = options.phase[0], Path(options.phase[1]), Path(options.phase[2])
        if phase == "write":
            write_pictures(folder, options.pictures, options.side)
            time.sleep(SETTLING_SECONDS)
        else:
            print("|", measured(phase, folder, kept))
        return
    print("| pictures | phase | s | pictures/s | processor s | peak MiB | KiB more a picture |\n|" + "---|" * 7)
    for count in (options.pictures // 10, options.pictures):
        with tempfile.TemporaryDirectory() as scratch:
            folder = (options.keep or Path(scratch)) / f"pictures-{count}"
            for phase in PHASES:
                arguments = ["--pictures", str(count), "--side", str(options.side), "--phase", phase, str(folder)]
                command = [sys.executable, "-m", "benchmarks.large_dataset", *arguments, scratch]
                said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                print(said, end="", flush=True)


if __name__ == "__main__":
    main()
