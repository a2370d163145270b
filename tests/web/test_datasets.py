"""The shelf of datasets, the page of one, and the panel in which its pictures are worked on."""

import json
import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from likeness.errors import NotFound
from likeness.service.workers import Order
from likeness.store.tables import Dataset, Run
from likeness.studio import datasets, preferences, queue, uploads
from likeness.studio.datasets import arrivals, captions, pairs
from likeness.studio.queue import Entry
from likeness.studio.workspace import Studio
from likeness.web.routes import dataset_panel as pages
from tests.studio.datasets_at_hand import EXAMPLES, put
from tests.web.conftest import FROM_PAGE


@pytest.fixture
def careless(studio: Studio) -> Dataset:
    row = datasets.create(studio, "Careless", trigger="mika_char", base="starter")
    arrivals.take_folder(studio, row.id, EXAMPLES / "bad" / "mika-careless")
    return row


@pytest.fixture
def night(studio: Studio, tmp_path: Path) -> Dataset:
    row = datasets.create(studio, "Night", "edit")
    for name, colour in (("a.png", "white"), ("b.png", "black"), ("c.png", "grey")):
        put(studio, row.id, tmp_path, name, colour=colour)
    return row


def post(client: TestClient, path: str, **data: str) -> str:
    answer = client.post(path, data=data, headers=FROM_PAGE)
    assert answer.status_code == 200, answer.text
    return answer.text


def card(page: str, name: str) -> str:
    """What stands beside a picture."""
    return page.partition(f'<article class="dataset-card" aria-label="{name}">')[2].partition("</article>")[0]


def test_the_shelf_shows_searches_and_goes_on(studio: Studio, client: TestClient, careless: Dataset):
    for number in range(50):
        datasets.create(studio, f"set {number}", "style")
    page = client.get("/datasets").text
    assert "51 datasets" in page and page.count('class="card"') == 48 and "offset=48" in page
    rest = client.get("/datasets?offset=48", headers={"HX-Request": "true"}).text
    assert rest.count('class="card"') == 3 and "Careless" in rest and "<nav" not in rest
    found = client.get("/datasets?search=mika_char", headers={"HX-Request": "true"}).text
    assert "1 dataset<" in found and "14 pictures" in found and "<html" not in found
    assert "Nothing fits" in client.get("/datasets?search=nobody").text
    assert "The bin is empty" in client.get("/datasets?bin=true").text


def test_an_empty_shelf_says_what_to_do(client: TestClient):
    assert "No datasets yet" in client.get("/datasets").text


def test_a_dataset_is_made_and_what_is_wrong_is_told_at_its_field(studio: Studio, client: TestClient):
    wrong = post(client, "/datasets", name="a/b", kind="character", trigger="x" * 200)
    assert 'id="name-error"' in wrong and 'id="trigger-error"' in wrong and "data-open-now" in wrong
    assert 'value="a/b"' in wrong and datasets.listed(studio)[1] == 0
    made = client.post("/datasets", data={"name": "Mika", "trigger": "mika_char"}, headers=FROM_PAGE)
    assert made.headers["HX-Redirect"] == f"/datasets/{datasets.get(studio, 'Mika').id}"


def test_settings_are_changed_deleted_restored_and_erased(studio: Studio, client: TestClient, careless: Dataset):
    here = f"/datasets/{careless.id}"
    page = client.get(here).text
    assert "Careless" in page and f'hx-get="{here}/panel"' in page and f"/train?dataset={careless.id}" in page
    datasets.create(studio, "Other")
    assert "there is a dataset &#39;Other&#39; already" in post(client, f"{here}/edit", name="Other", kind="style")
    client.post(f"{here}/edit", data={"name": "New", "kind": "style", "trigger": "t_x"}, headers=FROM_PAGE)
    assert (datasets.get(studio, "New").kind, datasets.get(studio, "New").base) == ("style", "")
    client.post(f"{here}/delete", headers=FROM_PAGE)
    page = client.get(here).text
    assert "in the bin" in page and "/panel" not in page and "New" in client.get("/datasets?bin=true").text
    client.post(f"{here}/restore", headers=FROM_PAGE)
    assert datasets.get(studio, "New")
    client.post(f"{here}/delete", headers=FROM_PAGE)
    client.post(f"{here}/erase", headers=FROM_PAGE)
    assert client.get(here).status_code == 404


