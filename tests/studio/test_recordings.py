import os
from pathlib import Path
from typing import Any

import pytest

from likeness.errors import InputError, NotFound
from likeness.studio import recordings
from likeness.studio.workspace import Studio
from tests.studio.voice_runs_at_hand import record, tone
from tests.studio.voices_at_hand import asked, end

QUIET = {"check": "loudness", "severity": "warning", "message": "quiet", "fix": "louder", "mend": "normalise"}


def row(path: Path | str, **more: Any) -> dict[str, Any]:
    return {"path": str(path), "figures": {"seconds": 2.5}, "findings": [QUIET], **more}


def test_a_recording_is_kept_as_it_came_and_is_the_newest(studio: Studio) -> None:
    old = record(studio, "old.flac", b"fLaC...")
    os.utime(old.path, (1, 1))
    new = record(studio, "Áda's & co.WAV", tone(1.5))
    assert new.name == "Ada-s-co.wav" and new.path.read_bytes() == tone(1.5) and new.seconds == 1.5
    assert old.seconds is None and old.checked == {} and old.size_bytes == 7
    assert [one.id for one in recordings.recent(studio)] == [new.id, old.id]
    assert [one.id for one in recordings.recent(studio, 1)] == [new.id]
    assert recordings.get(studio, new.id) == new
    assert not list(studio.uploads.glob("*.part")), "it was moved, not copied"


@pytest.mark.parametrize("name", ["../../../evil.wav", "/etc/evil.wav", "..wav", "a\0b.wav", "\u202e.wav"])
def test_hostile_names_stay_in_the_folder(studio: Studio, name: str) -> None:
    found = record(studio, name, tone())
    assert found.path.parent.parent == studio.recordings and found.path.is_file()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("film.mp4", b"x", "ffmpeg"),
        ("page.html", b"x", "no recording"),
        ("a.wav", b"", "is empty"),
        (".wav", b"x", "no"),
    ],
)
def test_what_cannot_be_a_recording_is_refused_and_not_kept(
    studio: Studio, name: str, content: bytes, words: str
) -> None:
    with pytest.raises(InputError, match=rf"^file: .*{words}"):
        record(studio, name, content)
    assert recordings.recent(studio) == [] and not list(studio.uploads.glob("*"))


@pytest.mark.parametrize("recording_id", ["", "..", "../voices", "0" * 12, "x" * 5000, "\ud800"])
def test_what_is_not_there_is_told(studio: Studio, recording_id: str) -> None:
    with pytest.raises(NotFound, match=r"^recording: "):
        recordings.get(studio, recording_id)
    with pytest.raises(NotFound):
        recordings.remove(studio, recording_id)


def test_a_removed_recording_is_gone(studio: Studio) -> None:
    found = record(studio, "a.wav", tone())
    recordings.remove(studio, found.id)
    assert recordings.recent(studio) == [] and not found.path.parent.exists()


def test_a_check_tells_of_ids_and_what_it_found_stays_with_each(studio: Studio) -> None:
    a, b = record(studio, "a.wav", tone()), record(studio, "b.mp3", b"ID3")
    job = recordings.check(studio, [a.id, b.id, a.id], "trained")
    content = asked(job)
    assert job.light and job.subject == "recordings" and job.title == "Check: 2 recordings"
    assert content["paths"] == [str(a.path), str(b.path)] and content["purpose"] == "trained" and not content["fix"]
    broken = {"path": str(b.path), "findings": [{**QUIET, "severity": "error", "mend": None}]}
    told = end(studio, job, recordings.take_check, {
        "purpose": "trained", "recordings": [row(a.path), broken], "findings": [], "speech_seconds": 2.0,
    })  # fmt: skip
    assert [r["recording"] for r in told["recordings"]] == [a.id, b.id] and told["recordings"][0]["name"] == "a.wav"
    assert str(studio.root) not in str(told)
    again = recordings.get(studio, a.id)
    assert again.checked == {"purpose": "trained", "figures": {"seconds": 2.5}, "findings": [QUIET]}
    assert again.seconds == 2.5 and recordings.get(studio, b.id).checked["findings"][0]["severity"] == "error"


def test_a_check_of_what_was_removed_meanwhile_ends_well(studio: Studio) -> None:
    found = record(studio, "a.wav", tone())
    job = recordings.check(studio, [found.id])
    recordings.remove(studio, found.id)
    end(studio, job, recordings.take_check, {"purpose": "instant", "recordings": [row(found.path)], "findings": []})
    assert recordings.recent(studio) == []


@pytest.mark.parametrize("ids", [[], ["0" * 12] * 2, ["x"] * 501])
def test_a_check_of_nothing_is_refused(studio: Studio, ids: list[str]) -> None:
    with pytest.raises(InputError, match=r"^recordings?: "):
        recordings.check(studio, ids)


def test_a_mended_copy_is_a_recording_of_its_own(studio: Studio) -> None:
    found = record(studio, "ada.mp3", b"ID3")
    job = recordings.mend(studio, found.id)
    content = asked(job)
    assert content["fix"] and content["output"] == str(studio.jobs / job.id / "ada-mended.wav")
    Path(content["output"]).write_bytes(tone(2))
    mended = {"path": content["output"], "done": ["normalise"], "figures": {"seconds": 2.0}, "findings": []}
    result = {"purpose": "instant", "recordings": [row(found.path, mended=mended)], "findings": []}
    told = end(studio, job, recordings.take_check, result)
    new = recordings.get(studio, told["recording"])
    assert new.id != found.id and new.name == "ada-mended.wav" and new.path.read_bytes() == tone(2)
    assert told["done"] == ["normalise"] and new.checked["findings"] == [] and found.path.is_file()
    assert recordings.take_check(studio, job, result)["recording"] == new.id, "told twice it is one"  # type: ignore[index]
    assert len(recordings.recent(studio)) == 2 and str(studio.root) not in str(told)


def test_where_nothing_is_to_be_mended_the_old_one_is_told(studio: Studio) -> None:
    found = record(studio, "ada.wav", tone())
    job = recordings.mend(studio, found.id)
    result = {"purpose": "instant", "recordings": [row(found.path, mended=None)], "findings": []}
    told = end(studio, job, recordings.take_check, result)
    assert told["recording"] == found.id and told["done"] == [] and len(recordings.recent(studio)) == 1


@pytest.mark.parametrize(
    ("marked", "provenance", "made"), [(True, None, True), (False, {"synthetic": True}, True), (False, None, False)]
)
def test_made_speech_is_told_by_mark_or_file(studio: Studio, marked: bool, provenance: Any, made: bool) -> None:
    found = record(studio, "a.wav", tone())
    job = recordings.verify(studio, found.id)
    result = {"path": asked(job)["path"], "watermark": {"marked": marked}, "provenance": provenance, "tags": {}}
    told = end(studio, job, recordings.take_verified, result)
    assert told["made"] is made and told["path"] == "a.wav" and told["recording"] == found.id
