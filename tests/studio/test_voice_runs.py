"""Trained voices in the studio: planned, trained by real workers, heard epoch by epoch, and no trouble for pictures."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from likeness.errors import Conflict, InputError, NotFound
from likeness.service.comparisons import View
from likeness.service.evaluations import Protocol
from likeness.studio import (
    comparing,
    lora_choice,
    models,
    planning,
    queue,
    recordings,
    run_bin,
    run_files,
    runs,
    trust,
    voice_runs,
)
from likeness.studio.lora_choice import LoraChoice
from likeness.studio.supervisor import Supervisor
from likeness.studio.workspace import Studio
from tests.studio import runs_at_hand
from tests.studio.runs_at_hand import a_machine, mika, supervising, wait
from tests.studio.voice_runs_at_hand import (
    CONSENT,
    SENTENCES,
    TEXTS,
    record,
    recorded,
    settings,
    start,
    tone,
    write_voice_run,
)


@pytest.fixture
def supervised(studio: Studio) -> Iterator[Supervisor]:
    with supervising(studio) as supervisor:
        yield supervisor


@pytest.fixture(scope="module")
def tiny_pocket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.voices.tiny_pocket import make_tiny_pocket

    return make_tiny_pocket(tmp_path_factory.mktemp("pocket") / "tiny")


# --- planned


def test_a_plan_tells_the_run_and_writes_nothing(studio: Studio) -> None:
    values = settings(studio)
    planned = voice_runs.plan(studio, values)
    assert (planned.recordings, planned.held_out, planned.epochs, planned.steps) == (3, 1, 2, 4)
    assert planned.name == "ada" and not planned.name_taken and not studio.run_folder("ada").exists()
    assert any("no recording has been checked for training" in note for note in planned.notes)
    assert voice_runs.plan(studio, values).digest == planned.digest
    other = {**values, "texts": {**values["texts"], values["recordings"][0]: "Something else."}}
    assert voice_runs.plan(studio, other).digest != planned.digest
    assert voice_runs.plan(studio, {**values, "train": {"epochs": 3, "batch_size": 2}}).digest != planned.digest


def test_what_a_check_for_training_found_is_in_the_plan(studio: Studio) -> None:
    values = settings(studio)
    finding = {
        "check": "noise",
        "severity": "warning",
        "message": "it hisses",
        "fix": "record again",
        "mend": "denoise",
    }
    for number, one in enumerate(values["recordings"]):
        told = {"purpose": "trained", "figures": {"seconds": 1.0}, "findings": [finding] if number == 2 else []}
        (recordings.get(studio, one).path.parent / recordings.CHECKED).write_text(json.dumps(told))
    planned = voice_runs.plan(studio, values)
    assert [(f.recording, f.check, f.severity, f.mend) for f in planned.findings] == [
        (values["recordings"][2], "noise", "warning", "denoise")
    ]
    assert not any("checked" in note for note in planned.notes)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"consent": "no"}, r"^consent: a voice is cloned only with a statement.*example: \"I am"),
        ({"name": "a/b"}, "^name: "),
        ({"name": "studio"}, "is no name for a run"),
        ({"base": "nowhere"}, "^base: nothing is at 'nowhere'"),
        ({"train": {"epochs": 0}}, "^train.epochs: "),
        ({"train": 5}, "^train: "),
        ({"data": 5}, "^data: "),
        ({"data": {"clips": "x"}}, "^data.clips: is given beside recordings"),
        ({"stability": 1}, "^stability: no such setting"),
        ({"recordings": []}, "^recordings: should be a list of ids"),
        ({"recordings": "all"}, "^recordings: should be a list of ids"),
        ({"recordings": ["f" * 12], "texts": {}}, "^recording: there is no"),
        ({"texts": []}, "^texts: should be what is said"),
        ({"texts": {"x": "y"}}, "^texts.x: is none of the recordings"),
        ({"texts": {}}, r"^texts: 4 of 4 recordings have none \(clip-0.wav"),
        ({"hardware": {"device": "cuda:1"}}, "^hardware.device: 'cuda:1' cannot be chosen"),
        ({"hardware": {"precision": "bf16"}}, "^hardware: voices are trained in fp32"),
    ],
)
def test_settings_that_do_not_fit_are_refused_in_words(studio: Studio, changed: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        voice_runs.plan(studio, settings(studio) | changed)
    assert not (studio.workspace / "ada").exists()


def test_recordings_or_a_folder_have_to_be_named(studio: Studio) -> None:
    values = settings(studio)
    del values["recordings"]
    with pytest.raises(InputError, match="texts: are of recordings, and none are named"):
        voice_runs.plan(studio, values)
    del values["texts"]
    with pytest.raises(InputError, match="recordings: are missing"):
        voice_runs.plan(studio, values)


def test_a_recording_that_is_too_long_is_refused_before_anything_is_trained(studio: Studio) -> None:
    ids = [*recorded(studio, 3), record(studio, "lecture.wav", tone(31, rate=8000)).id]
    with pytest.raises(InputError, match=r"recordings: lecture.wav has 31.0 s.*cut it at pauses"):
        voice_runs.plan(studio, settings(studio, ids))


def test_texts_may_be_left_to_a_transcriber(studio: Studio) -> None:
    planned = voice_runs.plan(studio, settings(studio, texts={}, data={"transcriber": "openai/whisper-tiny"}))
    assert any("4 recordings get their text from openai/whisper-tiny" in note for note in planned.notes)


def test_who_sits_elsewhere_names_no_places_and_may_say_anything(studio: Studio, tmp_path: Path) -> None:
    values = settings(studio, consent="/I am the speaker and agree.")
    values["texts"][values["recordings"][0]] = "/etc/passwd ../.. ~"
    with trust.from_elsewhere():
        voice_runs.plan(studio, values)
        for changed in (
            {"base": str(tmp_path)},
            {"measuring": {"encoder": str(tmp_path)}},
            {"data": {"transcriber": "/srv/whisper"}},
        ):
            with pytest.raises(InputError, match="is a place on the server"):
                voice_runs.plan(studio, values | changed)
        del values["recordings"], values["texts"]
        with pytest.raises(InputError, match=r"data.clips: .* is a place on the server"):
            voice_runs.plan(studio, values | {"data": {"clips": str(tmp_path)}})


def test_a_folder_of_this_machine_is_taken_as_the_command_line_takes_it(studio: Studio, tmp_path: Path) -> None:
    values = settings(studio)
    for number, (one, text) in enumerate(values.pop("texts").items()):
        shutil.copyfile(recordings.get(studio, one).path, tmp_path / f"{number}.wav")
        (tmp_path / f"{number}.txt").write_text(text)
    del values["recordings"]
    values["data"] = {"clips": str(tmp_path)}
    planned = voice_runs.plan(studio, values)
    assert planned.recordings == 3
    start(studio, values)
    frozen = json.loads((studio.run_folder("ada") / "run.json").read_text())
    assert frozen["config"]["data"]["clips"] == str(tmp_path)
    assert voice_runs.settings(studio, "ada")["data"]["clips"] == str(tmp_path)


# --- started


def test_a_start_freezes_recordings_and_texts_into_the_run(studio: Studio) -> None:
    values = settings(studio)
    job = start(studio, values)
    assert (job.verb, job.subject, job.state) == ("voice-train", "run:ada", "queued")
    for one in values["recordings"]:
        recordings.remove(studio, one)
    found = voice_runs.clips(studio, "ada")
    assert sorted(clip.text for clip in found) == sorted(TEXTS) and sum(clip.held_out for clip in found) == 1
    assert {clip.recording for clip in found} == set(values["recordings"])
    folder = studio.run_folder("ada") / "clips"
    assert sorted(p.name for p in folder.glob("*.wav")) == sorted(clip.name for clip in found)
    frozen = json.loads((studio.run_folder("ada") / "run.json").read_text())
    assert frozen["config"]["data"]["clips"] == str(folder) and frozen["config"]["consent"] == CONSENT


def test_only_what_was_planned_is_started_and_a_name_is_of_one_run(studio: Studio) -> None:
    values = settings(studio)
    with pytest.raises(Conflict, match="have changed since this plan"):
        voice_runs.start(studio, values, "0" * 64)
    assert not studio.run_folder("ada").exists()
    start(studio, values)
    assert voice_runs.plan(studio, values).name_taken
    with pytest.raises(Conflict, match="there is a run 'ada' already"):
        start(studio, values)


def test_a_start_that_fails_leaves_nothing_and_the_name_free(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    values = settings(studio)
    with monkeypatch.context() as patch:
        patch.setattr(queue, "MOST_WAITING", 0)
        with pytest.raises(Conflict, match="the queue is full"):
            start(studio, values)
    assert not studio.run_folder("ada").exists() and runs.listed(studio) == []
    assert start(studio, values).state == "queued"


def test_settings_for_another_run_like_it_name_the_recordings_that_are_there(studio: Studio) -> None:
    values = settings(studio)
    start(studio, values)
    again = voice_runs.settings(studio, "ada")
    assert again["name"] == "ada-2" and again["texts"] == values["texts"] and "kind" not in again
    assert sorted(again["recordings"]) == sorted(values["recordings"])
    assert voice_runs.plan(studio, again).recordings == 3
    recordings.remove(studio, values["recordings"][0])
    assert values["recordings"][0] not in voice_runs.settings(studio, "ada")["recordings"]


# --- looked at


def test_a_view_has_sentences_by_epoch_with_their_figures(studio: Studio) -> None:
    write_voice_run(studio.workspace)
    seen = voice_runs.view(studio, "ada")
    assert (seen.summary.state, seen.summary.kind, seen.summary.epochs, seen.summary.epochs_saved) == (
        "finished", "voice", 2, 2)  # fmt: skip
    assert seen.sentences == list(SENTENCES) and seen.consent == CONSENT and seen.suggested == 1
    assert [(e.epoch, e.finished, len(e.sounds)) for e in seen.epochs] == [(0, False, 2), (1, True, 2), (2, True, 2)]
    assert seen.epochs[1].figures == {"train": 1.5, "held_out": 1.5, "seconds": 0.5, "pitch_error": 2.0}
    assert seen.epochs[1].sounds[0].figures == {"seconds": 0.5, "pitch_error": 2.0}
    assert [f.key for f in seen.figures] == ["train", "held_out", "pitch_error", "seconds"]
    assert seen.sentence == "Epoch 1: as good as it gets." and len(seen.run.loss) == 2
    assert [clip.held_out for clip in seen.clips] == [False, False, True]


def test_a_run_that_waits_has_a_view_too(studio: Studio) -> None:
    start(studio, settings(studio))
    seen = voice_runs.view(studio, "ada")
    assert seen.summary.state == "queued" and seen.epochs == [] and seen.figures == [] and not seen.has_reference
    assert seen.run.waiting_before == 0 and seen.sentences == [SENTENCES[0]] and seen.run.images == 3
    with pytest.raises(NotFound, match="no finished epoch"):
        voice_runs.reference(studio, "ada")


def test_sounds_are_found_and_nothing_else_is(studio: Studio) -> None:
    folder = write_voice_run(studio.workspace)
    path = folder / "samples" / "epoch-001" / "prompt-2-seed-42.wav"
    assert voice_runs.sound(studio, "ada", 1, 2) == voice_runs.sound(studio, "ada", 1, 2, 42) == path
    assert voice_runs.reference(studio, "ada").name == "reference.wav"
    assert voice_runs.voice_folder(studio, "ada", 2).name == "epoch-002"
    for asked in ((9, 1, None), (1, 9, None), (1, 1, 7), (-1, 1, None)):
        with pytest.raises(NotFound):
            voice_runs.sound(studio, "ada", *asked)
    with pytest.raises(NotFound, match="has no voice of epoch 0"):
        voice_runs.voice_folder(studio, "ada", 0)
    for name in ("nobody", "../ada", "studio", ""):
        with pytest.raises(NotFound):
            voice_runs.view(studio, name)


def test_the_report_is_the_one_that_is_heard(studio: Studio) -> None:
    write_voice_run(studio.workspace)
    assert "<audio" in run_files.report(studio, "ada").read_text()


# --- among other runs


def test_lists_and_choices_know_runs_of_voices(studio: Studio) -> None:
    write_voice_run(studio.workspace)
    found = runs.listed(studio)
    assert [(r.name, r.kind, r.base, r.suggested_epoch, r.cover) for r in found] == [
        ("ada", "voice", "owner/tiny", 1, None)
    ]
    assert [r.name for r in voice_runs.listed(studio)] == ["ada"] and voice_runs.listed(studio, archived=True) == []
    runs.choose(studio, "ada", 2)
    runs.note(studio, "ada", "hers")
    runs.archive(studio, "ada")
    assert voice_runs.view(studio, "ada").chosen == 2 and voice_runs.listed(studio) == []
    gone = run_bin.delete(studio, "ada")
    assert run_bin.restore(studio, gone.id) == "ada" and voice_runs.view(studio, "ada").summary.epochs_saved == 2


def test_what_is_for_pictures_refuses_a_voice(studio: Studio) -> None:
    write_voice_run(studio.workspace)
    for asked in (
        lambda: comparing.compare(studio, "ada", View()),
        lambda: comparing.evaluate(studio, "ada", Protocol((1.0,), 1, (), (), None)),
        lambda: comparing.score(studio, "ada"),
        lambda: run_files.grid(studio, "ada"),
        lambda: run_files.reference(studio, "ada", 1),
        lambda: runs.retrain(studio, "ada"),
        lambda: runs.sample_now(studio, "ada"),
        lambda: lora_choice.choose(studio, [LoraChoice("run:ada/1")]),
    ):
        with pytest.raises(Conflict, match="run 'ada' is a trained voice, and this is for pictures"):
            asked()
    with pytest.raises(InputError, match="'ada' is a trained voice, and no LoRA"):
        models.publish(studio, "ada", 1)
    with pytest.raises(NotFound, match="has no LoRA of epoch 1"):
        run_files.checkpoint(studio, "ada", 1)
    assert comparing.views(studio, "ada") == [] and comparing.evaluated(studio, "ada") == []


def test_a_run_of_pictures_is_no_voice_run_and_is_planned_beside_one(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_machine(monkeypatch)
    write_voice_run(studio.workspace)
    mika(studio, tmp_path)
    assert planning.plan(studio, runs_at_hand.settings()).plan.steps > 0  # measures earlier runs
    runs_at_hand.start(studio)
    for asked in (voice_runs.view, voice_runs.clips, voice_runs.settings, voice_runs.stop, voice_runs.resume):
        with pytest.raises(NotFound, match="run 'mika' learns pictures"):
            asked(studio, "mika")
    assert [r.name for r in voice_runs.listed(studio)] == ["ada"] and len(runs.listed(studio)) == 2


def test_a_voice_run_that_waits_is_paused_and_goes_on(studio: Studio) -> None:
    start(studio, settings(studio))
    assert voice_runs.stop(studio, "ada", "paused").state == "paused"
    assert runs.summary_of(studio, "ada").state == "paused"
    assert voice_runs.resume(studio, "ada").state == "queued"
    voice_runs.stop(studio, "ada")
    assert runs.summary_of(studio, "ada").state == "canceled"
    job = voice_runs.resume(studio, "ada")
    assert (job.verb, job.state) == ("voice-train", "queued")


def test_a_voice_run_of_the_command_line_goes_on_in_the_queue(studio: Studio) -> None:
    folder = write_voice_run(studio.workspace)
    with pytest.raises(Conflict, match="has finished"):
        voice_runs.resume(studio, "ada")
    lines = (folder / "events.jsonl").read_text().splitlines(keepends=True)
    (folder / "events.jsonl").write_text("".join(lines[:-1]))
    assert voice_runs.resume(studio, "ada").verb == "voice-train"


# --- trained


@pytest.mark.long
def test_a_voice_is_trained_stopped_and_goes_on(studio: Studio, supervised: Supervisor, tiny_pocket: Path) -> None:
    from likeness.voices.audio import write_sound
    from tests.voices.recordings import said

    sounds = studio.root / "said.wav"
    ids: list[str] = []
    for text in TEXTS:
        write_sound(sounds, said(text)[: 24_000 * 2] * 0.5, 24_000)
        ids.append(record(studio, "said.wav", sounds.read_bytes()).id)
    checked = recordings.check(studio, ids, "trained")
    wait(lambda: queue.get(studio, checked.id).state == "finished")
    values = settings(studio, ids, base=str(tiny_pocket), optim={"learning_rate": 0.01}, train={"epochs": 40})
    planned = voice_runs.plan(studio, values)
    assert not any("been checked" in note for note in planned.notes)
    job = voice_runs.start(studio, values, planned.digest)

    wait(lambda: voice_runs.view(studio, "ada").summary.epochs_saved >= 1)
    voice_runs.stop(studio, "ada", "paused")
    wait(lambda: queue.get(studio, job.id).state == "paused")
    seen = voice_runs.view(studio, "ada")
    assert 0 < seen.summary.step < 40 and seen.run.ended.startswith("stopped as asked")

    folder = studio.run_folder("ada")
    frozen = json.loads((folder / "run.json").read_text())
    done = seen.summary.step
    frozen["config"]["train"]["epochs"] = frozen["plan"]["steps"] = done + 1  # so that the test is short
    (folder / "run.json").write_text(json.dumps(frozen))
    assert voice_runs.resume(studio, "ada").id == job.id
    wait(lambda: queue.get(studio, job.id).state in queue.ENDED)
    assert queue.get(studio, job.id).state == "finished", queue.get(studio, job.id).error
    seen = voice_runs.view(studio, "ada")
    assert seen.summary.state == "finished" and seen.summary.epochs_saved == done + 1 and seen.sentence
    assert all(e.sounds for e in seen.epochs) and {"train", "held_out"} <= set(seen.epochs[-1].figures)
    assert voice_runs.sound(studio, "ada", 0, 1).read_bytes() != voice_runs.sound(studio, "ada", 1, 1).read_bytes()

    longer = runs.extend(studio, "ada", done + 2)
    assert longer.verb == "voice-train"
    wait(lambda: queue.get(studio, longer.id).state in queue.ENDED)
    assert voice_runs.view(studio, "ada").summary.epochs_saved == done + 2


def test_recordings_that_cannot_be_used_are_told_by_the_job(
    studio: Studio, supervised: Supervisor, tiny_pocket: Path
) -> None:
    ids = [*recorded(studio, 3), record(studio, "silent.wav", tone(1.0, 0.0)).id]
    job = start(studio, settings(studio, ids, base=str(tiny_pocket)))
    wait(lambda: queue.get(studio, job.id).state in queue.ENDED)
    found = queue.get(studio, job.id)
    assert found.state == "failed" and "silent" in str(found.error) and "leave it out" in str(found.error)
    assert voice_runs.view(studio, "ada").summary.state == "failed"
