"""How fast the studio's pages are with a full library, and how much memory its server takes.

python -m benchmarks.studio [--models 1000] [--pictures 50000] [--images 40] [--rounds 3] [--keep FOLDER]

A workspace is filled: so many models with a thumbnail each, so many generated pictures, a dataset of `--images`. Then
`likeness serve` runs over it as a process of its own, and a headless Chromium opens each page, with an empty cache of
its own each round. `first byte` and `ready` (all scripts run) are the browser's own times; `pictures` is when every
picture in the window has been decoded, with the thumbnails made for the first time in round 1. Last, tabs are opened
that all follow one run.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

DRAWN = 64  # different pictures; the others are links to them
SIDE = 768  # pixels
TABS = 20
_TIMES = """
const [navigation] = performance.getEntriesByType('navigation')
const done = arguments[0]
const seen = [...document.images].filter((i) => i.getBoundingClientRect().top < innerHeight && i.checkVisibility())
Promise.allSettled(seen.map((i) => i.decode())).then(() => done({
  first: navigation.responseStart, ready: navigation.domContentLoadedEventEnd, pictures: performance.now(),
  count: seen.filter((i) => i.naturalWidth > 0).length, all: seen.length,
}))
"""


def fill(workspace: Path, models: int, pictures: int, images: int) -> None:
    """Rows and files, as they would be after long use."""
    from sqlalchemy import insert

    from likeness.store.tables import Model, Picture, Tag, new_id
    from likeness.studio import datasets
    from likeness.studio.workspace import Studio

    studio = Studio(workspace)
    drawn = _drawn(studio.pictures)
    now, chance = time.time(), random.Random(1)
    rows: list[dict[str, Any]] = []
    for i in range(pictures):
        file = f"{i:06}.png"
        os.link(drawn[i % DRAWN], studio.pictures / file)
        settings = {"prompt": f"picture {i}", "seed": i, "loras": [], "width": SIDE, "height": SIDE}
        rows.append({"id": new_id(), "job_id": f"job{i // 4:08}", "file": file, "base": "starter",
                     "prompt": f"a girl on a bridge, take {i}", "settings": settings, "created": now - i})  # fmt: skip
    example = {"id": "shown", "file": "examples/shown.png", "prompt": "a bridge"}
    shelf: list[dict[str, Any]] = []
    tags: list[dict[str, Any]] = []
    for i in range(models):
        row = {"id": new_id(), "name": f"model {i:04}", "file": "lora.safetensors", "sha256": f"{i:064x}",
               "size_bytes": 20_000_000, "base": chance.choice(["starter", "flux.2-klein-4b"]), "family": "flux2",
               "kind": chance.choice(["character", "style", "edit"]), "trigger": f"tok{i}", "origin": "run",
               "thumbnail": "examples/shown.png",
               "examples": [example], "card": {}, "parents": [], "created": now - i}  # fmt: skip
        place = studio.models / str(row["id"])
        (place / "examples").mkdir(parents=True)
        os.link(drawn[i % DRAWN], place / "examples" / "shown.png")
        (place / "lora.safetensors").write_bytes(b"")
        shelf.append(row)
        tags.append({"model_id": row["id"], "tag": chance.choice(["client", "test", "portrait", "night"])})
    with studio.database.session() as session:
        for table, some in ((Picture, rows), (Model, shelf), (Tag, tags)):
            for start in range(0, len(some), 2000):
                session.execute(insert(table), some[start : start + 2000])
    row = datasets.create(studio, "street")
    for i in range(images):
        copy = studio.root / f"in-{i}.png"
        _picture(copy, 10_000 + i)
        datasets.add(studio, row.id, copy, f"{i:03}.png")
        datasets.add_text(studio, row.id, f"a street, take {i}".encode(), f"{i:03}.txt")
    studio.close()


def _drawn(folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    return [_picture(folder / f"drawn-{n}.png", n) for n in range(DRAWN)]


def _picture(path: Path, seed: int) -> Path:
    from PIL import Image

    small = Image.frombytes("RGB", (12, 12), random.Random(seed).randbytes(432))
    small.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(path)
    return path


class Server:
    """`likeness serve` over a workspace, as anyone starts it."""

    def __init__(self, workspace: Path):
        command = [sys.executable, "-m", "likeness", "serve", "--port", "0", "--no-open", "--workspace", str(workspace)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        line = next(line for line in self.process.stdout if "http://" in line)
        self.address = line.split("is at ")[1].split()[0]

    def memory_mb(self) -> float:
        import psutil

        return psutil.Process(self.process.pid).memory_info().rss / 1e6

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)


def browser(profile: Path) -> Any:
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    options = ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    flags = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1400,1000")
    for flag in (*flags, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    return Chrome(options=options, service=Service("/usr/bin/chromedriver"))


def visit(driver: Any, url: str) -> dict[str, float]:
    """The times of one visit, in milliseconds."""
    driver.get(url)
    return driver.execute_async_script(_TIMES)


def measure(server: Server, rounds: int) -> None:
    datasets = json.load(urllib.request.urlopen(f"{server.address}/api/v1/datasets"))["datasets"]
    paths = {"start": "/", "library": "/library", "generate": "/generate", "runs": "/runs", "train": "/train",
             "dataset": f"/datasets/{datasets[0]['id']}", "queue": "/queue"}  # fmt: skip
    print("| page | first byte ms | ready ms | pictures ms | pictures seen |\n|---|---|---|---|---|")
    for name, path in paths.items():
        found: list[dict[str, float]] = []
        for _ in range(rounds):
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
                driver = browser(Path(profile))
                driver.get(f"{server.address}/healthz")  # the browser itself is up
                found.append(visit(driver, server.address + path))
                driver.quit()
        cells = [f"{found[0][key]:.0f}, then {statistics.median(f[key] for f in found[1:] or found):.0f}"
                 for key in ("first", "ready", "pictures")]  # fmt: skip
        print(f"| {name} | {' | '.join(cells)} | {found[0]['count']:.0f} of {found[0]['all']:.0f} |", flush=True)
    print(f"\nserver: {server.memory_mb():.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--pictures", type=int, default=50_000)
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="folder for the workspace, kept for the next time")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        workspace = options.keep or Path(place)
        if not (workspace / "studio" / "studio.db").exists():
            fill(workspace, options.models, options.pictures, options.images)
        server = Server(workspace)
        print(f"server at the start: {server.memory_mb():.0f} MB\n")
        try:
            measure(server, options.rounds)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
