"""How fast the studio's pages and lists are with a large library, and how much memory its server takes.

python -m benchmarks.studio_speed [--models 1000] [--pictures 50000] [--side 512] [--rounds 5] [--keep FOLDER]

The server is a process of its own, asked over HTTP as a browser asks: a page, then what it shows, six at a time.
`first` is the first time after the server has started; then comes the median of the rounds. Models and pictures are
rows in the database; of pictures a few hundred files are real, and all rows share them.
"""

import argparse
import json
import random
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
from PIL import Image
from sqlalchemy import insert

from likeness.store.tables import Job, Model, Picture, Tag, new_id
from likeness.studio import generations, thumbnails
from likeness.studio.workspace import Studio

FILES = 240  # real pictures
GRID = 40  # pictures of the grid that is timed
PER_JOB = 4
CONNECTIONS = 6  # of a browser to one host
KINDS = ("character", "style", "product", "environment", "edit")
WORDS = ("sea", "hill", "castle", "night", "rain", "smiling", "red", "old", "small", "outline", "portrait", "city")

SERVER = """
import sys, uvicorn
from pathlib import Path
from likeness.api.app import create_app
from likeness.studio.workspace import Studio
uvicorn.run(create_app(Studio(Path(sys.argv[1]))), host="127.0.0.1", port=int(sys.argv[2]), log_level="error")
"""


