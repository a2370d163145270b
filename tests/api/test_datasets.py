import base64
import io
import socket
import threading
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi.testclient import TestClient
from PIL import Image

from likeness.api.app import create_app
from likeness.dataset.formats import glance
from likeness.studio import datasets, uploads
from likeness.studio.datasets import arrivals, files
from likeness.studio.workspace import Studio
from tests.studio.datasets_at_hand import EXAMPLES

API = "/api/v1/datasets"
MIKA = EXAMPLES / "character" / "mika"


@pytest.fixture
def mika(client: TestClient) -> str:
    """The address of a dataset with two captioned pictures."""
    made = client.post(API, json={"name": "Mika", "kind": "character", "triggerWord": "mika_char", "base": "starter"})
    assert made.status_code == 201
    address = f"{API}/{made.json()['id']}"
    for name in ("mika-01.png", "mika-01.txt", "mika-02.png", "mika-02.txt"):
        assert client.put(f"{address}/files/{name}", content=(MIKA / name).read_bytes()).status_code == 201
    return address


def png(colour: str = "teal", size: tuple[int, int] = (64, 48)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "PNG")
    return out.getvalue()


def names(client: TestClient, address: str) -> list[str]:
    return [image["name"] for image in client.get(f"{address}/images").json()["images"]]


def test_datasets_are_made_listed_changed_binned_and_restored(client: TestClient, mika: str) -> None:
    (told,) = client.get(API, params={"search": "mik"}).json()["datasets"]
    assert (told["name"], told["trigger"], told["pictures"]) == ("Mika", "mika_char", 2)
    assert client.get(f"{API}/Mika").json() == told
    assert client.patch(mika, json={"description": "a girl"}).json()["description"] == "a girl"
    assert client.patch(mika, json={"descripton": "a girl"}).status_code == 422
    assert client.post(API, json={"name": "Mika"}).status_code == 409
    assert client.post(API, json={"name": "a/b", "kind": "none"}).json()["errors"][1]["field"] == "kind"
    assert client.delete(mika, params={"forever": True}).status_code == 409
    assert client.delete(mika).status_code == 204
    assert client.get(mika).status_code == 404 and client.get(API).json()["total"] == 0
    assert client.post(f"{mika}/restore", json={}).json()["name"] == "Mika"
    client.delete(mika)
    assert client.delete(mika, params={"forever": True}).status_code == 204
    assert client.get(API, params={"deleted": True}).json()["total"] == 0


def test_pictures_are_listed_shown_captioned_and_cropped(client: TestClient, mika: str) -> None:
    first = client.get(f"{mika}/images", params={"limit": 1}).json()["images"][0]
    assert (first["name"], first["author"], first["width"], first["crop"]) == ("mika-01.png", "person", 128, None)
    assert client.get(f"{mika}/pictures/mika-01.png").content == (MIKA / "mika-01.png").read_bytes()
    thumbnail = client.get(f"{mika}/thumbnails/mika-01.png", params={"size": 128, "v": "1"})
    assert thumbnail.headers["content-type"] == "image/webp" and "immutable" in thumbnail.headers["cache-control"]
    assert client.get(f"{mika}/thumbnails/mika-01.png", params={"size": 127}).status_code == 422
    image = f"{mika}/images/mika-01.png"
    half = {"x": 0, "y": 0.5, "width": 0.5, "height": 0.5}
    changed = client.patch(image, json={"description": "mika_char asleep", "crop": half})
    assert (changed.json()["caption"], changed.json()["crop"]["y"]) == ("mika_char asleep", 0.5)
    assert client.patch(image, json={"crop": None}).json()["crop"] is None
    for wrong in ({"crop": half | {"x": 0.9}}, {"crop": {"x": 0}}, {"crop": None, "square": True}):
        assert client.patch(image, json=wrong).status_code == 422
    assert client.delete(image).status_code == 204
    assert names(client, mika) == ["mika-02.png"] and client.get(image).status_code == 404
    undone = client.post(f"{mika}/undo", json={}).json()
    assert (undone["step"]["what"], undone["left"]) == ("removed mika-01.png", [])
    assert names(client, mika) == ["mika-01.png", "mika-02.png"]


