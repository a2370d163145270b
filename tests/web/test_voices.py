"""The pages of voices: what they ask of the studio, and what they show of it. No worker runs."""

import re
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from likeness.store.tables import Job
from likeness.studio import queue, recordings, said, shares, voice_runs, voices
from likeness.studio.notices import page_of
from likeness.studio.workspace import Studio
from likeness.web import voice_form
from likeness.web.routes import voices as pages_of_voices
from tests.studio.voice_runs_at_hand import record, recorded, settings, tone, write_voice_run
from tests.studio.voices_at_hand import CONSENT, asked, end, put
from tests.web.conftest import FROM_PAGE

NOISE: dict[str, Any] = {"check": "noise", "severity": "warning", "message": "the speech is near the noise",
                         "fix": "denoise it", "mend": "denoise"}  # fmt: skip


def post(client: TestClient, url: str, **data: Any) -> str:
    answer = client.post(url, data=data, headers=FROM_PAGE)
    assert answer.status_code == 200, answer.text
    return answer.text


def only(studio: Studio, verb: str) -> Job:
    (job,) = queue.listed(studio, verb=verb)
    return job


def checked(studio: Studio, job: Job, *findings: dict[str, Any]) -> None:
    """As the worker leaves it."""
    rows = [{"path": path, "figures": {"seconds": 1.0, "speech_seconds": 0.9}, "findings": list(findings)}
            for path in asked(job)["paths"]]  # fmt: skip
    end(studio, job, recordings.take_check, {"purpose": asked(job)["purpose"], "recordings": rows})


# --- recordings


