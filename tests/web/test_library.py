"""The pages of the library: what they show, and that their buttons do what the REST routes do."""

import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from likeness.store.tables import Model
from likeness.studio import bundles, layouts, library, models, queue, shares
from likeness.studio.library import Filter
from likeness.studio.models import Words
from likeness.studio.workspace import Studio
from tests.tiny_lora import write_lora, write_run
from tests.web.conftest import FROM_PAGE


@pytest.fixture
def mika(studio: Studio) -> Model:
    write_run(studio.workspace)
    return models.publish(studio, "mika", 2, description="A girl", tags=["girl"], strength=0.8)


def shelf(studio: Studio, tmp_path: Path, count: int) -> None:
    for number in range(count):
        file = write_lora(tmp_path / f"{number}.safetensors", number + 500, metadata={})
        models.import_lora(studio, file, file.name, Words(f"model {number:03d}", tags=[f"tag{number % 2}"]))


def names(text: str) -> list[str]:
    return re.findall(r'<a class="cut" href="/library/[0-9a-f]+">([^<]*)</a>', text)


# --- the shelf


def test_an_empty_library_says_where_models_come_from(client: TestClient) -> None:
    text = client.get("/library").text
    assert "Nothing is on the shelf yet" in text and 'href="/runs"' in text and 'data-open="import"' in text


def test_the_shelf_is_searched_filtered_and_turned_page_by_page(
    studio: Studio, client: TestClient, tmp_path: Path
) -> None:
    shelf(studio, tmp_path, 45)
    first = client.get("/library", params={"sort": "name"}).text
    assert names(first)[0] == "model 000" and len(names(first)) == 40 and "45 models" in first
    more = re.search(r'hx-get="([^"]*offset=40[^"]*)"', first)
    assert more
    rest = client.get(more[1].replace("&amp;", "&"), headers=FROM_PAGE).text
    assert names(rest) == [f"model {n:03d}" for n in range(40, 45)] and "<html" not in rest and "Show more" not in rest
    found = client.get("/library", params={"search": "model 01", "tag": "tag1", "sort": "name"}, headers=FROM_PAGE).text
    wanted = [f"model {n:03d}" for n in range(45) if "01" in f"{n:03d}" and n % 2]
    assert names(found) == wanted and found.lstrip().startswith("<div")
    assert "Nothing fits" in client.get("/library", params={"search": "nobody"}).text


def test_what_people_write_is_shown_as_text(studio: Studio, client: TestClient, mika: Model) -> None:
    evil = '<img src=x onerror="alert(1)">'
    models.update(studio, mika.id, Words(name=evil, description=evil, tags=[evil[:40]], trigger=evil))
    for url in ("/library", f"/library/{mika.id}", f"/generate?model={mika.id}", f"/merge?model={mika.id}",
                f"/library?search={evil}", shares.share(studio, mika.id).path):  # fmt: skip
        text = client.get(url).text
        assert "<img src=x" not in text and "&lt;img src=x" in text, url


def test_the_archive_and_the_bin_are_shelves_too(studio: Studio, client: TestClient, mika: Model) -> None:
    models.archive(studio, mika.id)
    assert names(client.get("/library").text) == [] and names(client.get("/library?view=archive").text) == ["mika"]
    models.delete_model(studio, mika.id)
    assert names(client.get("/library?view=archive").text) == [] and names(client.get("/library?view=bin").text) == [
        "mika"
    ]


# --- a model


def test_a_models_page_tells_all(client: TestClient, mika: Model) -> None:
    text = client.get(f"/library/{mika.id}").text
    for words in ("A girl", "mika_char", "Likeness starter", "epoch 2 of 3", "Sweet spot: epochs 2–3", "0.80 ±0.02",
                  "optim.learning_rate", "/runs/mika", f'href="/generate?model={mika.id}"'):  # fmt: skip
        assert words in text, words
    assert text.count("/api/v1/models/") > 3 and "/home/ada" not in text
    assert client.get("/library/none").status_code == 404


def test_words_are_edited_and_mistakes_told_at_their_field(studio: Studio, client: TestClient, mika: Model) -> None:
    url = f"/library/{mika.id}/edit"
    filled = {"name": "", "strength": "much", "tags": "x", "kind": "style", "base": "starter", "trigger": "t"}
    wrong = client.post(url, data=filled, headers=FROM_PAGE).text
    assert "is no number" in wrong and "data-open-now" in wrong and models.get(studio, mika.id).name == "mika"
    right = client.post(url, data=filled | {"name": "Mika", "strength": "0.9", "tags": "a, b"}, headers=FROM_PAGE).text
    now = models.get(studio, mika.id)
    assert (now.name, now.strength, now.kind, now.trigger) == ("Mika", 0.9, "style", "t")
    assert models.tags_of(studio, [mika.id])[mika.id] == ["a", "b"] and "Saved" in right