def test_an_upload_that_was_cut_off_goes_on(client: TestClient, mika: str, studio: Studio) -> None:
    data = png(size=(300, 200)) + bytes(5000)
    there, size = f"{mika}/files/a%20b.png", len(data)
    assert client.head(there, headers={"Upload-Length": str(size)}).status_code == 404
    part = client.put(there, content=data[:1000], headers={"Content-Range": f"bytes 0-999/{size}"})
    assert (part.status_code, part.json()) == (202, {"received": 1000, "total": size})
    told = client.head(there, headers={"Upload-Length": str(size)})
    assert (told.status_code, told.headers["Upload-Offset"]) == (200, "1000")
    wrong = client.put(there, content=data[900:], headers={"Content-Range": f"bytes 900-{size - 1}/{size}"})
    assert wrong.status_code == 409 and "go on from 1000" in wrong.json()["errors"][0]["fix"]
    whole = client.put(there, content=data[1000:], headers={"Content-Range": f"bytes 1000-{size - 1}/{size}"})
    assert (whole.status_code, whole.json()["pictures"]) == (201, ["a b.png"])
    # Whoever missed the answer asks again, and gets it.
    assert client.head(there, headers={"Upload-Length": str(size)}).headers["Upload-Offset"] == str(size)
    again = client.put(there, content=b"", headers={"Content-Range": f"bytes {size}-{size - 1}/{size}"})
    assert (again.status_code, again.json()) == (201, whole.json())
    uploaded = client.get(f"{mika}/uploads").json()["uploads"]
    assert (uploaded[0]["name"], uploaded[0]["result"]) == ("a b.png", whole.json())
    assert client.delete(f"{mika}/uploads").status_code == 204
    assert client.get(f"{mika}/uploads").json()["uploads"] == [] and "a b.png" in names(client, mika)
    assert not list(studio.uploads.rglob("data"))


def test_another_file_of_the_same_name_and_size_is_not_gone_on_with(client: TestClient, mika: str) -> None:
    data = png(size=(300, 200)) + bytes(5000)
    there, size = f"{mika}/files/a.png", str(len(data))
    part = {"Content-Range": f"bytes 0-999/{size}", "Upload-Stamp": "1700000000000"}
    assert client.put(there, content=data[:1000], headers=part).status_code == 202
    ask = {"Upload-Length": size}
    assert client.head(there, headers=ask | {"Upload-Stamp": "1700000000000"}).headers["Upload-Offset"] == "1000"
    assert client.head(there, headers=ask | {"Upload-Stamp": "1800000000000"}).status_code == 404
    rest = {"Content-Range": f"bytes 1000-{len(data) - 1}/{size}", "Upload-Stamp": "1800000000000"}
    assert client.put(there, content=data[1000:], headers=rest).status_code == 409
    rest["Upload-Stamp"] = "1700000000000"
    assert client.put(there, content=data[1000:], headers=rest).json()["pictures"] == ["a.png"]


def test_the_connection_breaks_and_what_came_stays(client: TestClient, mika: str, studio: Studio) -> None:
    data = png(size=(300, 200)) + bytes(5000)
    owner = f"dataset:{mika.rpartition('/')[2]}"
    with uploads.going_on(studio, owner, "x.png", len(data), 0, len(data)) as incoming:  # as if it were still sending
        incoming.write(data[:700])
        assert client.put(f"{mika}/files/x.png", content=data).json()["pictures"] == ["x.png"]  # another is not held up
        busy = client.put(
            f"{mika}/files/x.png", content=data[700:],
            headers={"Content-Range": f"bytes 700-{len(data) - 1}/{len(data)}"},
        )  # fmt: skip
        assert busy.status_code == 409
    assert client.head(f"{mika}/files/x.png").headers["Upload-Offset"] == "700"


