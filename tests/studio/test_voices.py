import json
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from likeness.config.voice import RECORD, SAMPLE
from likeness.errors import Conflict, InputError, NotFound
from likeness.store.tables import Voice
from likeness.studio import bin as studio_bin
from likeness.studio import queue, recordings, said, shares, trust, voice_engines, voices
from likeness.studio.voices import CloneRequest, SayRequest
from likeness.studio.workspace import Studio
from tests.studio.voice_runs_at_hand import SENTENCES, tone, write_voice_run
from tests.studio.voice_runs_at_hand import record as bring
from tests.studio.voices_at_hand import CONSENT, asked, end, put
from tests.studio.voices_at_hand import record as told_of


@pytest.fixture(autouse=True)
def everything_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voice_engines, "_missing", lambda engine: "")  # type: ignore[misc]


def request(studio: Studio, **changed: Any) -> CloneRequest:
    values: dict[str, Any] = {
        "recordings": (bring(studio, "ada.wav", tone()).id,),
        "name": "Áda B.",
        "consent": CONSENT,
    }
    return CloneRequest(**{**values, **changed})


def work(content: dict[str, Any]) -> dict[str, Any]:
    """What the worker leaves."""
    folder = Path(content["output"])
    folder.mkdir(parents=True)
    (folder / RECORD).write_text(told_of(name=content["name"]).model_dump_json())
    (folder / "reference.wav").write_bytes(tone(2))
    (folder / "sample.wav").write_bytes(tone())
    return {"voice": str(folder), "record": {}}


# --- made


def test_a_clone_becomes_a_voice_with_its_consent(studio: Studio) -> None:
    job = voices.clone(studio, request(studio, description=" Warm ", tags=("Low", "warm")))
    content = asked(job)
    assert job.light and job.subject == "voices" and job.title == "Clone: Áda B."
    assert content["name"] == "Ada-B" and content["consent"]["statement"] == CONSENT and content["script"] is None
    told = end(studio, job, voices.take, work(content))
    voice = voices.get(studio, told["voice_id"])
    assert (voice.name, voice.origin, voice.engine, voice.language) == ("Áda B.", "clone", "espeak", "en-us")
    assert voice.description == "Warm" and voice.tags == ["low", "warm"] and not voice.archived
    record = voices.record(studio, voice)
    assert record.consent.statement == CONSENT and record.name == "Ada-B" and record.tags == ["low", "warm"]
    assert told["voice"] == "Áda B." and voices.take(studio, job, told) is not None
    assert voices.listed(studio)[1] == 1, "an end that is told twice makes one voice"


def test_a_voice_has_a_drawn_thumbnail(studio: Studio) -> None:
    voice = put(studio)
    path = voices.file_of(studio, voice, str(voice.thumbnail))
    with Image.open(path) as image:
        assert image.size == (512, 512) and len(image.convert("RGB").getcolors(100_000) or []) > 10


def test_a_reference_that_cannot_be_drawn_leaves_the_thumbnail_out(studio: Studio) -> None:
    voice = put(studio)
    (studio.voices / voice.id / "reference.wav").write_bytes(b"RIFF")
    assert voices.duplicate(studio, voice.id).thumbnail is None


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"consent": ""}, r"^consent: a voice is cloned only with a statement"),
        ({"consent": "yes"}, r"^consent: "),
        ({"name": " "}, r"^name: has 0 characters"),
        ({"name": "x" * 101}, r"^name: "),
        ({"tags": ("a,b",)}, r"^tags: "),
        ({"description": "x" * 10_001}, r"^description: "),
        ({"recordings": ()}, r"^recordings: 0 are given"),
        ({"recordings": ("0" * 12,)}, r"^recording: there is no"),
        ({"recordings": tuple(map(str, range(21)))}, r"^recordings: 21 are too many"),
        ({"engine": "script"}, r"^engine: 'script' runs a program"),
        ({"engine": "other"}, r"^engine: there is no 'other'"),
        ({"engine": "pocket"}, r"^base: Pocket TTS needs its weights"),
        ({"base": "owner/pocket"}, r"^base: espeak needs none"),
        ({"language": "../x"}, r"^language: espeak-ng has no"),
    ],
)
def test_what_cannot_be_cloned_is_refused_by_field_and_nothing_waits(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any], words: str
) -> None:
    monkeypatch.setattr(voice_engines, "languages", lambda: [voice_engines.Language("en-us", "English")])
    with pytest.raises(InputError, match=words) as caught:
        voices.clone(studio, request(studio, **changed))
    assert queue.listed(studio) == [] and "--" not in str(caught.value).replace("voice clone --engine", "")


def test_an_engine_without_its_packages_says_which(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voice_engines, "_missing", lambda engine: "pip install 'likeness[voice]'")  # type: ignore[misc]
    with pytest.raises(InputError, match=r"engine: espeak cannot be used here. Fix: pip install"):
        voices.clone(studio, request(studio))
    assert all(one.missing for one in voice_engines.engines())


