"""The pages that draw and merge."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from likeness.events import EventLog, Stage
from likeness.store.tables import Job, Model
from likeness.studio import gallery, generations, merges, models, queue
from likeness.studio.generations import GenerationRequest
from likeness.studio.lora_choice import LoraChoice
from likeness.studio.workspace import Studio
from tests.tiny_lora import own_metadata, write_lora, write_picture, write_run
from tests.web.conftest import FROM_PAGE


@pytest.fixture
def mika(studio: Studio) -> Model:
    write_run(studio.workspace)
    return models.publish(studio, "mika", 2, strength=0.8)


def order(studio: Studio, mika: Model, **values: Any) -> Job:
    request = GenerationRequest(**{"prompt": "mika_char", "loras": (LoraChoice(mika.id),), **values})
    return generations.generate(studio, request).job


def draw(studio: Studio, job: Job, count: int | None = None) -> None:
    outputs = json.loads((Path(job.folder) / "job.json").read_text())["outputs"]
    for number, output in enumerate(outputs[:count]):
        write_picture(Path(output), (number, 9, 9))
    if count is None:
        queue.change(studio, job.id, state="finished", result=generations.take(studio, job, {}))


def test_the_form_asks_for_what_the_rest_route_takes(studio: Studio, client: TestClient, mika: Model) -> None:
    filled = {
        "prompt": " mika_char at sea ", "lora": [f"model:{mika.id}", "run:mika/3"], "strength": ["0.9", "0.25"],
        "seed": "7", "batch": "2", "strengths": "", "base": "", "negative_prompt": "rain", "width": "64",
        "height": "96", "steps": "3", "guidance": "1.5", "precision": "fp32", "find": "mik",
    }  # fmt: skip
    page = client.post("/generate", data=filled, headers=FROM_PAGE)
    assert page.status_code == 200 and "mika_char at sea" in page.text
    body = {
        "prompt": "mika_char at sea", "loras": [{"lora": f"model:{mika.id}", "strength": 0.9},
                                                {"lora": "run:mika/3", "strength": 0.25}],
        "seed": 7, "batch": 2, "negative_prompt": "rain", "width": 64, "height": 96, "steps": 3, "guidance": 1.5,
        "precision": "fp32",
    }  # fmt: skip
    assert client.post("/api/v1/generations", json=body).status_code == 202
    one, two = (json.loads((Path(j.folder) / "job.json").read_text()) for j in queue.listed(studio))
    assert {k: v for k, v in one.items() if k != "outputs"} == {k: v for k, v in two.items() if k != "outputs"}


def test_strengths_and_seeds_are_lists(studio: Studio, client: TestClient, mika: Model) -> None:
    filled = {"prompt": "x", "lora": mika.id, "strength": "1", "strengths": "0, 0.5,1", "seeds": "1, 2"}
    assert client.post("/generate", data=filled, headers=FROM_PAGE).status_code == 200
    content = json.loads((Path(queue.listed(studio)[0].folder) / "job.json").read_text())
    assert [r["seed"] for r in content["requests"]] == [1, 1, 1, 2, 2, 2]
    assert content["strengths"] == [[0.0], [0.5], [1.0]] * 2


@pytest.mark.parametrize(("field", "text"), [("steps", "many"), ("strength", "x"), ("strengths", "a"), ("width", "33")])
def test_what_is_wrong_is_told_and_nothing_is_queued(
    studio: Studio, client: TestClient, mika: Model, field: str, text: str
) -> None:
    filled = {"prompt": "x", "lora": mika.id, "strength": "1", field: text}
    answer = client.post("/generate", data=filled, headers=FROM_PAGE)
    assert answer.status_code == 422 and "toast" in answer.text and queue.listed(studio) == []
    assert text in client.post("/generate/check", data=filled, headers=FROM_PAGE).text


def test_the_trigger_is_offered_where_it_is_missing(client: TestClient, mika: Model) -> None:
    filled = {"prompt": "a boat", "lora": f"model:{mika.id}", "strength": "1"}
    text = client.post("/generate/check", data=filled, headers=FROM_PAGE).text
    assert "The prompt does not hold" in text and 'data-prompt="mika_char, a boat"' in text
    for prompt, strength in (("mika_char", "1"), ("a boat", "0"), ("", "1")):
        quiet = client.post(
            "/generate/check", data={**filled, "prompt": prompt, "strength": strength}, headers=FROM_PAGE
        )
        assert "finding" not in quiet.text


def test_the_form_is_filled_in_from_anything_that_was_drawn(studio: Studio, client: TestClient, mika: Model) -> None:
    job = order(studio, mika, negative_prompt="rain", seed=77, steps=5, strengths=(0.5, 1.0))
    draw(studio, job)

    def value(text: str, name: str) -> str:
        found = re.search(rf'name="{name}"[^>]*value="([^"]*)"', text)
        return found[1] if found else ""

    again = client.get(f"/generate?job={job.id}").text
    assert value(again, "seed") == "77" and value(again, "steps") == "5" and value(again, "strengths") == "0.5, 1"
    assert "rain" in again and value(again, "lora") == f"model:{mika.id}"
    one = client.get(f"/generate?picture={job.id}-002").text
    assert value(one, "strength") == "1" and value(one, "strengths") == "" and value(one, "seed") == "77"
    fresh = client.get(f"/generate?model={mika.id}").text
    assert value(fresh, "strength") == "0.8" and "mika_char, " in fresh
    example = client.get(f"/generate?model={mika.id}&example={mika.examples[1]['id']}").text
    assert mika.examples[1]["prompt"] in example and value(example, "seed") == "42" and value(example, "steps") == "16"
    epoch = client.get("/generate?lora=run:mika/1").text
    assert value(epoch, "lora") == "run:mika/1"
    source = client.get(f"/generate?reference=picture:{job.id}-001").text
    assert value(source, "reference") == f"picture:{job.id}-001"


def test_a_lora_that_is_gone_is_told_and_left_out(studio: Studio, client: TestClient, mika: Model) -> None:
    job = order(studio, mika)
    models.delete_model(studio, mika.id)
    text = client.get(f"/generate?job={job.id}").text
    assert "is in the bin" in text and 'name="lora"' not in text.split("<template>")[0]


def test_pictures_appear_while_they_are_drawn(studio: Studio, client: TestClient, mika: Model) -> None:
    job = order(studio, mika, batch=3)
    assert "waits for its turn" in client.get("/generate").text
    queue.change(studio, job.id, state="running")
    EventLog(Path(job.folder) / "events.jsonl").write(Stage(name="sampling", done=1, total=3))
    draw(studio, job, 1)
    part = client.get(f"/generate/{job.id}", headers=FROM_PAGE).text
    assert part.count("<img") == 1 and part.count("to come") >= 2 and 'hx-trigger="tick from:body"' in part
    draw(studio, job)
    part = client.get(f"/generate/{job.id}", headers=FROM_PAGE).text
    assert part.count("<img") == 3 and "to come" not in part and "tick" not in part


def test_a_failed_generation_says_why(studio: Studio, client: TestClient, mika: Model) -> None:
    job = order(studio, mika)
    queue.change(studio, job.id, state="failed", error="memory is out")
    assert "memory is out" in client.get(f"/generate/{job.id}", headers=FROM_PAGE).text


def test_deleting_offers_the_way_back(studio: Studio, client: TestClient, mika: Model) -> None:
    job = order(studio, mika)
    draw(studio, job)
    gone = client.post(f"/generate/{job.id}/delete", headers=FROM_PAGE).text
    assert "Undo" in gone and generations.history(studio)[1] == 0
    back = client.post(f"/generate/{job.id}/restore", headers=FROM_PAGE).text
    assert "<img" in back and generations.history(studio)[1] == 1
    picture = f"/generate/pictures/{job.id}-001"
    assert "Undo" in client.post(f"{picture}/delete", headers=FROM_PAGE).text and gallery.listed(studio)[1] == 0
    assert "Put back" in client.post(f"{picture}/restore", headers=FROM_PAGE).text and gallery.listed(studio)[1] == 1


def test_a_picture_is_pinned_and_shown_with_its_model(studio: Studio, client: TestClient, mika: Model) -> None:
    job = order(studio, mika)
    draw(studio, job)
    url = f"/generate/pictures/{job.id}-001"
    shown = client.get(url, headers=FROM_PAGE).text
    assert "Show it with mika" in shown and "0.8" in shown
    client.post(f"{url}/pin", headers=FROM_PAGE)
    assert client.get("/generate/pictures/all?pinned=true").text.count("<img") == 1
    client.post(f"{url}/pin", headers=FROM_PAGE)
    assert client.get("/generate/pictures/all?pinned=true").text.count("<img") == 0
    client.post(f"{url}/show/{mika.id}", headers=FROM_PAGE)
    assert len(models.get(studio, mika.id).examples) == 4


def test_two_pictures_are_compared(studio: Studio, client: TestClient, mika: Model) -> None:
    job = order(studio, mika, strengths=(0.5, 1.0), seed=3)
    assert client.get(f"/generate/{job.id}/compare", headers=FROM_PAGE).status_code == 422
    draw(studio, job)
    text = client.get(f"/generate/{job.id}/compare", headers=FROM_PAGE).text
    assert "<compare-slider" in text and "seed 3 at 0.5" in text and "seed 3 at 1" in text


def test_the_history_goes_on_below(studio: Studio, client: TestClient, mika: Model) -> None:
    for number in range(14):
        draw(studio, order(studio, mika, prompt=f"mika_char number {number:02d}"))
    first = client.get("/generate").text
    assert "number 13" in first and "number 01" not in first
    rest = client.get("/generate/history?offset=12", headers=FROM_PAGE).text
    assert "number 01" in rest and "number 00" in rest and "Show earlier" not in rest


# --- merging


@pytest.fixture
def ada(studio: Studio, tmp_path: Path) -> Model:
    file = write_lora(tmp_path / "ada.safetensors", 77, own_metadata(name="ada", trigger="ada_char"))
    return models.import_lora(studio, file, file.name)


def test_loras_are_merged_and_the_result_is_shown(
    studio: Studio, client: TestClient, mika: Model, ada: Model, tmp_path: Path
) -> None:
    assert "mika" in client.get(f"/merge?model={mika.id}&model={ada.id}").text
    filled = {"name": "both", "lora": [f"model:{mika.id}", f"model:{ada.id}"], "strength": ["0.5", "1"],
              "method": "ties", "density": "0.3", "drop": "0.9", "rank": ""}  # fmt: skip
    sent = client.post("/merge", data=filled, headers=FROM_PAGE).text
    (job,) = queue.listed(studio)
    recipe = json.loads((Path(job.folder) / "job.json").read_text())["recipe"]
    assert (recipe["method"], recipe["density"], recipe["drop"]) == ("ties", 0.3, 0.5), "drop is for another method"
    assert "waits for its turn" in sent
    path = write_lora(tmp_path / "made.safetensors", 5)
    result = merges.take(studio, job, {"path": str(path), "family": "flux2", "error": 0.125})
    queue.change(studio, job.id, state="finished", result=result)
    told = client.get(f"/merge/{job.id}", headers=FROM_PAGE).text
    assert f'href="/library/{job.id}"' in told and "12.5% of the change is cut" in told


def test_a_merge_that_cannot_be_stays_filled_in(studio: Studio, client: TestClient, mika: Model) -> None:
    filled = {"name": "mine", "lora": f"model:{mika.id}", "strength": "0.5", "method": "svd", "rank": "0"}
    text = client.post("/merge", data=filled, headers=FROM_PAGE).text
    assert "0 is no rank" in text and 'value="mine"' in text and f'value="model:{mika.id}"' in text
    odd = client.post("/merge", data={**filled, "method": "x', evil: '"}, headers=FROM_PAGE).text
    assert "there is no" in odd and "method: 'concat'" in odd.replace("&#39;", "'")
    assert queue.listed(studio) == []