def test_the_panel_shows_pictures_at_once_and_is_checked_then(client: TestClient, careless: Dataset):
    here = f"/datasets/{careless.id}"
    panel = client.get(f"{here}/panel").text
    assert "<drop-zone" in panel and f"/api/v1/datasets/{careless.id}/files/" in panel
    assert "are being checked" in panel and 'hx-trigger="load"' in panel and "Remove the copies" not in panel
    checked = client.get(f"{here}/pictures").text
    assert "14 pictures" in checked and "are being checked" not in checked and 'hx-trigger="load"' not in checked
    assert checked.count('<article class="dataset-card"') == 14
    assert "too small" in card(checked, "mika-02.png") and "Enhance 2×" in card(checked, "mika-02.png")
    assert "no trigger" in card(checked, "mika-06.png") and "Write the trigger" in card(checked, "mika-06.png")
    assert "Remove the copies" in checked and "in 11 of 14 captions, spelled differently in 1" in checked


def test_of_many_pictures_some_are_shown_and_more_on_request(client: TestClient, careless: Dataset):
    here = f"/datasets/{careless.id}/pictures?check=false"
    few = client.get(f"{here}&shown=5").text
    assert few.count("<article") == 5 and "Show 9 more" in few
    more = client.get(f"{here}&shown=5&more=true").text
    assert more.count("<article") == 14 and "Show" not in more and 'name="shown" value="65"' in more


def test_captions_are_edited_in_place(studio: Studio, client: TestClient, careless: Dataset):
    here = f"/datasets/{careless.id}"
    page = post(client, f"{here}/caption", name="mika-06.png", caption="mika_char on a boat, at dusk")
    assert "mika_char on a boat, at dusk</textarea>" in card(page, "mika-06.png")
    assert "by you" in card(page, "mika-06.png") and "no trigger" not in card(page, "mika-06.png")
    assert "Last: wrote the caption of mika-06.png" in page
    step = json.loads(re.findall(r'hx-vals="({[^"]*step[^"]*})"', page)[0].replace("&#34;", '"'))["step"]
    page = post(client, f"{here}/undo", step=str(step))
    assert "at dusk" not in page and "no trigger" in card(page, "mika-06.png") and "Undone: wrote" in page


def test_each_fix_is_one_click(studio: Studio, client: TestClient, careless: Dataset):
    here = f"/datasets/{careless.id}"
    page = post(client, f"{here}/fix", fix="remove_copies", images=json.dumps(["mika-01.png", "mika-13.png"]))
    assert "13 pictures" in page and "1 copy was set aside." in page
    page = post(client, f"{here}/fix", fix="trim", images=json.dumps(["mika-05.png"]))
    assert ">cropped<" in card(page, "mika-05.png") and "bars" not in card(page, "mika-05.png")
    page = post(client, f"{here}/fix", fix="enlarge", images=json.dumps(["mika-02.png"]))
    assert "waits in the queue" in page and 'hx-trigger="tick from:body"' in page
    (job,) = queue.listed(studio)
    page = post(client, f"{here}/stop", job=job.id)
    assert "waits in the queue" not in page and queue.get(studio, job.id).state == "canceled"
    assert "ended already" in post(client, f"{here}/stop", job=job.id)
    for wrong in ("no json", '{"a": 1}', "[1]"):
        answer = client.post(f"{here}/fix", data={"fix": "square", "images": wrong}, headers=FROM_PAGE)
        assert answer.status_code == 422 and "images: are not names" in answer.text


def test_a_job_of_another_dataset_is_not_stopped_from_here(studio: Studio, client: TestClient, careless: Dataset):
    job = queue.submit(studio, Order("sample", {}), Entry("another's"))
    post(client, f"/datasets/{careless.id}/stop", job=job.id)
    assert queue.get(studio, job.id).state == "queued"


