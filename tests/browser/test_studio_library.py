"""Library, generate and merge in a real browser: searched as one types, imported, drawn with, compared, taken back."""

import json
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select

from likeness.store.tables import Model
from likeness.studio import bundles, generations, library, models, queue, shares
from likeness.studio.generations import GenerationRequest
from likeness.studio.library import Filter
from likeness.studio.lora_choice import LoraChoice
from likeness.studio.models import Words
from likeness.studio.workspace import Studio
from tests.browser.serving import DESK, PHONE, StudioServer, complaints, find, overflow, unnamed, until, wide
from tests.tiny_lora import write_lora, write_picture, write_run

LONG = "A-very-long-name-" * 5


@pytest.fixture
def studio(studio_server: StudioServer, tmp_path: Path) -> Studio:
    """A library of three models; the first came from a run."""
    found = studio_server.studio
    write_run(found.workspace)
    models.publish(found, "mika", 2, name="Mika", tags=["girl"])
    for number, name in enumerate(("Ada", LONG)):
        file = write_lora(tmp_path / f"{number}.safetensors", 90 + number)
        models.import_lora(found, file, file.name, Words(name, tags=["ink"], trigger="ada_char"))
    return found


@pytest.fixture
def mika(studio: Studio) -> Model:
    return library.listed(studio, Filter("Mika")).models[0]


@pytest.fixture
def page(browser: Chrome, studio: Studio, studio_server: StudioServer) -> Chrome:
    wide(browser)
    browser.get(f"{studio_server.address}/healthz")
    browser.get_log("browser")
    return browser


def draw(studio: Studio, job_id: str, count: int | None = None) -> None:
    """What a worker does: some of the pictures, or all and the end."""
    job = queue.get(studio, job_id)
    outputs = json.loads((Path(job.folder) / "job.json").read_text())["outputs"]
    for number, output in enumerate(outputs[:count]):
        done = write_picture(Path(output).parent / "half.png", (80 + 40 * number, 60, 120), 128)
        done.replace(output)  # at one stroke, as a worker writes it: the page asks for it at any time
    if count is None:
        queue.change(studio, job.id, state="finished", result=generations.take(studio, job, {}))


def drawn(studio: Studio, mika: Model, **values: object) -> str:
    request = GenerationRequest("mika_char at sea", (LoraChoice(mika.id),), **values)  # type: ignore[arg-type]
    job = generations.generate(studio, request).job
    draw(studio, job.id)
    return job.id


def shown(page: Chrome) -> list[str]:
    return [e.text for e in page.find_elements(By.CSS_SELECTOR, "#models a.cut")]


def text_of(page: Chrome, css: str) -> str:
    return find(page, css).text


@pytest.mark.parametrize("metrics", [DESK, PHONE], ids=["desk", "phone"])
def test_pages_fit_and_everything_has_a_name(
    page: Chrome, studio: Studio, mika: Model, studio_server: StudioServer, metrics: dict[str, object]
):
    job = drawn(studio, mika, strengths=(0.0, 0.5, 1.0, 1.5))
    generations.generate(studio, GenerationRequest(LONG * 3, (LoraChoice(mika.id),), batch=3))
    models.duplicate(studio, mika.id, LONG)
    wide(page, metrics)
    places = ("/library", "/library?view=bin", f"/library/{mika.id}", "/generate", f"/generate?job={job}",
              "/generate/pictures/all", f"/merge?model={mika.id}", shares.share(studio, mika.id).path)  # fmt: skip
    for path in places:
        page.get(studio_server.address + path)
        until(page, "return document.readyState === 'complete'")
        assert overflow(page) == 0, path
        assert unnamed(page) == [], path
        assert complaints(page) == [], path


def test_the_shelf_is_searched_as_one_types(page: Chrome, studio_server: StudioServer):
    page.get(f"{studio_server.address}/library")
    assert sorted(shown(page)) == sorted([LONG, "Ada", "Mika"])
    find(page, "#search").send_keys("ada")
    until(page, "return document.querySelectorAll('#models a.cut').length === 2")
    assert page.switch_to.active_element.get_attribute("id") == "search", "one goes on typing"
    until(page, "return location.search.includes('search=ada')", "the address can be kept")
    Select(find(page, "#sort")).select_by_value("name")
    until(page, "return location.search.includes('sort=name')")
    find(page, ".tags a[href*='tag=ink']").click()
    until(page, "return document.querySelector('.tags a[aria-current]')?.textContent.includes('ink')")
    page.back()
    until(page, "return !document.querySelector('.tags a[aria-current]')")


