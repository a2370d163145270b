"""A dataset is filled, captioned, mended and cropped in a real browser, and captions come while one looks on."""

import time
from pathlib import Path

import pytest
from PIL import Image
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from likeness.store.tables import Dataset
from likeness.studio import datasets
from likeness.studio.datasets import arrivals, captions
from tests.browser.serving import DESK, PHONE, StudioServer, complaints, find, overflow, unnamed, until, wide
from tests.studio.datasets_at_hand import EXAMPLES

LAST = "(document.querySelector('[id^=undo]')?.innerText ?? '')"
CARDS = "return document.querySelectorAll('.dataset-card').length"


def opened(page: Chrome, server: StudioServer, row: Dataset) -> None:
    wide(page)
    page.get(f"{server.address}/datasets/{row.id}")
    until(page, "return !document.querySelector('[aria-busy]') && document.querySelector('drop-zone')")
    page.get_log("browser")


def send(page: Chrome, *files: Path) -> None:
    page.find_element(By.CSS_SELECTOR, "drop-zone input[type=file]").send_keys("\n".join(map(str, files)))


def caption_of(page: Chrome, name: str) -> str:
    return f"""document.querySelector(`.dataset-card[aria-label="{name}"] textarea`)"""


def click(page: Chrome, css: str) -> None:
    page.execute_script("arguments[0].click()", find(page, css))


def worked(page: Chrome, script: str, message: str, seconds: int = 180) -> None:
    """Wait for what a job does: a process has to start, on a machine that may be busy."""
    WebDriverWait(page, seconds, 0.2).until(lambda _: page.execute_script(script), message)


def press(page: Chrome, css: str, words: str) -> None:
    """The first button whose text has these words."""
    script = "return [...document.querySelectorAll(arguments[0])].find((b) => b.innerText.includes(arguments[1]))"
    page.execute_script("arguments[0].click()", page.execute_script(script, css, words))


@pytest.fixture
def careless(studio_server: StudioServer) -> Dataset:
    row = datasets.create(studio_server.studio, "Careless", trigger="mika_char", base="starter")
    arrivals.take_folder(studio_server.studio, row.id, EXAMPLES / "bad" / "mika-careless")
    return row


def test_dropped_pictures_appear_with_their_captions(browser: Chrome, studio_server: StudioServer, tmp_path: Path):
    row = datasets.create(studio_server.studio, "Mika", trigger="mika_char", base="starter")
    opened(browser, studio_server, row)
    mika = EXAMPLES / "character" / "mika"
    (tmp_path / "broken.png").write_bytes(b"no picture")
    send(browser, *(mika / f"mika-0{n}.{end}" for n in (1, 2, 3) for end in ("png", "txt")), tmp_path / "broken.png")
    until(browser, f"{CARDS} === 3", "three cards")
    until(browser, "return [...document.querySelectorAll('.dataset-card img')].every((i) => i.naturalWidth > 0)")
    until(browser, "return document.querySelector('.drop-sum').innerText.includes('1 refused')")
    assert "broken.png: is none of" in find(browser, ".drop-list li[data-state=failed]").text
    assert browser.execute_script(f"return {caption_of(browser, 'mika-02.png')}.value").startswith("mika_char")
    until(browser, "return document.querySelector('[id^=findings]')", "it is checked")
    time.sleep(2)  # no picture of the time before the check comes late and takes the findings away
    assert browser.execute_script("return document.querySelector('[id^=findings]') !== null")
    assert (
        [m for m in complaints(browser) if "422" not in m] == [] and unnamed(browser) == [] and overflow(browser) == 0
    )


def test_a_caption_is_saved_when_its_field_is_left(browser: Chrome, studio_server: StudioServer, careless: Dataset):
    opened(browser, studio_server, careless)
    until(browser, "return document.querySelector('[id^=findings]')")
    field = browser.execute_script(f"return {caption_of(browser, 'mika-09.png')}")
    field.send_keys(Keys.CONTROL, "a", Keys.NULL, "mika_char reading in a library, in the evening", Keys.TAB)
    until(browser, f"return {LAST}.includes('wrote the caption of mika-09.png')")
    assert datasets.find(studio_server.studio, careless.id, "mika-09.png").caption.endswith("in the evening")
    assert browser.execute_script("return document.activeElement !== document.body"), "the keyboard goes on from there"
    click(browser, "[id^=undo] button[data-htmx-powered]")
    until(browser, f"return {caption_of(browser, 'mika-09.png')}.value === 'mika_char'")
    until(browser, "return document.querySelector('toast-box').innerText.includes('Undone')")
    assert complaints(browser) == []


