"""The start page."""

import json
import time
from pathlib import Path

from fastapi.testclient import TestClient
from PIL import Image

from likeness.service.workers import Order
from likeness.studio import datasets, queue, starting
from likeness.studio.queue import Entry
from likeness.studio.workspace import Studio
from tests.web.conftest import FROM_PAGE


def write_run(studio: Studio, name: str) -> Path:
    folder = studio.workspace / name
    (folder / "samples/epoch-001").mkdir(parents=True)
    Image.new("RGB", (32, 32)).save(folder / "samples/epoch-001/prompt-1-seed-42.png")
    config = {"kind": "character", "base": "starter", "trigger": name}
    (folder / "run.json").write_text(json.dumps({"name": name, "config": config, "base": {"name": "starter"},
                                                 "plan": {"steps": 10, "epochs": 2}}))  # fmt: skip
    return folder


def test_an_empty_workspace_offers_a_start(client: TestClient):
    page = client.get("/").text
    assert "Teach a model something new" in page and 'href="/train"' in page
    for example in starting.shipped():
        assert f'hx-post="/start/{example.name}"' in page
        picture = client.get(f"/start/{example.name}/0")
        assert picture.headers["content-type"] == "image/webp" and len(picture.content) < 20_000
    assert {e.name for e in starting.shipped()} == {"mika", "party-hat"}


def test_an_example_is_put_in_by_one_click_and_only_once(studio: Studio, client: TestClient):
    answer = client.post("/start/mika", headers=FROM_PAGE)
    row = datasets.get(studio, "mika")
    assert answer.status_code == 204 and answer.headers["hx-redirect"] == f"/datasets/{row.id}"
    pictures, count = datasets.pictures(studio, row.id)
    assert count == 12 and all("mika_char" in p.caption for p in pictures) and row.trigger == "mika_char"
    client.post("/start/mika", headers=FROM_PAGE)
    assert datasets.listed(studio)[1] == 1
    assert "Teach a model" not in client.get("/").text


def test_an_edit_example_comes_as_pairs(studio: Studio):
    row = starting.put_in(studio, "party-hat")
    pictures, _ = datasets.pictures(studio, row.id)
    assert len(pictures) >= 10 and all(p.sources and p.caption for p in pictures if not p.loose)
    assert not [p for p in pictures if p.loose]


def test_there_are_no_other_examples(client: TestClient):
    for path in ("/start/nothing/0", "/start/mika/99", "/start/mika/-1"):
        assert client.get(path).status_code == 404
    assert client.post("/start/..", headers=FROM_PAGE).status_code in (404, 405)
    assert client.post("/start/nothing", headers=FROM_PAGE).status_code == 404


def test_runs_are_shown_with_their_pictures(studio: Studio, client: TestClient):
    write_run(studio, "maya & co")
    page = client.get("/").text
    assert "maya &amp; co" in page and 'href="/runs/maya%20%26%20co"' in page
    address = page.split('<img src="/api/v1/runs/')[1].split('"')[0]
    assert client.get(f"/api/v1/runs/{address}").headers["content-type"] == "image/webp"


def test_what_runs_waits_and_ended_unseen_is_told(studio: Studio, client: TestClient):
    for title, values in (
        ("Draw 4", {"state": "running", "started": time.time()}),
        ("Train b", {"state": "failed", "ended": time.time(), "error": "no memory"}),
        ("Train c", {"state": "finished", "ended": time.time(), "seen": True}),
    ):
        job = queue.submit(studio, Order("sample", {}), Entry(title))
        queue.change(studio, job.id, **values)
    queue.submit(studio, Order("sample", {}), Entry("Train d"))
    part = client.get("/home", headers=FROM_PAGE).text
    assert "Draw 4" in part and "Train b" in part and "no memory" in part and "1 waits in the queue" in part
    assert "Train c" not in part and "<main" not in part
    assert 'hx-trigger="tick from:body"' in part
