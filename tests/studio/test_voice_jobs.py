"""From a recording to a spoken sentence through the queue, with the real default engine."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from likeness.store.tables import Job
from likeness.studio import queue, recordings, voices
from likeness.studio.endings import ENDINGS
from likeness.studio.supervisor import Supervisor
from likeness.studio.voices import CloneRequest, SayRequest
from likeness.studio.workspace import Studio
from tests.studio.voice_runs_at_hand import record, tone
from tests.studio.voices_at_hand import CONSENT

pytest.importorskip("soundfile")
pytest.importorskip("espeakng_loader")


@pytest.fixture
def supervised(studio: Studio) -> Iterator[Supervisor]:
    supervisor = Supervisor(studio, ["cpu"], ENDINGS)
    supervisor.start()
    yield supervisor
    supervisor.stop()


@pytest.fixture(scope="module")
def ada(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 s of a voice, far too quiet."""
    from likeness.voices.audio import write_sound
    from tests.voices.recordings import speech

    path = tmp_path_factory.mktemp("recordings") / "ada.wav"
    write_sound(path, speech(12) * 0.02, 24_000)
    return path


def ended(studio: Studio, job: Job) -> Job:
    while (found := queue.get(studio, job.id)).state not in queue.ENDED:
        time.sleep(0.05)
    return found


@pytest.mark.long
def test_from_a_recording_to_a_spoken_sentence(studio: Studio, supervised: Supervisor, ada: Path) -> None:
    raw = record(studio, "ada.wav", ada.read_bytes())
    checked = ended(studio, recordings.check(studio, [raw.id]))
    assert checked.state == "finished" and checked.result is not None
    found = recordings.get(studio, raw.id).checked["findings"]
    assert "loudness" in {f["check"] for f in found}
    mended = ended(studio, recordings.mend(studio, raw.id)).result
    assert mended is not None and "normalise" in mended["done"]
    assert "loudness" not in {f["check"] for f in recordings.get(studio, mended["recording"]).checked["findings"]}

    cloned = ended(studio, voices.clone(studio, CloneRequest((mended["recording"],), "Ada", CONSENT)))
    assert cloned.state == "finished" and cloned.result is not None, cloned.error
    voice = voices.get(studio, cloned.result["voice_id"])
    assert voices.file_of(studio, voice, "sample.wav").stat().st_size > 10_000 and voice.thumbnail

    said = ended(studio, voices.say(studio, SayRequest("Ada", "The kettle is on, and it is raining.", format="mp3")))
    assert said.state == "finished" and said.result is not None and said.result["seconds"] > 1
    back = record(studio, "said.mp3", voices.speech(studio, said.id).sound.read_bytes())
    verified = ended(studio, recordings.verify(studio, back.id)).result
    assert verified is not None and verified["made"] and verified["watermark"]["marked"]
    assert verified["provenance"]["voice"] == "Ada"
    assert ended(studio, recordings.verify(studio, raw.id)).result["made"] is False  # type: ignore[index]


def test_a_sound_that_is_none_is_a_finding_and_no_voice(studio: Studio, supervised: Supervisor) -> None:
    film = record(studio, "film.wav", b"\0\0\0\x18ftypmp42" + b"x" * 100)
    checked = ended(studio, recordings.check(studio, [film.id]))
    assert checked.state == "finished" and checked.result is not None
    finding = checked.result["recordings"][0]["findings"][0]
    assert finding["severity"] == "error" and "MP4" in finding["message"] and "ffmpeg" in finding["fix"]
    for bad in (film, record(studio, "beep.wav", tone(1))):
        job = ended(studio, voices.clone(studio, CloneRequest((bad.id,), "Ada", CONSENT)))
        assert job.state == "failed" and job.error is not None and bad.name in job.error
        assert str(studio.root) not in job.error
    assert voices.listed(studio)[1] == 0 and not list(studio.voices.glob("*"))
