"""The scorecard of a real run, on the tiny base."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from likeness.events import EpochMeasured, Note, RunFinished, VerdictGiven, read_events
from likeness.judge.scorecard import Scorecard
from likeness.report.history import read_history
from likeness.worker import training
from tests.tiny_run import copy_run, course, results

PROMPTS = '["tiny_char at sea", "tiny_char at home", "a cat"]'
SETTINGS = {"data__hold_out": 1, "sampling__prompts": PROMPTS, "scorecard__encoder": "none"}


def told(run: Path, kind: type) -> list:
    return [e for e in read_events(run / "events.jsonl") if isinstance(e, kind)]


def test_every_epoch_is_measured_and_judged_once(make_run: Callable[..., Path]) -> None:
    run = make_run(**SETTINGS, scorecard__seeds=2)
    assert training.run(run) == 0
    measured = told(run, EpochMeasured)
    assert [e.epoch for e in measured] == [0, 1, 2] and {e.encoder for e in measured} == {""}
    assert [e.step for e in measured] == [0, 4, 8]
    keys = {f"prompt-{n}-seed-{seed}" for n in (1, 2) for seed in (42, 43)}
    assert set(measured[1].pictures["copied"]) == keys
    assert set(measured[1].pictures["drift"]) == {"prompt-3-seed-42", "prompt-3-seed-43"}
    assert set(measured[0].pictures["drift"].values()) == {0.0}
    assert measured[2].pictures["drift"] != measured[1].pictures["drift"]
    assert measured[2].whole["diversity"] > 0
    assert len(list(run.glob("scorecard/epoch-*/*.png"))) == 9 and len(list(run.glob("samples/*/*"))) == 9
    verdicts = told(run, VerdictGiven)
    assert [e.epoch for e in verdicts] == [1, 2]
    assert [row["epoch"] for row in verdicts[-1].rows] == [0, 1, 2]
    assert verdicts[-1].suggested in (None, 1, 2)
    history = read_history(run)
    assert history.verdict == verdicts[-1] and history.samples[1, 1].parent.parent.name == "samples"
    assert verdicts[-1].sentence.split(";")[0] in (run / "report.html").read_text()

    assert training.run(run) == 0  # all of it is there already
    assert told(run, EpochMeasured) == measured and told(run, VerdictGiven) == verdicts


def test_measuring_changes_nothing_in_what_is_learned(make_run: Callable[..., Path]) -> None:
    """Not the files, the state, the pictures, nor any loss."""
    run = make_run(**SETTINGS, scorecard__seeds=3, lora__dropout=0.3)
    plain = copy_run(run, "plain")
    frozen = json.loads((plain / "run.json").read_text())
    frozen["config"]["scorecard"]["enabled"] = False  # the digest in the files' metadata stays that of the settings
    (plain / "run.json").write_text(json.dumps(frozen))
    assert training.run(run) == 0 and training.run(plain) == 0
    assert told(plain, EpochMeasured) == [] and not (plain / "scorecard").exists()
    assert results(run) == results(plain)
    assert course(run) == course(plain)


def test_what_goes_wrong_with_it_does_not_stop_the_training(
    make_run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(Scorecard, "measure", fail)
    run = make_run(**SETTINGS)
    assert training.run(run) == 0
    assert told(run, EpochMeasured) == [] and told(run, RunFinished)
    assert any("planted" in e.message and "goes on" in e.message for e in told(run, Note))
    assert told(run, VerdictGiven)  # the losses were measured


def test_an_encoder_that_cannot_be_had_costs_its_measures_alone(make_run: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{}")
    run = make_run(**SETTINGS | {"scorecard__encoder": tmp_path / "broken"})
    assert training.run(run) == 0
    assert len([e for e in told(run, Note) if "scorecard.encoder" in e.message]) == 1
    assert [e.encoder for e in told(run, EpochMeasured)] == ["", "", ""]


def test_without_prompts_there_are_the_losses(make_run: Callable[..., Path]) -> None:
    run = make_run(**SETTINGS | {"sampling__prompts": "[]"})
    assert training.run(run) == 0
    assert told(run, EpochMeasured) == [] and [e.epoch for e in told(run, VerdictGiven)] == [1, 2]


def test_an_earlier_run_goes_on_with_a_scorecard(make_run: Callable[..., Path]) -> None:
    """One that an older version began: its run.json has no such settings, and its events tell no losses by probe."""
    run = make_run(**SETTINGS)
    frozen = json.loads((run / "run.json").read_text())
    del frozen["config"]["scorecard"], frozen["config"]["train"]["early_stop"], frozen["config"]["train"]["keep_best"]
    (run / "run.json").write_text(json.dumps(frozen))
    assert training.run(run) == 0
    assert len(told(run, EpochMeasured)) == 3
