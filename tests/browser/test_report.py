"""The report as somebody meets it who opens the file: looked at, clicked and typed into in a real browser."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.select import Select

from likeness.events import ProbesMeasured, RunFinished, RunStarted
from likeness.report.page import write_report
from tests.report.conftest import PROMPTS, RunWriter, colour, step_done

EPOCHS = range(5)
SOURCE = (250, 0, 0)
HOSTILE = "<script>document.title='pwned'</script><img src=x onerror=\"document.title='pwned'\">" + "x" * 60
PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
DESK = {"width": 1280, "height": 900, "deviceScaleFactor": 1, "mobile": False}

Open = Callable[[str], Chrome]


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Reports by the names of their runs."""
    folder = tmp_path_factory.mktemp("runs")
    writers = (_write_character, _write_edit, _write_hostile)
    return {run.name: write_report(run) for run in (write(folder) for write in writers)}


def _write_character(folder: Path) -> Path:
    run = RunWriter(folder / "maya")
    run.run_json([{"prompt": p} for p in PROMPTS])
    run.write(RunStarted(name="maya", steps=40, epochs=4, images=4, device="cpu", precision="fp32"))
    for epoch in EPOCHS:
        for step in range(10 * epoch - 9, 10 * epoch + 1) if epoch else ():
            run.write(step_done(step, epoch, 1 / (1 + step)))
        for i, text in enumerate(PROMPTS, start=1):
            run.sample(epoch, i, text)
        run.write(ProbesMeasured(epoch=epoch, step=10 * epoch, train_loss=0.5, held_out_loss=0.6, per_image=[]))
        if epoch:
            run.checkpoint(epoch)
    run.write(RunFinished(step=40, seconds=80.0))
    pictures = [str(run.folder / run.picture(f"data/{i}.png", (200, 40 * i, 90))) for i in range(4)]
    run.manifest([{"path": path, "caption": "maya_char waves", "held_out": path == pictures[0]} for path in pictures])
    return run.folder


def _write_edit(folder: Path) -> Path:
    """Two prompts, of which only the first has a source image."""
    run = RunWriter(folder / "hats")
    prompts = ["add a hat", "make it night"]
    source = run.picture("sources/1.png", SOURCE)
    run.run_json([{"prompt": prompts[0], "reference": source}, {"prompt": prompts[1]}], kind="edit", trigger=None)
    for epoch in (0, 1):
        for i, text in enumerate(prompts, start=1):
            run.sample(epoch, i, text)
    run.manifest([{"path": source, "reference": source, "caption": "add a hat"}])
    return run.folder


def _write_hostile(folder: Path) -> Path:
    run = RunWriter(folder / "hostile")
    run.run_json([{"prompt": HOSTILE}], trigger=HOSTILE, base=HOSTILE)
    for epoch in (0, 1):
        run.sample(epoch, 1, HOSTILE)
    run.manifest([{"path": run.picture("data/1.png", (1, 2, 3)), "caption": HOSTILE}])
    return run.folder


@pytest.fixture
def open_report(browser: Chrome, reports: dict[str, Path]) -> Open:
    """Opens the report of a run anew, at a desk, with nothing left of the test before."""

    def open_(name: str) -> Chrome:
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", DESK)
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
        browser.get("about:blank")
        browser.get_log("browser")
        browser.get(reports[name].as_uri())
        return browser

    return open_


def find(page: Chrome, css: str) -> WebElement:
    return page.find_element(By.CSS_SELECTOR, css)


def cell(page: Chrome, prompt: int, stage: str) -> WebElement:
    return find(page, f'.row[data-prompt="{prompt}"] button.cell[data-stage="{stage}"]')


def press(page: Chrome, *keys: str) -> None:
    """Type into whatever has the focus."""
    ActionChains(page, duration=0).send_keys(*keys).perform()


def seen(element: WebElement) -> Image.Image:
    """What is on the screen where the element is, brought into view as a whole."""
    element.parent.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    return Image.open(io.BytesIO(element.screenshot_as_png)).convert("RGB")


