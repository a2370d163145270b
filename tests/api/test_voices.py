"""Recordings and voices over REST, and what a link to a voice shows."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from likeness.api.app import create_app
from likeness.api.gate import Access
from likeness.studio import keys, queue, recordings, said, voice_engines, voices
from likeness.studio.workspace import Studio
from tests.studio.voice_runs_at_hand import tone
from tests.studio.voices_at_hand import CONSENT, asked, end, put

API = "/api/v1"
SOUND = {"Content-Type": "audio/wav"}
RAW = {"Content-Type": "application/octet-stream"}


@pytest.fixture(autouse=True)
def everything_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voice_engines, "_missing", lambda engine: "")  # type: ignore[misc]


def bring(client: TestClient, name: str = "ada.wav", content: bytes = b"") -> str:
    answer = client.put(f"{API}/recordings/uploads/{name}", content=content or tone(), headers=SOUND)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def refused(answer: Any, status: int, field: str) -> None:
    assert answer.status_code == status, answer.text
    told = answer.json()["errors"][0]
    assert told["field"] == field and told["fix"], answer.text


# --- recordings


def test_a_recording_is_brought_heard_and_removed(client: TestClient) -> None:
    recording = bring(client)
    told = client.get(f"{API}/recordings/{recording}").json()
    assert told["name"] == "ada.wav" and told["seconds"] == 1.0 and told["checked"] == {} and "path" not in told
    heard = client.get(f"{API}/recordings/{recording}/file")
    assert heard.content == tone() and heard.headers["content-type"] == "audio/wav"
    assert (
        heard.headers["x-content-type-options"] == "nosniff" and "sandbox" in heard.headers["content-security-policy"]
    )
    part = client.get(f"{API}/recordings/{recording}/file", headers={"Range": "bytes=0-3"})
    assert part.status_code == 206 and part.content == b"RIFF"
    assert [r["id"] for r in client.get(f"{API}/recordings").json()["recordings"]] == [recording]
    assert client.delete(f"{API}/recordings/{recording}").status_code == 204
    refused(client.get(f"{API}/recordings/{recording}"), 404, "recording")


def test_a_recording_that_comes_in_parts_goes_on(client: TestClient) -> None:
    sound, url = tone(), f"{API}/recordings/uploads/ada.wav"
    first = client.put(url, content=sound[:100], headers={**SOUND, "Content-Range": f"bytes 0-99/{len(sound)}"})
    assert first.status_code == 202
    so_far = client.head(url, headers={"Upload-Length": str(len(sound))})
    assert so_far.headers["upload-offset"] == "100"
    rest = {**SOUND, "Content-Range": f"bytes 100-{len(sound) - 1}/{len(sound)}"}
    done = client.put(url, content=sound[100:], headers=rest)
    assert done.status_code == 201
    assert client.get(f"{API}/recordings/{done.json()['id']}/file").content == sound


@pytest.mark.parametrize(("name", "content"), [("film.mp4", b"x"), ("page.html", b"<script>"), ("a.wav", b"")])
def test_what_is_no_recording_is_refused(client: TestClient, name: str, content: bytes) -> None:
    refused(client.put(f"{API}/recordings/uploads/{name}", content=content, headers=RAW), 422, "file")
    assert client.get(f"{API}/recordings").json()["recordings"] == []


def test_checks_are_queued_and_tell_ids(client: TestClient, studio: Studio) -> None:
    recording = bring(client)
    job = client.post(f"{API}/recordings/check", json={"recordings": [recording], "purpose": "trained"})
    assert job.status_code == 202 and job.json()["verb"] == "voice-check"
    row = queue.get(studio, job.json()["id"])
    result = {"purpose": "trained", "findings": [], "recordings": [
        {"path": asked(row)["paths"][0], "figures": {"seconds": 1.0}, "findings": []}]}  # fmt: skip
    end(studio, row, recordings.take_check, result)
    told = client.get(f"{API}/jobs/{row.id}").json()["result"]
    assert told["recordings"][0]["recording"] == recording and str(studio.root) not in json.dumps(told)
    for path in ("mend", "verify"):
        body = {"json": {}} if path == "mend" else {}
        answer = client.post(f"{API}/recordings/{recording}/{path}", **body)  # type: ignore[arg-type]
        assert answer.status_code == 202, answer.text
    refused(client.post(f"{API}/recordings/check", json={"recordings": []}), 422, "recordings")
    refused(client.post(f"{API}/recordings/check", json={"recordings": ["none"]}), 404, "recording")


# --- voices


def test_a_clone_is_queued_only_with_consent(client: TestClient, studio: Studio) -> None:
    body = {"recordings": [bring(client)], "name": "Ada", "consent": CONSENT, "tags": ["low"]}
    job = client.post(f"{API}/voices", json=body)
    assert job.status_code == 202 and job.json()["subject"] == "voices"
    assert queue.get(studio, job.json()["id"]).extra["tags"] == ["low"]
    for change, field in (
        ({"consent": ""}, "consent"), ({"engine": "script"}, "engine"), ({"script": "/tmp/x.py"}, "script"),
        ({"name": ""}, "name"), ({"recordings": []}, "recordings"), ({"stability": 0.5}, "stability"),
        ({"language": "klingon"}, "language"), ({"base": "x/y"}, "base"),
    ):  # fmt: skip
        refused(client.post(f"{API}/voices", json={**body, **change}), 422, field)
    assert len(queue.listed(studio)) == 1


def test_voices_are_listed_found_and_changed(client: TestClient, studio: Studio) -> None:
    ada = put(studio, "Ada", tags=["low"])
    put(studio, "Eve", archived=True)
    page = client.get(f"{API}/voices", params={"search": "ada", "tag": "low"}).json()
    assert page["total"] == 1 and page["voices"][0]["id"] == ada.id and "consent" not in page["voices"][0]
    assert client.get(f"{API}/voices", params={"archived": True}).json()["voices"][0]["name"] == "Eve"
    told = client.get(f"{API}/voices/Ada").json()
    assert told["consent"]["statement"] == CONSENT and told["sounds"].startswith("a speech synthesiser")
    assert told["figures"] == {"pitch_hz": 98.8} and told["reference"]["file"] == "ada.wav"
    changed = client.patch(f"{API}/voices/{ada.id}", json={"name": "Ada B.", "tags": ["B"], "archived": True}).json()
    assert (changed["name"], changed["tags"], changed["archived"]) == ("Ada B.", ["b"], True)
    refused(client.patch(f"{API}/voices/{ada.id}", json={"consent": "other words of mine"}), 422, "consent")
    copy = client.post(f"{API}/voices/{ada.id}/duplicate", json={"name": "Second"})
    assert copy.status_code == 201 and copy.json()["origin"] == "copy"
    refused(client.get(f"{API}/voices/none"), 404, "voice")


def test_files_of_a_voice_are_heard_and_seen(client: TestClient, studio: Studio) -> None:
    url = f"{API}/voices/{put(studio).id}"
    for name, kind in (("reference", "audio/wav"), ("sample", "audio/wav"), ("thumbnail", "image/png")):
        answer = client.get(f"{url}/{name}")
        assert answer.headers["content-type"] == kind and answer.headers["x-content-type-options"] == "nosniff"


def test_a_deleted_voice_is_put_back_or_removed(client: TestClient, studio: Studio) -> None:
    url = f"{API}/voices/{put(studio).id}"
    refused(client.post(f"{url}/remove"), 409, "voice")
    assert client.delete(url).json()["deleted"] > 0 and client.get(url).status_code == 200
    refused(client.post(f"{url}/say", json={"text": "x"}), 404, "voice")
    assert client.get(f"{API}/voices", params={"binned": True}).json()["total"] == 1
    assert client.post(f"{url}/restore").json()["deleted"] is None
    client.delete(url)
    assert client.post(f"{url}/remove").status_code == 204 and client.get(url).status_code == 404


def test_a_bundle_leaves_and_arrives(client: TestClient, studio: Studio) -> None:
    ada = put(studio, "Áda & Co")
    out = client.get(f"{API}/voices/{ada.id}/bundle")
    assert out.headers["content-disposition"] == 'attachment; filename="Ada-Co.likeness-voice"'
    back = client.put(f"{API}/voices/imports/Ada.likeness-voice", content=out.content, headers=RAW)
    assert back.status_code == 201 and back.json()["origin"] == "import" and back.json()["id"] != ada.id
    refused(client.put(f"{API}/voices/imports/a.likeness-voice", content=b"x", headers=RAW), 422, "bundle")
    refused(client.put(f"{API}/voices/imports/a.py", content=b"x", headers=RAW), 422, "file")
    assert client.get(f"{API}/voices").json()["total"] == 2
    assert not list(studio.uploads.glob("*.part"))


def test_engines_tell_how_they_sound_and_whether_they_are_here(client: TestClient) -> None:
    told = client.get(f"{API}/voice-engines").json()
    assert [(e["name"], e["base"], e["usable"]) for e in told["engines"]] == [
        ("espeak", False, True), ("pocket", True, True)]  # fmt: skip
    assert "not taken for the person" in told["engines"][0]["sounds"]
    assert not told["languages"] or "en-us" in {one["code"] for one in told["languages"]}


# --- heard


def test_a_text_is_spoken_heard_and_forgotten(client: TestClient, studio: Studio) -> None:
    ada = put(studio)
    answer = client.post(
        f"{API}/voices/ada/say", json={"input": "Good morning.", "response_format": "mp3", "speed": 1.2}
    )
    assert answer.status_code == 202, answer.text
    told = answer.json()
    url = f"{API}/speech/{told['job']['id']}"
    assert told["voice_id"] == ada.id and told["text"] == "Good morning." and told["ready"] is False
    refused(client.get(f"{url}/file"), 404, "speech")
    job = queue.get(studio, told["job"]["id"])
    Path(asked(job)["output"]).write_bytes(b"ID3 sound")
    end(studio, job, said.take, {"path": asked(job)["output"], "notes": []})
    assert client.get(url).json()["ready"] is True
    heard = client.get(f"{url}/file")
    assert heard.content == b"ID3 sound" and heard.headers["content-type"] == "audio/mpeg"
    listed = client.get(f"{API}/voices/{ada.id}/speech").json()
    assert listed["total"] == 1 and listed["speech"][0]["request"]["speed"] == 1.2
    again = client.post(f"{API}/voices/{ada.id}/say", json=listed["speech"][0]["request"])
    assert again.status_code == 202, again.text
    assert client.delete(url).status_code == 204
    refused(client.get(url), 404, "speech")
    assert client.get(f"{API}/voices/{ada.id}/speech").json()["total"] == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [({"text": ""}, "text"), ({"speed": 9}, "speed"), ({"strength": 2}, "strength"), ({"seed": -1}, "seed"),
     ({"format": "aiff"}, "format"), ({"stability": 1}, "stability")],
)  # fmt: skip
def test_what_cannot_be_said_is_refused(client: TestClient, studio: Studio, change: dict[str, Any], field: str) -> None:
    url = f"{API}/voices/{put(studio).id}/say"
    refused(client.post(url, json={"text": "Hello", **change}), 422, field)


# --- given away


def test_a_link_lets_a_voice_be_heard_and_fetched(client: TestClient, studio: Studio) -> None:
    ada = put(studio, "Ada & <b>", tags=["low"], description="Warm")
    made = client.post(f"{API}/voices/{ada.id}/shares", json={"days": 2})
    assert made.status_code == 201 and made.headers["cache-control"] == "no-store"
    link = made.json()
    assert link["voice_id"] == ada.id and link["model_id"] is None
    page = client.get(link["path"])
    assert page.status_code == 200 and "Ada &amp; &lt;b&gt;" in page.text and CONSENT in page.text
    assert "ada.wav" not in page.text and page.headers["referrer-policy"] == "no-referrer"
    assert client.get(f"{link['path']}/sample").headers["content-type"] == "audio/wav"
    bundle = client.get(f"{link['path']}/bundle").content
    assert bundle == client.get(f"{API}/voices/{ada.id}/bundle").content
    assert client.get(f"{link['path']}/file").status_code == 404
    assert client.get(f"{link['path']}/pictures/x.png").status_code == 404
    assert [s["id"] for s in client.get(f"{API}/voices/{ada.id}/shares").json()["shares"]] == [link["id"]]
    assert client.get(f"{API}/shares").json()["shares"][0]["voice_id"] == ada.id
    assert client.delete(f"{API}/shares/{link['id']}").status_code == 204
    assert {client.get(link["path"] + more).status_code for more in ("", "/sample", "/bundle")} == {404}


# --- who may


@pytest.fixture
def elsewhere(studio: Studio) -> Iterator[tuple[TestClient, dict[str, dict[str, str]]]]:
    """A server with keys, and the header of a key of each scope."""
    heads = {scope: {"X-API-Key": keys.create(studio, scope, scope)[1]} for scope in ("read", "write")}  # type: ignore[arg-type]
    app = create_app(studio, access=Access.bound("127.0.0.1", keys=True))
    with TestClient(app, base_url="http://127.0.0.1:8188") as client:
        yield client, heads


def test_keys_hear_or_speak_as_they_may_and_name_no_files(
    elsewhere: tuple[TestClient, dict[str, dict[str, str]]], studio: Studio, tmp_path: Path
) -> None:
    client, heads = elsewhere
    url = f"{API}/voices/{put(studio).id}"
    assert client.get(url).status_code == 401
    assert client.get(f"{url}/reference", headers=heads["read"]).status_code == 200
    assert client.post(f"{url}/say", json={"text": "x"}, headers=heads["read"]).status_code == 403
    assert client.post(f"{url}/say", json={"text": "x"}, headers=heads["write"]).status_code == 202
    sent = client.put(f"{API}/recordings/uploads/a.wav", content=tone(), headers={**SOUND, **heads["write"]})
    body = {
        "recordings": [sent.json()["id"]],
        "name": "x",
        "consent": CONSENT,
        "engine": "pocket",
        "base": str(tmp_path),
    }
    refused(client.post(f"{API}/voices", json=body, headers=heads["write"]), 422, "base")
    link = client.post(f"{url}/shares", json={}, headers=heads["write"]).json()["path"]
    assert client.get(f"{link}/sample").status_code == 200, "a link needs no key"
    assert voices.listed(studio)[1] == 1
