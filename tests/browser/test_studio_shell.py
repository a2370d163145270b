"""The studio's frame in a real browser: themes, keyboard, phone, menus, toasts, dialogs, the live queue."""

import time
from pathlib import Path

import pytest
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By

from likeness.events import EventLog, Stage
from likeness.service.workers import Order
from likeness.store.tables import Job
from likeness.studio import queue
from likeness.studio.queue import Entry
from likeness.studio.workspace import Studio
from tests.browser.serving import DESK, PHONE, StudioServer, complaints, find, overflow, unnamed, until, wide

PAGES = ("/", "/queue", "/settings", "/settings/notices", "/settings/keys", "/nowhere")


@pytest.fixture
def page(browser: Chrome, studio_server: StudioServer) -> Chrome:
    wide(browser)
    browser.get(f"{studio_server.address}/healthz")
    browser.execute_script("localStorage.clear()")
    browser.get_log("browser")
    return browser


def submit(studio: Studio, title: str, **values: object) -> Job:
    job = queue.submit(studio, Order("sample", {}), Entry(title))
    if values:
        queue.change(studio, job.id, **values)
    return job


def press(page: Chrome, *keys: str) -> None:
    ActionChains(page, duration=0).send_keys(*keys).perform()


def focused(page: Chrome) -> str:
    return str(
        page.execute_script("const e = document.activeElement; return e.ariaLabel || e.textContent.trim() || e.id")
    )


def background(page: Chrome) -> str:
    return str(page.execute_script("return getComputedStyle(document.body).backgroundColor"))


@pytest.mark.parametrize("metrics", [DESK, PHONE], ids=["desk", "phone"])
def test_pages_fit_and_everything_has_a_name(page: Chrome, studio_server: StudioServer, metrics: dict[str, object]):
    long = "Train " + "a-very-long-name-" * 6
    for state in ("running", "queued", "queued", "paused", "finished", "failed"):
        submit(studio_server.studio, long, state=state, error="memory: " + "x" * 300 if state == "failed" else None)
    wide(page, metrics)
    for path in PAGES:
        page.get(studio_server.address + path)
        assert overflow(page) == 0, path
        assert unnamed(page) == [], path
        assert [words for words in complaints(page) if "/nowhere" not in words] == [], path


def test_the_theme_follows_the_system_until_it_is_chosen(page: Chrome, studio_server: StudioServer):
    page.get(studio_server.address)
    light = background(page)
    wide(page, theme="dark")
    dark = background(page)
    assert light != dark
    find(page, "[data-theme-turn]").click()
    assert background(page) == light
    page.refresh()
    assert background(page) == light, "it is remembered"
    page.get(f"{studio_server.address}/settings")
    assert find(page, "[data-theme-set=light]").get_attribute("aria-pressed") == "true"
    find(page, "[data-theme-set='']").click()
    assert background(page) == dark
    wide(page)