def test_pocket_takes_a_device_and_strangers_name_no_place(studio: Studio, tmp_path: Path) -> None:
    job = voices.clone(studio, request(studio, engine="pocket", base="owner/pocket"))
    assert not job.light and asked(job)["base"] == "owner/pocket"
    with trust.from_elsewhere(), pytest.raises(InputError, match=r"^base: .* is a place on the server"):
        voices.clone(studio, request(studio, engine="pocket", base=str(tmp_path)))


def test_an_epoch_of_a_training_is_kept_with_its_first_sentence(studio: Studio) -> None:
    folder = write_voice_run(studio.workspace, "ada", epochs=2)
    voice = voices.keep_epoch(studio, "ada", 1, "Ada, early")
    assert (voice.origin, voice.run, voice.epoch, voice.engine) == ("run", "ada", 1, "pocket")
    record = voices.record(studio, voice)
    assert record.name == "Ada-early" and "/" not in record.reference.file
    kept = (studio.voices / voice.id / SAMPLE).read_bytes()
    assert kept == next((folder / "samples" / "epoch-001").glob("prompt-1-*.wav")).read_bytes() and SENTENCES
    assert voices.keep_epoch(studio, "ada", None, "Ada, best").epoch in (1, 2)


@pytest.mark.parametrize(("run", "epoch"), [("ada", 9), ("none", 1), ("none", None), ("..", 1), ("studio", 1)])
def test_an_epoch_that_is_not_there_is_told(studio: Studio, run: str, epoch: int | None) -> None:
    write_voice_run(studio.workspace, "ada", epochs=1)
    with pytest.raises(InputError):
        voices.keep_epoch(studio, run, epoch, "x")
    assert voices.listed(studio)[1] == 0 and not list(studio.voices.glob("*"))


# --- looked up


def test_voices_are_found_by_words_and_tags(studio: Studio) -> None:
    ada = put(studio, "Ada Byron", tags=["low", 'a "quoted" tag'], description="reads letters")
    charles = put(studio, "Charles", tags=["high"])
    found = {
        "": [charles, ada], "ada": [ada], "BYRON letters": [ada], "low": [ada], "quoted": [ada],
        "espeak": [charles, ada], "nobody": [], "%": [], "ada charles": [],
    }  # fmt: skip
    for words, expected in found.items():
        rows, total = voices.listed(studio, words)
        assert [v.id for v in rows] == [v.id for v in expected] and total == len(expected), words
    assert [v.id for v in voices.listed(studio, tag="LOW ")[0]] == [ada.id] and voices.listed(studio, tag="lo")[1] == 0
    assert voices.tags(studio) == {'a "quoted" tag': 1, "high": 1, "low": 1}
    rows, total = voices.listed(studio, limit=1, offset=1)
    assert [v.id for v in rows] == [ada.id] and total == 2


def test_a_name_leads_to_a_voice_where_only_one_has_it(studio: Studio) -> None:
    ada = put(studio, "Ada")
    assert voices.get(studio, "Ada").id == ada.id == voices.get(studio, ada.id).id
    put(studio, "Ada")
    with pytest.raises(InputError, match="several"):
        voices.get(studio, "Ada")
    with pytest.raises(NotFound, match=r"^voice: there is no 'Eve'"):
        voices.get(studio, "Eve")


@pytest.mark.parametrize("name", ["voice.json", "../../studio.db", "fit.npz", ""])
def test_only_sounds_and_the_thumbnail_are_given_out(studio: Studio, name: str) -> None:
    with pytest.raises(NotFound):
        voices.file_of(studio, put(studio), name)


def test_a_voice_whose_files_are_gone_is_told(studio: Studio) -> None:
    voice = put(studio)
    (studio.voices / voice.id / RECORD).unlink()
    with pytest.raises(NotFound, match="files of 'ada' are gone"):
        voices.record(studio, voice)


# --- changed


def test_words_change_in_the_row_and_in_the_folder(studio: Studio) -> None:
    voice = put(studio)
    copy = voices.duplicate(studio, voice.id)
    assert copy.name == "ada copy" and copy.origin == "copy" and copy.id != voice.id
    changed = voices.change(studio, copy.id, name="Åse", description="x", tags=["B", "a"], archived=True)
    assert (changed.name, changed.tags, changed.archived) == ("Åse", ["b", "a"], True)
    record = voices.record(studio, copy)
    assert record.name == "Ase" and record.tags == ["b", "a"] and record.consent.statement == CONSENT
    assert voices.record(studio, voice).name == "ada", "copies share bytes, and none is written into"
    assert voices.listed(studio)[1] == 1 and voices.listed(studio, archived=True)[1] == 1
    with pytest.raises(InputError):
        voices.change(studio, copy.id, name="")
    assert voices.get(studio, copy.id).name == "Åse"


