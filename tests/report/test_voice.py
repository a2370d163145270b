import json
from pathlib import Path

import pytest

from likeness import events
from likeness.errors import InputError
from likeness.events import EventLog
from likeness.report.voice import read_voice_run, render_voice_report, write_voice_report


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Two epochs of a voice with figures; the sounds are a few bytes."""
    config = {
        "kind": "voice", "base": "b", "consent": "I <agree>", "data": {"clips": "c"},
        "sampling": {"prompts": ["Hello <there>"], "seed": 42},
    }  # fmt: skip
    (tmp_path / "run.json").write_text(json.dumps({"name": "ada", "config": config}))
    log = EventLog(tmp_path / "events.jsonl")
    for epoch in range(3):
        place = tmp_path / "samples" / f"epoch-{epoch:03d}" / "prompt-1-seed-42.wav"
        place.parent.mkdir(parents=True)
        place.write_bytes(b"RIFF")
        if epoch:
            (tmp_path / "checkpoints" / f"epoch-{epoch:03d}").mkdir(parents=True)
            (tmp_path / "checkpoints" / f"epoch-{epoch:03d}" / "voice.json").write_text("{}")
            log.write(events.StepDone(
                step=epoch, epoch=epoch, loss=2.0 - epoch, learning_rate=1e-4, gradient_norm=1.0,
                images_per_second=1.0, memory_bytes=1,
            ))  # fmt: skip
        log.write(events.ProbesMeasured(
            epoch=epoch, step=epoch, train_loss=2.0 - epoch / 2, held_out_loss=1.5, per_image=[]
        ))  # fmt: skip
        log.write(events.EpochMeasured(
            epoch=epoch, step=epoch, encoder="", pictures={}, whole={"wer": 0.25, "pitch_error": 1.5}
        ))  # fmt: skip
    log.write(events.VerdictGiven(
        epoch=2, verdict="sweet spot", sentence="Epoch 1: best.", suggested=1, sweet_spot=[1, 1], overfit_from=None,
        flags=[], reasons=[], advice=[], rows=[],
    ))  # fmt: skip
    return tmp_path


def test_a_run_is_read_from_its_folder(run: Path) -> None:
    read = read_voice_run(run)
    assert (read.name, read.epochs, sorted(read.sentences)) == ("ada", [1, 2], [(0, 1), (1, 1), (2, 1)])
    assert read.rows[1] == {"train": 1.5, "held_out": 1.5, "wer": 0.25, "pitch_error": 1.5}


def test_the_page_lets_every_epoch_be_heard_and_marks_the_suggested_one(run: Path) -> None:
    page = write_voice_report(run).read_text()
    assert page.count("<audio") == 3 and page.count("data:audio/wav;base64,UklGRg==") == 3
    assert "epoch 1 · suggested" in page and "25.0%" in page and "epoch-001" in page
    assert "Hello &lt;there&gt;" in page and "I &lt;agree&gt;" in page and "<there>" not in page
    assert "media-src data:" in page.replace("&#39;", "'")


def test_a_run_that_has_just_begun_has_a_page_too(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"name": "new", "config": {}}))
    assert "<audio" not in render_voice_report(read_voice_run(tmp_path))
    with pytest.raises(InputError):
        read_voice_run(tmp_path / "nowhere")