def test_a_refused_upload_says_why_and_is_not_in_the_way(client: TestClient, mika: str, studio: Studio) -> None:
    for name, data, status, words in (
        ("a.png", b"no picture", 422, "a.png: is none of"),
        ("a.png", png()[:-30], 422, "damaged or cut off"),
        ("a.png", b"", 422, "empty file"),
        ("a.exe", b"x", 422, "neither a picture nor a caption"),
        ("..%2F..%2Fevil.png", png(), 422, "leads out"),
        ("a%00.png", png(), 422, "cannot be shown"),
        ("%2Fetc%2Fevil.png", png(), 422, "leads out"),
        ("mika-01.txt", b"other words", 409, "another caption"),
        ("a.zip", b"PK", 422, "damaged"),
    ):
        answer = client.put(f"{mika}/files/{name}", content=data)
        assert (answer.status_code, words in answer.json()["detail"]) == (status, True), (name, answer.text)
        assert str(studio.root) not in answer.text
    assert not list(studio.workspace.rglob("*evil*"))
    assert client.put(f"{mika}/files/a.png", content=png()).json()["pictures"] == ["a.png"]


def test_too_large_a_file_is_refused(client: TestClient, mika: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "MOST_BYTES", 1000)

    def in_pieces() -> Iterator[bytes]:
        for _ in range(20):
            yield bytes(100)

    told = client.put(f"{mika}/files/a.png", content=bytes(1001))
    assert told.status_code == 413 and "at most 1,000" in told.json()["detail"]
    assert client.put(f"{mika}/files/a.png", content=in_pieces()).status_code == 422  # its size was not told
    assert (
        client.put(f"{mika}/files/a.png", content=b"x", headers={"Content-Range": "bytes 0-0/9999"}).status_code == 413
    )
    assert client.put(f"{mika}/files/a.png", content=b"x", headers={"Content-Range": "items 1"}).status_code == 422
    assert names(client, mika) == ["mika-01.png", "mika-02.png"]


def test_uploads_may_be_larger_than_other_requests(client: TestClient, mika: str) -> None:
    data = png() + bytes(5 << 20)
    assert client.put(f"{mika}/files/a.png", content=data).status_code == 201
    assert client.patch(mika, content=data, headers={"Content-Type": "application/json"}).status_code == 413


def test_two_uploads_of_one_name_at_once_are_two_pictures(client: TestClient, mika: str) -> None:
    colours = ("red", "green", "blue", "white", "black", "gold")
    with ThreadPoolExecutor(6) as pool:
        answers = pool.map(lambda colour: client.put(f"{mika}/files/new.png", content=png(colour)), colours)
    sent = [answer.json()["pictures"][0] for answer in answers]
    assert sorted(sent) == sorted(["new.png", *(f"new-{n}.png" for n in range(2, 7))])
    shown = [client.get(f"{mika}/pictures/{name}").content for name in sent]
    assert shown == [png(colour) for colour in colours]


def test_folders_and_archives_are_understood(client: TestClient) -> None:
    address = f"{API}/{client.post(API, json={'name': 'Night', 'kind': 'edit'}).json()['id']}"
    client.put(f"{address}/files/drop/before/1.png", content=png("white"))
    assert client.put(f"{address}/files/drop/after/1.png", content=png("black")).json()["pairs"] == 1
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as pack:
        for side, colour in (("before", "red"), ("after", "navy")):
            pack.writestr(f"{side}/2.png", png(colour))
        pack.writestr("after/2.txt", "make it blue")
    assert client.put(f"{address}/files/more.zip", content=packed.getvalue()).json()["pairs"] == 1
    pairs = client.get(f"{address}/pairs").json()
    assert pairs["count"] == 2 and pairs["pairs"][1]["instruction"] == "make it blue"


