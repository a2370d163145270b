"""A headless Chromium, one for a whole module, since starting it takes longer than all that is done in it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

from tests.browser.serving import StudioServer, serving

CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-color-profile=srgb",  # screenshots have the very colours of the page
]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with opened(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@contextmanager
def opened(profile: Path, *flags: str) -> Iterator[Chrome]:
    """A browser with these flags besides."""
    if missing := [str(path) for path in (CHROMIUM, DRIVER) if not path.exists()]:
        reason = f"{' and '.join(missing)} not found: install Debian's packages chromium and chromium-driver"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    options = ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (*FLAGS, f"--user-data-dir={profile}", *flags):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options=options, service=Service(str(DRIVER)))
    driver.set_page_load_timeout(60)
    yield driver
    driver.quit()


@pytest.fixture(autouse=True)
def nothing_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """A page that stays open goes on asking a server that is gone; that is no complaint of the next test."""
    named = {"browser", "page"} & {*request.fixturenames}
    drivers = [driver for name in named if isinstance(driver := request.getfixturevalue(name), Chrome)]
    yield
    for driver in drivers:
        driver.get("about:blank")
        driver.get_log("browser")


@pytest.fixture
def studio_server(tmp_path: Path) -> Iterator[StudioServer]:
    """A studio of its own for each test, served on a free port; `.supervise()` also runs its queue."""
    with serving(tmp_path / "workspace") as server:
        yield server
