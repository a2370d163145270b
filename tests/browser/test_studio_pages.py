"""Every page of a furnished studio, on a desk and on a phone: it fits, all is named, nothing is broken or foreign."""

import time
from collections.abc import Iterator

import pytest
from PIL import Image
from selenium.webdriver import Chrome

from likeness.service.workers import Order
from likeness.store.tables import Picture
from likeness.studio import models, queue, runs, starting
from likeness.studio.models import Words
from likeness.studio.queue import Entry
from tests.browser.serving import DESK, PHONE, StudioServer, complaints, overflow, serving, unnamed, wide
from tests.tiny_lora import write_lora

PAGES = (
    "/", "/train", "/train?dataset={dataset}", "/train?dataset={edit}", "/train?run=mika&epoch=2", "/runs",
    "/runs/mika", "/runs?archived=1", "/datasets", "/datasets/{dataset}", "/datasets/{edit}", "/library",
    "/library/{model}", "/library?view=bin", "/library?view=archive", "/generate", "/generate?model={model}",
    "/generate/pictures/all", "/merge", "/queue", "/queue/{job}", "/settings", "/settings/notices", "/settings/keys",
)  # fmt: skip
TWICE = """const seen = new Set(), twice = [];
for (const e of document.querySelectorAll('[id]')) seen.has(e.id) ? twice.push(e.id) : seen.add(e.id); return twice"""
UNLABELLED = """const named = ['for', 'aria-labelledby', 'aria-describedby'];
return [...document.querySelectorAll(named.map((name) => `[${name}]`).join())]
  .flatMap((e) => named.flatMap((name) => (e.getAttribute(name) ?? '').split(/\\s+/)))
  .filter((id) => id && !document.getElementById(id))"""
BROKEN = """return [...document.images].filter((i) => i.complete && i.checkVisibility() && !i.naturalWidth && i.src)
  .map((i) => i.src)"""


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[StudioServer, dict[str, str]]]:
    """A studio with a run that was acted, datasets, a model, pictures and jobs; and what its pages are about."""
    with serving(tmp_path_factory.mktemp("furnished") / "workspace") as server:
        studio = server.studio
        dataset, edit = starting.put_in(studio, "mika"), starting.put_in(studio, "party-hat")
        server.supervise()
        config = {
            "name": "mika", "kind": "character", "base": "starter", "trigger": "mika_char", "train": {"epochs": 3},
            "data": {"datasets": [{"path": "dataset:mika"}]}, "sampling": {"prompts": ["mika_char waves", "a car"]},
        }  # fmt: skip
        runs.start(studio, config, runs.plan(studio, config).digest, mock=True)
        end = time.time() + 120
        while queue.listed(studio, states=["queued", "running"]):
            assert time.time() < end, "the acted run does not end"
            time.sleep(0.2)
        file = write_lora(tmp_path_factory.mktemp("lora") / "mika.safetensors", 7)
        model = models.import_lora(studio, file, file.name, Words("mika", tags=["test"]))
        _picture(server, "a" * 12)
        long = queue.submit(studio, Order("sample", {}), Entry("Draw " + "very-long-words-" * 8))
        queue.change(studio, long.id, state="failed", error="memory: " + "x" * 200, ended=time.time())
        yield server, {"dataset": dataset.id, "edit": edit.id, "model": model.id, "job": long.id}


def _picture(server: StudioServer, picture_id: str) -> None:
    studio = server.studio
    studio.pictures.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (64, 64), (200, 0, 0)).save(studio.pictures / "a.png")
    settings = {"seed": 1, "width": 64, "height": 64, "steps": 4, "guidance": 4.0, "negative_prompt": "", "loras": [],
                "references": [], "precision": "auto"}  # fmt: skip
    with studio.database.session() as session:
        session.add(
            Picture(id=picture_id, job_id="b" * 12, file="a.png", base="starter", prompt="a car", settings=settings)
        )


def settle(page: Chrome) -> None:
    """What is asked for once a page is there has come."""
    end = time.time() + 10
    while time.time() < end and page.execute_script("return document.querySelectorAll('.htmx-request').length"):
        time.sleep(0.05)
    time.sleep(0.3)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_whole(browser: Chrome, furnished: tuple[StudioServer, dict[str, str]], path: str):
    server, about = furnished
    browser.get_log("browser")
    for metrics in (DESK, PHONE):
        wide(browser, metrics)
        browser.get(server.address + path.format(**about))
        settle(browser)
        assert overflow(browser) == 0, "it is wider than its window"
        assert unnamed(browser) == [], "something has no name"
        assert browser.execute_script(TWICE) == [], "ids stand for one thing"
        assert browser.execute_script(UNLABELLED) == [], "labels name what is there"
        assert browser.execute_script(BROKEN) == []
        assert complaints(browser) == []
        assert len(browser.find_elements("css selector", "h1")) == 1
        names = browser.execute_script("return performance.getEntriesByType('resource').map((e) => e.name)")
        assert all(str(name).startswith((server.address, "blob:", "data:")) for name in names)  # type: ignore[union-attr]


@pytest.mark.long
def test_links_lead_somewhere(browser: Chrome, furnished: tuple[StudioServer, dict[str, str]]):
    """Every link and picture of every page is asked for; none is missing."""
    import httpx

    server, about = furnished
    found: dict[str, str] = {}
    wide(browser)
    for path in PAGES:
        browser.get(server.address + path.format(**about))
        settle(browser)
        links = browser.execute_script(
            "return [...document.querySelectorAll('a[href], img[src], [hx-get]')]"
            ".map((e) => e.getAttribute('hx-get') ?? e.getAttribute('href') ?? e.getAttribute('src'))"
        )
        for link in links:  # type: ignore[union-attr]
            if str(link).startswith("/"):
                found.setdefault(str(link).split("#")[0], path)
    dead = {}
    with httpx.Client(base_url=server.address, follow_redirects=True, timeout=60) as client:
        for link, page in found.items():
            headers = {"HX-Request": "true"} if "hx" in link else {}
            status = client.get(link, headers=headers).status_code
            if status >= 400:
                dead[link] = (status, page)
    assert dead == {}
    assert len(found) > 60