def test_buttons_do_what_they_say(studio: Studio, client: TestClient, mika: Model) -> None:
    def press(verb: str) -> str:
        answer = client.post(f"/library/{mika.id}/{verb}", headers=FROM_PAGE)
        assert answer.status_code in (200, 204), answer.text
        return answer.text

    press("archive")
    assert models.get(studio, mika.id).archived
    press("archive")
    assert not models.get(studio, mika.id).archived
    second = mika.examples[1]["id"]
    press(f"examples/{second}/first")
    assert models.get(studio, mika.id).thumbnail == f"examples/{second}.png"
    press(f"examples/{second}/unpin")
    assert len(models.get(studio, mika.id).examples) == 2
    assert "Put it back" in press("delete") and models.get(studio, mika.id, binned=True).deleted is not None
    press("restore")
    assert models.get(studio, mika.id).deleted is None
    twin = client.post(f"/library/{mika.id}/duplicate", headers=FROM_PAGE)
    place = twin.headers["HX-Redirect"]
    assert client.get(place).status_code == 200 and library.listed(studio, Filter()).total == 2
    press("delete")
    gone = client.post(f"/library/{mika.id}/remove", headers=FROM_PAGE)
    assert gone.headers["HX-Redirect"] == "/library?view=bin" and client.get(f"/library/{mika.id}").status_code == 404


def test_another_sites_form_changes_nothing(studio: Studio, client: TestClient, mika: Model) -> None:
    answer = client.post(f"/library/{mika.id}/delete", headers={"Origin": "http://evil.example"})
    assert answer.status_code == 403 and models.get(studio, mika.id).deleted is None


def test_layouts_are_made_and_followed(studio: Studio, client: TestClient, mika: Model) -> None:
    made = client.post(f"/library/{mika.id}/layouts/kohya", headers=FROM_PAGE).text
    assert "being made" in made and 'hx-trigger="tick from:body"' in made
    job = layouts.converted(studio, f"model:{mika.id}", "kohya").job
    assert job is not None
    queue.change(studio, job.id, state="failed", error="it does not go")
    failed = client.get(f"/library/{mika.id}/layouts", headers=FROM_PAGE).text
    assert "it does not go" in failed and "Try again" in failed and "hx-trigger" not in failed


def test_a_link_is_made_shown_once_and_revoked(studio: Studio, client: TestClient, mika: Model) -> None:
    made = client.post(f"/library/{mika.id}/shares", data={"days": "30"}, headers=FROM_PAGE).text
    address = re.search(r"http://127.0.0.1:8188(/shared/[\w-]+)", made)
    assert address and client.get(address[1]).status_code == 200
    assert address[1] not in client.get(f"/library/{mika.id}").text
    (row,) = shares.listed(studio, mika.id)
    client.post(f"/library/{mika.id}/shares/{row.id}/revoke", headers=FROM_PAGE)
    assert client.get(address[1]).status_code == 404


def test_publishing_tells_where_and_what_is_wrong(
    studio: Studio, client: TestClient, mika: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"/library/{mika.id}/publish"
    assert "is no whole path" in client.post(f"{url}/folder", data={"folder": "x"}, headers=FROM_PAGE).text
    told = client.post(f"{url}/folder", data={"folder": str(tmp_path / "out")}, headers=FROM_PAGE).text
    assert "Written to" in told and (tmp_path / "out/README.md").is_file()
    monkeypatch.setenv("HF_TOKEN", "hf_x")
    assert "write owner/name" in client.post(f"{url}/hub", data={"repository": "x"}, headers=FROM_PAGE).text
    sent = client.post(f"{url}/hub", data={"repository": "ada/mika", "private": "on"}, headers=FROM_PAGE).text
    job = queue.listed(studio)[0]
    assert "waits for its turn" in sent and job.verb == "publish"
    queue.change(studio, job.id, state="finished", result={"url": "https://hub.example/ada/mika"})
    assert "https://hub.example/ada/mika" in client.get(f"{url}/{job.id}", headers=FROM_PAGE).text


# --- the shared page


def test_a_link_shows_one_model_and_nothing_else(studio: Studio, client: TestClient, mika: Model) -> None:
    link = shares.share(studio, mika.id)
    answer = client.get(link.path)
    assert answer.status_code == 200 and "A girl" in answer.text and "mika_char" in answer.text
    assert answer.headers["referrer-policy"] == "no-referrer" and "noindex" in answer.headers["x-robots-tag"]
    for elsewhere in ('href="/library', 'href="/queue', "hx-post", "<form hx", "/api/v1/"):
        assert elsewhere not in answer.text, elsewhere
    picture = Path(mika.thumbnail or "").name
    assert client.get(f"{link.path}/pictures/{picture}?size=256").headers["content-type"] == "image/webp"
    assert client.get(f"{link.path}/file").content == models.lora_path(studio, mika).read_bytes()
    bundle = client.get(f"{link.path}/bundle").content
    assert bundle == bundles.write(studio, mika.id, studio.root / "x.likeness").read_bytes()


def test_a_link_that_does_not_work_tells_nothing(studio: Studio, client: TestClient, mika: Model) -> None:
    link = shares.share(studio, mika.id)
    models.delete_model(studio, mika.id)
    told = set[str]()
    for token in (link.token, "x" * 43, "%00"):
        for room in ("", "/file", "/bundle", "/pictures/x.png"):
            answer = client.get(f"/shared/{token}{room}")
            assert answer.status_code == 404 and "mika" not in answer.text and "/queue" not in answer.text
            told.add(answer.text)
    assert len(told) == 1
    assert client.post(f"/shared/{link.token}").status_code == 405


def test_only_its_pictures_are_reached_by_a_link(studio: Studio, client: TestClient, mika: Model) -> None:
    link = shares.share(studio, mika.id)
    for wrong in ("run.json", "..%2Frun.json", "mika.safetensors", "%2e%2e%2f%2e%2e%2fstudio.db"):
        assert client.get(f"{link.path}/pictures/{wrong}").status_code == 404