def test_pictures_are_cropped_in_place(studio: Studio, client: TestClient, careless: Dataset):
    here = f"/datasets/{careless.id}"
    dialog = client.get(f"{here}/crop", params={"name": "mika-01.png"}).text
    assert "<crop-box" in dialog and 'pixels="128x128"' in dialog and 'least="128"' in dialog
    page = post(client, f"{here}/crop", name="mika-01.png", crop="0.25,0.25,0.5,0.5")
    assert ">cropped<" in card(page, "mika-01.png")
    assert datasets.find(studio, careless.id, "mika-01.png").crop == (0.25, 0.25, 0.5, 0.5)
    assert 'value="0.250000,0.250000,0.500000,0.500000"' in client.get(f"{here}/crop?name=mika-01.png").text
    for wrong in ("a,b,c,d", "1,2", "0,0,9,9", "nan,0,1,1"):
        answer = client.post(f"{here}/crop", data={"name": "mika-01.png", "crop": wrong}, headers=FROM_PAGE)
        assert answer.status_code == 422 and 'class="toast error"' in answer.text
    assert ">cropped<" not in card(post(client, f"{here}/fix", fix="uncrop", images='["mika-01.png"]'), "mika-01.png")
    assert client.get(f"{here}/crop?name=nobody.png").status_code == 404


def test_uploads_that_were_cut_off_are_listed_and_forgotten(
    studio: Studio, client: TestClient, careless: Dataset, monkeypatch: pytest.MonkeyPatch
):
    here = f"/datasets/{careless.id}"
    with uploads.going_on(studio, f"dataset:{careless.id}", "big.zip", 9_000_000, 0, 10**9) as incoming:
        incoming.write(bytes(3_000_000))
    assert "big.zip" not in client.get(f"{here}/pictures?check=false").text  # it may be on its way
    monkeypatch.setattr(pages, "LATE_SECONDS", 0)
    page = client.get(f"{here}/pictures?check=false").text
    assert "1 upload was cut off" in page and "big.zip: 3.0 MB of 9.0 MB" in page
    assert "big.zip" not in post(client, f"{here}/forget") and uploads.listed(studio, f"dataset:{careless.id}") == []


def test_captions_in_bulk(studio: Studio, client: TestClient, careless: Dataset):
    here = f"/datasets/{careless.id}"
    assert "captions changed" in post(client, f"{here}/replace", find="MIKA_CHAR", replace="somebody", any_case="on")
    assert "14 captions changed." in post(client, f"{here}/prefix", prefix="photo of")
    assert "in 0 of 14 captions" in client.get(f"{here}/pictures?check=false").text
    page = post(client, f"{here}/fix", fix="add_trigger")
    assert "in 14 of 14 captions" in page
    steps = client.get(f"{here}/steps").text
    assert "put &#39;photo of&#39; in front in 14 captions" in steps and steps.count("/undo") == 3
    assert "All are square." in post(client, f"{here}/square")


def test_captions_are_written_by_a_machine_while_one_looks_on(studio: Studio, client: TestClient, careless: Dataset):
    here = f"/datasets/{careless.id}"
    preferences.change(studio, "captions", {"servers": ["http://127.0.0.1:1234/v1"]})
    assert "http://127.0.0.1:1234/v1" in client.get(f"{here}/panel").text
    for wrong, words in (
        ({"engine": "magic"}, "engine: "), ({"max_words": "1"}, "max_words: "), ({"overwrite": "x"}, "overwrite: "),
        ({"engine": "ollama", "endpoint": "http://10.0.0.1"}, "server.endpoint: "),
    ):  # fmt: skip
        answer = client.post(f"{here}/auto", data=wrong, headers=FROM_PAGE)
        assert answer.status_code == 422 and words in answer.text
    page = post(client, f"{here}/auto", overwrite="all", max_words="20", leave_out="red, blue", model="ignored")
    assert "Caption Careless: waits in the queue" in page and 'hx-trigger="tick from:body"' in page
    (job,) = queue.listed(studio)
    asked = json.loads((Path(job.folder) / "job.json").read_text())
    assert (asked["overwrite"], asked["caption"]["max_words"], asked["caption"]["trigger"]) == ("all", 20, "mika_char")
    assert asked["caption"]["leave_out"] == ["red", "blue"] and asked["caption"]["model"] == ""


def test_pairs_are_made_swapped_and_taken_apart(studio: Studio, client: TestClient, night: Dataset):
    here = f"/datasets/{night.id}"
    assert "Pair pictures" in client.get(f"{here}/pictures").text
    page = post(client, f"{here}/pair", source="a.png", target="b.png", instruction="make it night")
    assert "1 pair" in page and "make it night</textarea>" in page and "2 more" not in page
    assert (
        client.post(f"{here}/pair", data={"source": "c.png", "target": "c.png"}, headers=FROM_PAGE).status_code == 409
    )
    post(client, f"{here}/fix", fix="swap", images='["b.png"]')
    assert datasets.find(studio, night.id, "a.png").sources == ("b.png",)
    assert "Pair pictures" in post(client, f"{here}/separate", name="a.png")