@pytest.mark.long
def test_findings_are_mended_by_one_click(browser: Chrome, studio_server: StudioServer, careless: Dataset):
    studio_server.supervise()
    opened(browser, studio_server, careless)
    card = '.dataset-card[aria-label="mika-02.png"]'
    until(browser, f"""return document.querySelector('{card} .found')""")
    assert "too small" in find(browser, card).text
    press(browser, f"{card} button", "Enhance")
    worked(browser, f"""return document.querySelector('{card}').innerText.includes('96×96')""", "enlarged in place")
    click(browser, "[id^=others] summary")
    press(browser, ".finding button", "copies")
    until(browser, f"{CARDS} === 13")
    assert browser.execute_script("return document.querySelector('[id^=others]').open"), "what is open stays open"
    assert complaints(browser) == []


@pytest.mark.long
def test_captions_come_while_one_types(browser: Chrome, studio_server: StudioServer):
    studio = studio_server.studio
    row = datasets.create(studio, "Mika", trigger="mika_char", base="starter")
    arrivals.take_folder(studio, row.id, EXAMPLES / "character" / "mika")
    for number in range(2, 13):
        captions.set_caption(studio, row.id, f"mika-{number:02}.png", "")
    opened(browser, studio_server, row)
    until(browser, "return document.querySelector('[id^=findings]')")
    click(browser, "[data-open^=auto]")
    click(browser, "dialog[open] button[type=submit]")
    until(browser, "return document.querySelector('[id^=work]')", "the job is shown")
    field = browser.execute_script(f"return {caption_of(browser, 'mika-12.png')}")
    browser.execute_script("arguments[0].focus()", field)
    field.send_keys("my own words, half")
    studio_server.supervise()
    worked(browser, f"return {caption_of(browser, 'mika-02.png')}.value.includes('mika_char')", "it came by itself")
    worked(browser, "return !document.querySelector('[id^=work]')", "the job has ended")
    assert browser.execute_script(f"return {caption_of(browser, 'mika-12.png')}.value") == "my own words, half"
    field.send_keys(" written", Keys.TAB)
    card = '.dataset-card[aria-label="mika-12.png"]'
    until(browser, f"return document.querySelector('{card}').innerText.includes('by you')", "saved as a person's")
    assert datasets.find(studio, row.id, "mika-12.png").caption == "my own words, half written"
    assert datasets.find(studio, row.id, "mika-01.png").author == "person"
    assert complaints(browser) == []


def test_a_picture_is_cropped_by_keys(browser: Chrome, studio_server: StudioServer, tmp_path: Path):
    studio = studio_server.studio
    row = datasets.create(studio, "Wide")
    Image.effect_noise((400, 200), 60).convert("RGB").save(tmp_path / "wide.png")
    datasets.add(studio, row.id, tmp_path / "wide.png", "wide.png")
    opened(browser, studio_server, row)
    click(browser, ".dataset-card button.frame")
    until(browser, "return document.querySelector('crop-box')?.value")
    click(browser, "crop-box ~ .row input[type=checkbox]")
    until(browser, "return document.querySelector('crop-box').value === '0.25,0,0.5,1'", "the middle square")
    browser.execute_script("document.querySelector('.crop-area').focus()")
    ActionChains(browser, duration=0).send_keys(*[Keys.ARROW_RIGHT] * 5).perform()
    click(browser, "#crop-dialog button[type=submit]")
    until(browser, "return document.querySelector('.dataset-card').innerText.includes('cropped')")
    assert datasets.find(studio, row.id, "wide.png").crop == pytest.approx((0.3, 0, 0.5, 1))
    assert not browser.execute_script("return document.querySelector('dialog[open]')")
    assert complaints(browser) == []


def test_on_a_phone_nothing_leads_over_the_edge(browser: Chrome, studio_server: StudioServer, careless: Dataset):
    edit = datasets.create(studio_server.studio, "Night", "edit", base="starter")
    arrivals.take_folder(studio_server.studio, edit.id, EXAMPLES / "bad" / "night-careless")
    opened(browser, studio_server, careless)
    wide(browser, PHONE)
    for path in ("/datasets", f"/datasets/{careless.id}", f"/datasets/{edit.id}"):
        browser.get(f"{studio_server.address}{path}")
        if path != "/datasets":
            until(browser, "return document.querySelector('[id^=findings]')")
        assert overflow(browser) == 0 and unnamed(browser) == [], path
    wide(browser, DESK)
    assert complaints(browser) == []
