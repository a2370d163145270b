"""Settings of measuring that cannot work are told before anything is loaded."""

from collections.abc import Callable
from pathlib import Path

import pytest

from likeness.config.run import RunConfig
from likeness.errors import InputError
from likeness.service.measuring import encoder_problem, measuring_problems


def config(**changes: object) -> RunConfig:
    return RunConfig.model_validate({"name": "a", "base": "b", "data": {"datasets": ["p"]}, **changes})


@pytest.mark.parametrize("key", ["early_stop", "keep_best"])
def test_what_goes_by_held_out_loss_needs_it(key: str) -> None:
    (problem,) = measuring_problems(config(train={key: 2}), held_out=False)
    assert problem.startswith(f"train.{key}: ") and "data.hold_out" in problem
    (problem,) = measuring_problems(config(train={key: 2, "probe_every": 0}), held_out=True)
    assert "train.probe_every" in problem
    assert measuring_problems(config(train={key: 2}), held_out=True) == []
    assert measuring_problems(config(), held_out=False) == []


def test_encoders(tmp_path: Path) -> None:
    whole = tmp_path / "model"
    whole.mkdir()
    assert "config.json" in (encoder_problem(str(whole)) or "")
    (whole / "config.json").write_text("{}")
    for fine in ("auto", "none", str(whole), "facebook/dinov2-small", "owner/name@main"):
        assert encoder_problem(fine) is None
    assert "no folder" in (encoder_problem("nowhere") or "")
    assert measuring_problems(config(scorecard={"encoder": "nowhere"}), True)[0].startswith("scorecard.encoder: ")


def test_a_run_is_refused(make_run: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match=r"train\.early_stop: .*none is held out"):
        make_run(train__early_stop=2)
    with pytest.raises(InputError, match=r"scorecard\.encoder: nowhere"):
        make_run(scorecard__encoder="nowhere")