def test_a_page_may_use_the_microphone_and_nothing_else(client: TestClient) -> None:
    for path in ("/voices", "/voices/new", "/voices/train", "/voices/verify"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert answer.headers["Permissions-Policy"] == "microphone=(self), camera=(), geolocation=()"
    assert "record-sound.js" in client.get("/voices/new").text


def test_what_nobody_has_listened_to_is_listened_to_once(studio: Studio, client: TestClient) -> None:
    one, two = recorded(studio, 2)
    text = post(client, "/voices/recordings", recordings=f"{one},{two}")
    job = only(studio, "voice-check")
    assert "being listened to" in text and f'value="{job.id}"' in text and job.seen, "the page tells its end by itself"
    post(client, "/voices/recordings", recordings=f"{one},{two}", check=job.id)
    only(studio, "voice-check")
    checked(studio, job, NOISE)
    text = post(client, "/voices/recordings", recordings=f"{one},{two}", check=job.id)
    assert "tick from:body" not in text and "The speech is near the noise" in text and "Takes noise away" in text
    assert post(client, "/voices/recordings", recordings=one).count("data-recording=") == 1
    only(studio, "voice-check")


def test_a_check_that_failed_is_told_and_not_repeated(studio: Studio, client: TestClient) -> None:
    (one,) = recorded(studio, 1)
    post(client, "/voices/recordings", recordings=one)
    job = only(studio, "voice-check")
    queue.change(studio, job.id, state="failed", error="the disk is full")
    for _ in range(2):
        assert "the disk is full" in post(client, "/voices/recordings", recordings=one, check=job.id)
    only(studio, "voice-check")


def test_a_mended_copy_stands_in_the_place_of_its_original(studio: Studio, client: TestClient) -> None:
    (one,) = recorded(studio, 1)
    job = recordings.check(studio, [one])
    checked(studio, job, NOISE)
    text = post(client, f"/voices/recordings/{one}/mend", recordings=one)
    mend = next(j for j in queue.listed(studio, verb="voice-check") if j.id != job.id)
    assert "being mended" in text and f'value="{one}:{mend.id}"' in text
    output = Path(asked(mend)["output"])
    output.write_bytes(tone(0.8))
    mended = {"path": str(output), "done": ["denoise"], "figures": {"seconds": 0.8}, "findings": []}
    row = {"path": asked(mend)["paths"][0], "figures": {}, "findings": [NOISE], "mended": mended}
    told = end(studio, mend, recordings.take_check, {"purpose": "instant", "recordings": [row]})
    text = post(client, "/voices/recordings", recordings=one, mending=f"{one}:{mend.id}")
    assert f'data-recording="{told["recording"]}"' in text and f'data-instead-of="{one}"' in text
    assert "Nothing is wrong with it" in text


def test_a_reload_keeps_what_was_chosen_and_leaves_out_what_is_gone(studio: Studio, client: TestClient) -> None:
    one, two = recorded(studio, 2)
    recordings.remove(studio, two)
    text = client.get(f"/voices/new?recordings={one},{two},nonsense").text
    assert f'name="recordings" value="{one}"' in text and queue.listed(studio) == []
    assert f"recent-{one}" not in text and f"recent-{one}" in client.get("/voices/new").text
    assert post(client, f"/voices/recordings/{one}/delete") == ""
    assert recordings.recent(studio) == []


# --- cloned


def test_the_form_asks_for_what_the_rest_route_takes(studio: Studio, client: TestClient) -> None:
    (one,) = recorded(studio, 1)
    filled = {"recordings": one, "name": " Ada ", "consent": CONSENT, "engine": "espeak", "language": "de",
              "base": "left/over", "speaker": "Ada Byron", "whose": "mine"}  # fmt: skip
    text = post(client, "/voices/new", **filled)
    assert "waits for its turn" in text and "disabled" in text
    body = {"recordings": [one], "name": "Ada", "consent": CONSENT, "engine": "espeak", "language": "de"}
    assert client.post("/api/v1/voices", json=body).status_code == 202
    made = [asked(job) for job in queue.listed(studio, verb="voice-clone")]
    for content in made:
        content.pop("output")
        content["consent"].pop("recorded")
    assert made[0] == made[1]


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("consent", "yes", "only with a statement of consent"),
        ("name", "", "name"),
        ("recordings", "", "record something or drop a file"),
        ("engine", "script", "command line alone"),
        ("language", "tlh-x", "espeak-ng has no"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_queued(
    studio: Studio, client: TestClient, field: str, value: str, words: str
) -> None:
    (one,) = recorded(studio, 1)
    filled = {"recordings": one, "name": "Ada", "consent": CONSENT, "engine": "espeak", "language": "en-us"}
    text = post(client, "/voices/new", **{**filled, field: value})
    assert words in text and queue.listed(studio) == []


def test_a_clone_leads_to_its_page_or_says_what_went_wrong(studio: Studio, client: TestClient) -> None:
    (one,) = recorded(studio, 1)
    post(client, "/voices/new", recordings=one, name="Ada", consent=CONSENT)
    job = only(studio, "voice-clone")
    queue.change(studio, job.id, state="failed", error="nobody speaks in it")
    text = client.get(f"/voices/new/{job.id}", headers=FROM_PAGE).text
    assert "nobody speaks in it" in text and "tick" not in text and "disabled" not in text
    queue.change(studio, job.id, state="finished", result={"voice_id": "abc"})
    answer = client.get(f"/voices/new/{job.id}", headers=FROM_PAGE)
    assert answer.headers["HX-Redirect"] == "/voices/abc"


# --- the library and one voice


def test_voices_are_found_by_words_and_tags(studio: Studio, client: TestClient) -> None:
    ada, bo = put(studio, "Ada", tags=["calm"]), put(studio, "Bo")
    page = client.get("/voices").text
    assert f"voice-{ada.id}" in page and f"voice-{bo.id}" in page and "2 voices" in page and "calm" in page
    assert f"/api/v1/voices/{ada.id}/sample" in page, "the voice is heard, not the person"
    for query in ("search=ada", "tag=calm"):
        part = client.get(f"/voices?{query}", headers=FROM_PAGE).text
        assert f"voice-{ada.id}" in part and f"voice-{bo.id}" not in part and "<html" not in part
    assert "Nothing fits" in client.get("/voices?search=nobody").text
    assert 'href="/voices"' in client.get("/library").text


def test_many_voices_come_a_page_at_a_time(studio: Studio, client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages_of_voices, "PAGE", 2)
    for number in range(3):
        put(studio, f"v{number:02d}")
    first = client.get("/voices").text
    assert first.count('class="picture voice-card"') == 2 and "offset=2" in first
    rest = client.get("/voices?offset=2", headers=FROM_PAGE).text
    assert rest.count('class="picture voice-card"') == 1 and "Show more" not in rest


def test_a_voice_shows_consent_and_where_it_comes_from(studio: Studio, client: TestClient) -> None:
    text = client.get(f"/voices/{put(studio, 'Ada').id}").text
    assert CONSENT in text and "not taken for the person" in text and "99 Hz" in text
    trained = put(studio, "Bo", "pocket", run="ada", epoch=2)
    text = client.get(f"/voices/{trained.id}").text
    assert 'href="/runs/ada"' in text and 'name="seed"' in text and 'name="strength"' not in text


def test_what_is_said_by_the_page_is_what_the_rest_route_says(studio: Studio, client: TestClient) -> None:
    ada = put(studio, "Ada")
    text = post(client, f"/voices/{ada.id}/say", text="Good morning.", speed="1.2", strength="0.5", seed="", mark="on")
    assert "Good morning." in text and "tick from:body" in text
    body = {"text": "Good morning.", "speed": 1.2, "strength": 0.5}
    assert client.post(f"/api/v1/voices/{ada.id}/say", json=body).status_code == 202
    one, two = (asked(job) for job in queue.listed(studio, verb="voice-say"))
    assert {k: v for k, v in one.items() if k != "output"} == {k: v for k, v in two.items() if k != "output"}
    wrong = client.post(f"/voices/{ada.id}/say", data={"text": "x", "speed": "fast"}, headers=FROM_PAGE)
    assert wrong.status_code == 422 and "fast" in wrong.text
    unmarked = post(client, f"/voices/{ada.id}/say", text="x")
    assert asked(queue.listed(studio, verb="voice-say", limit=1)[0])["mark"] is False and "tick" in unmarked


def test_what_was_said_is_heard_and_forgotten(studio: Studio, client: TestClient) -> None:
    ada = put(studio, "Ada")
    post(client, f"/voices/{ada.id}/say", text="Good <b>morning</b>", mark="on")
    job = only(studio, "voice-say")
    path = Path(asked(job)["output"])
    path.write_bytes(tone())
    end(studio, job, said.take, {"path": str(path), "seconds": 1.0, "watermark": True, "notes": ["--speed was cut"]})
    text = client.get(f"/voices/{ada.id}/speech/{job.id}", headers=FROM_PAGE).text
    assert f'src="/api/v1/speech/{job.id}/file"' in text and "Good &lt;b&gt;morning" in text and "speed was cut" in text
    assert "tick" not in text and f"speech-{job.id}" in client.get(f"/voices/{ada.id}").text
    assert post(client, f"/voices/speech/{job.id}/forget") == "" and voices.spoken(studio, ada.id)[1] == 0
    assert "It has said nothing yet" in client.get(f"/voices/{ada.id}").text


def test_jobs_lead_to_the_pages_of_their_voices(studio: Studio, client: TestClient) -> None:
    ada, (one,) = put(studio, "Ada"), recorded(studio, 1)
    post(client, f"/voices/{ada.id}/say", text="Good morning.")
    assert page_of(only(studio, "voice-say"), "") == f"/voices/{ada.id}"
    post(client, "/voices/new", recordings=one, name="Bo", consent=CONSENT)
    job = only(studio, "voice-clone")
    assert page_of(job, "") == f"/queue/{job.id}"
    queue.change(studio, job.id, state="finished")
    assert page_of(queue.get(studio, job.id), "") == f"/voices/{job.extra['voice_id']}"


def test_a_voice_is_edited_archived_deleted_and_put_back(studio: Studio, client: TestClient) -> None:
    ada = put(studio, "Ada")
    url = f"/voices/{ada.id}"
    text = post(client, f"{url}/edit", name="Ada B", description="calm", tags="English, Low ")
    assert "Saved" in text and voices.get(studio, ada.id).tags == ["english", "low"]
    wrong = post(client, f"{url}/edit", name=" ", tags="kept")
    assert 'aria-invalid="true"' in wrong and 'value="kept"' in wrong and "data-open-now" in wrong
    post(client, f"{url}/archive")
    assert f"voice-{ada.id}" in client.get("/voices?view=archive").text
    assert "Back on the shelf" in post(client, f"{url}/archive")
    assert "in the bin" in post(client, f"{url}/delete")
    assert f"voice-{ada.id}" in client.get("/voices?view=bin").text and "Say something" not in client.get(url).text
    assert "Say something" in post(client, f"{url}/restore")
    copy = client.post(f"{url}/duplicate", headers=FROM_PAGE).headers["HX-Redirect"]
    post(client, f"{copy}/delete")
    assert client.post(f"{copy}/remove", headers=FROM_PAGE).headers["HX-Redirect"] == "/voices?view=bin"
    assert voices.listed(studio, binned=True)[1] == 0


def test_a_link_is_shown_once_and_revoked(studio: Studio, client: TestClient) -> None:
    ada = put(studio, "Ada")
    text = post(client, f"/voices/{ada.id}/shares", days="1")
    link = re.search(r'text="(http[^"]+)"', text)
    assert link and "Ada" in client.get(link[1]).text
    (row,) = shares.listed(studio, voice_id=ada.id)
    assert link[1] not in client.get(f"/voices/{ada.id}").text
    assert "Revoke" not in post(client, f"/voices/{ada.id}/shares/{row.id}/revoke")
    assert client.get(link[1]).status_code == 404


def test_made_speech_is_told(studio: Studio, client: TestClient) -> None:
    (one,) = recorded(studio, 1)
    assert "listening" in post(client, "/voices/verify", recordings=one)
    job = only(studio, "voice-verify")
    mark = {"score": 17.3, "marked": True, "seconds": 2.0, "threshold": 6.0, "least_seconds": 1.0}
    for score, provenance, words in (
        (17.3, {"synthetic": True, "voice": "ada"}, "It is made speech"),
        (2.0, {"synthetic": True}, "The file says that it is made speech"),
        (2.0, None, "Nothing was found"),
    ):
        result = {"path": "a.wav", "watermark": mark | {"score": score}, "provenance": provenance}
        queue.change(studio, job.id, state="finished", result=result)
        assert words in client.get(f"/voices/verify/{job.id}", headers=FROM_PAGE).text
    queue.change(studio, job.id, state="failed", error="is a video")
    assert "is a video" in client.get(f"/voices/verify/{job.id}", headers=FROM_PAGE).text


# --- trained


def form(studio: Studio, **changed: str) -> dict[str, str]:
    """The fields as a browser sends them."""
    values = settings(studio)
    texts = {f"text:{one}": text for one, text in values["texts"].items()}
    return {"recordings": ",".join(values["recordings"]), **texts, "name": "ada", "base": "owner/tiny",
            "consent": values["consent"], "prompts": "Good morning.\n\nIt is late.", "set:train.epochs": "3",
            "set:optim.learning_rate": "2e-4", "set:lora.alpha": "8", "set:language": "", **changed}  # fmt: skip


def test_the_form_of_a_training_becomes_settings_of_the_right_types(studio: Studio) -> None:
    filled = form(studio)
    values = voice_form.read({key: [value] for key, value in filled.items()})
    assert (values["train"], values["optim"], values["lora"]) == (
        {"epochs": 3}, {"learning_rate": 2e-4}, {"alpha": 8.0}
    )  # fmt: skip
    assert values["sampling"]["prompts"] == ["Good morning.", "It is late."] and len(values["texts"]) == 4
    back = voice_form.fill(values)
    assert back["set"] == {"train.epochs": "3", "optim.learning_rate": "0.0002", "lora.alpha": "8"}
    assert back["recordings"] == filled["recordings"] and back["prompts"] == "Good morning.\nIt is late."
    assert voice_form.read({"set:train.epochs": ["many"]})["train"] == {"epochs": "many"}


def test_a_training_is_planned_while_one_types_and_started_as_planned(studio: Studio, client: TestClient) -> None:
    filled = form(studio)
    text = post(client, "/voices/train/plan", **filled)
    digest = re.search(r"&#34;digest&#34;: &#34;(\w+)", text)
    assert digest and "1 kept out" in text
    planned = voice_runs.plan(studio, voice_form.read({key: [value] for key, value in filled.items()}))
    assert planned.digest == digest[1]
    other = client.post("/voices/train/start", data={**filled, "prompts": "Else.", "digest": digest[1]},
                        headers=FROM_PAGE)  # fmt: skip
    assert other.status_code == 409 and queue.listed(studio) == []
    answer = client.post("/voices/train/start", data={**filled, "digest": digest[1]}, headers=FROM_PAGE)
    assert answer.headers["HX-Redirect"] == "/runs/ada" and only(studio, "voice-train").subject == "run:ada"
    assert "waiting" in client.get("/runs/ada").text and "Take out of the queue" in client.get("/runs/ada").text
    assert "Go on" in post(client, "/runs/ada/stop", become="paused")
    assert client.post("/runs/ada/resume", headers=FROM_PAGE).headers["HX-Redirect"] == "/runs/ada"
    assert "Call it ada-2" in post(client, "/voices/train/plan", **filled)
    again = client.get("/voices/train?run=ada").text
    assert 'value="ada-2"' in again and "The boat left the harbour." in again and CONSENT[:9] in again


def test_what_a_training_lacks_is_told(studio: Studio, client: TestClient) -> None:
    assert "Record some sentences" in post(client, "/voices/train/plan")
    for field, value, words in (
        ("consent", "", "statement of consent"),
        ("set:train.epochs", "many", "train.epochs"),
        ("base", "nowhere at all", "base"),
    ):
        text = post(client, "/voices/train/plan", **form(studio, **{field: value}))
        assert words.lower() in text.lower() and "finding error" in text and "Start training" not in text


def test_texts_come_back_with_their_recordings(studio: Studio, client: TestClient) -> None:
    one, two = recorded(studio, 2)
    text = post(client, "/voices/train/recordings", **{"recordings": f"{one},{two}", f"text:{one}": "Good <i>morning"})
    assert "Good &lt;i&gt;morning" in text and "being listened to" in text and asked(only(studio, "voice-check"))[
        "purpose"] == "trained"  # fmt: skip
    checked(studio, only(studio, "voice-check"))
    text = post(client, "/voices/train/recordings", **{"recordings": f"{one},{two}", f"text:{one}": "Hm"})
    assert "2 recordings, 2 s · 1 without a text" in text


def test_a_run_of_a_voice_is_heard_and_kept(studio: Studio, client: TestClient) -> None:
    write_voice_run(studio.workspace, "ada", epochs=2)
    page = client.get("/runs/ada").text
    assert "Hear the person" in page and page.count('data-hear="/api/v1/voice-runs/ada/epochs/2/sounds/') == 2
    assert "Sample now" not in page and "I am Ada Byron" in page and "<svg" in page
    sounds = re.findall(r'data-hear="([^"]+)"', page)
    assert sounds and all(client.get(url).status_code == 200 for url in sounds)
    assert "ada" in client.get("/runs").text
    live = client.get("/voices/runs/ada/live", headers=FROM_PAGE).text
    assert "Test sentences" in live and "<html" not in live
    answer = client.post("/voices/runs/ada/keep", data={"epoch": "2", "title": "Ada, kept"}, headers=FROM_PAGE)
    kept = voices.get(studio, answer.headers["HX-Redirect"].rpartition("/")[2])
    assert (kept.name, kept.run, kept.epoch, kept.origin) == ("Ada, kept", "ada", 2, "run")
    assert client.post("/voices/runs/nobody/keep", data={"epoch": "2"}, headers=FROM_PAGE).status_code == 404


def test_a_recording_with_a_hostile_name_is_shown_as_text(studio: Studio, client: TestClient) -> None:
    found = record(studio, '"><script>alert(1)</script>.wav', tone())
    text = client.get(f"/voices/new?recordings={found.id}").text
    assert "<script>alert" not in text and f'data-recording="{found.id}"' in text
