"""The comparison page in a real browser: two pictures under a slider, beside each other, subtracted; by keys alone."""

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

from likeness.report.comparison import Comparison, Row, write_page

RED, GREEN, BLUE = (200, 0, 0), (0, 200, 0), (0, 0, 200)
COLOURS = {(0, 0): RED, (1, 0): GREEN, (2, 0): BLUE, (0, 1): BLUE, (1, 1): BLUE}
DESK = {"width": 1280, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Three columns, two rows; the last picture of the second row is missing."""
    folder = tmp_path_factory.mktemp("comparison")
    pictures: dict[tuple[int, int], Path] = {}
    for place, colour in COLOURS.items():
        pictures[place] = folder / f"{place}.png"
        Image.new("RGB", (64, 64), colour).save(pictures[place])
    rows = [Row("maya waves", 42), Row("<img src=x onerror=\"document.title='pwned'\"> a car", 43)]
    path = folder / "page.html"
    write_page(Comparison("maya", ["character"], ["base", "epoch 4", "epoch 7"], rows, pictures), path)
    return path.as_uri()


@pytest.fixture
def page(browser: Chrome, address: str) -> Chrome:
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", DESK)
    browser.get("about:blank")
    browser.get_log("browser")
    browser.get(address)
    return browser


def find(page: Chrome, css: str) -> WebElement:
    return page.find_element(By.CSS_SELECTOR, css)


def press(page: Chrome, *keys: str) -> None:
    ActionChains(page, duration=0).send_keys(*keys).perform()


def shot(element: WebElement) -> Image.Image:
    element.parent.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    return Image.open(io.BytesIO(element.screenshot_as_png)).convert("RGB")


def halves(page: Chrome) -> tuple[Any, Any]:
    """The one colour of the left and of the right half of what is compared; None where there are several."""
    image = shot(find(page, "#pair"))
    middle, edge, gap = image.width // 2, 10, 12
    seen = [{image.getpixel((x, 40)) for x in at}
            for at in (range(edge, middle - gap), range(middle + gap, image.width - edge))]  # fmt: skip
    return tuple(colours.pop() if len(colours) == 1 else None for colours in seen)  # type: ignore[return-value]


def told(page: Chrome, words: str) -> None:
    WebDriverWait(page, 5).until(lambda _: words in find(page, "#far").text)


def test_first_and_last_stand_under_the_slider(page: Chrome):
    assert halves(page) == (RED, BLUE)
    find(page, "#slider").send_keys(Keys.END)
    assert halves(page) == (RED, RED)
    find(page, "#slider").send_keys(Keys.HOME)
    assert halves(page) == (BLUE, BLUE)
    assert page.get_log("browser") == [] and page.title == "maya · Likeness"


def test_keys_choose_how_and_what_is_shown(page: Chrome):
    press(page, "b")
    assert halves(page) == (RED, BLUE) and not find(page, "#slide").is_displayed()
    press(page, "x")
    assert halves(page) == (BLUE, RED)
    press(page, "n")
    assert Select(find(page, "#row")).first_selected_option.get_attribute("value") == "1"
    assert "no picture" in (find(page, "#picture-a").get_attribute("alt") or "")
    press(page, "p", "s")
    assert find(page, "#slide").is_displayed()


def test_two_pictures_are_subtracted(page: Chrome):
    Select(find(page, "#b")).select_by_visible_text("epoch 4")
    press(page, "d")
    page.execute_script("document.activeElement.blur()")
    press(page, "d")
    told(page, "differ by 52.3 %")  # two of three channels by 200 of 255
    assert shot(find(page, "#difference")).getpixel((50, 50)) == (255, 255, 0)
    gain = find(page, "#gain")
    gain.send_keys(Keys.HOME)
    WebDriverWait(page, 5).until(lambda _: find(page, "#gain-value").text == "1×")
    told(page, "52.3 %")
    assert shot(find(page, "#difference")).getpixel((50, 50)) == (200, 200, 0)
    press(page, "n")
    told(page, "the same")


def test_a_click_takes_a_picture_and_the_address_remembers(page: Chrome):
    cell = find(page, '.row[data-row="0"] [data-column="1"]')
    cell.click()
    assert halves(page) == (RED, GREEN) and "is-b" in (cell.get_attribute("class") or "")
    ActionChains(page).key_down(Keys.SHIFT).click(find(page, '.row[data-row="0"] [data-column="2"]')).key_up(
        Keys.SHIFT
    ).perform()
    assert halves(page) == (BLUE, GREEN)
    press(page, "b")
    page.refresh()
    assert halves(page) == (BLUE, GREEN) and find(page, "input[value=beside]").is_selected()


def test_it_fits_on_a_phone(page: Chrome):
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    page.refresh()
    assert page.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    unnamed = page.execute_script(
        "return [...document.querySelectorAll('button, select, input')].filter((e) => e.checkVisibility() &&"
        " !(e.ariaLabel || e.innerText.trim() || e.labels?.[0]?.innerText || e.querySelector('img')?.alt)).length"
    )
    assert unnamed == 0
