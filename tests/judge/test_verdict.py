"""From events to the event that says which epoch."""

import pytest

from likeness.events import EpochMeasured, Event, ProbesMeasured, decode, encode
from likeness.judge.advice import advise
from likeness.judge.recommend import Verdict
from likeness.judge.verdict import evidence_of, give_verdict
from tests.judge.conftest import run_config

CURVE = (0.60, 0.57, 0.56, 0.55, 0.551, 0.56, 0.70)


def probes(epoch: int, held_out: float | None, per_probe: bool = True) -> ProbesMeasured:
    losses = {"kept": [held_out - 0.1, held_out + 0.1]} if held_out is not None and per_probe else {}
    rows = [("kept", held_out or 0.0), ("learned", 0.5 - 0.05 * epoch)]
    return ProbesMeasured(
        epoch=epoch, step=epoch, train_loss=0.5 - 0.05 * epoch, held_out_loss=held_out, per_image=rows, per_probe=losses
    )


def measured(epoch: int, encoder: str, likeness: float) -> EpochMeasured:
    return EpochMeasured(
        epoch=epoch, step=epoch, encoder=encoder, pictures={"likeness": {"a": likeness, "b": likeness + 0.1}},
        whole={"diversity": 0.9},
    )  # fmt: skip


HELD_OUT = frozenset({"kept"})


def test_the_last_told_of_an_epoch_counts() -> None:
    found = evidence_of([probes(0, 0.7), probes(0, 0.6), measured(0, "x", 0.1), measured(0, "x", 0.2)], HELD_OUT)
    assert len(found) == 1
    assert found[0].held_out == {"kept": pytest.approx([0.5, 0.7])} and found[0].pictures["likeness"]["a"] == 0.2


def test_pictures_of_another_encoder_are_not_compared() -> None:
    events = [measured(0, "old", 0.1), measured(1, "old", 0.2), measured(1, "new", 0.5), measured(2, "new", 0.6)]
    assert [bool(e.pictures) for e in evidence_of(events, HELD_OUT)] == [False, True, True]


def test_a_run_of_an_older_version_is_read() -> None:
    """It told the mean of each picture alone."""
    events = [decode(encode(probes(epoch, loss, per_probe=False))) for epoch, loss in enumerate(CURVE)]
    found = evidence_of([e for e in events if e is not None], HELD_OUT)
    assert found[0].held_out == {"kept": [0.6]}
    assert give_verdict([e for e in events if e], run_config(), HELD_OUT, 10, None).verdict == "sweet spot"


def test_the_verdict_of_a_run() -> None:
    events: list[Event] = []
    for epoch, loss in enumerate(CURVE):
        events += [probes(epoch, loss), measured(epoch, "x", 0.3 + 0.03 * min(epoch, 4))]
    told = give_verdict(events, run_config(), HELD_OUT, 10, {1, 2, 3, 4, 5, 6})
    assert told.verdict == "sweet spot" and told.overfit_from == 6 and told.suggested == 5
    assert told.sweet_spot == [3, 5] and told.epoch == 6 and told.sentence.endswith("overfit from 6.")
    assert decode(encode(told)) == told
    row = told.rows[4]
    assert row["epoch"] == 4 and row["held_out_loss"] == pytest.approx(0.551)
    assert row["likeness"] == [pytest.approx(0.47), 0.0] and row["diversity"] == [0.9, None]
    assert told.rows[0]["likeness"] == [pytest.approx(0.35), None]


def test_nothing_held_out() -> None:
    told = give_verdict([probes(e, None) for e in range(4)], run_config(), frozenset(), 5, {1, 2, 3})
    assert told.verdict == "cannot tell" and told.suggested is None
    assert told.rows[1]["held_out_loss"] is None and told.rows[1]["train_loss"] == pytest.approx(0.45)
    assert "hold_out" in " ".join(told.advice)


@pytest.mark.parametrize(
    ("verdict", "settings", "words"),
    [
        (Verdict("underfit", "", 10), {}, "--resume --set train.epochs=15"),
        (Verdict("underfit", "", 10), {"optim": {"schedule": "cosine"}}, "under a new name: train.epochs: 15"),
        (Verdict("overfit", "", 2, (1, 2), 3), {"optim": {"learning_rate": 0.001}}, "half, 0.0005"),
        (Verdict("overfit", "", None, None, 1), {"optim": {"learning_rate": 0.001}}, "fifth: 0.0002"),
        (Verdict("sweet spot", "", 6, (4, 7), 8), {}, "train.epochs: 8"),
        (Verdict("cannot tell", ""), {}, "raise optim.learning_rate to 0.0002"),
        (Verdict("sweet spot", "", 6, (4, 10), None, ("leaks",)), {}, "set preserve.weight: 1"),
        (Verdict("sweet spot", "", 6, (4, 10), None, ("leaks",)), {"preserve": {"weight": 1}}, "above 1"),
        (Verdict("sweet spot", "", 6, (4, 10), None, ("monotonous",)), {}, "vary poses"),
        (Verdict("sweet spot", "", 6, (4, 10), None, ("copies",)), {}, "below 16"),
    ],
)
def test_advice_names_the_setting_and_its_value(verdict: Verdict, settings: dict[str, object], words: str) -> None:
    assert any(words in line for line in advise(verdict, run_config(**settings), 12)), advise(verdict, run_config(), 12)


def test_no_advice_where_all_is_well() -> None:
    assert advise(Verdict("sweet spot", "", 9, (7, 10)), run_config(), 12) == []


def test_few_pictures_are_named_where_it_overfits() -> None:
    assert "8 pictures are few" in advise(Verdict("overfit", "", 2, (1, 2), 3), run_config(), 8)[-1]
