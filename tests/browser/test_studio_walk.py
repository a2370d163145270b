"""The whole way in one sitting, as somebody goes it who has read nothing: from dropped pictures to a LoRA that another
Likeness has. All is real: the base, the training, the pictures. Those in the documentation come from here too."""

import shutil
from pathlib import Path

import httpx
import pytest
import yaml
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By

from benchmarks.studio_screens import PHONE as PHONE_SIZE
from likeness.studio import library, run_summaries, runs
from likeness.studio.library import Filter
from tests.browser import screens
from tests.browser.screens import keep
from tests.browser.serving import DESK, PHONE, StudioServer, complaints, find, overflow, serving, until, wide
from tests.browser.test_studio_datasets import LAST, caption_of, click, press, send, worked
from tests.studio.datasets_at_hand import EXAMPLES

pytestmark = pytest.mark.long

# For pictures that are shown, as in the example's config; else as little as there can be.
EXAMPLE = yaml.safe_load((EXAMPLES / "character" / "mika.yaml").read_text())
PROMPTS = EXAMPLE["sampling"]["prompts"][: 4 if screens.FOLDER else 1]
SETTINGS = {"data.datasets.0.repeats": "2", "train.epochs": "2", "sampling.steps": "4"}
if screens.FOLDER:
    SETTINGS = {"data.datasets.0.repeats": str(EXAMPLE["data"]["datasets"][0]["repeats"]), "train.epochs": "10"}
EPOCHS = int(SETTINGS["train.epochs"])
STEPS = int(SETTINGS["data.datasets.0.repeats"]) * EPOCHS  # 10 pictures in a batch of 10
LONGEST = 3600 if screens.FOLDER else 180
DRAWN = 4 if screens.FOLDER else 1
CARDS = "document.querySelectorAll('.dataset-card').length"


@pytest.mark.parametrize("window", [DESK, PHONE], ids=["desk", "phone"])
def test_from_pictures_to_a_lora_elsewhere(
    browser: Chrome, studio_server: StudioServer, tmp_path: Path, window: dict[str, object]
) -> None:
    studio_server.supervise()
    wide(browser, window)
    name = fill_a_dataset(browser, studio_server, tmp_path)
    train(browser, name)
    compare_and_choose(browser, studio_server, name)
    generate(browser)
    come_back_to_the_dataset(browser)
    bundle = share(browser, studio_server, tmp_path)
    with serving(tmp_path / "elsewhere") as other:
        import_it(browser, other, bundle)
        (again,) = library.listed(other.studio, Filter()).models
        (ours,) = library.listed(studio_server.studio, Filter()).models
        assert (again.name, again.sha256, again.trigger) == (ours.name, ours.sha256, "mika_char")
        browser.get("about:blank")


def fill_a_dataset(page: Chrome, server: StudioServer, place: Path) -> str:
    """Drop pictures of which one is there twice, mend that, and put one caption right."""
    page.get(f"{server.address}/")
    find(page, "main a[href='/train']").click()
    find(page, "[name=new-dataset]").send_keys("mika")
    find(page, "[name=trigger]").send_keys("mika_char")
    find(page, "#make-dataset").click()
    until(page, "return document.querySelector('#panel drop-zone')")
    mika = EXAMPLES / "character" / "mika"
    twin = Path(shutil.copy(mika / "mika-01.png", place / "zz-twin.png"))
    send(page, *sorted(mika.iterdir()), twin)
    until(page, f"return {CARDS} === 13")
    worked(page, "return [...document.querySelectorAll('.finding button')].some((b) => b.innerText.includes('copies'))",
           "the copy is found")  # fmt: skip
    click(page, "drop-zone [data-clear]")
    press(page, ".finding button", "copies")
    until(page, f"return {CARDS} === 12")
    field = page.execute_script(f"return {caption_of(page, 'mika-01.png')}")
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", field)
    field.send_keys(Keys.CONTROL, "a", Keys.NULL, "mika_char, happy, half body, in a meadow, flat style", Keys.TAB)
    until(page, f"return {LAST}.includes('wrote the caption of mika-01.png')")
    assert overflow(page) == 0
    return "mika"