def test_a_bundle_is_imported_by_dropping_it(
    page: Chrome, studio: Studio, mika: Model, studio_server: StudioServer, tmp_path: Path
):
    bundle = bundles.write(studio, mika.id, tmp_path / "mika.likeness")
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"nothing")
    models.delete_model(studio, mika.id)
    models.remove(studio, mika.id)
    page.get(f"{studio_server.address}/library")
    find(page, "[data-open=import]").click()
    until(page, "return document.querySelector('#import').open")
    page.find_element(By.CSS_SELECTOR, "#import-zone input[type=file]").send_keys(f"{bundle}\n{bad}")
    until(page, "return [...document.querySelectorAll('#models a.cut')].some((a) => a.textContent === 'Mika')")
    until(page, "return document.querySelector('#import-zone').innerText.includes('cut off')", "and why one is refused")
    (again,) = library.listed(studio, Filter("Mika")).models
    assert again.card == mika.card and len(again.examples) == 3


def test_a_model_is_edited_deleted_and_put_back(page: Chrome, mika: Model, studio_server: StudioServer):
    page.get(f"{studio_server.address}/library/{mika.id}")
    find(page, "[data-open=edit]").click()
    name = find(page, "#edit #name")
    name.clear()
    name.send_keys("Mika the second")
    find(page, "#edit #tags").send_keys(", " + "x" * 50)
    find(page, "#edit button[type=submit]").click()
    until(page, "return document.querySelector('#edit .error')?.innerText.includes('is no tag')")
    assert page.execute_script("return document.querySelector('#edit').open"), "it stays open, filled in"
    tags = find(page, "#edit #tags")
    tags.clear()
    tags.send_keys("girl, flat")
    find(page, "#edit button[type=submit]").click()
    until(page, "return document.querySelector('h1').innerText === 'Mika the second'")
    until(page, "return !document.querySelector('#edit').open")
    find(page, "#delete").click()
    until(page, "return document.body.innerText.includes('This model is in the bin')")
    find(page, "#restore").click()
    until(page, "return !document.body.innerText.includes('This model is in the bin')")
    assert complaints(page) == []


def test_a_link_is_made_and_opened_by_somebody_else(page: Chrome, mika: Model, studio_server: StudioServer):
    page.get(f"{studio_server.address}/library/{mika.id}")
    find(page, "#sharing button[type=submit]").click()
    until(page, "return document.querySelector('#sharing copy-button')")
    link = text_of(page, "#sharing code")
    assert link.startswith(f"{studio_server.address}/shared/")
    page.get(link)
    assert text_of(page, "h1") == "Mika" and not page.find_elements(By.CSS_SELECTOR, "nav")
    until(page, "return [...document.images].every((i) => i.complete && i.naturalWidth)")
    assert complaints(page) == []


@pytest.mark.long
def test_from_prompt_to_picture(page: Chrome, studio: Studio, mika: Model, studio_server: StudioServer):
    page.get(f"{studio_server.address}/generate?model={mika.id}")
    prompt = find(page, "#prompt")
    prompt.clear()
    prompt.send_keys("a boat")
    until(page, "return document.querySelector('#help').innerText.includes('mika_char')")
    find(page, "#help [data-prompt]").click()
    until(page, "return document.querySelector('#prompt').value === 'mika_char, a boat'")
    until(page, "return !document.querySelector('#help').innerText.trim()")
    page.execute_script(
        "const s = document.querySelector('lora-row [type=range]'); s.value = 0.6; "
        "s.dispatchEvent(new Event('input', {bubbles: true}))"
    )
    assert find(page, "lora-row [name=strength]").get_attribute("value") == "0.6"
    page.execute_script("document.querySelector('#find-lora').closest('details').open = true")
    find(page, "#find-lora").send_keys("Ada")
    until(page, "return document.querySelectorAll('#offers button').length === 2")
    find(page, "#offers button").click()
    until(page, "return document.querySelectorAll('lora-row').length === 2")
    until(page, "return document.querySelector('#help').innerText.includes('ada_char')", "it knows of the new one")
    page.find_elements(By.CSS_SELECTOR, "lora-row [data-remove]")[1].click()
    until(page, "return document.querySelectorAll('lora-row').length === 1")
    until(page, "return !document.querySelector('#help').innerText.trim()")
    find(page, "#batch").clear()
    find(page, "#batch").send_keys("2")
    find(page, "#draw").click()
    until(page, "return document.querySelector('#history .generation')")
    (job,) = queue.listed(studio)
    assert json.loads((Path(job.folder) / "job.json").read_text())["loras"][0]["strength"] == 0.6
    queue.change(studio, job.id, state="running")
    draw(studio, job.id, 1)
    until(page, "return document.querySelectorAll('#history img').length === 1", "pictures come one by one")
    draw(studio, job.id)
    until(page, "return document.querySelectorAll('#history img').length === 2")
    assert not page.find_elements(By.CSS_SELECTOR, "#nothing-yet") or not find(page, "#nothing-yet").is_displayed()
    assert complaints(page) == []


def test_what_is_typed_while_an_answer_is_on_its_way_is_checked_too(
    page: Chrome, mika: Model, studio_server: StudioServer
):
    page.get(f"{studio_server.address}/generate?model={mika.id}")
    until(page, "return document.readyState === 'complete'")
    page.execute_script("""
        const fetched = window.fetch, prompt = document.querySelector('#prompt')
        const type = words => { prompt.value = words; prompt.dispatchEvent(new Event('input', {bubbles: true})) }
        window.fetch = async (...asked) => {
            const answer = await fetched(...asked)
            if (prompt.value === 'mika_char, a boat') {  // typed again a moment before the answer comes
                await new Promise(done => setTimeout(done, 500))
                type('a boat')
                await new Promise(done => setTimeout(done, 100))
            }
            return answer
        }
        type('mika_char, a boat')
    """)
    until(page, "return document.querySelector('#help').innerText.includes('mika_char')")


