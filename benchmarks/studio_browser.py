"""The studio's pages in a real browser, with a large library; and twenty tabs that follow one run.

python -m benchmarks.studio_browser [--models 1000] [--pictures 50000] [--rounds 3] [--tabs 20] [--keep FOLDER]

`likeness serve` runs over a workspace as `benchmarks.studio_speed` fills it, as a process of its own. A headless
Chromium with an empty cache opens each page: `first byte` and `ready` (all scripts have run) are its own times,
`pictures` is when every picture in the window has been decoded. Then tabs are opened on a run that is acted while they
look on: how long each took to open, how many connections the server had meanwhile, and whether every tab, once it is
looked at, shows the end of the run.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.studio_speed import fill
from likeness.studio import runs, starting
from likeness.studio.workspace import Studio

PAGES = ("/", "/train", "/runs", "/datasets", "/library", "/generate", "/generate/pictures/all", "/queue")
CONFIG: dict[str, Any] = {
    "kind": "character",
    "base": "starter",
    "trigger": "mika_char",
    "data": {"datasets": [{"path": "dataset:mika"}]},
    "sampling": {"prompts": ["mika_char waves", "a car"]},
}
_TIMES = """
const [navigation] = performance.getEntriesByType('navigation')
const done = arguments[0]
const seen = [...document.images].filter((i) => i.getBoundingClientRect().top < innerHeight && i.checkVisibility())
Promise.allSettled(seen.map((i) => i.decode())).then(() => done({
  first: navigation.responseStart, ready: navigation.domContentLoadedEventEnd, pictures: performance.now(),
  count: seen.filter((i) => i.naturalWidth > 0).length, all: seen.length,
}))
"""


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

    def connections(self) -> int:
        """Those that are open now."""
        import psutil

        return sum(c.status == "ESTABLISHED" for c in psutil.Process(self.process.pid).net_connections("tcp"))

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)


def browser(profile: Path) -> Any:
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    options = ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    flags = (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        "--window-size=1400,1000",
    )
    for flag in (*flags, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    return Chrome(options=options, service=Service("/usr/bin/chromedriver"))


def measure_pages(server: Server, rounds: int) -> None:
    print("| page | first byte ms | ready ms | pictures ms | pictures seen |\n|---|---|---|---|---|")
    for path in PAGES:
        found: list[dict[str, float]] = []
        for _ in range(rounds):
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
                driver = browser(Path(profile))
                driver.get(f"{server.address}/healthz")  # the browser itself is up
                driver.get(server.address + path)
                found.append(driver.execute_async_script(_TIMES))
                driver.quit()
        cells = [f"{statistics.median(f[key] for f in found):.0f}" for key in ("first", "ready", "pictures")]
        print(f"| {path} | {' | '.join(cells)} | {found[0]['count']:.0f} of {found[0]['all']:.0f} |", flush=True)


def measure_tabs(server: Server, workspace: Path, count: int) -> None:
    studio = Studio(workspace)
    starting.put_in(studio, "mika")
    name = f"followed-{time.strftime('%H%M%S')}"
    config = {"name": name, **CONFIG}
    digest = runs.plan(studio, config).digest
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        driver = browser(Path(profile))
        driver.get(f"{server.address}/runs")
        runs.start(studio, config, digest, mock=True)
        opened: list[float] = []
        for _ in range(count):
            begun = time.monotonic()
            driver.switch_to.new_window("tab")
            driver.get(f"{server.address}/runs/{name}")
            opened.append(time.monotonic() - begun)
        most = server.connections()
        end = time.monotonic() + 120
        while runs.view(studio, name).summary.state in ("queued", "running") and time.monotonic() < end:
            most = max(most, server.connections())
            time.sleep(0.5)
        shown = 0
        for handle in driver.window_handles[1:]:
            driver.switch_to.window(handle)
            end = time.monotonic() + 15
            while "finished" not in driver.find_element("css selector", "main").text and time.monotonic() < end:
                time.sleep(0.1)
            shown += "finished" in driver.find_element("css selector", "main").text
        driver.quit()
    studio.close()
    print(f"\n{count} tabs on one run: opened in {statistics.median(opened):.2f} s each (worst {max(opened):.2f}), "
          f"{most} connections at most, {shown} of {count} showed its end")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--pictures", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tabs", type=int, default=20)
    parser.add_argument("--keep", type=Path, help="a folder for the workspace; used again where it is there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        workspace = options.keep or Path(place)
        if not (workspace / "studio" / "studio.db").exists():
            fill(workspace, options.models, options.pictures, 512)
        server = Server(workspace)
        idle = server.memory_mb()
        try:
            measure_pages(server, options.rounds)
            pages = server.memory_mb()
            measure_tabs(server, workspace, options.tabs)
            print(f"server: {idle:.0f} MB at first, {pages:.0f} after the pages, {server.memory_mb():.0f} in the end")
        finally:
            server.stop()


if __name__ == "__main__":
    main()
