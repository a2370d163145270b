import json
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from likeness import events

ONE_OF_EACH: list[events.Event] = [
    events.RunStarted(name="r", steps=8, epochs=2, images=3, device="cpu", precision="fp32", resumed_at=4),
    events.Stage(name="encoding", done=1, total=3),
    events.Note(message="goes on under other conditions"),
    events.StepDone(
        step=1, epoch=1, loss=0.1 + 0.2, learning_rate=1e-4, gradient_norm=1 / 3, images_per_second=2.5, memory_bytes=9
    ),
    events.UpdateSkipped(step=2, reason="loss nan"),
    events.ProbesMeasured(epoch=1, step=4, train_loss=0.5, held_out_loss=None, per_image=[]),
    events.EpochMeasured(
        epoch=1, step=4, encoder="", pictures={"copied": {"prompt-1-seed-42": 0.0}}, whole={"vendi": 1.5}
    ),
    events.VerdictGiven(
        epoch=1,
        verdict="sweet spot",
        sentence="Sweet spot: epoch 1, suggested 1.",
        suggested=1,
        sweet_spot=[1, 1],
        overfit_from=None,
        flags=[],
        reasons=["because"],
        advice=[],
        rows=[{"epoch": 0, "likeness": [0.5, None]}],
    ),
    events.SampleSaved(epoch=1, step=4, prompt_index=1, prompt='a "quoted"\nprompt, süß', seed=42, path="a/b.png"),
    events.CheckpointSaved(epoch=1, step=4, path="checkpoints/epoch-001.safetensors"),
    events.SampleNow(epoch=2, step=6, prompt_index=1, prompt="a", seed=42, path="now/step-000006/a.png"),
    events.RunFinished(step=8, seconds=1.5),
    events.RunStopped(step=4, why="interrupted", message="stopped"),
]


def test_every_kind_is_known_and_shown_here() -> None:
    assert {type(e) for e in ONE_OF_EACH} == set(events.KINDS.values()) == set(events.Event.__subclasses__())
    assert len(events.KINDS) == len(ONE_OF_EACH)


@pytest.mark.parametrize("event", ONE_OF_EACH, ids=lambda e: e.kind)
def test_round_trip_is_exact(event: events.Event) -> None:
    line = events.encode(event)
    assert "\n" not in line
    assert json.loads(line)["event"] == event.kind
    assert events.decode(line) == event


def test_events_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        ONE_OF_EACH[0].time = 0.0  # type: ignore[misc]


@pytest.mark.parametrize(
    "line", ["", "[1]", '"x"', '{"event": "from the future"}', '{"event": "step", "step": 1}', '{"event": "stage", "na']
)
def test_what_is_not_understood_is_left_out(line: str) -> None:
    assert events.decode(line) is None


def test_keys_of_a_newer_version_are_left_out() -> None:
    row = {**json.loads(events.encode(ONE_OF_EACH[9])), "mood": "good"}
    assert events.decode(json.dumps(row)) == ONE_OF_EACH[9]


def test_a_log_is_read_back_in_order(tmp_path: Path) -> None:
    log = events.EventLog(tmp_path / "events.jsonl")
    for event in ONE_OF_EACH:
        log.write(event)
    assert list(events.read_events(log.path)) == ONE_OF_EACH


def test_half_a_line_of_a_killed_writer_costs_that_line_alone(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    events.EventLog(path).write(ONE_OF_EACH[0])
    with path.open("a") as f:
        f.write(events.encode(ONE_OF_EACH[1])[:20])
    events.EventLog(path).write(ONE_OF_EACH[2])
    assert list(events.read_events(path)) == [ONE_OF_EACH[0], ONE_OF_EACH[2]]


def test_no_file_is_no_events(tmp_path: Path) -> None:
    assert list(events.read_events(tmp_path / "events.jsonl")) == []
