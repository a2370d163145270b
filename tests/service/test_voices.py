"""What is refused before anything is heard."""

import json
from pathlib import Path
from typing import Any

import pytest

from likeness.config.voice import RECORD, Consent, Reference, VoiceRecord
from likeness.errors import Conflict, InputError, NotFound
from likeness.service import voice_runs, voices
from likeness.service.voices import Check, Clone, Say

CONSENT = "I am the speaker and agree."


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Nothing here listens to it."""
    path = tmp_path / "ada.wav"
    path.write_bytes(b"RIFF")
    return path


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """With one voice on it."""
    write_voice(tmp_path / "voices" / "ada", "ada")
    return tmp_path / "voices"


def write_voice(folder: Path, name: str) -> None:
    folder.mkdir(parents=True)
    record = VoiceRecord(
        name=name,
        engine="espeak",
        consent=Consent(statement=CONSENT, recorded="2026-01-01T00:00:00Z"),
        reference=Reference(file="a.wav", seconds=10, sha256="0"),
    )
    (folder / RECORD).write_text(record.model_dump_json())


def clone(clip: Path, tmp_path: Path, **changed: Any) -> Clone:
    return Clone(**{"paths": (clip,), "name": "bo", "consent": CONSENT, "shelf": tmp_path / "voices", **changed})


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"consent": ""}, "--consent: a voice is cloned only with a statement"),
        ({"consent": "  yes   "}, "--consent"),
        ({"consent": "x" * 3000}, "more than 2000"),
        ({"name": "../up"}, "--name"),
        ({"name": ""}, "--name"),
        ({"name": ".hidden"}, "--name"),
        ({"engine": "parrot"}, "--engine: there is no 'parrot'"),
        ({"engine": "pocket"}, "--base"),
        ({"engine": "script"}, "--script"),
        ({"paths": (Path("no.wav"),)}, "no such file"),
        ({"device": "tpu"}, "--device"),
    ],
)
def test_a_clone_is_refused(clip: Path, tmp_path: Path, changed: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        voices.clone_order(clone(clip, tmp_path, **changed))
    assert "Fix: " in str(caught.value) or "--device" in words
    assert not (tmp_path / "voices").exists()


def test_a_voice_that_is_there_is_replaced_only_where_asked(clip: Path, shelf: Path, tmp_path: Path) -> None:
    with pytest.raises(Conflict, match="is there already"):
        voices.clone_order(clone(clip, tmp_path, name="ada"))
    assert voices.clone_order(clone(clip, tmp_path, name="ada", replace=True)).content["replace"]
    (shelf / "photos").mkdir()
    with pytest.raises(Conflict):  # no voice: never removed
        voices.clone_order(clone(clip, tmp_path, name="photos", replace=True))


def test_an_order_holds_whole_paths_and_the_consent(clip: Path, tmp_path: Path) -> None:
    order = voices.clone_order(clone(clip, tmp_path, consent=f"  {CONSENT}\n"))
    assert order.verb == "voice-clone" and json.dumps(order.content)
    assert order.content["paths"] == [str(clip)] and order.content["consent"]["statement"] == CONSENT


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"voice": "eve"}, "there is no 'eve'.*known: ada"),
        ({"text": "  "}, "text: is empty"),
        ({"text": "x" * 20_000}, "more than 10000"),
        ({"output": Path("a.aac")}, "--output"),
        ({"speed": 9.0}, "--speed"),
        ({"strength": -1.0}, "--strength"),
        ({"seed": -1}, "--seed"),
    ],
)
def test_nothing_is_said_where_something_is_wrong(shelf: Path, changed: dict[str, Any], words: str) -> None:
    asked: dict[str, Any] = {"voice": "ada", "text": "hello", "output": Path("a.wav"), "shelf": shelf, **changed}
    with pytest.raises(InputError, match=words):
        voices.say_order(Say(**asked))


def test_recordings_of_a_folder_are_found_in_order(tmp_path: Path) -> None:
    for name in ("b.WAV", "a.flac", "notes.txt", ".hidden.wav"):
        (tmp_path / name).touch()
    assert [Path(p).name for p in voices.check_order(Check((tmp_path,))).content["paths"]] == ["a.flac", "b.WAV"]
    with pytest.raises(InputError, match="--output"):
        voices.check_order(Check((tmp_path,), fix=True, output=Path("x.wav")))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no recordings"):
        voices.check_order(Check((tmp_path / "empty",)))


def test_voices_are_listed_and_kept_under_another_name(shelf: Path, tmp_path: Path) -> None:
    (shelf / "broken").mkdir()
    (shelf / "broken" / RECORD).write_text("{")
    assert [r.name for _, r in voices.voices_in(shelf)] == ["ada"]
    write_voice(tmp_path / "run" / "checkpoints" / "epoch-001", "run")
    (tmp_path / "run" / "run.json").write_text("{}")
    kept = voices.keep(tmp_path / "run", "bo", shelf)
    assert [r.name for _, r in voices.voices_in(shelf)] == ["ada", "bo"] and voices.find_voice("bo", shelf) == kept
    with pytest.raises(Conflict):
        voices.keep(tmp_path / "run", "bo", shelf)
    with pytest.raises(NotFound):
        voices.keep(tmp_path / "nothing", "cy", shelf)


def values(clips: Path, **changed: Any) -> dict[str, Any]:
    return {"name": "ada", "base": "b", "consent": CONSENT, "data": {"clips": str(clips)}, **changed}


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    folder = tmp_path / "clips"
    folder.mkdir()
    for n in range(4):
        (folder / f"{n}.wav").write_bytes(b"RIFF%d" % n)
        (folder / f"{n}.txt").write_text(f"sentence {n}\n")
    return folder


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"consent": "no"}, "--consent"),
        ({"name": "a/b"}, "name"),
        ({"train": {"epochs": 0}}, "train.epochs"),
        ({"train": {"epoch": 3}}, "train.epoch: no such setting"),
        ({"optim": {"learning_rate": "fast"}}, "optim.learning_rate"),
        ({"hardware": {"precision": "bf16"}}, "trained in fp32"),
        ({"hardware": {"offload": 0.5}}, "trained in fp32"),
    ],
)
def test_settings_that_do_not_fit_are_told(clips: Path, changed: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        voice_runs.run_config(values(clips, **changed))


def test_recordings_without_texts_are_told_unless_somebody_writes_them(clips: Path) -> None:
    (clips / "2.txt").write_text(" \n")
    with pytest.raises(InputError, match=r"1 of 4 recordings have no text beside them \(2.wav\)"):
        voice_runs.prepare(voice_runs.run_config(values(clips)))
    config = voice_runs.run_config(values(clips, data={"clips": str(clips), "transcriber": "w"}))
    assert any("read it over" in note for note in voice_runs.prepare(config).notes)


def test_one_recording_is_held_out_the_same_every_time(clips: Path) -> None:
    held = [
        [r["id"] for r in voice_runs.prepare(voice_runs.run_config(values(clips))).manifest if r["held_out"]]
        for _ in "ab"
    ]
    assert len(held[0]) == 1 and held[0] == held[1]
    for n in (2, 3):
        (clips / f"{n}.wav").unlink()
    prepared = voice_runs.prepare(voice_runs.run_config(values(clips)))
    assert prepared.learned == 2 and "no recording is held out" in prepared.notes[0]


def test_copies_of_a_recording_are_learned_or_held_out_together(clips: Path) -> None:
    for n in range(3):
        (clips / f"{n}.wav").write_bytes(b"RIFF the same")
    (held,) = [r["id"] for r in voice_runs.prepare(voice_runs.run_config(values(clips))).manifest if r["held_out"]]
    assert held == "3"


def test_a_run_goes_on_only_as_it_was_begun(clips: Path, tmp_path: Path) -> None:
    prepared = voice_runs.prepare(voice_runs.run_config(values(clips)))
    folder = voice_runs.start(prepared, tmp_path / "runs")
    frozen = json.loads((folder / "run.json").read_text())
    assert voice_runs.resume(prepared, tmp_path / "runs") == folder
    assert json.loads((folder / "run.json").read_text()) == frozen
    with pytest.raises(Conflict, match="is there already"):
        voice_runs.start(prepared, tmp_path / "runs")
    longer = voice_runs.run_config(values(clips, train={"epochs": 20}))
    voice_runs.resume(voice_runs.prepare(longer), tmp_path / "runs")
    for changed in ({"lora": {"rank": 4}}, {"train": {"seed": 7}}):
        with pytest.raises(InputError, match="when the run started"):
            voice_runs.resume(voice_runs.prepare(voice_runs.run_config(values(clips, **changed))), tmp_path / "runs")
    (clips / "1.txt").write_text("something else")
    with pytest.raises(InputError, match="texts have changed"):
        voice_runs.resume(voice_runs.prepare(longer), tmp_path / "runs")
    (clips / "1.wav").write_bytes(b"other")
    with pytest.raises(InputError, match="recordings have changed"):
        voice_runs.resume(voice_runs.prepare(longer), tmp_path / "runs")
    with pytest.raises(NotFound, match="no run to resume"):
        voice_runs.resume(voice_runs.prepare(voice_runs.run_config(values(clips, name="new"))), tmp_path / "runs")


def test_a_run_that_was_refused_is_taken_back_and_one_that_began_is_not(clips: Path, tmp_path: Path) -> None:
    prepared = voice_runs.prepare(voice_runs.run_config(values(clips)))
    folder = voice_runs.start(prepared, tmp_path / "runs")
    voice_runs.discard(folder)
    assert not folder.exists()
    folder = voice_runs.start(prepared, tmp_path / "runs")
    (folder / "samples").mkdir()
    voice_runs.discard(folder)
    assert (folder / "run.json").exists()