def test_the_keyboard_reaches_the_content_first(page: Chrome, studio_server: StudioServer):
    page.get(f"{studio_server.address}/queue")
    press(page, Keys.TAB)
    assert focused(page) == "Skip to the content"
    assert page.execute_script("return document.activeElement.getBoundingClientRect().top >= 0"), "it is seen"
    press(page, Keys.ENTER)
    assert page.execute_script("return document.activeElement.id") == "main"
    press(page, Keys.TAB)
    assert focused(page) == "Train", "the first link of the empty queue"
    assert page.execute_script("return getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_the_navigation_is_a_menu_on_a_phone(page: Chrome, studio_server: StudioServer):
    wide(page, PHONE)
    page.get(studio_server.address)
    link = find(page, ".nav a[href='/queue']")
    assert not link.is_displayed()
    find(page, ".menu-button").click()
    until(page, "return document.querySelector('.nav a[href=\"/queue\"]').checkVisibility()")
    press(page, Keys.ESCAPE)
    assert not link.is_displayed()
    find(page, ".menu-button").click()
    link.click()
    until(page, "return location.pathname === '/queue'")
    assert find(page, ".nav a[aria-current=page]").get_attribute("textContent") == "Queue"


def test_the_queue_moves_by_itself_and_keeps_the_focus(page: Chrome, studio_server: StudioServer):
    studio = studio_server.studio
    running = submit(studio, "Captions", state="running", started=time.time())
    submit(studio, "Second")
    page.get(f"{studio_server.address}/queue")
    cancel = find(page, f"#stop-cancel-{running.id}")
    page.execute_script("arguments[0].focus()", cancel)
    EventLog(Path(running.folder, "events.jsonl")).write(Stage(name="captioning", done=3, total=12))
    until(page, "return document.querySelector('#queue').innerText.includes('25 %')")
    assert page.switch_to.active_element == cancel, "it is the very same button"
    queue.change(studio, running.id, state="finished", ended=time.time())
    until(page, "return document.querySelector('#queue').innerText.includes('Ended')")


def test_a_question_is_asked_before_a_job_is_canceled(page: Chrome, studio_server: StudioServer):
    job = submit(studio_server.studio, "First")
    page.get(f"{studio_server.address}/queue")
    find(page, f"#stop-cancel-{job.id}").click()
    dialog = find(page, "#confirm[open]")
    assert "Cancel “First”?" in dialog.text and focused(page) == "Cancel"
    press(page, Keys.ESCAPE)
    until(page, "return !document.querySelector('#confirm').open")
    assert queue.get(studio_server.studio, job.id).state == "queued"
    find(page, f"#stop-cancel-{job.id}").click()
    find(page, "#confirm[open] [value=yes]").click()
    until(page, "return document.querySelector('#queue').innerText.includes('canceled')")
    assert queue.get(studio_server.studio, job.id).state == "canceled"


def test_waiting_jobs_are_moved_by_keyboard(page: Chrome, studio_server: StudioServer):
    a, b = submit(studio_server.studio, "First"), submit(studio_server.studio, "Second")
    page.get(f"{studio_server.address}/queue")
    button = find(page, f"#move-earlier-{b.id}")
    page.execute_script("arguments[0].focus()", button)
    press(page, Keys.ENTER)
    until(page, "return document.querySelector('.queue-list li a').textContent === 'Second'")
    assert [job.id for job in queue.listed(studio_server.studio, states=["queued"])] == [b.id, a.id]


def test_the_end_of_a_job_is_told_and_marked(page: Chrome, studio_server: StudioServer):
    job = submit(studio_server.studio, "Train mika", state="running", started=time.time())
    page.get(f"{studio_server.address}/settings")
    assert not page.find_elements(By.CSS_SELECTOR, ".tasks-button .badge")
    queue.change(studio_server.studio, job.id, state="finished", ended=time.time())
    until(page, "return document.querySelector('toast-box')?.innerText.includes('Train mika has finished')")
    assert find(page, ".tasks-button .badge").text == "1" and page.title.startswith("(1) ")
    find(page, "#tasks-button").click()
    until(page, "return document.querySelector('#tasks .task.new')?.innerText.includes('Train mika')")
    until(page, "return !document.querySelector('.tasks-button .badge') && !document.title.startsWith('(')")
    press(page, Keys.ESCAPE)
    assert not find(page, "#tasks").is_displayed()


def test_a_toast_is_dismissed_by_hand_or_leaves(page: Chrome, studio_server: StudioServer):
    page.get(studio_server.address)
    page.execute_script("customElements.get('toast-box').STAYS = 100; toast('it failed', 'error'); toast('hello')")
    until(page, "return !document.querySelector('toast-box').innerText.includes('hello')")
    assert "it failed" in find(page, "toast-box").text, "an error stays"
    find(page, "toast-box [data-dismiss]").click()
    assert not page.find_elements(By.CSS_SELECTOR, ".toast")


def test_a_refusal_is_a_toast_and_changes_nothing(page: Chrome, studio_server: StudioServer):
    job = submit(studio_server.studio, "First")
    page.get(f"{studio_server.address}/queue")
    page.execute_script(
        "document.querySelector('#queue').removeAttribute('hx-trigger'); htmx.process(document.body, true)"
    )
    queue.change(studio_server.studio, job.id, state="finished", ended=time.time())
    find(page, f"#stop-pause-{job.id}").click()
    until(page, "return document.querySelector('.toast.error')?.innerText.includes('has ended')")
    assert "First" in find(page, "#queue").text


def test_what_the_gate_says_is_told_in_its_words(page: Chrome, studio_server: StudioServer):
    page.get(f"{studio_server.address}/queue")
    page.execute_script(
        "const b = document.createElement('button'); b.id = 'odd'; b.setAttribute('hx-post', '/queue/seen');"
        "b.setAttribute('hx-encoding', 'multipart/form-data'); b.setAttribute('hx-vals', 'a:1');"
        "b.textContent = 'odd'; document.querySelector('main').append(b); htmx.process(b)"
    )
    find(page, "#odd").click()
    until(page, "return document.querySelector('.toast.error')?.innerText.includes('is not taken here')")
    assert find(page, "#odd").text == "odd"


def test_a_server_that_is_gone_is_told(page: Chrome, studio_server: StudioServer):
    page.get(f"{studio_server.address}/settings/keys")
    page.execute_cdp_cmd("Network.enable", {})
    offline = {"offline": True, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    page.execute_cdp_cmd("Network.emulateNetworkConditions", offline)
    try:
        find(page, "#name").send_keys("me", Keys.ENTER)
        until(page, "return document.querySelector('.toast.error')?.innerText.includes('cannot be reached')")
    finally:
        page.execute_cdp_cmd("Network.emulateNetworkConditions", {**offline, "offline": False})
        page.execute_cdp_cmd("Network.disable", {})


def test_a_key_is_made_copied_and_used_to_sign_in(page: Chrome, studio_server: StudioServer):
    page.get(f"{studio_server.address}/settings/keys")
    find(page, "#name").send_keys("laptop", Keys.ENTER)
    secret = find(page, "#made").text
    assert secret.startswith("likeness_")
    find(page, "copy-button button").click()
    until(page, "return document.querySelector('copy-button button').textContent === 'Copied'")
    assert page.execute_script("return document.querySelectorAll('table tbody tr, table tr').length") > 1


def test_motion_is_left_out_where_it_is_not_wanted(page: Chrome, studio_server: StudioServer):
    page.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-reduced-motion", "value": "reduce"}]}
    )
    page.get(studio_server.address)
    page.execute_script("toast('hello', 'good')")
    assert (
        page.execute_script("return getComputedStyle(document.querySelector('.toast')).animationDuration") == "1e-05s"
    )
    wide(page)


def test_nothing_is_asked_of_another_host(page: Chrome, studio_server: StudioServer):
    for path in PAGES:
        page.get(studio_server.address + path)
        names = page.execute_script("return performance.getEntriesByType('resource').map((e) => e.name)")
        assert all(name.startswith(studio_server.address) for name in names), path  # type: ignore[union-attr]
