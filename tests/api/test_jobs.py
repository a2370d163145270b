from fastapi.testclient import TestClient

from likeness.service.workers import Order
from likeness.studio import queue
from likeness.studio.queue import Entry
from likeness.studio.workspace import Studio


def test_jobs_are_listed_changed_and_stopped(studio: Studio, client: TestClient) -> None:
    a, b = (queue.submit(studio, Order("sample", {}), Entry(title)) for title in "ab")
    assert [j["title"] for j in client.get("/api/v1/jobs").json()["jobs"]] == ["a", "b"]
    assert client.patch(f"/api/v1/jobs/{b.id}", json={"before": a.id}).status_code == 200
    assert [j["title"] for j in client.get("/api/v1/jobs").json()["jobs"]] == ["b", "a"]
    assert client.post(f"/api/v1/jobs/{b.id}/stop", json={}).json()["state"] == "canceled"
    assert client.post(f"/api/v1/jobs/{b.id}/resume", json={}).json()["state"] == "queued"


def test_errors_tell_field_and_fix(studio: Studio, client: TestClient) -> None:
    missing = client.get("/api/v1/jobs/nobody")
    assert missing.status_code == 404 and missing.headers["content-type"] == "application/problem+json"
    assert missing.json()["errors"][0]["fix"] == "take an id from the list of jobs"
    job = queue.submit(studio, Order("sample", {}), Entry("a"))
    wrong = client.patch(f"/api/v1/jobs/{job.id}", json={"prioritty": 3})
    assert wrong.status_code == 422 and wrong.json()["errors"][0] == {
        "field": "prioritty", "message": "no such field.", "fix": "leave it out, or check its spelling",
    }  # fmt: skip
    queue.change(studio, job.id, state="finished")
    assert client.post(f"/api/v1/jobs/{job.id}/stop", json={}).status_code == 409
