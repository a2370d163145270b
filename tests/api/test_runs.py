"""Runs over REST, from plan to files."""

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from likeness import events
from likeness.config.run import RunConfig
from likeness.studio import queue, run_events, runs
from likeness.studio.workspace import Studio
from tests.studio.runs_at_hand import a_machine, began, frozen, mika, settings, step, told

API = "/api/v1"


@pytest.fixture(autouse=True)
def at_hand(studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    a_machine(monkeypatch, 24)
    monkeypatch.setattr(run_events, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(run_events, "STATE_SECONDS", 0.02)
    return mika(studio, tmp_path)


def started(client: TestClient, **groups: Any) -> dict[str, Any]:
    config = settings(**groups)
    plan = client.post(f"{API}/runs/plan", json={"config": config}).json()
    answer = client.post(f"{API}/runs", json={"config": plan["config"], "digest": plan["digest"]})
    assert answer.status_code == 201, answer.text
    return answer.json()


def with_epoch(studio: Studio) -> Path:
    """The run, as if its first epoch had ended."""
    folder = studio.run_folder("mika")
    picture, lora = "samples/epoch-001/prompt-1-seed-42.png", "checkpoints/epoch-001.safetensors"
    (folder / picture).parent.mkdir(parents=True)
    Image.new("RGB", (300, 200), "teal").save(folder / picture)
    (folder / lora).parent.mkdir()
    (folder / lora).write_bytes(b"a lora")
    told(
        folder, began(), step(1), step(2),
        events.SampleSaved(epoch=1, step=2, prompt_index=1, prompt="mika_char at sea", seed=42, path=picture),
        events.CheckpointSaved(epoch=1, step=2, path=lora),
    )  # fmt: skip
    return folder


def test_planned_and_started(studio: Studio, client: TestClient, at_hand: str) -> None:
    plan = client.post(f"{API}/runs/plan", json={"config": settings()}).json()
    assert plan["plan"]["steps"] == plan["cost"]["steps"] == 6 and plan["name_taken"] is False
    assert plan["cost"]["fits"] == "yes" and plan["cost"]["device"]["title"] == "GPU of 24 GB"
    assert plan["datasets"] == [{"dataset_id": at_hand, "name": "mika", "version": 1,
                                 "digest": plan["datasets"][0]["digest"]}]  # fmt: skip
    answer = client.post(f"{API}/runs", json={"config": settings(), "digest": plan["digest"], "note": "first"})
    assert answer.json()["job"]["subject"] == "run:mika"
    again = client.post(f"{API}/runs", json={"config": settings(), "digest": plan["digest"]})
    assert again.status_code == 409 and again.json()["errors"][0]["field"] == "name"
    (run,) = client.get(f"{API}/runs").json()["runs"]
    assert (run["name"], run["state"], run["note"]) == ("mika", "queued", "first")


def test_a_stale_digest_starts_nothing(client: TestClient) -> None:
    answer = client.post(f"{API}/runs", json={"config": settings(), "digest": "0" * 64})
    assert answer.status_code == 409
    assert answer.json()["errors"][0] | {"message": ""} == {
        "field": "digest",
        "message": "",
        "fix": "plan again and start that",
    }
    assert client.get(f"{API}/runs").json()["total"] == 0


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"config": settings(train={"epochs": 0})}, "train.epochs"),
        ({"config": settings(trian={})}, "trian"),
        ({"config": settings(data={"datasets": ["dataset:x"]})}, "data.datasets.0.path"),
        ({"config": settings(), "mokc": True}, "mokc"),
        ({}, "config"),
        ({"dialect": "fal"}, "request"),
        ({"dialect": "fal", "request": {"dataset": "dataset:mika", "stpes": 3}}, "stpes"),
        ({"config": "x"}, "config"),
    ],
)
def test_problems_name_their_field(client: TestClient, body: dict[str, Any], field: str) -> None:
    answer = client.post(f"{API}/runs/plan", json=body)
    assert answer.status_code in (404, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"][0]["field"] == field and answer.json()["errors"][0]["message"]


def test_a_hosted_trainers_request_is_planned_as_it_is(client: TestClient, studio: Studio) -> None:
    request = {"name": "mika", "base": "starter", "images_data_url": "dataset:mika", "trigger_word": "mika_char",
               "steps": 40, "learning_rate": 0.001}  # fmt: skip
    asked = {"dialect": "fal", "request": request}
    translated = client.post(f"{API}/runs/translate", json=asked).json()
    plan = client.post(f"{API}/runs/plan", json=asked).json()
    assert plan["config"] == translated["config"] and plan["plan"]["steps"] == 40
    answer = client.post(f"{API}/runs", json={"config": plan["config"], "digest": plan["digest"]})
    assert answer.status_code == 201 and frozen(studio)["config"]["optim"]["learning_rate"] == 0.001


def test_the_plans_file_is_what_the_run_was_made_of(client: TestClient, studio: Studio) -> None:
    plan = client.post(f"{API}/runs/plan", json={"config": settings()}).json()
    client.post(f"{API}/runs", json={"config": settings(), "digest": plan["digest"]})
    line = plan["yaml"].splitlines()[int(frozen(studio)["sources"]["train.epochs"].partition(":")[2]) - 1]
    assert line == "  epochs: 3"


def test_a_run_in_full(client: TestClient, studio: Studio) -> None:
    started(client)
    with_epoch(studio)
    run = client.get(f"{API}/runs/mika").json()
    assert run["summary"]["cover"] and run["summary"]["epochs_saved"] == 1
    assert [p["text"] for p in run["prompts"]] == settings()["sampling"]["prompts"]
    assert [p["step"] for p in run["loss"]] == [1, 2] and run["epochs"][0]["samples"][0]["prompt_index"] == 1
    assert RunConfig.model_validate(run["config"]).name == "mika"
    assert client.get(f"{API}/runs/mika/epochs").json()["epochs"] == run["epochs"]
    assert client.get(f"{API}/runs/nobody").status_code == 404
    assert client.get(f"{API}/runs/..%2Fstudio").status_code == 404


def test_stopped_and_resumed(client: TestClient) -> None:
    started(client)
    assert client.post(f"{API}/runs/mika/stop", json={"become": "paused"}).json()["state"] == "paused"
    assert client.post(f"{API}/runs/mika/resume").json()["state"] == "queued"
    assert client.post(f"{API}/runs/mika/stop", json={}).json()["state"] == "canceled"
    assert client.post(f"{API}/runs/mika/stop", json={}).status_code == 409
    assert client.post(f"{API}/runs/mika/sample-now").status_code == 409
    assert client.post(f"{API}/runs/mika/extend", json={"epochs": 9}).status_code == 409


def test_the_events_are_a_stream_that_ends(client: TestClient, studio: Studio) -> None:
    started(client)
    folder = with_epoch(studio)
    told(folder, events.RunFinished(step=2, seconds=1.0))
    queue.change(studio, queue.listed(studio)[0].id, state="finished", ended=1.0)
    answer = client.get(f"{API}/runs/mika/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    found = messages(answer.text)
    assert [kind for _, kind, _ in found] == [
        "run_started", "step", "step", "sample", "checkpoint", "run_finished", "close"]  # fmt: skip
    assert found[-1][2] == {"state": "finished"}
    third = found[2][0]
    for how in ({"headers": {"Last-Event-ID": third}}, {"params": {"after": third}}):
        assert messages(client.get(f"{API}/runs/mika/events", **how).text) == found[3:]  # type: ignore[arg-type]
    odd = client.get(f"{API}/runs/mika/events", headers={"Last-Event-ID": "nonsense"})
    assert messages(odd.text) == found
    missing = client.get(f"{API}/runs/nobody/events")
    assert missing.status_code == 404 and missing.json()["title"] == "Not found"


def messages(text: str) -> list[tuple[str, str, Any]]:
    """(id, event, data) of each."""
    found: list[tuple[str, str, Any]] = []
    for block in text.replace("\r\n", "\n").split("\n\n"):
        rows = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and not line.startswith(":"))
        if rows:
            found.append((rows["id"], rows["event"], json.loads(rows["data"])))
    return found


def test_pictures_and_files(client: TestClient, studio: Studio) -> None:
    started(client)
    with_epoch(studio)
    path = client.get(f"{API}/runs/mika").json()["summary"]["cover"]
    whole = client.get(f"{API}/runs/mika/pictures/{path}")
    assert whole.headers["content-type"] == "image/png" and "sandbox" in whole.headers["content-security-policy"]
    small = client.get(f"{API}/runs/mika/pictures/{path}", params={"size": 256})
    assert small.headers["content-type"] == "image/webp" and len(small.content) < len(whole.content) + 1000
    assert client.get(f"{API}/runs/mika/pictures/{path}", params={"size": 77}).status_code == 422
    for outside in ("run.json", "samples/%2e%2e/run.json", "..%2f..%2fstudio%2fstudio.db", "samples/nothing.png"):
        assert client.get(f"{API}/runs/mika/pictures/{outside}").status_code == 404
    lora = client.get(f"{API}/runs/mika/epochs/1/file")
    assert lora.content == b"a lora" and "mika-epoch-001.safetensors" in lora.headers["content-disposition"]
    assert client.get(f"{API}/runs/mika/epochs/2/file").status_code == 404
    assert client.get(f"{API}/runs/mika/epochs/1/file", params={"layout": "comfyui"}).status_code == 409
    assert client.get(f"{API}/runs/mika/prompts/1/reference").status_code == 404
    report = client.get(f"{API}/runs/mika/report")
    assert report.status_code == 200 and "sandbox allow-scripts" in report.headers["content-security-policy"]
    assert client.get(f"{API}/runs/mika/grid").headers["content-type"] == "image/png"
    (studio.run_folder("mika") / "log.txt").write_text("hello <b>")
    assert client.get(f"{API}/runs/mika/log").headers["content-type"].startswith("text/plain")


def test_an_epoch_is_chosen_and_gone_on_from(client: TestClient, studio: Studio) -> None:
    started(client)
    with_epoch(studio)
    assert client.put(f"{API}/runs/mika/choice", json={"epoch": 1}).json()["chosen_epoch"] == 1
    assert client.put(f"{API}/runs/mika/choice", json={"epoch": 2}).status_code == 404
    config = client.get(f"{API}/runs/mika/settings", params={"epoch": 1}).json()["config"]
    assert config["name"] == "mika-2" and config["lora"] == {"start_from": "run:mika/1"}
    plan = client.post(f"{API}/runs/plan", json={"config": config}).json()
    assert client.post(f"{API}/runs", json={"config": config, "digest": plan["digest"]}).status_code == 201
    assert runs.summary_of(studio, "mika-2").parent_epoch == 1
    assert client.put(f"{API}/runs/mika/choice", json={"epoch": None}).json()["chosen_epoch"] is None


def test_comparisons(client: TestClient, studio: Studio) -> None:
    started(client)
    with_epoch(studio)
    whole = client.post(f"{API}/runs/mika/comparisons", json={}).json()
    assert whole["columns"] == ["epoch 1"] and [row["seed"] for row in whole["rows"]] == [42, 42]
    assert [cell["path"] is None for cell in whole["cells"]] == [False, True] and whole["missing"] == 1
    drawing = client.post(f"{API}/runs/mika/comparisons", json={"draw": True}).json()["job"]
    assert drawing["verb"] == "draw" and drawing["subject"] == "run:mika"
    view = {"epochs": [1], "strengths": [0.5, 1], "seeds": 2, "prompts": ["1"], "loras": [{"lora": "run:mika/1"}]}
    assert client.put(f"{API}/runs/mika/views/half", json=view).json()["strengths"] == [0.5, 1.0]
    assert [v["name"] for v in client.get(f"{API}/runs/mika/views").json()["views"]] == ["half"]
    assert client.get(f"{API}/runs/mika/views/half").json()["columns"][0] == "epoch 1 · 0.5"
    assert client.delete(f"{API}/runs/mika/views/half").status_code == 204
    assert client.get(f"{API}/runs/mika/views/half").status_code == 404
    for wrong in ({"epochs": [7]}, {"seeds": 99}, {"prompts": ["1-999999999999"]}, {"loras": [{"lora": "x"}]}):
        assert client.post(f"{API}/runs/mika/comparisons", json=wrong).status_code in (404, 422)
    assert client.put(f"{API}/runs/mika/views/..%2fx", json={}).status_code in (404, 422)


def test_measures_are_jobs(client: TestClient, studio: Studio) -> None:
    started(client)
    with_epoch(studio)
    job = client.post(f"{API}/runs/mika/evaluations", json={"strengths": [1], "seeds": 1, "epochs": [1]})
    assert job.status_code == 202 and job.json()["verb"] == "evaluate"
    assert client.post(f"{API}/runs/mika/scorecard", json={"seeds": 2}).json()["verb"] == "scorecard"
    assert client.get(f"{API}/runs/mika/evaluations").json() == {"evaluations": []}


def test_deleted_and_taken_back(client: TestClient) -> None:
    started(client)
    gone = client.delete(f"{API}/runs/mika").json()
    assert client.get(f"{API}/runs").json()["total"] == 0
    assert client.get(f"{API}/bin/runs").json()["runs"][0]["id"] == gone["id"]
    assert client.post(f"{API}/bin/runs/{gone['id']}/restore").json()["name"] == "mika"
    client.patch(f"{API}/runs/mika", json={"archived": True, "note": "kept"})
    assert client.get(f"{API}/runs", params={"archived": True}).json()["runs"][0]["note"] == "kept"
    gone = client.delete(f"{API}/runs/mika").json()
    assert client.delete(f"{API}/bin/runs/{gone['id']}").status_code == 204
    assert client.get(f"{API}/bin/runs").json()["runs"] == []


def test_the_schema_says_what_a_run_can_be(client: TestClient) -> None:
    schema = client.get(f"{API}/schema").json()
    assert schema["properties"].keys() == RunConfig.model_fields.keys()


def test_machine_and_bases(client: TestClient) -> None:
    machine = client.get(f"{API}/machine").json()
    assert machine["devices"][0]["memory_bytes"] == 24 * 10**9 and machine["problem"] == ""
    bases = {base["name"]: base for base in client.get(f"{API}/bases").json()["bases"]}
    assert bases["starter"]["fits"] == "yes" and bases["starter"]["here"]
    assert bases["flux2-klein-base-4b"]["settings"] == ["hardware.checkpointing: blocks"]
    assert bases["flux2-dev"]["fits"] == "no"
