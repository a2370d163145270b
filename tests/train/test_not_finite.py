"""Values that are not finite cost an update, then the run, and never what was learned before."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from likeness.errors import RunFailed
from likeness.events import RunStopped, StepDone, UpdateSkipped, read_events
from likeness.train import loop
from likeness.train.resume import read_state
from likeness.worker import training
from tests.tiny_run import copy_run, leftovers, results
from tests.train.conftest import Train


def plant(monkeypatch: pytest.MonkeyPatch, value: float, *steps: int) -> None:
    """Make the loss of these steps `value`, gradients and all."""
    plain = loop.micro_step

    def micro_step(*args: object) -> torch.Tensor:
        loss = plain(*args)  # type: ignore[arg-type]
        return loss * value if args[-1] in steps else loss

    monkeypatch.setattr(loop, "micro_step", micro_step)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_one_bad_loss_costs_one_update(
    make_run: Callable[..., Path], run_loop: Train, monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    run = make_run(train__state_every=1, train__ema_decay=0.9)
    plant(monkeypatch, value, 4)
    run_loop(run, stop_after=3)
    before = read_state(run / "state")
    skipped = run_loop(run, stop_after=1).events
    after = read_state(run / "state")
    assert before is not None and after is not None
    assert next(e for e in skipped if isinstance(e, UpdateSkipped)).step == 4 == after.step
    assert before.tensors.keys() == after.tensors.keys()
    assert all(torch.equal(t, after.tensors[name]) for name, t in before.tensors.items())
    rest = run_loop(run)
    assert [e.step for e in rest.events if isinstance(e, StepDone)] == list(range(5, 13))
    assert all(torch.isfinite(w).all() for w in rest.published[2].values())


def test_bad_gradients_alone_cost_an_update_too(
    make_run: Callable[..., Path], run_loop: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = loop.micro_step

    def micro_step(*args: object) -> torch.Tensor:
        loss = plain(*args)  # type: ignore[arg-type]
        if args[-1] == 2:
            loss.register_hook(lambda gradient: gradient * float("nan"))
        return loss

    monkeypatch.setattr(loop, "micro_step", micro_step)
    events = run_loop(make_run()).events
    skipped = [e for e in events if isinstance(e, UpdateSkipped)]
    assert [e.step for e in skipped] == [2] and "gradient norm nan" in skipped[0].reason


def test_two_in_a_row_are_borne_and_three_end_the_run(
    make_run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    run = make_run()
    pristine = copy_run(run, "pristine")
    with monkeypatch.context() as patch:
        plant(patch, float("nan"), 2, 3, 8, 9, 10)
        assert training.run(run) == 3
    told = list(read_events(run / "events.jsonl"))
    assert [e.step for e in told if isinstance(e, UpdateSkipped)] == [2, 3, 8, 9]
    last = told[-1]
    assert isinstance(last, RunStopped) and last.why == "failed" and last.step == 6
    assert "step 10" in capfd.readouterr().out and "step 10" in last.message and "learning_rate" in last.message
    state = read_state(run / "state")
    assert state is not None and state.step == 6
    assert all(torch.isfinite(t).all() for t in state.tensors.values())
    with safe_open(run / "checkpoints" / "epoch-001.safetensors", "pt") as f:
        assert all(torch.isfinite(f.get_tensor(key)).all() for key in f.keys())  # noqa: SIM118
    assert leftovers(run) == []

    # What made it fail is gone: it goes on from the last good state, and equals a run that lost the first two alone.
    assert training.run(run) == 0
    with monkeypatch.context() as patch:
        plant(patch, float("nan"), 2, 3)
        assert training.run(pristine) == 0
    assert results(run) == results(pristine)


def test_the_count_survives_a_resume(
    make_run: Callable[..., Path], run_loop: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run()
    plant(monkeypatch, float("nan"), 2, 3, 4)
    run_loop(run, stop_after=3)
    with pytest.raises(RunFailed, match="step 4"):
        run_loop(run)


def test_weights_that_burst_are_never_saved(
    make_run: Callable[..., Path], run_loop: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An optimizer can overflow on gradients that are finite."""
    run = make_run(train__state_every=1)
    run_loop(run, stop_after=2)
    good = {p.name: p.read_bytes() for p in (run / "state").iterdir()}
    plain = torch.optim.AdamW.step

    def burst(self: torch.optim.AdamW, closure: None = None) -> None:
        plain(self, closure)
        self.param_groups[0]["params"][0].data.fill_(float("inf"))

    monkeypatch.setattr(torch.optim.AdamW, "step", burst)
    with pytest.raises(RunFailed, match="weights are not finite"):
        run_loop(run)
    assert {p.name: p.read_bytes() for p in (run / "state").iterdir()} == good


def test_weights_too_large_for_the_file_fail_the_run_in_words(
    make_run: Callable[..., Path], capfd: pytest.CaptureFixture[str]
) -> None:
    """Finite in fp32, but with alpha folded in not in fp16."""
    one_step = {"data__datasets__0__repeats": 1, "train__batch_size": 3, "train__sample_every": 0}
    run = make_run(**one_step, lora__rank=1, lora__alpha=60000, optim__learning_rate=10)
    assert training.run(run) == 3
    words = capfd.readouterr().out.strip().splitlines()[-1]
    assert "epoch-001.safetensors" in words and "lora.alpha" in words
    assert not list(run.glob("checkpoints/*"))