def fill(workspace: Path, models: int, pictures: int, side: int) -> None:
    """Rows and files of a large library."""
    studio, chance = Studio(workspace), random.Random(0)
    files = [draw(studio.pictures / "drawn" / f"{n:04}.png", n, side) for n in range(FILES)]
    now, card = (
        time.time(),
        {"settings": {f"setting.{n}": str(n) for n in range(40)}, "measures": {"likeness": [0.8, 0.1]}},
    )
    ids = [new_id() for _ in range(models)]
    with studio.database.session() as session:
        session.execute(insert(Model), [{
            "id": model_id, "name": f"{chance.choice(WORDS)} {n}", "description": " ".join(chance.choices(WORDS, k=20)),
            "file": "lora.safetensors", "sha256": f"{n:064x}", "size_bytes": 10**8, "base": f"base-{n % 9}",
            "kind": KINDS[n % 5], "trigger": f"{chance.choice(WORDS)}_char", "origin": "import",
            "parents": ids[n - 1 : n] if n % 3 == 0 else [], "thumbnail": "examples/0.png",
            "examples": [{"id": str(k), "file": f"examples/{k}.png", "prompt": "a prompt"} for k in range(5)],
            "card": card, "created": now - n, "updated": now - n,
        } for n, model_id in enumerate(ids)])  # fmt: skip
        tags = {(model_id, word) for model_id in ids for word in chance.choices(WORDS, k=3)}
        session.execute(insert(Tag), [{"model_id": model_id, "tag": word} for model_id, word in tags])
        jobs = [new_id() for _ in range(pictures // PER_JOB)]
        session.execute(insert(Job), [{
            "id": job, "verb": "sample", "title": "4 pictures", "folder": str(studio.jobs / job), "state": "finished",
            "subject": generations.SUBJECT, "position": n, "created": now - n, "ended": now - n, "seen": True,
            "extra": {"request": {"prompt": "a prompt", "base": "starter", "loras": []}, "total": PER_JOB},
        } for n, job in enumerate(jobs)])  # fmt: skip
        session.execute(insert(Picture), [{
            "id": f"{jobs[n // PER_JOB]}-{n % PER_JOB:03}", "job_id": jobs[n // PER_JOB], "base": "starter",
            "file": str(files[n % FILES].relative_to(studio.pictures)), "prompt": " ".join(chance.choices(WORDS, k=8)),
            "settings": {"seed": n, "width": side, "height": side, "steps": 20, "guidance": 4.0, "negative_prompt": "",
                         "references": [], "loras": [{"lora": f"model:{ids[n % models]}", "name": "x", "strength": 1}]},
            "created": now - n, "pinned": n % 50 == 0,
        } for n in range(len(jobs) * PER_JOB)])  # fmt: skip
    for model_id in ids[:FILES]:
        place = studio.models / model_id / "examples"
        place.mkdir(parents=True)
        (place / "0.png").symlink_to(files[ids.index(model_id) % FILES])
    # As is done when a picture arrives.
    thumbnails.prepare(studio, [*files, *(studio.models / i / "examples" / "0.png" for i in ids[:FILES])])
    studio.close()


def draw(path: Path, seed: int, side: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = Image.frombytes("RGB", (16, 16), random.Random(seed).randbytes(768))
    noise.resize((side, side), Image.Resampling.BICUBIC).save(path)
    return path


def memory(pid: int) -> float:
    """Resident, in MB; 0 where the system does not tell."""
    status = Path(f"/proc/{pid}/status")
    found = re.search(r"VmRSS:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return int(found[1]) / 1000 if found else 0.0


def timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


class Browser:
    """Asks for pages and for the pictures that they show."""

    def __init__(self, address: str):
        self.client = httpx.Client(base_url=address, timeout=120, limits=httpx.Limits(max_connections=CONNECTIONS))
        self.pool = ThreadPoolExecutor(CONNECTIONS)

    def get(self, path: str) -> httpx.Response:
        answer = self.client.get(path)
        answer.raise_for_status()
        return answer

    def page(self, path: str) -> None:
        """A page with its style sheets and scripts."""
        text = self.get(path).text
        list(self.pool.map(self.get, set(re.findall(r'(?:src|href)="(/static/[^"#]+\.(?:js|css))"', text))))

    def grid(self, path: str) -> None:
        """A page and the first GRID pictures on it."""
        shown = re.findall(r'<img src="(/api/v1/[^"]+)"', self.get(path).text)[:GRID]
        assert len(shown) == GRID, f"{path} shows {len(shown)} pictures"
        list(self.pool.map(self.get, shown))


def measure(browser: Browser, rounds: int) -> dict[str, list[float]]:
    """Seconds by what was done: the first time, then each round."""
    done: dict[str, Callable[[], object]] = {
        "start page": lambda: browser.page("/"),
        "library, page": lambda: browser.page("/library"),
        "library, search": lambda: browser.get("/library?search=castle+red"),
        "library, tag and base": lambda: browser.get("/library?tag=sea&base=base-3&sort=name"),
        "library, 40 pictures": lambda: browser.grid("/library"),
        "generate, page": lambda: browser.page("/generate"),
        "pictures, page": lambda: browser.page("/generate/pictures/all"),
        "pictures, search": lambda: browser.get("/generate/pictures/all?search=castle+rain"),
        "pictures, 40 of them": lambda: browser.grid("/generate/pictures/all"),
        "pictures, far down": lambda: browser.get("/api/v1/pictures?offset=40000"),
        "REST, 60 models": lambda: browser.get("/api/v1/models"),
        "REST, choices": lambda: browser.get("/api/v1/models/choices"),
    }
    return {name: [timed(work) for _ in range(rounds + 1)] for name, work in done.items()}


def serve(workspace: Path) -> tuple["subprocess.Popen[bytes]", str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-c", SERVER, str(workspace), str(port)])
    address = f"http://127.0.0.1:{port}"
    for _ in range(600):
        try:
            httpx.get(f"{address}/healthz")
            return process, address
        except httpx.TransportError:
            time.sleep(0.1)
    raise RuntimeError("the server did not start")


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--models", type=int, default=1000)
    ask.add_argument("--pictures", type=int, default=50_000)
    ask.add_argument("--side", type=int, default=512, help="pixels of a picture")
    ask.add_argument("--rounds", type=int, default=5)
    ask.add_argument("--keep", type=Path, help="a folder for the workspace; used again where it is there")
    ask.add_argument("--json", type=Path, help="write the figures there too")
    asked = ask.parse_args()
    with tempfile.TemporaryDirectory() as made:
        workspace = asked.keep or Path(made) / "workspace"
        if not (workspace / "studio").exists():
            print(f"filling {workspace} …", flush=True)
            fill(workspace, asked.models, asked.pictures, asked.side)
        process, address = serve(workspace)
        try:
            idle = memory(process.pid)
            found = measure(Browser(address), asked.rounds)
            after = memory(process.pid)
        finally:
            process.terminate()
            process.wait()
    print(f"{asked.models:,} models, {asked.pictures:,} pictures; seconds\n")
    print(f"{'':28}{'first':>8}{'median':>8}{'worst':>8}")
    for name, (first, *rest) in found.items():
        print(f"{name:28}{first:8.3f}{statistics.median(rest):8.3f}{max(rest):8.3f}")
    print(f"\nserver: {idle:.0f} MB at first, {after:.0f} MB after all of this")
    if asked.json:
        asked.json.write_text(json.dumps({"seconds": found, "megabytes": [idle, after]}, indent=2))


if __name__ == "__main__":
    main()