def test_pairs_take_the_hosted_trainers_names(client: TestClient) -> None:
    address = f"{API}/{client.post(API, json={'name': 'Night', 'kind': 'edit'}).json()['id']}"
    ids = []
    for name, colour in (("a", "white"), ("b", "black"), ("c", "grey")):
        data = base64.b64encode(png(colour)).decode()
        told = client.post(
            f"{address}/training-images", json={"name": f"{name}.png", "data": f"data:image/png;base64,{data}"}
        )
        assert told.status_code == 201
        ids.append(told.json()["trainingImage"]["id"])
    body = [{"sourceId": ids[0], "targetId": ids[1], "instruction": "make it night"}]
    for _ in range(2):
        told = client.put(f"{address}/training-images/pairs", json=body).json()
    assert told == {"count": 1, "pairs": [
        {"sources": ["a.png"], "target": "b.png", "instruction": "make it night", "author": "person"},
    ]}  # fmt: skip
    assert client.post(f"{address}/pairs", json={"pairs": [{"before": "b.png", "after": "c.png"}]}).json()["count"] == 2
    assert client.post(f"{address}/pairs/swap", json={"targets": ["c.png"]}).status_code == 409
    assert client.post(f"{address}/pairs/separate", json={"targets": ["c.png"]}).json()["count"] == 1
    assert client.post(f"{address}/pairs/swap", json={"targets": ["b.png"]}).json()["pairs"][0]["target"] == "a.png"
    unknown = client.put(f"{address}/pairs", json=[{"sourceId": "x.png", "targetId": "b.png"}])
    assert unknown.status_code == 404
    bad = client.post(f"{address}/training-images", json={"name": "d.png", "data": "no base64!"})
    assert bad.status_code == 422 and bad.json()["errors"][0]["field"] == "data"


def test_a_training_image_keeps_its_description(client: TestClient, mika: str) -> None:
    data = base64.b64encode(png()).decode()
    told = client.post(f"{mika}/training-images", json={"name": "d.png", "data": data, "description": "mika_char"})
    image = told.json()["trainingImage"]
    assert (image["description"], image["automaticCaptioning"]) == ("mika_char", "")
    assert client.get(image["downloadUrl"]).content == png()


def test_captions_in_bulk(client: TestClient, mika: str) -> None:
    both = ["mika-01.png", "mika-02.png"]
    assert (
        client.post(f"{mika}/captions/replace", json={"find": "mika_char", "replace": "Mika"}).json()["changed"] == both
    )
    audit = client.get(f"{mika}/captions/trigger").json()
    assert (audit["has"], audit["lacks"] + list(audit["spelled_otherwise"])) == ([], both)
    assert client.post(f"{mika}/captions/trigger", json={"images": both[:1]}).json()["changed"] == both[:1]
    assert client.post(f"{mika}/captions/prefix", json={"prefix": "photo of"}).json()["changed"] == both
    assert client.get(f"{mika}/images/mika-01.png").json()["caption"].startswith("photo of mika_char")
    steps = client.get(f"{mika}/steps").json()["steps"]
    assert [step["undone"] for step in steps] == [False] * len(steps) and len(steps) >= 3
    assert client.post(f"{mika}/captions/replace", json={"find": ""}).status_code == 422


def test_findings_and_fixes(client: TestClient, mika: str) -> None:
    client.put(f"{mika}/files/copy.png", content=(MIKA / "mika-01.png").read_bytes())
    found = client.get(f"{mika}/check").json()["findings"]
    copies = next(f for f in found if f["check"] == "duplicates")
    assert (sorted(copies["images"]), copies["fixes"]) == (["copy.png", "mika-01.png"], ["remove_copies"])
    fixed = client.post(f"{mika}/fixes", json={"fix": "remove_copies"}).json()
    assert fixed == {"words": "1 copy was set aside.", "job": None}
    job = client.post(f"{mika}/fixes", json={"fix": "enlarge", "images": ["mika-02.png"]}).json()["job"]
    assert (job["verb"], job["state"]) == ("enhance", "queued")
    assert client.post(f"{mika}/fixes", json={"fix": "explode"}).status_code == 422
    ideas = client.get(f"{mika}/prompts").json()["prompts"]
    assert any("mika_char" in idea["prompt"] for idea in ideas)


def test_captioning_is_queued_with_settings_that_are_checked(client: TestClient, mika: str) -> None:
    for wrong, field in (
        ({"caption": {"engine": "magic"}}, "caption.engine"),
        ({"caption": {"max_word": 3}}, "caption.max_word"),
        ({"overwrite": "always"}, "overwrite"),
        (
            {"caption": {"engine": "ollama", "model": "x"}, "server": {"endpoint": "http://10.0.0.1:80"}},
            "server.endpoint",
        ),
    ):
        told = client.post(f"{mika}/captions", json=wrong)
        assert told.status_code == 422 and told.json()["errors"][0]["field"] == field, told.text
    job = client.post(f"{mika}/captions", json={"caption": {"max_words": 20}})
    assert job.status_code == 202 and job.json()["subject"] == f"dataset:{mika.rpartition('/')[2]}"
    assert client.post(f"{mika}/captions", json={}).status_code == 409


