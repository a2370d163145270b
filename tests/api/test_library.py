"""REST of the library: models, bundles, links, generations, merges."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from likeness.store.tables import Share
from likeness.studio import bundles, generations, layouts, merges, queue
from likeness.studio.workspace import Studio
from tests.tiny_lora import own_metadata, write_lora, write_picture, write_run

RAW = {"Content-Type": "application/octet-stream"}
API = "/api/v1"


@pytest.fixture
def mika(studio: Studio, client: TestClient) -> dict[str, Any]:
    write_run(studio.workspace)
    answer = client.post(f"{API}/models", json={"run": "mika", "epoch": 2, "tags": ["girl"], "strength": 0.8})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def draw(studio: Studio, job_id: str) -> None:
    """What a worker and the supervisor do."""
    job = queue.get(studio, job_id)
    for number, output in enumerate(json.loads((Path(job.folder) / "job.json").read_text())["outputs"]):
        write_picture(Path(output), (number, 9, 9))
    queue.change(studio, job.id, state="finished", result=generations.take(studio, job, {}))


def left(studio: Studio) -> list[Path]:
    """Bytes of uploads that were not let go of."""
    return [*studio.uploads.glob("*.part"), *studio.uploads.rglob("data")]


def refused(answer: Any, status: int, field: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"][0]["field"] == field, answer.text


def test_models_are_listed_found_and_changed(client: TestClient, mika: dict[str, Any]) -> None:
    page = client.get(f"{API}/models", params={"search": "mika", "tag": "girl", "base": "starter"}).json()
    assert page["total"] == 1 and page["models"][0]["id"] == mika["id"] and "card" not in page["models"][0]
    assert client.get(f"{API}/models", params={"tag": "boy"}).json()["total"] == 0
    assert client.get(f"{API}/models/choices").json()["tags"] == {"girl": 1}
    second = mika["examples"][1]
    changed = client.patch(
        f"{API}/models/{mika['id']}",
        json={
            "name": "Mika",
            "shortDescription": "A girl",
            "tags": ["a", "b"],
            "archived": True,
            "thumbnail": second["id"],
        },
    ).json()
    assert (changed["name"], changed["description"], changed["tags"]) == ("Mika", "A girl", ["a", "b"])
    assert changed["archived"] and changed["thumbnail"] == second["file"]
    assert client.get(f"{API}/models").json()["total"] == 0


def test_what_is_wrong_is_told_by_field(client: TestClient, mika: dict[str, Any]) -> None:
    url = f"{API}/models/{mika['id']}"
    refused(client.patch(url, json={"nmae": "x"}), 422, "nmae")
    refused(client.patch(url, json={"strength": 9}), 422, "strength")
    refused(client.patch(url, json={"kind": "villain"}), 422, "kind")
    refused(client.patch(url, json={"name": "new", "thumbnail": "none"}), 404, "example")
    assert client.get(url).json()["name"] == "mika", "nothing is changed by half"
    refused(client.post(f"{API}/models", json={"run": "mika", "epoch": 9}), 422, "epoch")
    refused(client.post(f"{API}/models", json={"run": "mika", "epoch": 2}), 409, "file")
    assert client.get(f"{API}/models/none").status_code == 404


def test_pictures_and_files_are_served_to_be_shown_and_saved(
    studio: Studio, client: TestClient, mika: dict[str, Any]
) -> None:
    url, name = f"{API}/models/{mika['id']}", Path(mika["thumbnail"]).name
    whole, small = client.get(f"{url}/pictures/{name}"), client.get(f"{url}/pictures/{name}", params={"size": 128})
    assert whole.headers["content-type"] == "image/png" and small.headers["content-type"] == "image/webp"
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert client.get(f"{url}/pictures/{name}", params={"size": 100}).status_code == 422
    for wrong in ("run.json", "mika.safetensors", "..%2Frun.json", "%2e%2e%2fmika.safetensors"):
        assert client.get(f"{url}/pictures/{wrong}").status_code == 404
    file = client.get(f"{url}/file")
    assert file.content == (studio.models / mika["id"] / "mika.safetensors").read_bytes()
    assert 'attachment; filename="mika.safetensors"' in file.headers["content-disposition"]
    assert client.get(f"{url}/card").text.startswith("---\n")


def test_the_bin_and_the_way_back(client: TestClient, mika: dict[str, Any]) -> None:
    url = f"{API}/models/{mika['id']}"
    refused(client.post(f"{url}/remove"), 409, "")
    assert client.delete(url).json()["deleted"] is not None
    assert client.get(f"{API}/models", params={"binned": True}).json()["total"] == 1
    assert client.get(f"{url}/file").status_code == 404
    assert client.post(f"{url}/restore").json()["deleted"] is None
    client.delete(url)
    assert client.post(f"{url}/remove").status_code == 204 and client.get(url).status_code == 404


def test_a_duplicate_and_its_family(client: TestClient, mika: dict[str, Any]) -> None:
    twin = client.post(f"{API}/models/{mika['id']}/duplicate", json={"name": "Twin"}).json()
    assert twin["parents"] == [mika["id"]] and twin["sha256"] == mika["sha256"]
    family = client.get(f"{API}/models/{mika['id']}/family").json()
    assert [r["name"] for r in family["descendants"]] == ["Twin"]


# --- uploads


def test_a_lora_is_uploaded_as_it_is(client: TestClient, tmp_path: Path) -> None:
    content = write_lora(tmp_path / "ada.safetensors", metadata={}).read_bytes()
    params = {"base": "starter", "trigger": "ada", "kind": "style"}
    answer = client.put(f"{API}/models/upload/ada.safetensors", content=content, headers=RAW, params=params)
    told = answer.json()
    assert answer.status_code == 201 and (told["name"], told["base"], told["kind"]) == ("ada", "starter", "style")
    assert told["trigger"] == "ada" and told["family"] == "flux2"
    again = client.put(f"{API}/models/upload/b.safetensors", content=content, headers=RAW)
    refused(again, 409, "file")


@pytest.mark.parametrize("name", ["a.pt", "a.ckpt", "a.bin", "a.exe", "..%2F..%2Fx.pt"])
def test_other_files_are_refused(studio: Studio, client: TestClient, tmp_path: Path, name: str) -> None:
    content = write_lora(tmp_path / "x.safetensors").read_bytes()
    answer = client.put(f"{API}/models/upload/{name}", content=content, headers=RAW)
    assert answer.status_code in (404, 422), answer.text
    assert not studio.models.exists() and not left(studio)


def test_uploads_that_are_hostile_leave_nothing(studio: Studio, client: TestClient) -> None:
    for name, content in (("a.safetensors", b"PK\x03\x04" * 9), ("a.likeness", b"PK\x03\x04" * 9), ("a.likeness", b"")):
        assert client.put(f"{API}/models/upload/{name}", content=content, headers=RAW).status_code == 422
    assert not studio.models.exists() and not left(studio)


def test_more_than_is_taken_is_refused(
    client: TestClient, studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundles, "MOST_BYTES", 1000)
    content = write_lora(tmp_path / "x.safetensors").read_bytes()
    answer = client.put(f"{API}/models/upload/x.safetensors", content=content, headers=RAW)
    assert answer.status_code == 413 and "at most 1,000" in answer.json()["detail"]
    chunks = client.put(f"{API}/models/upload/x.safetensors", content=iter([content] * 9), headers=RAW)
    assert chunks.status_code == 422 and not left(studio)
    too_large = client.put(f"{API}/references/x.png", content=b"x", headers=RAW | {"Content-Length": str(1 << 40)})
    assert too_large.status_code == 413


def test_a_bundle_travels_to_another_workspace(client: TestClient, mika: dict[str, Any], tmp_path: Path) -> None:
    from likeness.api.app import create_app

    bundle = client.get(f"{API}/models/{mika['id']}/bundle")
    assert 'filename="mika.likeness"' in bundle.headers["content-disposition"]
    assert client.get(f"{API}/models/{mika['id']}/bundle").content == bundle.content
    elsewhere = Studio(tmp_path / "elsewhere")
    with TestClient(create_app(elsewhere), base_url="http://127.0.0.1:8188") as there:
        url = f"{API}/models/upload/mika.likeness"
        refused(there.put(url, content=bundle.content, headers=RAW, params={"trigger": "x"}), 422, "")
        told = there.put(url, content=bundle.content, headers=RAW).json()
        assert {k: told[k] for k in ("name", "card", "examples", "sha256", "tags")} == {
            k: mika[k] for k in ("name", "card", "examples", "sha256", "tags")
        }
        assert there.get(f"{API}/models/{told['id']}/bundle").content == bundle.content
    elsewhere.close()


# --- layouts, publishing


def test_a_layout_is_asked_for_and_fetched(studio: Studio, client: TestClient, mika: dict[str, Any]) -> None:
    url = f"{API}/models/{mika['id']}"
    assert client.get(f"{url}/layouts/kohya").json()["state"] == "none"
    refused(client.get(f"{url}/file", params={"layout": "kohya"}), 409, "layout")
    made = client.post(f"{url}/layouts/kohya").json()
    assert made["state"] == "made" and made["job"]["verb"] == "convert"
    found = layouts.convert(studio, f"model:{mika['id']}", "kohya")
    output = Path(json.loads((Path(found.job.folder) / "job.json").read_text())["output"])  # type: ignore[union-attr]
    write_lora(output, 44)
    assert client.get(f"{url}/layouts/kohya").json()["state"] == "ready"
    file = client.get(f"{url}/file", params={"layout": "kohya"})
    assert file.content == output.read_bytes() and "mika-kohya.safetensors" in file.headers["content-disposition"]
    assert client.post(f"{url}/layouts/nothing").status_code == 422


def test_peft_is_fetched_as_a_zip(studio: Studio, client: TestClient, mika: dict[str, Any]) -> None:
    job = layouts.convert(studio, f"model:{mika['id']}", "peft").job
    assert job is not None
    output = Path(json.loads((Path(job.folder) / "job.json").read_text())["output"])
    write_lora(output)
    (output.parent / "adapter_config.json").write_text("{}")
    file = client.get(f"{API}/models/{mika['id']}/file", params={"layout": "peft"})
    assert file.content.startswith(b"PK") and "mika-peft.zip" in file.headers["content-disposition"]
    assert not left(studio), "it was made to be sent alone"


def test_publishing_to_a_folder_or_the_hub(
    studio: Studio, client: TestClient, mika: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{API}/models/{mika['id']}/publish"
    told = client.post(url, json={"folder": str(tmp_path / "out")})
    assert told.status_code == 202 and (Path(told.json()["folder"]) / "README.md").is_file()
    refused(client.post(url, json={"folder": str(tmp_path / "out")}), 409, "folder")
    refused(client.post(url, json={}), 422, "folder")
    refused(client.post(url, json={"folder": "/x", "repository": "a/b"}), 422, "folder")
    monkeypatch.setenv("HF_TOKEN", "hf_x")
    job = client.post(url, json={"repository": "ada/mika"}).json()["job"]
    assert job["verb"] == "publish" and job["state"] == "queued"


# --- links


def test_links_are_made_listed_and_revoked(client: TestClient, mika: dict[str, Any], studio: Studio) -> None:
    url = f"{API}/models/{mika['id']}/shares"
    link = client.post(url, json={"days": 2}).json()
    assert link["url"] == f"http://127.0.0.1:8188/shared/{link['token']}"
    assert [s["id"] for s in client.get(url).json()["shares"]] == [link["id"]]
    assert "token" not in client.get(f"{API}/shares").json()["shares"][0]
    refused(client.post(url, json={"days": 0}), 422, "days")
    with studio.database.session() as session:
        session.execute(update(Share).values(expires=time.time() - 1))
    assert client.get(url).json()["shares"] == []
    assert client.delete(f"{API}/shares/{link['id']}").status_code == 204
    assert client.delete(f"{API}/shares/{link['id']}").status_code == 404


# --- generations


def test_pictures_are_generated_and_used_again(studio: Studio, client: TestClient, mika: dict[str, Any]) -> None:
    body = {"prompt": "mika_char at sea", "loras": [{"lora": mika["id"]}], "seed": 3, "batch": 2}
    made = client.post(f"{API}/generations", json=body)
    assert made.status_code == 202 and made.json()["total"] == 2 and made.json()["warnings"] == []
    job_id = made.json()["job"]["id"]
    draw(studio, job_id)
    found = client.get(f"{API}/generations/{job_id}").json()
    assert [p["settings"]["seed"] for p in found["pictures"]] == [3, 4] and found["job"]["state"] == "finished"
    picture = found["pictures"][0]["id"]
    assert client.get(f"{API}/pictures/{picture}/file", params={"size": 128}).headers["content-type"] == "image/webp"
    request = client.get(f"{API}/pictures/{picture}/request").json()
    again = client.post(f"{API}/generations", json=request)
    assert again.status_code == 202 and again.json()["request"]["seed"] == 3
    whole = client.post(f"{API}/generations", json=found["request"])
    assert whole.status_code == 202 and whole.json()["total"] == 2
    assert client.get(f"{API}/generations").json()["total"] == 3


def test_names_of_hosted_services_are_understood(client: TestClient, mika: dict[str, Any]) -> None:
    body = {
        "prompt": "a boat", "concepts": [{"modelId": mika["id"], "scale": 0.5, "modelEpoch": "000003"}],
        "numOutputs": 4, "numInferenceSteps": 8, "guidanceScale": 2, "negativePrompt": "rain",
    }  # fmt: skip
    told = client.post(f"{API}/generations", json=body).json()["request"]
    assert told["loras"] == [{"lora": "run:mika/3", "strength": 0.5, "epoch": None}]
    assert (told["batch"], told["steps"], told["guidance"], told["negative_prompt"]) == (4, 8, 2.0, "rain")
    checked = client.post(f"{API}/generations/check", json=body).json()
    assert checked["missing_triggers"] == ["mika_char"] and checked["suggested_prompt"] == "mika_char, a boat"
    assert checked["pictures"] == 4


def test_wrong_requests_are_told_by_field(client: TestClient, mika: dict[str, Any]) -> None:
    good = {"prompt": "x", "loras": [{"lora": mika["id"]}]}
    refused(client.post(f"{API}/generations", json={**good, "width": 33}), 422, "width")
    refused(client.post(f"{API}/generations", json={**good, "scheduler": "x"}), 422, "scheduler")
    refused(client.post(f"{API}/generations", json={**good, "loras": [{"lora": "x"}]}), 404, "")
    refused(client.post(f"{API}/generations", json={**good, "loras": [{"lora": "x", "a": 1}]}), 422, "loras.0.a")
    refused(client.post(f"{API}/generations", json={"prompt": "x"}), 422, "base")


def test_pictures_are_pinned_deleted_and_shown_with_a_model(
    studio: Studio, client: TestClient, mika: dict[str, Any]
) -> None:
    job_id = client.post(f"{API}/generations", json={"prompt": "x", "loras": [{"lora": mika["id"]}]}).json()["job"][
        "id"
    ]
    draw(studio, job_id)
    (picture,) = client.get(f"{API}/pictures").json()["pictures"]
    assert client.patch(f"{API}/pictures/{picture['id']}", json={"pinned": True}).json()["pinned"]
    assert client.get(f"{API}/pictures", params={"pinned": True}).json()["total"] == 1
    told = client.post(f"{API}/models/{mika['id']}/examples", json={"picture": picture["id"]}).json()
    example = told["examples"][-1]
    assert example["prompt"] == "x" and example["strength"] == 0.8
    client.delete(f"{API}/pictures/{picture['id']}")
    assert client.get(f"{API}/pictures").json()["total"] == 0
    assert client.get(f"{API}/models/{mika['id']}/pictures/{Path(example['file']).name}").status_code == 200
    client.post(f"{API}/pictures/{picture['id']}/restore")
    assert client.get(f"{API}/pictures").json()["total"] == 1
    less = client.delete(f"{API}/models/{mika['id']}/examples/{example['id']}").json()
    assert len(less["examples"]) == 3
    client.delete(f"{API}/generations/{job_id}")
    assert client.get(f"{API}/generations/{job_id}").status_code == 404
    assert len(client.post(f"{API}/generations/{job_id}/restore").json()["pictures"]) == 1


def test_source_pictures_are_uploaded(client: TestClient, tmp_path: Path) -> None:
    content = write_picture(tmp_path / "a.png").read_bytes()
    told = client.put(f"{API}/references/a.png", content=content, headers=RAW)
    assert told.status_code == 201
    reference = told.json()["reference"]
    assert client.get(f"{API}/references/{reference}").content == content
    refused(client.put(f"{API}/references/a.png", content=b"<svg>", headers=RAW), 422, "file")
    for wrong in ("upload:..%2F..%2Fstudio.db", "file:///etc/passwd", "picture:none"):
        assert client.get(f"{API}/references/{wrong}").status_code in (404, 422)


# --- merges


def test_models_are_merged(studio: Studio, client: TestClient, mika: dict[str, Any], tmp_path: Path) -> None:
    content = write_lora(tmp_path / "ada.safetensors", 8, own_metadata(name="ada", trigger="ada")).read_bytes()
    ada = client.put(f"{API}/models/upload/ada.safetensors", content=content, headers=RAW).json()
    body = {"name": "both", "concepts": [{"modelId": mika["id"], "scale": 0.5}, {"modelId": ada["id"]}]}
    told = client.post(f"{API}/merges", json=body)
    assert told.status_code == 202 and told.json()["model"] is None
    job_id = told.json()["job"]["id"]
    job = queue.get(studio, job_id)
    path = write_lora(Path(json.loads((Path(job.folder) / "job.json").read_text())["output"]), 9)
    result = merges.take(studio, job, {"path": str(path), "family": "flux2", "error": 0.0})
    queue.change(studio, job_id, state="finished", result=result)
    model = client.get(f"{API}/merges/{job_id}").json()["model"]
    assert model["name"] == "both" and set(model["parents"]) == {mika["id"], ada["id"]}
    refused(client.post(f"{API}/merges", json={"name": "x", "loras": [{"lora": mika["id"]}]}), 422, "loras")
    refused(client.post(f"{API}/merges", json={**body, "density": 0.1}), 422, "density")
    assert client.get(f"{API}/merges/none").status_code == 404
