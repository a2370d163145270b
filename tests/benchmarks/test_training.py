import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from benchmarks import training
from benchmarks.training import Case, Measurement, Results
from tests.contract.bases.flux2 import make_tiny_base


@pytest.mark.long
def test_both_sides_are_measured_in_turn_and_do_the_same_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base, output = make_tiny_base(tmp_path / "base"), tmp_path / "speed.json"
    arguments = ["--base", str(base), "--steps", "3", "--warm-up", "1", "--rounds", "1", "--threads", "1"]
    assert training.main([*arguments, "--precision", "fp32", "--batch-size", "4", "--json", str(output)]) == 0
    said = capsys.readouterr().out
    assert "fp32: likeness trains at" in said and "do NOT train" not in said
    ours, theirs = (r["rounds"][0] for r in json.loads(output.read_text())["results"])
    assert ours["trainable"] == theirs["trainable"] > 0
    # An untrained base on standard noise: both must see about the same loss, or the work differs.
    assert ours["mean_loss"] == pytest.approx(theirs["mean_loss"], rel=0.15)
    for side in (ours, theirs):
        assert len(side["images_per_second"]) == 3 and min(side["images_per_second"]) > 0
        assert side["encode_seconds"] > 0 and side["loaded"] < side["first_step"]
        assert 50 * 2**20 < side["peak_bytes"] < 8 * 2**30


def test_speed_counts_from_step_to_step_after_the_warm_up() -> None:
    assert training.speeds([10.0, 12.0, 13.0, 13.5], batch_size=4, warm_up=2) == [4.0, 8.0]
    assert training.speeds([10.0, 12.0], batch_size=4, warm_up=0) == [2.0]


def measured(speed: float, trainable: int = 8) -> Measurement:
    return Measurement(1, 1, 2, [speed] * 3, 2**20, trainable, 1.0)


def test_the_ratio_has_the_range_of_its_rounds() -> None:
    ours = Results(Case("likeness", "fp32"), [measured(4), measured(9)])
    theirs = Results(Case("plain", "fp32"), [measured(4), measured(3)])
    middle, low, high = training.ratios(ours, theirs)
    assert (middle, low, high) == (pytest.approx(6.5 / 3.5), 1, 3)
    assert len(training.sentences([ours, theirs])) == 1


def test_different_work_is_told() -> None:
    sides = [Results(Case(side, "bf16"), [measured(1, n)]) for side, n in (("likeness", 8), ("plain", 9))]
    assert "do NOT train the same" in training.sentences(sides)[-1]


def test_weights_are_counted_from_the_header(tmp_path: Path) -> None:
    tensors = {"a.lora_A.weight": torch.zeros(2, 5), "a.lora_B.weight": torch.zeros(7, 2)}
    save_file(tensors, tmp_path / "lora.safetensors", {"format": "pt"})
    assert training.count_trained(tmp_path / "lora.safetensors") == 24


def test_a_process_that_fails_is_told_in_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(training.RunFailed, match=r"exit code 1[\s\S]*No module named benchmarks.none"):
        training.execute(["benchmarks.none"], tmp_path / "log.txt")


def test_nothing_of_torch_is_in_the_measuring_process() -> None:
    """Its own peak memory is where each child's starts."""
    import subprocess

    code = "import benchmarks.training, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_base_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert training.main(["--base", "./no-such-base", "--rounds", "1", "--steps", "1"]) == 2
    assert "no-such-base" in capsys.readouterr().err