def test_versions_are_made_compared_brought_back_and_exported(client: TestClient, mika: str) -> None:
    first = client.post(f"{mika}/versions", json={"note": "first"})
    assert (first.status_code, first.json()["number"], first.json()["pictures"]) == (201, 1, 2)
    assert client.post(f"{mika}/versions", json={}).json() == first.json()
    client.patch(f"{mika}/images/mika-01.png", json={"caption": "other words"})
    changes = client.get(f"{mika}/versions/1/changes").json()
    assert [(c["name"], c["after"]) for c in changes["captions"]] == [("mika-01", "other words")] and not changes[
        "same"
    ]
    client.post(f"{mika}/versions/1/restore", json={})
    assert client.get(f"{mika}/versions/1/changes").json()["same"]
    assert [v["number"] for v in client.get(f"{mika}/versions").json()["versions"]] == [2, 1]
    assert client.get(f"{mika}/versions/3").status_code == 404
    exported = client.get(f"{mika}/export", params={"version": 2})
    with zipfile.ZipFile(io.BytesIO(exported.content)) as pack:
        assert pack.read("mika-01.txt") == b"other words\n"
    assert 'filename="Mika-v2.zip"' in exported.headers["content-disposition"]
    copy = client.post(f"{mika}/duplicate", json={"version": 2}).json()
    assert (copy["name"], copy["pictures"]) == ("Mika copy", 2)


@pytest.mark.parametrize(
    "name", ["..%2F..%2Fstudio.db", ".likeness%2Fcaptions.jsonl", "mika-01.txt", "%00", "nobody.png"]
)
def test_nothing_but_pictures_is_shown(client: TestClient, mika: str, name: str) -> None:
    for kind in ("images", "pictures", "thumbnails"):
        assert client.get(f"{mika}/{kind}/{name}").status_code == 404


def test_of_a_large_dataset_only_those_asked_for_are_opened(
    client: TestClient, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = datasets.create(studio, "Many")
    folder = datasets.files_of(studio, row.id)
    for number in range(200):
        (folder / f"{number}.png").write_bytes(png())
        (folder / f"{number}.txt").write_text(f"picture {number}")
    opened: list[Path] = []
    monkeypatch.setattr(files, "glance", lambda path: (opened.append(path), glance(path))[1])
    told = client.get(f"{API}/{row.id}/images", params={"limit": 40, "offset": 40}).json()
    assert (told["total"], len(told["images"]), told["images"][0]["caption"]) == (200, 40, "picture 40")
    assert len(opened) == 40


@pytest.fixture
def address(studio: Studio) -> Iterator[tuple[str, int]]:
    """Where a real server listens."""
    server = uvicorn.Server(uvicorn.Config(create_app(studio), port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[:2]
    server.should_exit = True
    thread.join()


def test_over_the_wire_a_broken_upload_is_gone_on_with(studio: Studio, address: tuple[str, int]) -> None:
    row = datasets.create(studio, "Mika")
    data = png(size=(400, 300)) + bytes(3 << 20)
    there = f"{API}/{row.id}/files/a.png"
    with socket.create_connection(address) as wire:
        head = f"PUT {there} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(data)}\r\n\r\n"
        wire.sendall(head.encode() + data[: 2 << 20])
        owner = f"dataset:{row.id}"
        while not (kept := uploads.listed(studio, owner)) or kept[0].received < 1 << 20:
            time.sleep(0.01)
    with httpx.Client(base_url=f"http://127.0.0.1:{address[1]}") as client:
        for _ in range(500):  # the server sees a moment later that nobody is there
            offset = int(client.head(there, headers={"Upload-Length": str(len(data))}).headers["Upload-Offset"])
            how = {"Content-Range": f"bytes {offset}-{len(data) - 1}/{len(data)}"}
            if (answer := client.put(there, content=data[offset:], headers=how)).status_code != 409:
                break
            time.sleep(0.01)
        assert offset >= 1 << 20 and answer.json()["pictures"] == ["a.png"]
        assert client.get(f"{API}/{row.id}/pictures/a.png").content == data
