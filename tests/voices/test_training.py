"""Trained voices on a network of random weights: the real classes, a second a run."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from likeness import events
from likeness.errors import InputError
from likeness.service import voice_runs
from likeness.voices import training
from likeness.voices.audio import read_clip, write_sound
from likeness.voices.engine import Manner, Request, open_engine
from likeness.voices.lessons import Lesson, drawn_voice
from likeness.voices.making import read_voice, verify
from likeness.worker import voice_training
from tests.tiny_run import newest_state

SETTINGS: dict[str, Any] = {
    "name": "ada",
    "consent": "I am the speaker and agree.",
    "train": {"epochs": 2, "batch_size": 2, "seed": 1},
    "optim": {"learning_rate": 0.01},
    "lora": {"rank": 4, "alpha": 8.0},
    "sampling": {"prompts": ["come here"]},
    "hardware": {"device": "cpu", "precision": "fp32", "threads": 1},
}


def freeze(base: Path, clips: Path, workspace: Path, **changed: Any) -> Path:
    values = {**SETTINGS, "base": str(base), "data": {"clips": str(clips)}, **changed}
    return voice_runs.start(voice_runs.prepare(voice_runs.run_config(values)), workspace)


@pytest.fixture(scope="module")
def trained(tiny_pocket: Path, lessons: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run that is frozen, and the same after training; leave both as they are."""
    fresh = freeze(tiny_pocket, lessons, tmp_path_factory.mktemp("runs"))
    done = Path(shutil.copytree(fresh, fresh.with_name("done")))
    go(done)
    return fresh, done


@pytest.fixture
def start(tiny_pocket: Path, lessons: Path, tmp_path: Path) -> Callable[..., Path]:
    """Freeze a run, with groups of settings to override, and return its folder."""

    def make(clips: Path = lessons, **changed: Any) -> Path:
        return freeze(Path(changed.pop("base", tiny_pocket)), clips, tmp_path / "runs", **changed)

    return make


def go(folder: Path, stop_at: int = 0) -> list[events.Event]:
    """Train as the worker does; asked to stop once step `stop_at` is done."""
    told: list[events.Event] = []
    log = events.EventLog(folder / "events.jsonl")

    def asked() -> bool:
        return bool(stop_at) and any(isinstance(e, events.StepDone) and e.step >= stop_at for e in told)

    work: Iterator[events.Event] = training.train(
        voice_training.read_voice_job(folder), asked, voice_training.VoiceResults
    )
    for event in work:
        told.append(event)
        log.write(event)
    return told


def results(folder: Path) -> dict[str, bytes]:
    files = (*folder.glob("checkpoints/*/*"), *folder.glob("samples/*/*"), newest_state(folder))
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def losses(told: list[events.Event]) -> list[float]:
    return [e.train_loss for e in told if isinstance(e, events.ProbesMeasured)]


def test_a_run_leaves_a_voice_an_epoch_and_the_loss_falls(start: Callable[..., Path]) -> None:
    folder = start(train={"epochs": 6, "batch_size": 2, "seed": 1}, optim={"learning_rate": 0.03})
    told = go(folder)
    falling = losses(told)
    assert len(falling) == 7 and falling[-1] < 0.7 * falling[0] and falling == sorted(falling, reverse=True)
    assert [p.name for p in sorted((folder / "checkpoints").iterdir())] == [f"epoch-{n:03d}" for n in range(1, 7)]
    assert sorted(p.name for p in (folder / "samples").iterdir()) == [f"epoch-{n:03d}" for n in range(7)]
    verdict = [e for e in told if isinstance(e, events.VerdictGiven)][-1]
    assert verdict.suggested in range(1, 7) and verdict.rows[0]["epoch"] == 0
    assert isinstance(told[-1], events.RunFinished)


def test_every_epoch_is_a_voice_that_says_its_sample_again(trained: tuple[Path, Path]) -> None:
    _, folder = trained
    voice = folder / "checkpoints" / "epoch-002"
    record = read_voice(voice)
    engine = open_engine("pocket", Request(base=str(record.values["base"]), device="cpu"))
    said = engine.say("come here", voice, record.values, Manner(seed=42))
    sample = read_clip(folder / "samples" / "epoch-002" / "prompt-1-seed-42.wav")
    assert np.corrcoef(said.samples, sample.samples)[0, 1] > 0.9  # but for the mark, and the level
    base = read_clip(folder / "samples" / "epoch-000" / "prompt-1-seed-42.wav")
    assert len(base.samples) != len(sample.samples) or np.abs(base.samples - sample.samples).max() > 1e-3
    assert verify(folder / "samples" / "epoch-002" / "prompt-1-seed-42.wav")["provenance"]["voice"] == "ada"


def test_the_adapter_reloads_identically(trained: tuple[Path, Path], tiny_pocket: Path) -> None:
    from likeness.voices.pocket import open_pocket
    from likeness.voices.pocket_engine import with_adapter
    from likeness.voices.training import trainable

    _, folder = trained
    opened = with_adapter(open_pocket(str(tiny_pocket), torch.device("cpu")), folder / "checkpoints" / "epoch-002")
    kept = {n.removeprefix("weights."): t for n, t in _state(folder).items() if n.startswith("weights.")}
    loaded = dict(opened.network.named_parameters())
    assert len(kept) == 2 * 2 * 6  # two factors, two layers, six matrices each
    assert all(torch.equal(loaded[name], value) for name, value in kept.items())
    assert not trainable(opened.network)


