"""Pages of runs, and the page 'Train': what they show, and that they do what REST does."""

import asyncio
import html
import re
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from likeness import events
from likeness.events import SAMPLE_NOW
from likeness.studio import comparing, datasets, queue, run_bin, runs
from likeness.studio.workspace import Studio
from likeness.web.routes import runs as pages
from tests.api.test_runs import with_epoch
from tests.studio.runs_at_hand import a_machine, began, frozen, mika, settings, start, step, told
from tests.web.conftest import FROM_PAGE
from tests.web.test_train_form import as_form


@pytest.fixture(autouse=True)
def at_hand(studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    a_machine(monkeypatch)
    monkeypatch.setattr(pages, "LIVE_SECONDS", 0.02)
    return mika(studio, tmp_path)


def send(client: TestClient, url: str, **fields: Any) -> Any:
    return client.post(url, data=fields, headers=FROM_PAGE)


# --- train


def test_the_page_begins_with_what_runs_anywhere(client: TestClient) -> None:
    page = client.get("/train")
    assert page.status_code == 200
    assert re.search(r'name="base" value="starter" checked', page.text) and 'name="base" value="z-image"' in page.text
    assert (
        page.text.index("What should be learned") < page.text.index("Which model") < page.text.index("which pictures")
    )
    assert page.text.index("drawn to test") < page.text.index("How it is trained") < page.text.index("Plan and start")
    assert 'href="/voices/train"' in page.text, "a voice is trained on a page of its own"


def test_page_and_rest_make_the_same_run(client: TestClient, studio: Studio) -> None:
    config = settings(optim={"learning_rate": 2e-3}, sampling={"prompts": [{"prompt": "mika_char at sea"}]})
    plan = send(client, "/train/plan", **as_form(config))
    digest = re.search(r"[0-9a-f]{64}", html.unescape(plan.text))
    told_by_rest = client.post("/api/v1/runs/plan", json={"config": config}).json()
    assert digest is not None and digest[0] == told_by_rest["digest"]
    answer = send(client, "/train/start", **as_form(config), digest=digest[0])
    assert answer.headers["HX-Redirect"] == "/runs/mika"
    by_page = frozen(studio)
    run_bin.delete(studio, "mika")
    client.post("/api/v1/runs", json={"config": config, "digest": digest[0]})
    assert frozen(studio) == by_page


def test_a_plan_that_changed_is_not_started(client: TestClient, studio: Studio) -> None:
    answer = send(client, "/train/start", **as_form(settings()), digest="0" * 64)
    assert answer.status_code == 409 and "have changed since this plan" in answer.text
    assert runs.listed(studio) == []


def test_what_is_wrong_stands_where_the_plan_would(client: TestClient) -> None:
    answer = send(client, "/train/plan", **as_form(settings(train={"epochs": 0}, name="a b")))
    text = html.unescape(answer.text)
    assert "Epochs (train.epochs)" in text and "should be at least 1 (got 0)" in text and "letters, digits" in text
    assert "Start training" not in text


def test_advice_can_be_taken(client: TestClient) -> None:
    answer = html.unescape(send(client, "/train/plan", **as_form(settings())).text)
    assert 'data-use="set:data.datasets.0.repeats" data-value="15"' in answer and "suits 10 to 25 images" in answer


def test_nothing_is_planned_without_pictures(client: TestClient, studio: Studio) -> None:
    assert "Choose pictures" in send(client, "/train/plan", name="x", base="starter", dataset="").text
    datasets.create(studio, "empty")
    empty = send(client, "/train/plan", name="x", base="starter", dataset="dataset:empty")
    assert "Drop pictures into the dataset" in empty.text


def test_a_taken_name_is_told_with_a_free_one(client: TestClient, studio: Studio) -> None:
    start(studio)
    answer = html.unescape(send(client, "/train/plan", **as_form(settings())).text)
    assert 'data-use="name" data-value="mika-2"' in answer and re.search(r'id="start-button"[^>]*disabled', answer)


def test_a_dataset_is_chosen_or_made(client: TestClient, studio: Studio) -> None:
    chosen = send(client, "/train/dataset", kind="character", dataset="dataset:mika").text
    assert 'value="mika_char"' in chosen and re.search(r'name="name"[^>]*value="mika"', chosen)
    assert re.search(r'hx-get="/datasets/[0-9a-f]{12}/panel"', chosen)
    made = send(client, "/train/datasets", **{"kind": "edit", "new-dataset": "night", "trigger": ""}).text
    assert datasets.get(studio, "night").kind == "edit" and '<option value="dataset:night" selected' in made
    unnamed = send(client, "/train/datasets", kind="style").text
    assert '<option value="dataset:style" selected' in unnamed


def test_another_path_shows_what_can_learn_it(client: TestClient) -> None:
    edit = send(client, "/train/path", kind="edit", base="starter", dataset="dataset:mika").text
    assert 'value="z-image"' not in edit and 'value="starter" checked' in edit
    assert '<option value="dataset:mika"' not in edit, "single pictures are of no use for edits"
    assert "no source picture" in edit


def test_prompts_are_suggested_where_none_are_written(client: TestClient) -> None:
    mine = {"prompt": ["my own", "", "", ""], "reference": [""] * 4, "prompt-more": [""] * 4}
    answer = send(client, "/train/prompts", kind="character", dataset="dataset:mika", trigger="mika_char", **mine)
    found = re.findall(r'name="prompt" value="([^"]*)"', answer.text)
    assert found[0] == "my own" and len(found) == 4 and all("mika_char" in prompt for prompt in found[1:])
    assert send(client, "/train/prompts", dataset="").status_code == 422


def test_filled_in_from_an_earlier_run(client: TestClient, studio: Studio) -> None:
    start(studio, settings(optim={"learning_rate": 0.004}, train={"epochs": 5, "probes": 3}))
    with_epoch(studio)
    page = client.get("/train", params={"run": "mika", "epoch": 1}).text
    assert 'name="set:optim.learning_rate" type="text" value="0.004"' in page and 'value="mika-2"' in page
    assert 'name="set:lora.start_from" type="text" value="run:mika/1"' in page
    assert '<option value="dataset:mika" selected' in page
    assert client.get("/train", params={"run": "nobody"}).status_code == 404


# --- the list


def test_runs_are_listed_archived_and_binned(client: TestClient, studio: Studio) -> None:
    assert "Nothing has been trained here yet" in client.get("/runs").text
    start(studio)
    assert 'href="/runs/mika"' in client.get("/runs").text
    assert send(client, "/runs/mika/archive").headers["HX-Redirect"] == "/runs"
    assert 'href="/runs/mika"' in client.get("/runs?view=archived").text
    assert 'href="/runs/mika"' not in client.get("/runs-list").text
    assert send(client, "/runs/mika/archive", archived="false").headers["HX-Redirect"] == "/runs/mika"
    assert send(client, "/runs/mika/delete").headers["HX-Redirect"] == "/runs?view=bin"
    (gone,) = run_bin.listed(studio)
    assert gone.id in client.get("/runs?view=bin").text
    assert send(client, f"/runs-bin/{gone.id}/restore").headers["HX-Redirect"] == "/runs/mika"
    run_bin.delete(studio, "mika")
    (gone,) = run_bin.listed(studio)
    assert "The bin is empty" in send(client, f"/runs-bin/{gone.id}/erase").text


# --- a run


def test_a_waiting_run(client: TestClient, studio: Studio) -> None:
    start(studio)
    page = client.get("/runs/mika").text
    assert "It is next." in page and 'hx-sse:connect="/runs/mika/live"' in page
    assert "Test pictures come when the first epoch ends." in page
    assert client.get("/runs/nobody").status_code == 404


def test_a_run_that_trains_can_be_steered(client: TestClient, studio: Studio) -> None:
    start(studio)
    queue.claim(studio, "cpu", light=False)
    told(studio.run_folder("mika"), began(), step(1), step(2))
    page = client.get("/runs/mika").text
    assert "step 2 of 6" in page and "Sample now" in page and '<svg class="chart"' in page
    assert "drawn at the next step" in send(client, "/runs/mika/sample-now").text
    assert (studio.run_folder("mika") / SAMPLE_NOW).exists()
    stopping = send(client, "/runs/mika/stop", become="paused").text
    assert "saving and stopping" in stopping and "End at once" in stopping
    assert queue.listed(studio)[0].stopping == "paused"


def test_a_run_that_ended(client: TestClient, studio: Studio) -> None:
    job = start(studio).job
    folder = with_epoch(studio)
    verdict = {"epoch": 1, "verdict": "sweet spot", "sentence": "Take epoch 1 <b>", "suggested": 1,
               "sweet_spot": [1, 1], "overfit_from": None, "flags": [], "reasons": ["because"],
               "advice": ["more pictures"],
               "rows": [{"epoch": 1, "held_out_loss": [0.5, 0.01]}]}  # fmt: skip
    told(folder, events.VerdictGiven(**verdict), events.RunFinished(step=6, seconds=2.0))  # type: ignore[arg-type]
    queue.change(studio, job.id, state="finished", ended=1.0)
    page = client.get("/runs/mika").text
    assert "Take epoch 1 &lt;b&gt;" in page and "held-out loss" in page and "hx-sse:connect" not in page
    assert 'id="cell-1-1"' in page and "/api/v1/runs/mika/pictures/samples/epoch-001/prompt-1-seed-42.png" in page
    assert 'value="2"> more epochs' in page
    chosen = send(client, "/runs/mika/choose", epoch=1).text
    assert chosen.count("<hx-partial") == 2 and "Give back" in chosen
    assert runs.summary_of(studio, "mika").chosen_epoch == 1
    send(client, "/runs/mika/choose", epoch=1)
    assert runs.summary_of(studio, "mika").chosen_epoch is None
    send(client, "/runs/mika/note", note="the best")
    assert runs.summary_of(studio, "mika").note == "the best"


def test_a_run_that_failed_says_why(client: TestClient, studio: Studio) -> None:
    job = start(studio).job
    queue.change(studio, job.id, state="failed", error="out of <memory>", ended=1.0)
    page = client.get("/runs/mika").text
    assert "out of &lt;memory&gt;" in page and "Try again" in page
    assert send(client, "/runs/mika/resume").headers["HX-Redirect"] == "/runs/mika"
    assert runs.summary_of(studio, "mika").state == "queued"


def test_followed_live_until_it_ends(client: TestClient, studio: Studio) -> None:
    job = start(studio).job
    with_epoch(studio)
    queue.change(studio, job.id, state="finished", ended=1.0)
    answer = client.get("/runs/mika/live")
    assert answer.headers["content-type"].startswith("text/event-stream")
    first, last, *_ = answer.text.replace("\r\n", "\n").split("\n\n")
    assert all(f'hx-target="#{name}"' in first for name in pages.PARTS) and "cell-1-1" in first
    assert last == "event: close\ndata: ended"
    assert client.get("/runs/nobody/live").status_code == 404


def test_only_what_changed_is_sent_and_drawn_once_for_all(
    client: TestClient, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(studio)
    queue.claim(studio, "cpu", light=False)
    folder = studio.run_folder("mika")
    told(folder, began(), step(1))
    drawn: list[str] = []
    plain = pages._draw  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(pages, "_draw", lambda template, shown: drawn.append(template) or plain(template, shown))
    monkeypatch.setattr(pages, "LIVE_SECONDS", 3.0)

    async def follow() -> list[list[str]]:
        streams = [pages._changes(studio, "mika") for _ in range(10)]  # pyright: ignore[reportPrivateUsage]
        firsts = [await anext(stream) for stream in streams]
        assert len(drawn) == len(pages.PARTS), "ten readers, one drawing"
        told(folder, step(2))
        seconds = await asyncio.gather(*(anext(stream) for stream in streams))
        return [sorted(re.findall(r'<hx-partial hx-target="#(\w+)"', str(m.data))) for m in (firsts[0], seconds[0])]

    first, second = asyncio.run(asyncio.wait_for(follow(), 30))
    assert first == sorted(pages.PARTS) and second == ["curve", "status"]


def test_compared_and_kept(client: TestClient, studio: Studio) -> None:
    start(studio)
    with_epoch(studio)
    shown = send(client, "/runs/mika/compare", epochs="1", strengths="0.5,1", prompts="1\nmika_char asleep").text
    assert "epoch 1 · 0.5" in shown and "mika_char asleep" in shown and "Draw 3 missing pictures" in shown
    drawing = send(client, "/runs/mika/compare", epochs="1", strengths="0.5", prompts="1", draw="true").text
    assert "1 picture is drawn" in drawing and queue.listed(studio, verb="draw")
    send(client, "/runs/mika/compare", epochs="1", title="half")
    assert [title for title, _ in comparing.views(studio, "mika")] == ["half"]
    assert "epoch 1" in client.get("/runs/mika/views/half").text and "half" in client.get("/runs/mika").text
    assert "half" not in send(client, "/runs/mika/views/half/delete").text
    for wrong in ({"epochs": "x"}, {"epochs": "9"}, {"strengths": "99"}, {"seeds": 999}, {"title": "../x"}):
        assert send(client, "/runs/mika/compare", **wrong).status_code == 422


def test_files_for_other_programs(client: TestClient, studio: Studio) -> None:
    start(studio)
    with_epoch(studio)
    assert "/api/v1/runs/mika/epochs/1/file" in client.get("/runs/mika/files/1").text
    assert client.get("/runs/mika/files/2").status_code == 404


def test_measured_on_request(client: TestClient, studio: Studio) -> None:
    start(studio)
    with_epoch(studio)
    assert send(client, "/runs/mika/scorecard", seeds=2).status_code == 200
    assert send(client, "/runs/mika/evaluate", strengths="0.8,1", seeds=1).status_code == 200
    assert {job.verb for job in queue.listed(studio)} == {"train", "scorecard", "evaluate"}
    assert send(client, "/runs/mika/evaluate", strengths="x").status_code == 422