def train(page: Chrome, name: str) -> None:
    """Prompts, how long, and go."""
    for number, prompt in enumerate(PROMPTS):
        fill(page, f".prompt-row:nth-child({number + 1}) [name=prompt]", prompt)
    for setting, value in SETTINGS.items():
        fill(page, f"[name='set:{setting}']", value)
    until(page, f"return document.querySelector('#plan strong')?.textContent === '{STEPS}'", "so many steps")
    until(page, "return !document.querySelector('#start-button').ariaDisabled")
    keep(page, "studio-train", height=1500)
    click(page, "#start-button")
    until(page, f"return location.pathname === '/runs/{name}'")
    shown = "document.querySelectorAll('#epochs .cell img').length"
    worked(page, f"return {shown} > 0", "the base's picture comes while it trains")
    worked(page, f"return {shown} === {len(PROMPTS) * (EPOCHS + 1)}", "a picture for each prompt and epoch", LONGEST)
    worked(page, "return document.querySelector('#publish')", "epochs can be published")


def compare_and_choose(page: Chrome, server: StudioServer, name: str) -> None:
    worked(page, "return document.querySelector('#status').textContent.includes('to choose from')", "it has ended")
    best = run_summaries.summary_of(server.studio, name).suggested_epoch or EPOCHS
    for epoch in (0, best):
        click(page, f"#cell-1-{epoch}")
    sides = page.execute_script(
        "const s = document.querySelector('#slider'); return [s.getAttribute('a'), s.getAttribute('b')]"
    )
    assert "epoch-000" in sides[0] and f"epoch-{best:03d}" in sides[1]
    click(page, f"#choose-{best}")
    until(page, "return document.querySelector('#epochs th .tag.good')?.textContent === 'chosen'")
    assert runs.summary_of(server.studio, name).chosen_epoch == best
    assert overflow(page) == 0
    keep(page, "studio-run", height=2000)
    keep(page, "studio-phone", PHONE_SIZE, "dark", 1400)
    click(page, "#publish")
    until(page, "return location.pathname.startsWith('/library/')", "the model's page")


def generate(page: Chrome) -> None:
    """Draw with it, and come back."""
    model = page.current_url
    click(page, "main a[href^='/generate']")
    until(page, "return document.querySelector('lora-row')")
    fill(page, "#prompt", "mika_char, waving, full body, at a beach, outline style")
    fill(page, "[name=batch]", str(DRAWN))
    until(page, "return !document.querySelector('#help').innerText.trim()")
    click(page, "#draw")
    drawn = "[...document.querySelectorAll('#history .generation img')].filter((i) => i.naturalWidth).length"
    worked(page, f"return {drawn} === {DRAWN}", "what was asked for is drawn", LONGEST)
    assert overflow(page) == 0
    keep(page, "studio-generate", height=900)
    page.get(model)


def come_back_to_the_dataset(page: Chrome) -> None:
    """It is kept as it was left, for the next training."""
    model = page.current_url
    page.get(f"{model.split('/library')[0]}/datasets")
    click(page, "#datasets a.card")
    until(page, f"return {CARDS} === 12")
    assert page.execute_script(f"return {caption_of(page, 'mika-01.png')}.value").startswith("mika_char, happy")
    until(page, "return document.querySelector('.finding.good, [id^=findings]')", "it is checked")
    keep(page, "studio-dataset", theme="dark")
    page.get(model)


def share(page: Chrome, server: StudioServer, place: Path) -> Path:
    """The bundle that the page offers, as a browser would save it."""
    link = find(page, "main a[href$='/bundle']").get_attribute("href")
    assert link and link.startswith(server.address)
    answer = httpx.get(link).raise_for_status()
    bundle = place / "mika.likeness"
    bundle.write_bytes(answer.content)
    assert [m for m in complaints(page) if "422" not in m] == []
    return bundle


def import_it(page: Chrome, other: StudioServer, bundle: Path) -> None:
    page.get(f"{other.address}/library")
    find(page, "[data-open=import]").click()
    until(page, "return document.querySelector('#import').open")
    page.find_element(By.CSS_SELECTOR, "#import-zone input[type=file]").send_keys(str(bundle))
    until(page, "return document.querySelector('#models a.cut')?.textContent === 'mika'")


def fill(page: Chrome, css: str, text: str) -> None:
    """Type into a field, open or folded away."""
    page.execute_script(
        "const field = document.querySelector(arguments[0]); field.value = arguments[1];"
        "field.dispatchEvent(new Event('input', {bubbles: true}));"
        "field.dispatchEvent(new Event('change', {bubbles: true}))",
        css,
        text,
    )
