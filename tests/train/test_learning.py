"""It learns: not that the code runs, but that the loss falls where it should."""

from collections.abc import Callable
from pathlib import Path

from likeness.events import ProbesMeasured, read_events
from likeness.worker import training
from tests.tiny_run import copy_run


def probes_of(run: Path) -> list[ProbesMeasured]:
    return [e for e in read_events(run / "events.jsonl") if isinstance(e, ProbesMeasured)]


def test_a_hundred_steps_on_two_pictures(make_run: Callable[..., Path]) -> None:
    run = make_run(
        data__hold_out=1, data__datasets__0__repeats=25, train__batch_size=4, train__epochs=8, train__sample_every=0,
        optim__learning_rate=0.02, lora__rank=16, lora__alpha=16,
    )  # fmt: skip
    copy = copy_run(run, "copy")
    assert training.run(run) == 0
    measured = probes_of(run)
    assert [p.epoch for p in measured] == list(range(9))
    first, last = measured[0], measured[-1]
    assert last.train_loss < 0.8 * first.train_loss
    # So small a model learns what serves every picture; that it learns its own better, `make learning` shows.
    assert last.held_out_loss is not None and first.held_out_loss is not None
    assert last.held_out_loss < first.held_out_loss

    # Probes are the same points every time, and every image has its own.
    assert len(first.per_image) == 3 and {i for i, _ in first.per_image} == {i for i, _ in last.per_image}
    assert training.run(copy) == 0
    assert [(p.train_loss, p.per_image) for p in probes_of(copy)] == [(p.train_loss, p.per_image) for p in measured]
