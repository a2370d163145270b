"""The page 'Train' and the page of a run in a browser: planned while one types, started, followed, compared."""

from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from likeness.studio import runs
from tests.browser.serving import PHONE, StudioServer, complaints, find, overflow, unnamed, until, wide
from tests.studio.runs_at_hand import mika, settings


@pytest.mark.long
def test_from_the_form_to_a_run(browser: Chrome, studio_server: StudioServer, tmp_path: Path) -> None:
    mika(studio_server.studio, tmp_path)
    wide(browser)
    browser.get(f"{studio_server.address}/train")
    Select(find(browser, "[name=dataset]")).select_by_visible_text("mika")
    until(browser, "return document.querySelector('[name=name]').value === 'mika'")
    until(browser, "return document.querySelector('#panel img')", "the pictures are shown in the page")
    find(browser, "#suggest").click()
    until(browser, "return [...document.querySelectorAll('[name=prompt]')].every((p) => p.value.includes('mika_char'))")
    until(browser, "return document.querySelector('#plan strong')?.textContent === '200'", "steps as usual")
    epochs = find(browser, "[name='set:train.epochs']")
    epochs.send_keys("2")
    until(browser, "return document.querySelector('#plan strong')?.textContent === '40'", "steps of two epochs")
    epochs.send_keys(Keys.BACKSPACE, "0")
    until(browser, "return document.querySelector('#plan .finding.error')?.textContent.includes('at least 1')")
    epochs.send_keys(Keys.BACKSPACE, "1")
    until(browser, "return document.querySelector('#plan strong')?.textContent === '20'")
    until(browser, "return document.querySelector('#advice [data-use]')")
    before = browser.find_elements(By.CSS_SELECTOR, "#advice [data-use='set:train.epochs']")
    before[0].click()
    until(browser, "return document.querySelector(\"[name='set:train.epochs']\").value === '10'", "advice is taken")
    until(browser, "return document.querySelector('#plan strong')?.textContent === '200'")
    assert overflow(browser) == 0 and unnamed(browser) == []
    until(browser, "return !document.querySelector('#start-button').ariaDisabled")
    find(browser, "#start-button").click()
    until(browser, "return location.pathname === '/runs/mika'")
    assert runs.summary_of(studio_server.studio, "mika").state == "queued"
    assert complaints(browser) == []
    browser.get("about:blank")  # or it would go on following a server that is gone


@pytest.mark.long
def test_a_run_is_followed_and_compared(browser: Chrome, studio_server: StudioServer, tmp_path: Path) -> None:
    studio = studio_server.studio
    mika(studio, tmp_path)
    config = settings(train={"epochs": 12}, data={"datasets": [{"path": "dataset:mika", "repeats": 20}]})
    runs.start(studio, config, runs.plan(studio, config).digest, mock=True)
    wide(browser)
    browser.get(f"{studio_server.address}/runs/mika")
    assert "waiting" in find(browser, "#status").text
    studio_server.supervise()
    until(browser, "return document.querySelector('#status progress')?.value > 0", "it moves without a reload")
    until(browser, "return document.querySelectorAll('#epochs .cell img').length >= 2 * 13", "all epochs have come")
    until(browser, "return document.querySelector('#status').textContent.includes('to choose from')")
    assert browser.execute_script("return document.querySelectorAll('.cell[data-side]').length") == 2

    def sides() -> list[str]:
        script = "return ['a', 'b'].map((side) => document.querySelector('#slider').getAttribute(side).split('/')[7])"
        return browser.execute_script(script)  # type: ignore[return-value]

    assert sides() == ["epoch-000", "epoch-012"], "the base against the one that is suggested"
    for epoch in (3, 7):
        browser.execute_script(f"document.querySelector('#cell-2-{epoch}').click()")
    assert sides() == ["epoch-003", "epoch-007"]
    assert "prompt-2" in str(browser.execute_script("return document.querySelector('#slider').getAttribute('a')"))
    choose = find(browser, "#choose-7")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", choose)  # away from what pops up below
    choose.click()
    until(browser, "return document.querySelector('#epochs th .tag.good')?.textContent === 'chosen'")
    assert sides() == ["epoch-003", "epoch-007"], "what is picked outlives the swap"
    assert runs.summary_of(studio, "mika").chosen_epoch == 7
    assert overflow(browser) == 0 and unnamed(browser) == []
    wide(browser, PHONE)
    browser.get(f"{studio_server.address}/runs/mika")
    until(browser, "return document.querySelector('#slider') && !document.querySelector('#slider').hidden")
    assert overflow(browser) == 0
    assert complaints(browser) == []
