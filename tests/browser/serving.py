"""A studio that a browser can open: the real server, in a thread, over a workspace of the test's own."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from likeness.api.app import create_app
from likeness.studio.supervisor import Supervisor
from likeness.studio.workspace import Studio

DESK = {"width": 1400, "height": 900, "deviceScaleFactor": 1, "mobile": False}
PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
PATIENCE = 40  # seconds: a machine may have much else to do


class StudioServer:
    """`address` is without a slash at its end."""

    def __init__(self, studio: Studio, server: uvicorn.Server):
        self.studio, self.server = studio, server
        self._supervisor: Supervisor | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.servers[0].sockets[0].getsockname()[1]}"

    def supervise(self, devices: Sequence[str] = ("cpu",)) -> Supervisor:
        """Run the queue too."""
        self._supervisor = Supervisor(self.studio, devices, _endings())
        self._supervisor.start()
        return self._supervisor

    def close(self) -> None:
        if self._supervisor:
            self._supervisor.stop()


def _endings() -> dict:  # type: ignore[type-arg]
    """Those that `likeness serve` runs with."""
    try:
        from likeness.studio.endings import ENDINGS
    except ImportError:
        return {}
    return ENDINGS


@contextmanager
def serving(workspace: Path) -> Iterator[StudioServer]:
    studio = Studio(workspace)
    config = uvicorn.Config(
        create_app(studio), host="127.0.0.1", port=0, log_level="warning", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    for _ in range(600):
        if server.started:
            break
        time.sleep(0.05)
    else:
        raise RuntimeError("the server did not start")
    found = StudioServer(studio, server)
    try:
        yield found
    finally:
        found.close()
        server.should_exit = True
        thread.join(10)
        studio.close()


def wide(browser: Chrome, metrics: dict[str, object] = DESK, theme: str = "light") -> None:
    """Give the browser a window and the system's theme."""
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": theme}]}
    )


def find(page: Chrome, css: str) -> WebElement:
    """The element, waited for."""
    return WebDriverWait(page, PATIENCE).until(lambda _: page.find_element(By.CSS_SELECTOR, css))


def until(page: Chrome, script: str, message: str = "") -> object:
    """Wait until JavaScript returns what is true; that."""
    return WebDriverWait(page, PATIENCE, 0.05).until(lambda _: page.execute_script(script), message or script)


def overflow(page: Chrome) -> int:
    """Pixels by which the page is wider than its window."""
    return int(
        page.execute_script("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
    )  # type: ignore[arg-type]


def unnamed(page: Chrome) -> list[str]:
    """What can be operated and says nothing to those who do not see it."""
    return page.execute_script(  # type: ignore[return-value]
        """return [...document.querySelectorAll('button, a[href], select, textarea, input:not([type=hidden])')]
          .filter((e) => e.checkVisibility() && !e.closest('[aria-hidden=true]'))
          .filter((e) => !(e.ariaLabel || e.innerText.trim() || e.labels?.[0]?.innerText.trim()
            || e.getAttribute('aria-labelledby') || e.querySelector('img')?.alt || e.title))
          .map((e) => e.outerHTML.slice(0, 120))"""
    )


def complaints(page: Chrome) -> list[str]:
    """What the console says: failed loads, broken policy, errors of scripts."""
    return [entry["message"] for entry in page.get_log("browser") if entry["level"] in ("WARNING", "SEVERE")]