def test_a_picture_is_looked_at_pinned_deleted_and_put_back(
    page: Chrome, studio: Studio, mika: Model, studio_server: StudioServer
):
    job = drawn(studio, mika, seed=5)
    page.get(f"{studio_server.address}/generate")
    find(page, f"#cell-{job}-001 button").click()
    until(page, "return document.querySelector('#picture')?.open")
    assert "seed" in text_of(page, "#picture dl")
    find(page, "#pin").click()
    until(page, "return document.querySelector('#pin').innerText.trim() === 'Unpin'")
    find(page, f"#show-with-{mika.id}").click()
    until(page, "return document.querySelector('toast-box').innerText.includes('Among the examples')")
    find(page, "#delete-picture").click()
    until(page, "return document.querySelector('#undo-picture')")
    until(page, f"return document.querySelector('#cell-{job}-001').innerText.includes('deleted')")
    find(page, "#undo-picture").click()
    until(page, "return document.querySelector('#delete-picture')")
    assert len(generations.get(studio, job).pictures) == 1
    assert complaints(page) == []


def test_strengths_are_compared_with_the_slider(page: Chrome, studio: Studio, mika: Model, studio_server: StudioServer):
    job = drawn(studio, mika, seed=5, strengths=(0.0, 0.5, 1.0))
    page.get(f"{studio_server.address}/generate")
    find(page, f"#compare-{job}").click()
    until(page, "return document.querySelector('#compare')?.open")
    slider = find(page, "#compare compare-slider")
    assert slider.get_attribute("a-label") == "seed 5 at 0" and slider.get_attribute("b-label") == "seed 5 at 1"
    Select(find(page, "#side-b")).select_by_visible_text("seed 5 at 0.5")
    assert slider.get_attribute("b").endswith(f"{job}-002/file") and slider.get_attribute("b-label") == "seed 5 at 0.5"
    until(page, "return [...document.querySelectorAll('#compare img')].every((i) => i.complete && i.naturalWidth)")
    assert complaints(page) == []


def test_a_generation_is_deleted_and_undone(page: Chrome, studio: Studio, mika: Model, studio_server: StudioServer):
    job = drawn(studio, mika)
    page.get(f"{studio_server.address}/generate")
    find(page, f"#delete-{job}").click()
    find(page, f"#undo-{job}").click()
    until(page, f"return document.querySelector('#g-{job} img')")
    assert generations.history(studio)[1] == 1


def test_source_pictures_are_added_and_taken_out(
    page: Chrome, studio: Studio, mika: Model, studio_server: StudioServer, tmp_path: Path
):
    page.get(f"{studio_server.address}/generate?model={mika.id}")
    page.execute_script("document.querySelector('reference-list').closest('details').open = true")
    files = [write_picture(tmp_path / f"{n}.png", (n, 0, 0), 128) for n in (1, 2)]
    page.find_element(By.CSS_SELECTOR, "reference-list input[type=file]").send_keys("\n".join(map(str, files)))
    until(page, "return document.querySelectorAll('reference-list [data-list] img').length === 2")
    find(page, "reference-list [data-list] [data-remove]").click()
    until(page, "return document.querySelectorAll('reference-list [data-list] img').length === 1")
    find(page, "#prompt").send_keys("mika_char in a hat")
    until(page, "return document.querySelector('#help').innerText.includes('not trained for edits')")
    assert queue.listed(studio) == []


def test_loras_are_merged(page: Chrome, studio: Studio, mika: Model, studio_server: StudioServer):
    page.get(f"{studio_server.address}/merge?model={mika.id}")
    assert not find(page, "#density").is_displayed() and not find(page, "#rank").is_displayed()
    find(page, "[name=method][value=ties]").click()
    until(page, "return document.querySelector('#density').checkVisibility()")
    assert find(page, "#rank").is_displayed() and not find(page, "#drop").is_displayed()
    page.execute_script("document.querySelector('#find-lora').closest('details').open = true")
    find(page, "#find-lora").send_keys("Ada")
    until(page, "return document.querySelectorAll('#offers button').length === 2")
    next(b for b in page.find_elements(By.CSS_SELECTOR, "#offers button") if b.text.startswith("Ada")).click()
    until(page, "return document.querySelectorAll('lora-row').length === 2")
    find(page, "#name").send_keys("Mika and Ada")
    find(page, "#merge button[type=submit]").click()
    until(page, "return document.querySelector('#merge')?.innerText.includes('waits for its turn')")
    (job,) = queue.listed(studio)
    assert job.title == "merge Mika + Ada" and job.light
    assert complaints(page) == []
