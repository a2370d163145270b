"""The queue's page, a job's page and the tasks menu."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from likeness.events import EventLog, RunStarted, Stage, StepDone
from likeness.service.workers import Order
from likeness.store.tables import Job
from likeness.studio import queue
from likeness.studio.queue import Entry
from likeness.studio.workspace import Studio
from tests.web.conftest import FROM_PAGE


def submit(studio: Studio, title: str, subject: str = "", **values: object) -> Job:
    job = queue.submit(studio, Order("sample", {}), Entry(title, subject))
    if values:
        queue.change(studio, job.id, **values)
    return queue.get(studio, job.id)


def titles(studio: Studio) -> list[str]:
    return [job.title for job in queue.listed(studio, states=["queued"])]


def test_an_empty_queue_says_what_comes_into_it(client: TestClient):
    page = client.get("/queue").text
    assert "Nothing waits and nothing runs" in page and 'href="/train"' in page


def test_jobs_are_shown_by_state_with_what_can_be_done(studio: Studio, client: TestClient):
    for state in ("running", "queued", "paused", "finished", "failed", "canceled"):
        submit(
            studio, f"a {state} one", state=state, error="memory: is full. Fix: smaller" if state == "failed" else None
        )
    page = client.get("/queue").text
    for state in ("running", "queued", "paused", "finished", "failed", "canceled"):
        assert f"a {state} one" in page
    assert "memory: is full" in page and page.count("/stop") >= 5 and page.count("/resume") == 3


def test_titles_are_escaped(studio: Studio, client: TestClient):
    job = submit(studio, "<script>x</script>\"'", state="failed", error="<img src=x>", ended=time.time())
    for path in ("/queue", "/tasks", f"/queue/{job.id}"):
        text = client.get(path).text
        assert "<script>x" not in text and "<img src=x>" not in text, path
    queue.change(studio, job.id, seen=False)
    assert "<script>x" not in client.get("/tasks/button?since=0").text


def test_waiting_jobs_are_moved_and_prioritised(studio: Studio, client: TestClient):
    a, b, c = (submit(studio, name) for name in "abc")
    assert client.post(f"/queue/{c.id}/move", data={"before": a.id}, headers=FROM_PAGE).status_code == 200
    assert titles(studio) == ["c", "a", "b"]
    client.post(f"/queue/{c.id}/move", data={"before": ""}, headers=FROM_PAGE)
    assert titles(studio) == ["a", "b", "c"]
    found = client.post(f"/queue/{b.id}/priority", data={"priority": "10"}, headers=FROM_PAGE)
    assert titles(studio) == ["b", "a", "c"]
    assert found.text.index(">b</a>") < found.text.index(">a</a>"), "the answer is the list as it is now"


def test_jobs_are_paused_resumed_and_canceled(studio: Studio, client: TestClient):
    job = submit(studio, "a")
    client.post(f"/queue/{job.id}/stop", data={"become": "paused"}, headers=FROM_PAGE)
    assert queue.get(studio, job.id).state == "paused"
    client.post(f"/queue/{job.id}/resume", headers=FROM_PAGE)
    assert queue.get(studio, job.id).state == "queued"
    client.post(f"/queue/{job.id}/stop", data={"become": "canceled"}, headers=FROM_PAGE)
    assert queue.get(studio, job.id).state == "canceled"
    again = client.post(f"/queue/{job.id}/stop", data={"become": "paused"}, headers=FROM_PAGE)
    assert again.status_code == 409 and "has ended" in again.text and again.headers["hx-reswap"] == "none"


def test_a_button_on_a_job_s_page_answers_with_that_part(studio: Studio, client: TestClient):
    job = submit(studio, "a")
    headers = FROM_PAGE | {"HX-Target": "div#job"}
    answer = client.post(f"/queue/{job.id}/stop", data={"become": "paused"}, headers=headers).text
    assert answer.lstrip().startswith('<div id="job"') and "paused" in answer and "<main" not in answer


def test_a_job_s_page_tells_why_it_failed_and_takes_the_mark(studio: Studio, client: TestClient):
    job = submit(studio, "a", state="failed", error="no memory", ended=time.time())
    Path(job.folder, "log.txt").write_text("one\ntwo\nlikeness: no memory left\n")
    assert queue.unseen(studio) == 1
    page = client.get(f"/queue/{job.id}").text
    assert "no memory" in page and "no memory left" in page
    assert queue.unseen(studio) == 0
    assert client.get("/queue/nobody").status_code == 404


def test_the_tasks_menu_shows_marks_once(studio: Studio, client: TestClient):
    submit(studio, "Train a", "run:a", state="finished", ended=time.time())
    assert 'data-unseen="1"' in client.get("/").text
    first, second = client.get("/tasks").text, client.get("/tasks").text
    assert 'class="task new"' in first and 'href="/runs/a"' in first and 'class="task new"' not in second
    assert 'data-unseen="0"' in client.get("/").text


def test_an_end_is_told_once_by_a_toast(studio: Studio, client: TestClient):
    begin = time.time() - 10
    submit(studio, "Train a", "run:a", state="finished", ended=begin + 5)
    answer = client.get("/tasks/button", params={"since": begin}).text
    assert answer.count('class="toast good"') == 1 and "has finished" in answer
    assert f"since={begin + 5}" in answer
    assert "toast" not in client.get("/tasks/button", params={"since": begin + 5}).text
    submit(studio, "Draw", state="failed", error="x", ended=begin + 6)
    assert 'class="toast error"' in client.get("/tasks/button", params={"since": begin + 5}).text


def test_all_marks_are_taken_by_one_button(studio: Studio, client: TestClient):
    submit(studio, "a", state="failed", ended=time.time())
    assert "Mark all as seen" not in client.post("/queue/seen", headers=FROM_PAGE).text
    assert queue.unseen(studio) == 0


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([], "starting"),
        ([Stage(name="captioning", done=3, total=12)], "writing captions"),
        ([Stage(name="downloading", done=1_000_000, total=4_000_000)], "1.0 MB of 4.0 MB"),
    ],
)
def test_progress_is_told_in_words(studio: Studio, client: TestClient, events: list[Stage], words: str):
    job = submit(studio, "a", state="running", started=time.time() - 60)
    for event in events:  # which were made when the tests were collected, long before the job began
        EventLog(Path(job.folder, "events.jsonl")).write(replace(event, time=time.time()))
    page = client.get("/queue/list").text
    assert words in page
    assert ("25 %" in page) == bool(events) or "starting" in page


def test_progress_of_a_training_follows_its_steps(studio: Studio, client: TestClient):
    begin = time.time() - 100
    job = submit(studio, "a", state="running", started=begin)
    log = EventLog(Path(job.folder, "events.jsonl"))
    log.write(RunStarted(name="a", steps=200, epochs=4, images=9, device="cpu", precision="fp32", time=begin))
    for step in range(1, 51):
        log.write(StepDone(step=step, epoch=1, loss=0.1, learning_rate=1e-4, gradient_norm=1, images_per_second=1,
                           memory_bytes=1, time=begin + 2 * step))  # fmt: skip
    page = client.get("/queue/list").text
    assert "step 50 of 200, epoch 1" in page and "25 %" in page and "5 min left" in page
    log.write(StepDone(step=100, epoch=2, loss=0.1, learning_rate=1e-4, gradient_norm=1, images_per_second=1,
                       memory_bytes=1, time=begin + 200))  # fmt: skip
    assert "step 100 of 200, epoch 2" in client.get("/queue/list").text
    queue.change(studio, job.id, stopping="paused")
    stopping = client.get("/queue/list").text
    assert "saving and stopping" in stopping and "End at once" in stopping
