"""How fast a large dataset is read, how fast again, and in how much memory.

python -m benchmarks.index_dataset [--pictures 100000] [--side 64] [--keep FOLDER]

The pictures are small JPEG files of noise with captions: what is measured is the work per file, not that per pixel,
which a real dataset adds (about 10 ms a megapixel and core).
"""

import argparse
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

PER_FOLDER = 1000


def write_pictures(folder: Path, count: int, side: int) -> None:
    """`count` pictures, each with other bytes, and a caption beside each; what is there is left."""
    base = [Image.frombytes("RGB", (side, side), random.Random(n).randbytes(side * side * 3)) for n in range(20)]
    for number in range(count):
        file = folder / f"{number // PER_FOLDER:04}" / f"{number:06}.jpg"
        if file.exists():
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        base[number % len(base)].save(file, quality=80, comment=str(number))
        file.with_suffix(".txt").write_text(f"a cat in place {number}")


def read_once(folder: Path, kept: Path) -> None:
    """In a process of its own, so that its memory can be told: seconds, examples, MiB before and at the peak."""
    from likeness.config.data import DatasetConfig
    from likeness.dataset.index import Index
    from likeness.dataset.ingest import read_dataset
    from likeness.dataset.manifest import write_manifest

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    began, worked = time.monotonic(), time.process_time()
    with Index(kept / "index.sqlite") as index:
        settings = DatasetConfig(path=str(folder), subfolders=True)
        reading = read_dataset(settings, index=index, store=kept)
    seconds, worked = time.monotonic() - began, time.process_time() - worked
    began = time.monotonic()
    write_manifest(kept / "manifest.jsonl", reading.examples)
    writing = time.monotonic() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    assert not reading.problems, reading.problems[:3]
    count = len(reading.examples)
    speed = f"{count / seconds:.0f}/s, {worked:.1f} s of processor"
    print(f"{count} pictures in {seconds:.1f} s ({speed}); manifest {writing:.1f} s; "
          f"peak {peak} MiB, {before} of them before ({(peak - before) * 1024 / count:.1f} KiB a picture)")  # fmt: skip


def main() -> None:
    """Read twice at each size, each time in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--keep", type=Path, help="folder for the pictures, kept for the next time")
    parser.add_argument("--read", type=Path, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        read_once(*options.read)
        return
    with tempfile.TemporaryDirectory() as scratch:
        for count in (options.pictures // 10, options.pictures):
            folder = (options.keep or Path(scratch)) / f"pictures-{count}"
            write_pictures(folder, count, options.side)
            time.sleep(3)  # the index takes only files that have been at rest for a moment
            for turn in ("first", "again"):
                command = [sys.executable, "-m", "benchmarks.index_dataset", "--read", str(folder), scratch]
                said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                print(f"{turn}: {said.strip()}", flush=True)
            os.unlink(Path(scratch) / "index.sqlite")


if __name__ == "__main__":
    main()