def seen_colour(element: WebElement) -> Any:
    """The colour in the middle of the element."""
    image = seen(element)
    return image.getpixel((image.width // 2, image.height // 2))


def sides(pair: WebElement) -> tuple[Any, Any, float]:
    """The colours left and right in the compared pair, and the share of its width that the left one takes."""
    image = seen(pair)
    y = image.height // 4  # above the words that stand in the middle where there is no picture
    left, right = image.getpixel((10, y)), image.getpixel((image.width - 10, y))
    return left, right, sum(image.getpixel((x, y)) == left for x in range(image.width)) / image.width


def test_the_grid_shows_every_sample(open_report: Open):
    page = open_report("maya")
    assert len(page.find_elements(By.CSS_SELECTOR, "button.cell")) == len(EPOCHS) * len(PROMPTS)
    for prompt, text in enumerate(PROMPTS, start=1):
        assert text in find(page, f'.row[data-prompt="{prompt}"] h3').text
        places = [cell(page, prompt, str(epoch)).rect for epoch in EPOCHS]
        assert len({place["y"] for place in places}) == 1, "one row"
        assert [place["x"] for place in places] == sorted({place["x"] for place in places}), "epochs from left to right"
        for epoch in EPOCHS:
            button = cell(page, prompt, str(epoch))
            assert seen_colour(button.find_element(By.TAG_NAME, "img")) == colour(epoch, prompt)
            assert button.text == (f"epoch {epoch}" if epoch else "base")


def test_a_cell_is_enlarged_by_click_and_left_by_keyboard(open_report: Open):
    page = open_report("maya")
    dialog, large, label = find(page, "#large"), find(page, "#large-picture"), find(page, "#large-label")
    assert not dialog.is_displayed()
    small = cell(page, 2, "1")
    small.click()
    assert dialog.is_displayed()
    assert seen_colour(large) == colour(1, 2) and label.text == f"epoch 1: {PROMPTS[1]}"
    assert large.rect["width"] > 2 * small.find_element(By.TAG_NAME, "img").rect["width"]

    for key, epoch in ((Keys.ARROW_RIGHT, 2), (Keys.ARROW_LEFT, 1), (Keys.ARROW_LEFT, 0), (Keys.ARROW_LEFT, 0)):
        press(page, key)
        assert seen_colour(large) == colour(epoch, 2)
        assert label.text == f"{f'epoch {epoch}' if epoch else 'base'}: {PROMPTS[1]}"
    find(page, "#next").click()
    assert seen_colour(large) == colour(1, 2)

    press(page, Keys.ESCAPE)
    assert not dialog.is_displayed()
    assert page.switch_to.active_element == small, "one goes on where one was"
    press(page, Keys.ENTER)
    assert dialog.is_displayed() and seen_colour(large) == colour(1, 2)
    find(page, "#large form button").click()
    assert not dialog.is_displayed()


def test_two_epochs_of_a_prompt_are_compared(open_report: Open):
    page = open_report("maya")
    pair = find(page, "#pair")
    assert sides(pair)[:2] == (colour(0, 1), colour(4, 1)), "at first the base and the last epoch"
    Select(find(page, "#a")).select_by_visible_text("epoch 1")
    Select(find(page, "#b")).select_by_visible_text("epoch 3")
    assert sides(pair)[:2] == (colour(1, 1), colour(3, 1))
    Select(find(page, "#prompt")).select_by_visible_text(PROMPTS[2])
    assert sides(pair)[:2] == (colour(1, 3), colour(3, 3))

    cell(page, 2, "2").click()
    find(page, "#as-a").click()
    assert not find(page, "#large").is_displayed()
    assert sides(pair)[:2] == (colour(2, 2), colour(3, 2))
    assert find(page, "#picture-a").get_attribute("alt") == f"epoch 2: {PROMPTS[1]}"


def test_the_slider_moves_the_split(open_report: Open):
    page = open_report("maya")
    pair, slider = find(page, "#pair"), find(page, "#slider")
    page.execute_script("arguments[0].focus()", slider)

    def assert_split(percent: int) -> None:
        assert slider.get_property("value") == str(percent)
        assert find(page, "#picture-b").value_of_css_property("clip-path") == f"inset(0px 0px 0px {percent}%)"
        assert sides(pair)[2] == pytest.approx(percent / 100, abs=0.01)

    assert_split(50)
    press(page, *[Keys.ARROW_RIGHT] * 3)
    assert_split(53)
    press(page, *[Keys.ARROW_LEFT] * 20)
    assert_split(33)
    press(page, Keys.END)
    assert sides(pair)[:2] == (colour(0, 1), colour(0, 1)), "all of it is A"
    press(page, Keys.HOME)
    assert sides(pair)[:2] == (colour(4, 1), colour(4, 1)), "all of it is B"

    ActionChains(page, duration=0).move_to_element(pair).click().perform()
    assert_split(50)
    drag = ActionChains(page, duration=0).move_to_element(pair).click_and_hold()
    drag.move_by_offset(round(pair.rect["width"]) // 4, 0).release().perform()
    assert_split(75)


def test_nothing_is_fetched_and_the_console_stays_silent(open_report: Open, reports: dict[str, Path]):
    for name in reports:
        page = open_report(name)
        cell(page, 1, "0").click()
        press(page, Keys.ARROW_RIGHT, Keys.ESCAPE)
        Select(find(page, "#b")).select_by_index(0)
        fetched = page.execute_script("return performance.getEntriesByType('resource').map((e) => e.name)")
        assert [url for url in fetched if not url.startswith("data:")] == []
        assert page.get_log("browser") == []


@pytest.mark.parametrize("name", ["maya", "hats", "hostile"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_it_without_scrolling_sideways(open_report: Open, name: str, scheme: str):
    page = open_report(name)
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    for summary in page.find_elements(By.TAG_NAME, "summary"):
        summary.click()
    root: dict[str, int] = page.execute_script(
        "const r = document.documentElement; return {content: r.scrollWidth, view: r.clientWidth}"
    )
    assert root["view"] == PHONE["width"] and root["content"] <= root["view"]
    brightness: Any = Image.open(io.BytesIO(page.get_screenshot_as_png())).convert("L").getpixel((1, 1))
    assert brightness > 230 if scheme == "light" else brightness < 40

    cell(page, 1, "1").click()
    dialog = find(page, "#large").rect
    assert dialog["x"] >= 0 and dialog["x"] + dialog["width"] <= PHONE["width"]
    assert seen_colour(find(page, "#large-picture")) == colour(1, 1)


def test_an_edit_shows_its_source_beside_the_epochs(open_report: Open):
    page = open_report("hats")
    source, base = cell(page, 1, "source"), cell(page, 1, "0")
    assert source.text == "source" and source.rect["x"] < base.rect["x"] and source.rect["y"] == base.rect["y"]
    assert seen_colour(source.find_element(By.TAG_NAME, "img")) == SOURCE
    assert len(page.find_elements(By.CSS_SELECTOR, '.row[data-prompt="2"] .empty')) == 1

    pair, a = find(page, "#pair"), Select(find(page, "#a"))
    a.select_by_visible_text("source")
    assert sides(pair)[:2] == (SOURCE, colour(1, 1))


def test_a_stage_without_a_picture_leaves_the_other_in_its_place(open_report: Open):
    page = open_report("hats")
    pair, a, b = find(page, "#pair"), Select(find(page, "#a")), Select(find(page, "#b"))
    size = pair.size
    Select(find(page, "#prompt")).select_by_visible_text("make it night")
    a.select_by_visible_text("source")
    assert find(page, "#picture-a").get_attribute("alt") == "source: no picture"
    left, right, share = sides(pair)
    assert left != SOURCE and right == colour(1, 2) and share == pytest.approx(0.5, abs=0.01)
    assert pair.size == size

    a.select_by_visible_text("base")
    b.select_by_visible_text("source")
    left, right, share = sides(pair)
    assert left == colour(0, 2) and right not in (SOURCE, left) and share == pytest.approx(0.5, abs=0.01)
    assert pair.size == size


def test_hostile_text_stays_text(open_report: Open):
    page = open_report("hostile")
    assert page.title == "hostile · Likeness"
    assert find(page, ".examples p").text == HOSTILE
    assert find(page, "h3").text.startswith(HOSTILE)
    cell(page, 1, "1").click()
    assert find(page, "#large-label").text == f"epoch 1: {HOSTILE}"
    assert page.find_elements(By.CSS_SELECTOR, "img[onerror], img[src='x']") == []
    assert page.title == "hostile · Likeness"