def _state(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(newest_state(folder))


@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_run_that_was_stopped_ends_bit_for_bit_as_one_that_was_not(
    trained: tuple[Path, Path], tmp_path: Path, step: int
) -> None:
    fresh, whole = trained
    stopped = Path(shutil.copytree(fresh, tmp_path / "stopped"))
    told = go(stopped, stop_at=step)
    assert isinstance(told[-1], events.RunStopped) and told[-1].step == step
    torch.manual_seed(step)  # what came before must not matter
    went_on = go(stopped)
    assert next(e for e in went_on if isinstance(e, events.RunStarted)).resumed_at == step
    assert results(whole) == results(stopped)


def test_what_an_epoch_left_before_a_kill_is_not_made_again(trained: tuple[Path, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(trained[1], tmp_path / "killed"))
    before = results(folder)
    shutil.rmtree(folder / "samples" / "epoch-002")
    told = go(folder)
    assert [e.epoch for e in told if isinstance(e, events.SampleSaved)] == [2]
    assert results(folder) == before


def test_only_the_backbone_learns(tiny_pocket: Path) -> None:
    from likeness.config.voice import VoiceRunConfig
    from likeness.voices.pocket import open_pocket

    network = open_pocket(str(tiny_pocket), torch.device("cpu")).network
    config = VoiceRunConfig.model_validate({**SETTINGS, "base": str(tiny_pocket), "data": {"clips": "x"}})
    before = network.latent_mean.clone()
    names = list(training.trainable(training.add_lora(network, config)))
    assert names and all("model.layers." in n and "lora_" in n for n in names)
    assert not any("flow_head" in n for n in names)
    assert torch.equal(network.latent_mean, before)


def test_bad_recordings_are_all_told_before_anything_is_learned(
    start: Callable[..., Path], lessons: Path, tmp_path: Path
) -> None:
    clips = Path(shutil.copytree(lessons, tmp_path / "clips"))
    write_sound(clips / "telephone.wav", np.random.default_rng(0).normal(size=16_000) * 0.1, 8_000)
    write_sound(clips / "silent.wav", np.zeros(48_000), 24_000)
    (clips / "cut.wav").write_bytes((clips / "0.wav").read_bytes()[:5000])
    for name in ("telephone", "silent", "cut"):
        (clips / f"{name}.txt").write_text("some words")
    with pytest.raises(InputError) as caught:
        go(start(clips=clips))
    told = str(caught.value)
    assert all(part in told for part in ("telephone.wav: 8000 Hz", "silent.wav: is silent", "cut.wav: is cut off"))


def test_a_base_of_another_kind_is_refused(start: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with pytest.raises(InputError, match="no Pocket TTS"):
        go(start(base=str(tmp_path / "other")))


def test_the_voice_that_is_given_comes_from_another_recording_and_is_drawn_anew() -> None:
    lessons = [Lesson(str(n), Path(), "", False, torch.full((200, 2), float(n))) for n in range(3)]
    drawn = [drawn_voice(lessons, lessons[0], 12.5, (1, step)) for step in range(30)]
    assert {float(v[0, 0]) for v in drawn} == {1.0, 2.0} and len({len(v) for v in drawn}) > 5
    again = drawn_voice(lessons, lessons[0], 12.5, (1, 7))
    assert torch.equal(again, drawn[7])
    assert float(drawn_voice(lessons[:1], lessons[0], 12.5, (1,))[0, 0]) == 0.0


def test_missing_texts_are_written_down_by_the_checkpoint_that_is_named(
    start: Callable[..., Path], lessons: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from likeness.voices import transcribing

    clips = Path(shutil.copytree(lessons, tmp_path / "clips"))
    (clips / "2.txt").unlink()
    opened: list[str] = []

    def open_transcriber(place: str, *_: object) -> Callable[[np.ndarray], str]:
        opened.append(place)
        return lambda x: f"about {len(x) // 16_000} seconds"

    monkeypatch.setattr(transcribing, "open_transcriber", open_transcriber)
    go(start(clips=clips, data={"clips": str(clips), "transcriber": "whisper"}))
    assert opened == ["whisper"] and (clips / "2.txt").read_text() == "about 2 seconds\n"


def test_figures_of_an_encoder_and_a_recogniser_are_taken_each_epoch(
    start: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from likeness.voices import encoders, transcribing

    def encode(x: np.ndarray) -> np.ndarray:
        return np.array([1.0, float(len(x) % 7)])

    monkeypatch.setattr(encoders, "open_encoder", lambda *_: encode)  # type: ignore[reportUnknownLambdaType]
    monkeypatch.setattr(transcribing, "open_transcriber", lambda *_: lambda x: "come there")  # type: ignore[reportUnknownLambdaType]
    told = go(start(measuring={"encoder": "e", "recogniser": "r"}))
    measured = [e for e in told if isinstance(e, events.EpochMeasured)]
    assert [e.epoch for e in measured] == [0, 1, 2]
    assert all(e.whole["wer"] == 0.5 and 0 <= e.whole["similarity"] <= 1 for e in measured)
