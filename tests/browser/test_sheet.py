"""The contact sheet in a real browser: what a finding's button shows, on a desk and on a phone, light and dark."""

from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from likeness.service.datasets import check, write_contact_sheet

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="module")
def sheet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sheets") / "mika.html"
    write_contact_sheet(check(EXAMPLES / "bad" / "mika.yaml"), path)
    return path


def shown(page: Chrome) -> list[str]:
    """The names of the pictures that can be seen."""
    cards = page.find_elements(By.CSS_SELECTOR, ".card")
    return [c.find_element(By.CSS_SELECTOR, ".hint").text.split(" ")[0] for c in cards if c.is_displayed()]


def test_a_finding_shows_its_pictures(browser: Chrome, sheet: Path):
    browser.get(sheet.as_uri())
    assert len(shown(browser)) == 14
    button = browser.find_element(By.XPATH, "//li[.//code='trigger']//button")
    button.click()
    assert shown(browser) == ["mika-06.png", "mika-07.png"]
    assert browser.find_element(By.ID, "shown").text == "2 of 14 shown"
    assert button.get_attribute("aria-pressed") == "true"
    button.click()
    assert len(shown(browser)) == 14 and button.get_attribute("aria-pressed") == "false"
    assert browser.get_log("browser") == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_in_light_and_in_dark(browser: Chrome, sheet: Path, scheme: str):
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    phone = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    browser.get(sheet.as_uri())
    run: Any = browser.execute_script  # pyright: ignore[reportUnknownMemberType]
    assert run("return document.documentElement.scrollWidth") == 390
    paper = run("return getComputedStyle(document.body).backgroundColor")
    assert paper == {"light": "rgb(252, 251, 249)", "dark": "rgb(25, 24, 22)"}[scheme]
