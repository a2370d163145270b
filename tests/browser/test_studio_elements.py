"""Crop box and compare slider in a real browser, by mouse and by keys alone."""

import base64
import io
from typing import Any

import pytest
from PIL import Image
from selenium.webdriver import ActionChains, Chrome, Keys

from tests.browser.serving import DESK, PHONE, StudioServer, complaints, find, overflow, unnamed, until, wide

RED, GREEN, BLUE = (200, 0, 0), (0, 200, 0), (0, 0, 200)


def picture(colour: tuple[int, int, int], width: int = 400, height: int = 200) -> str:
    data = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(data, "PNG")
    return "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()


@pytest.fixture
def page(browser: Chrome, studio_server: StudioServer) -> Chrome:
    """A page of the studio with a form in it, to put elements into."""
    wide(browser)
    browser.get(f"{studio_server.address}/nowhere")
    browser.get_log("browser")
    return browser


def put(page: Chrome, markup: str) -> None:
    page.execute_script("document.querySelector('main').innerHTML = arguments[0]", f"<form>{markup}</form>")


def press(page: Chrome, *keys: str) -> None:
    ActionChains(page, duration=0).send_keys(*keys).perform()


# --- crop box


def crop(page: Chrome, attributes: str = "") -> None:
    put(page, f'<crop-box name="crop" src="{picture(RED)}" {attributes}></crop-box>')
    until(page, "return document.querySelector('crop-box').value !== ''")


def box(page: Chrome) -> list[float]:
    """The value as the form would send it."""
    return [
        float(part)
        for part in str(page.execute_script("return new FormData(document.forms[0]).get('crop')")).split(",")
    ]


def focus(page: Chrome, css: str) -> None:
    page.execute_script("arguments[0].focus()", find(page, css))


def test_the_whole_picture_is_taken_at_first_or_the_largest_square(page: Chrome):
    crop(page)
    assert box(page) == [0, 0, 1, 1]
    crop(page, "square")
    assert box(page) == [0.25, 0, 0.5, 1]
    crop(page, 'value="0.1,0.2,0.5,0.4"')
    assert box(page) == pytest.approx([0.1, 0.2, 0.5, 0.4])
    crop(page, 'value="5,nonsense"')
    assert box(page) == [0, 0, 1, 1]