def test_versions_are_kept_compared_and_brought_back(studio: Studio, client: TestClient, careless: Dataset):
    here = f"/datasets/{careless.id}"
    page = post(client, f"{here}/freeze", note="as it came")
    assert "Version 1 is kept." in page and "as it came" in page and "no run" in page
    assert "has this very content already" in post(client, f"{here}/freeze")
    captions.set_caption(studio, careless.id, "mika-01.png", "<b>other</b> words")
    changes = client.get(f"{here}/versions/1/changes").text
    assert "<ins>&lt;b&gt;other&lt;/b&gt; words</ins>" in changes and "mika-01" in changes
    answer = client.post(f"{here}/versions/1/restore", headers=FROM_PAGE)
    assert "dataset-pictures" in answer.headers["HX-Trigger"] and "before version 1 was brought back" in answer.text
    assert "Nothing has changed" in client.get(f"{here}/versions/1/changes").text
    with studio.database.session() as session:
        session.add(Run(name="mika-run", dataset_id=careless.id, dataset_version=1))
    assert 'href="/runs/mika-run"' in client.get(here).text


def test_what_people_type_is_shown_and_never_run(studio: Studio, client: TestClient, tmp_path: Path):
    bad = "<script>alert(1)</script>\"'"
    row = datasets.create(studio, "<script>x<script>", trigger="\"'><img src=x>", description=bad)
    put(studio, row.id, tmp_path, "a'onload=x&.png")
    (name,) = [p.name for p in datasets.pictures(studio, row.id)[0]]
    captions.set_caption(studio, row.id, name, bad)
    for path in ("", "/panel", "/pictures", "/steps", f"/crop?name={name.replace('&', '%26')}"):
        text = client.get(f"/datasets/{row.id}{path}").text
        assert "<script>alert" not in text and "<script>x" not in text and "<img src=x>" not in text, path
    assert "<script>x" not in client.get("/datasets").text


def test_what_is_not_there_is_told(client: TestClient, studio: Studio):
    for path in ("", "/panel", "/pictures", "/steps", "/crop?name=a.png", "/versions/1/changes"):
        assert client.get(f"/datasets/nobody{path}").status_code == 404
    with pytest.raises(NotFound):
        pairs.remove(studio, "nobody", [])


def test_page_and_rest_do_the_same(studio: Studio, client: TestClient, tmp_path: Path):
    """Every deed of the page, done once by it and once over REST, leaves the same files."""
    page, rest = (datasets.create(studio, name, trigger="mika_char").id for name in ("page", "rest"))
    for row in (page, rest):
        arrivals.take_folder(studio, row, EXAMPLES / "bad" / "mika-careless")
    crop = {"x": 0.25, "y": 0, "width": 0.5, "height": 1}
    post(client, f"/datasets/{page}/crop", name="mika-01.png", crop="0.25,0,0.5,1")
    client.patch(f"/api/v1/datasets/{rest}/images/mika-01.png", json={"crop": crop})
    post(client, f"/datasets/{page}/caption", name="mika-02.png", caption="two")
    client.patch(f"/api/v1/datasets/{rest}/images/mika-02.png", json={"caption": "two"})
    post(client, f"/datasets/{page}/replace", find="sad", replace="glad")
    client.post(f"/api/v1/datasets/{rest}/captions/replace", json={"find": "sad", "replace": "glad"})
    post(client, f"/datasets/{page}/prefix", prefix="photo of")
    client.post(f"/api/v1/datasets/{rest}/captions/prefix", json={"prefix": "photo of"})
    for fix in ("add_trigger", "remove_copies", "trim"):
        post(client, f"/datasets/{page}/fix", fix=fix)
        client.post(f"/api/v1/datasets/{rest}/fixes", json={"fix": fix})
    post(client, f"/datasets/{page}/fix", fix="remove", images='["mika-03.png"]')
    client.delete(f"/api/v1/datasets/{rest}/images/mika-03.png")
    one, other = (
        {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
        for folder in (datasets.files_of(studio, page), datasets.files_of(studio, rest))
    )
    assert one == other and len(one) > 20
