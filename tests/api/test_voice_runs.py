"""Trained voices over REST."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from likeness.studio import voice_runs, voices
from likeness.studio.workspace import Studio
from tests.studio.voice_runs_at_hand import CONSENT, SENTENCES, settings, write_voice_run

API = "/api/v1"


def test_a_training_is_planned_and_started_as_planned(client: TestClient, studio: Studio) -> None:
    config = settings(studio)
    planned = client.post(f"{API}/voice-runs/plan", json={"config": config}).json()
    assert (planned["recordings"], planned["held_out"], planned["steps"]) == (3, 1, 4) and planned["notes"]
    asked = {"config": planned["config"], "digest": planned["digest"], "note": "the first"}
    started = client.post(f"{API}/voice-runs", json=asked)
    assert started.status_code == 201 and started.json()["job"]["verb"] == "voice-train", started.text
    again = client.post(f"{API}/voice-runs", json=asked)
    assert again.status_code == 409 and again.json()["errors"][0]["field"] == "name"
    seen = client.get(f"{API}/voice-runs/ada").json()
    assert seen["run"]["summary"]["state"] == "queued" and seen["run"]["summary"]["note"] == "the first"
    assert len(seen["clips"]) == 4 and seen["consent"] == CONSENT
    stopped = client.post(f"{API}/voice-runs/ada/stop", json={"become": "paused"})
    assert stopped.json()["state"] == "paused"
    assert client.post(f"{API}/voice-runs/ada/resume").json()["state"] == "queued"
    told = client.get(f"{API}/voice-runs/ada/settings").json()["config"]
    assert told["name"] == "ada-2" and sorted(told["recordings"]) == sorted(config["recordings"])
    assert client.post(f"{API}/voice-runs/plan", json={"config": told}).status_code == 200


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"consent": "ok"}, "consent"),
        ({"stability": 0.5}, "stability"),
        ({"texts": {}}, "texts"),
        ({"recordings": ["ffffffffffff"]}, "recording"),
        ({"optim": {"learning_rate": "fast"}}, "optim.learning_rate"),
    ],
)
def test_wrong_settings_are_told_with_field_and_fix(
    client: TestClient, studio: Studio, changed: dict[str, Any], field: str
) -> None:
    answer = client.post(f"{API}/voice-runs/plan", json={"config": settings(studio) | changed})
    assert answer.status_code in (404, 422)
    found = answer.json()["errors"][0]
    assert found["field"] == field and found["fix"]
    assert client.post(f"{API}/voice-runs/plan", json={"config": {}, "mock": True}).status_code == 422


def test_epochs_are_heard_and_kept(client: TestClient, studio: Studio) -> None:
    write_voice_run(studio.workspace)
    seen = client.get(f"{API}/voice-runs/ada").json()
    assert seen["sentences"] == list(SENTENCES) and [e["epoch"] for e in seen["epochs"]] == [0, 1, 2]
    sound = client.get(f"{API}/voice-runs/ada/epochs/1/sounds/2")
    assert sound.headers["content-type"] == "audio/wav" and sound.content.startswith(b"RIFF")
    assert sound.headers["x-content-type-options"] == "nosniff"
    part = client.get(f"{API}/voice-runs/ada/epochs/1/sounds/2", headers={"Range": "bytes=0-3"})
    assert part.status_code == 206 and part.content == b"RIFF"
    assert client.get(f"{API}/voice-runs/ada/reference").headers["content-type"] == "audio/wav"
    assert client.get(f"{API}/voice-runs/ada/epochs/{10**300}/sounds/1").status_code == 422
    for lost in ("epochs/1/sounds/9", "epochs/1/sounds/1?seed=3"):
        assert client.get(f"{API}/voice-runs/ada/{lost}").status_code == 404, lost

    kept = client.post(f"{API}/voice-runs/ada/epochs/2/keep", json={"name": "Ada Byron"})
    assert kept.status_code == 201, kept.text
    voice = voices.get(studio, kept.json()["voice_id"])
    assert (voice.name, voice.origin, voice.run, voice.epoch) == ("Ada Byron", "run", "ada", 2)
    assert client.post(f"{API}/voice-runs/ada/epochs/1/keep", json={}).json()["name"] == "ada"
    assert client.post(f"{API}/voice-runs/ada/epochs/0/keep", json={}).status_code == 404
    assert client.post(f"{API}/voice-runs/nobody/epochs/1/keep", json={}).status_code == 404


def test_the_list_of_runs_and_its_routes_take_a_voice_for_a_run(client: TestClient, studio: Studio) -> None:
    write_voice_run(studio.workspace)
    for path in ("runs", "voice-runs"):
        found = client.get(f"{API}/{path}").json()
        assert [(r["name"], r["kind"], r["epochs"]) for r in found["runs"]] == [("ada", "voice", 2)]
    whole = client.get(f"{API}/runs/ada").json()
    assert whole["summary"]["suggested_epoch"] == 1 and [p["text"] for p in whole["prompts"]] == list(SENTENCES)
    assert len(client.get(f"{API}/runs/ada/epochs").json()["epochs"]) == 3
    assert client.put(f"{API}/runs/ada/choice", json={"epoch": 2}).json()["chosen_epoch"] == 2
    with client.stream("GET", f"{API}/runs/ada/events") as told:
        lines = list(told.iter_lines())
    assert "event: sample" in lines and "event: close" in lines
    assert client.get(f"{API}/runs/ada/epochs/{10**300}/file").status_code == 422
    report = client.get(f"{API}/runs/ada/report")
    assert "<audio" in report.text and "media-src data:" in report.headers["content-security-policy"]
    assert client.get(f"{API}/runs/ada/grid").status_code == 409
    assert client.post(f"{API}/runs/ada/comparisons", json={}).status_code == 409
    assert client.get(f"{API}/runs/ada/settings").status_code == 409
    model = client.post(f"{API}/models", json={"run": "ada", "epoch": 1})
    assert model.status_code == 422 and "trained voice" in model.text
    assert client.delete(f"{API}/runs/ada").status_code == 200
    assert client.get(f"{API}/voice-runs/ada").status_code == 404


def test_pages_that_list_runs_or_jobs_take_a_voice(client: TestClient, studio: Studio) -> None:
    write_voice_run(studio.workspace)
    config = settings(studio, name="waiting")
    voice_runs.start(studio, config, voice_runs.plan(studio, config).digest)
    for path in ("/", "/home", "/runs", "/runs-list", "/queue", "/queue/list", "/tasks", "/runs/ada", "/runs/waiting"):
        assert client.get(path).status_code == 200, path


def test_the_schema_tells_every_setting(client: TestClient) -> None:
    schema = client.get(f"{API}/schema/voice").json()
    assert {"name", "base", "consent", "train", "lora"} <= set(schema["properties"])
