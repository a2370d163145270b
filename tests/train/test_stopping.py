"""When a run ends early, and which files it keeps."""

from collections.abc import Callable
from pathlib import Path

import pytest

from likeness.events import Note, ProbesMeasured, RunFinished, StepDone, read_events
from likeness.train.stopping import enough, held_out_curve, worse_epochs
from likeness.worker import training
from tests.tiny_run import copy_run, course, results


def probes(epoch: int, loss: float | None) -> ProbesMeasured:
    return ProbesMeasured(epoch=epoch, step=epoch, train_loss=1.0, held_out_loss=loss, per_image=[])


def test_the_curve_is_of_trained_epochs_as_told_last() -> None:
    events = [probes(0, 9.0), probes(1, 3.0), probes(2, None), probes(1, 2.0), probes(3, 4.0)]
    assert held_out_curve(events, until=3) == {1: 2.0, 3: 4.0}
    assert held_out_curve(events, until=1) == {1: 2.0}


@pytest.mark.parametrize(
    ("curve", "patience", "ends"),
    [
        ({1: 3, 2: 2, 3: 1}, 1, False),
        ({1: 3, 2: 2, 3: 2.5}, 2, False),
        ({1: 3, 2: 2, 3: 2.5, 4: 2.5}, 2, True),
        ({1: 2, 2: 2, 3: 2}, 2, True),  # an equal loss is no lower one
        ({1: 2, 2: 3, 3: 4}, 0, False),
        ({1: 2, 5: 3}, 4, True),  # epochs count, not measurements
        ({}, 1, False),
    ],
)
def test_enough(curve: dict[int, float], patience: int, ends: bool) -> None:
    why = enough(curve, patience)
    assert (why is not None) == ends
    assert why is None or f"epoch {min(curve, key=lambda e: curve[e])} " in why


def test_which_files_go() -> None:
    curve = {1: 5.0, 2: 3.0, 3: 2.0, 4: 3.0, 5: 6.0}
    assert worse_epochs(curve, 0, 5) == []
    assert worse_epochs(curve, 1, 5) == [1, 2, 4]
    assert worse_epochs(curve, 2, 5) == [1, 4]  # of equal ones the earlier stays
    assert worse_epochs(curve, 9, 5) == []
    kept: set[int] = set()
    for latest in curve:  # what is gone never comes back
        kept |= {latest}
        gone = set(worse_epochs({e: v for e, v in curve.items() if e <= latest}, 2, latest))
        assert {e for e in range(1, latest + 1) if e not in gone} <= kept
        kept -= gone
    assert kept == {2, 3, 5}


# --- in a run


@pytest.fixture
def rising(monkeypatch: pytest.MonkeyPatch) -> None:
    """Held-out losses that are lowest at epoch 2, whatever was learned."""
    from likeness.train import probes as module

    def measure(family, items, cache, probes, outside, seed, epoch, step):
        return ProbesMeasured(
            epoch=epoch, step=step, train_loss=1.0, held_out_loss=1.0 + abs(epoch - 2), per_image=[("a", 1.0)]
        )

    monkeypatch.setattr(module, "measure", measure)


SETTINGS = {"train__epochs": 6, "data__hold_out": 1, "sampling__prompts": "[]", "train__early_stop": 2}


@pytest.mark.usefixtures("rising")
def test_a_run_ends_early_and_can_be_told_to_go_on(make_run: Callable[..., Path]) -> None:
    run = make_run(**SETTINGS)
    assert training.run(run) == 0
    told = list(read_events(run / "events.jsonl"))
    assert isinstance(told[-1], RunFinished) and max(e for e, *_ in course(run).values()) == 4
    assert any(isinstance(e, Note) and "ended early after epoch 4" in e.message for e in told)
    steps = sum(isinstance(e, StepDone) for e in told)
    assert training.run(run) == 0  # asked again, it sees the same and ends at once
    assert sum(isinstance(e, StepDone) for e in read_events(run / "events.jsonl")) == steps
    assert len(list(run.glob("checkpoints/*"))) == 4, "nothing is deleted unless asked"


@pytest.mark.usefixtures("rising")
def test_up_to_its_end_it_is_the_run_that_goes_on(make_run: Callable[..., Path]) -> None:
    early, whole = make_run("early", **SETTINGS), make_run("whole", **SETTINGS | {"train__early_stop": 0})
    assert training.run(early) == 0 and training.run(whole) == 0
    assert max(e for e, *_ in course(whole).values()) == 6
    left = course(early)
    assert left and all(course(whole)[step] == values for step, values in left.items())


@pytest.mark.usefixtures("rising")
@pytest.mark.parametrize("stop_after", [3, 8])
def test_interrupted_it_ends_at_the_same_place(
    make_run: Callable[..., Path], stop_after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(**SETTINGS, train__keep_best=1)
    whole = copy_run(run, "whole")
    assert training.run(whole) == 0

    class Impatient:
        def __init__(self) -> None:
            self.left = stop_after

        def __call__(self) -> bool:
            self.left -= 1
            return self.left < 0

    with monkeypatch.context() as patch:
        patch.setattr(training, "StopRequest", Impatient)
        assert training.run(run) == 130
    assert training.run(run) == 0
    assert results(run) == results(whole)
    assert sorted(p.name for p in run.glob("checkpoints/*")) == ["epoch-002.safetensors", "epoch-004.safetensors"]