def test_it_is_moved_and_sized_by_keys(page: Chrome):
    crop(page, 'value="0.2,0.2,0.5,0.5"')
    focus(page, ".crop-area")
    press(page, Keys.ARROW_RIGHT, Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    assert box(page) == pytest.approx([0.21, 0.22, 0.5, 0.5])
    ActionChains(page, duration=0).key_down(Keys.SHIFT).send_keys(*[Keys.ARROW_LEFT] * 5).key_up(Keys.SHIFT).perform()
    assert box(page) == pytest.approx([0, 0.22, 0.5, 0.5]), "it stays in the picture"
    press(page, Keys.TAB)
    press(page, Keys.ARROW_RIGHT, Keys.ARROW_UP)
    assert box(page) == pytest.approx([0, 0.22, 0.51, 0.49])
    assert "204 × 98 pixels" in find(page, "crop-box").text
    assert "204 × 98 pixels, 0 % from the left, 22 % from the top" in str(
        find(page, ".crop-area").get_attribute("aria-label")
    )


def test_a_square_stays_square_in_pixels(page: Chrome):
    crop(page, 'square value="0.1,0.1,0.2,0.4"')
    focus(page, "button.crop-corner")
    press(page, *[Keys.ARROW_RIGHT] * 5)
    x, y, width, height = box(page)
    assert (x, y) == pytest.approx((0.1, 0.1)) and width == pytest.approx(0.25) and height == pytest.approx(0.5)
    press(page, *[Keys.ARROW_RIGHT] * 90)
    assert box(page) == pytest.approx([0.1, 0.1, 0.45, 0.9]), "as large as fits"


def test_it_is_dragged_sized_and_drawn_by_mouse(page: Chrome):
    crop(page, 'value="0.2,0.2,0.4,0.4"')
    frame = find(page, ".crop-frame").rect
    told = "document.querySelector('crop-box')"
    page.execute_script(
        f"window.told = []; for (const n of ['input', 'change']) {told}.addEventListener(n, () => told.push(n))"
    )

    def drag(css: str, dx: float, dy: float, at: tuple[float, float] = (0, 0)) -> None:
        action = ActionChains(page, duration=0).move_to_element_with_offset(find(page, css), round(at[0]), round(at[1]))
        action.click_and_hold().move_by_offset(
            round(dx * frame["width"]), round(dy * frame["height"])
        ).release().perform()

    drag(".crop-area", 0.1, 0.2)
    assert box(page) == pytest.approx([0.3, 0.4, 0.4, 0.4], abs=0.01)
    drag(".crop-corner[data-corner=nw]", -0.1, -0.1)
    assert box(page) == pytest.approx([0.2, 0.3, 0.5, 0.5], abs=0.01)
    drag(".crop-frame", 0.15, 0.2, (-0.45 * frame["width"], -0.45 * frame["height"]))
    assert box(page) == pytest.approx([0.05, 0.05, 0.15, 0.2], abs=0.01)
    drag(".crop-corner[data-corner=se]", 1.2, 1.2)
    assert sum(box(page)[0::2]) == pytest.approx(1) and sum(box(page)[1::2]) == pytest.approx(1)
    events = page.execute_script("return told")
    assert events.count("change") == 4 and events.count("input") >= 4 and events[-1] == "change"


def test_pixels_of_the_true_picture_are_told_and_warned_of(page: Chrome):
    crop(page, 'pixels="4000x2000" least="1024"')
    assert find(page, "crop-box output").text == "4000 × 2000 pixels"
    page.execute_script("document.querySelector('crop-box').value = '0,0,0.25,0.25'")
    assert find(page, "crop-box output").text == "1000 × 500 pixels: smaller than 1024"


def test_a_form_that_is_reset_has_the_first_crop_again(page: Chrome):
    crop(page, 'value="0.2,0.2,0.5,0.5"')
    focus(page, ".crop-area")
    press(page, Keys.ARROW_RIGHT)
    page.execute_script("document.forms[0].reset()")
    assert box(page) == pytest.approx([0.2, 0.2, 0.5, 0.5])


def test_it_fits_on_a_phone_and_all_is_named(page: Chrome):
    wide(page, PHONE)
    crop(page)
    assert overflow(page) == 0 and unnamed(page) == [] and complaints(page) == []
    wide(page, DESK)


# --- compare slider


def compare(page: Chrome, attributes: str = "", second: tuple[int, int, int] = BLUE) -> None:
    put(page, f'<div style="width: 400px"><compare-slider a="{picture(RED)}" b="{picture(second)}" a-label="epoch 1" '
              f'b-label="epoch 9" {attributes}></compare-slider></div>')  # fmt: skip
    until(
        page, "return [...document.querySelectorAll('compare-slider img')].every((i) => i.complete && i.naturalWidth)"
    )


def seen(page: Chrome, x: float) -> Any:
    """The colour on the screen, at a share of the stage's width."""
    shot = Image.open(io.BytesIO(find(page, ".compare-stage").screenshot_as_png)).convert("RGB")
    return shot.getpixel((round(x * (shot.width - 1)), round(0.8 * shot.height)))


def test_the_slider_parts_the_pictures(page: Chrome):
    compare(page)
    assert (seen(page, 0.2), seen(page, 0.8)) == (RED, BLUE)
    focus(page, ".compare-range")
    press(page, Keys.END)
    assert (seen(page, 0.2), seen(page, 0.8)) == (RED, RED)
    press(page, Keys.HOME)
    assert (seen(page, 0.2), seen(page, 0.8)) == (BLUE, BLUE)
    stage = find(page, ".compare-stage")
    ActionChains(page, duration=0).move_to_element_with_offset(stage, stage.rect["width"] // 4, 0).click().perform()
    assert (seen(page, 0.6), seen(page, 0.9)) == (RED, BLUE)


def test_keys_choose_how_the_pictures_are_compared(page: Chrome):
    compare(page)
    focus(page, ".compare-range")
    press(page, "x")
    assert (seen(page, 0.2), seen(page, 0.8)) == (BLUE, RED)
    focus(page, "[data-mode=beside]")
    press(page, Keys.ENTER)
    images = page.find_elements("css selector", "compare-slider img")
    assert images[0].rect["x"] + images[0].rect["width"] <= images[1].rect["x"]
    assert find(page, "[data-mode=beside]").get_attribute("aria-pressed") == "true"
    press(page, "s")
    assert page.execute_script("return document.querySelector('compare-slider').mode") == "slide"


def test_the_difference_is_drawn_and_told(page: Chrome):
    compare(page, 'mode="difference"')
    until(page, "return document.querySelector('.compare-told').textContent.includes('52.3 %')")  # 2 of 3 by 200 of 255
    assert seen(page, 0.5) == (255, 0, 255)
    gain = find(page, ".compare-gain input")
    page.execute_script("arguments[0].focus()", gain)
    press(page, Keys.HOME)
    until(page, "return document.querySelector('.compare-gain output').textContent === '1×'")
    until(page, "return document.querySelector('canvas').getContext('2d').getImageData(5, 5, 1, 1).data[0] === 200")
    compare(page, 'mode="difference"', RED)
    until(page, "return document.querySelector('.compare-told').textContent === 'They are the same.'")


def test_other_pictures_are_shown_when_attributes_change(page: Chrome):
    compare(page)
    page.execute_script("document.querySelector('compare-slider').setAttribute('b', arguments[0])", picture(GREEN))
    page.execute_script("document.querySelector('compare-slider').setAttribute('b-label', 'epoch 5')")
    until(
        page,
        "return document.querySelector('.of-b img').complete && document.querySelector('.of-b img').alt === 'epoch 5'",
    )
    assert (seen(page, 0.2), seen(page, 0.8)) == (RED, GREEN)


def test_comparing_fits_on_a_phone_and_all_is_named(page: Chrome):
    wide(page, PHONE)
    for mode in ("slide", "beside", "difference"):
        put(page, f'<compare-slider a="{picture(RED)}" b="{picture(BLUE)}" mode="{mode}"></compare-slider>')
        assert overflow(page) == 0 and unnamed(page) == [], mode
    assert complaints(page) == []
    wide(page, DESK)