def test_a_deleted_voice_lies_in_the_bin_and_can_be_put_back(studio: Studio) -> None:
    voice = put(studio)
    link = shares.share_voice(studio, voice.id)
    with pytest.raises(Conflict):
        voices.remove(studio, voice.id)
    voices.delete(studio, voice.id)
    assert voices.listed(studio)[1] == 0 and voices.listed(studio, binned=True)[1] == 1
    for refused in (lambda: voices.get(studio, voice.id), lambda: shares.shared_voice(studio, link.token),
                    lambda: voices.say(studio, SayRequest(voice.id, "x"))):  # fmt: skip
        with pytest.raises(NotFound):
            refused()
    voices.restore(studio, voice.id)
    assert shares.shared_voice(studio, link.token)[0].id == voice.id


def test_the_bin_is_emptied_of_voices_with_all_they_said(studio: Studio) -> None:
    old, new = put(studio, "old"), put(studio, "new")
    shares.share_voice(studio, old.id)
    job = voices.say(studio, SayRequest(old.id, "Some secret"))
    for voice in (old, new):
        voices.delete(studio, voice.id)
    with studio.database.session() as session:
        row = session.get(Voice, old.id)
        assert row is not None
        row.deleted = time.time() - 31 * 86400
    left = studio.voices / "left-by-a-killed-one"
    left.mkdir()
    studio_bin.sweep(studio)
    assert [v.id for v in voices.listed(studio, binned=True)[0]] == [new.id] and left.exists()
    assert not (studio.voices / old.id).exists() and shares.listed(studio) == []
    assert "secret" not in queue.get(studio, job.id).title and not (studio.jobs / job.id).exists()


# --- heard


def test_a_text_is_spoken_and_its_sound_is_found(studio: Studio) -> None:
    voice = put(studio)
    job = voices.say(studio, SayRequest("ada", " Good morning. ", speed=1.5, format="mp3", seed=3))
    content = asked(job)
    assert job.light and job.subject == f"voice:{voice.id}" and job.title == "ada says: Good morning."
    assert content["mark"] is True and (content["speed"], content["seed"]) == (1.5, 3)
    assert content["output"] == str(studio.jobs / job.id / "speech.mp3")
    waiting = voices.speech(studio, job.id)
    assert waiting.path is None and waiting.format == "mp3"
    with pytest.raises(NotFound, match="queued"):
        _ = waiting.sound
    Path(content["output"]).write_bytes(b"ID3")
    notes = ["--speed: Pocket TTS has no such setting; it was left out"]
    told = end(studio, job, said.take, {"path": content["output"], "seconds": 1.0, "notes": notes})
    assert told["path"] == "speech.mp3" and told["notes"] == ["speed: Pocket TTS has no such setting; it was left out"]
    found, total = voices.spoken(studio, voice.id)
    assert total == 1 and found[0].sound.read_bytes() == b"ID3" and found[0].voice == voice.id
    again = SayRequest(voice.id, **found[0].request)
    assert (again.text.strip(), again.speed, again.format) == ("Good morning.", 1.5, "mp3")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"text": " "}, "^text: is empty"),
        ({"text": "x" * 10_001}, "^text: "),
        ({"speed": 3.0}, "^speed: "),
        ({"speed": float("nan")}, "^speed: "),
        ({"strength": -1.0}, "^strength: "),
        ({"seed": -1}, "^seed: "),
        ({"format": "../x"}, "^format: there is no"),
        ({"voice": "eve"}, "^voice: there is no"),
    ],
)
def test_what_cannot_be_said_is_refused_by_field(studio: Studio, changed: dict[str, Any], words: str) -> None:
    put(studio)
    with pytest.raises(InputError, match=words):
        voices.say(studio, SayRequest(**{"voice": "ada", "text": "Hello", **changed}))
    assert queue.listed(studio) == []


def test_what_was_said_can_be_forgotten(studio: Studio) -> None:
    voice = put(studio)
    jobs = [voices.say(studio, SayRequest(voice.id, f"Secret {n}")) for n in range(2)]
    content = asked(jobs[0])
    Path(content["output"]).write_bytes(b"RIFF")
    end(studio, jobs[0], said.take, {"path": content["output"], "notes": []})
    for job in jobs:
        voices.forget(studio, job.id)
        assert not (studio.jobs / job.id).exists()
    assert voices.spoken(studio, voice.id) == ([], 0)
    assert [queue.get(studio, job.id).state for job in jobs] == ["finished", "canceled"]
    assert "Secret" not in json.dumps([[j.title, j.extra] for j in queue.listed(studio)])
    with pytest.raises(NotFound):
        voices.speech(studio, jobs[0].id)


def test_what_is_forgotten_while_it_is_spoken_leaves_no_sound(studio: Studio) -> None:
    job = voices.say(studio, SayRequest(put(studio).id, "Secret"))
    queue.change(studio, job.id, state="running")
    voices.forget(studio, job.id)
    assert queue.get(studio, job.id).stopping == "canceled"
    output = Path(asked(job)["output"])
    output.write_bytes(b"RIFF")
    said.take(studio, job, {"path": str(output), "notes": []})
    assert not output.exists()


def test_other_jobs_are_no_speech(studio: Studio) -> None:
    found = bring(studio, "a.wav", tone())
    job = recordings.check(studio, [found.id])
    for job_id in (job.id, "none"):
        with pytest.raises(NotFound, match=r"^speech: "):
            voices.speech(studio, job_id)
