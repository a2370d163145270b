import json
from pathlib import Path

import pytest
import torch
from rich.console import Console

from benchmarks import learning
from benchmarks.curve import draw_curve
from benchmarks.judge import TRAITS, Judge
from benchmarks.scores import EpochReading, Reading, Score
from likeness.errors import InputError
from likeness.worker.training import read_job
from tests.benchmarks.conftest import open_base


def test_each_epoch_is_drawn_with_its_own_lora(run_folder: Path, tmp_path: Path) -> None:
    job, (learned, controls) = read_job(run_folder), learning.trials(quick=True)
    wanted = [learned[0], controls[0]]
    drawn = dict(learning.pictures(open_base(run_folder), job, [0, 1, 2], wanted, keep=tmp_path))
    base, first, second = ([image.tobytes() for image in drawn[e]] for e in (0, 1, 2))
    assert base == first  # zero weights are no LoRA
    assert base[0] != second[0] and base[1] != second[1]
    assert [p.name for p in sorted((tmp_path / "epoch-002").iterdir())] == ["01.png", "02.png"]
    # Whatever was drawn before, an epoch's pictures are the same.
    again = dict(learning.pictures(open_base(run_folder), job, [2, 0], wanted))
    assert [image.tobytes() for image in again[2]] == second and [i.tobytes() for i in again[0]] == base


def test_from_a_run_folder_to_table_file_and_curve(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    judge = Judge(width=4)
    judge.facts = {name: {"accuracy": 0.9, "found": 0.8, "false_alarms": 0.1, "pictures": 5} for name in TRAITS}
    monkeypatch.setattr(learning, "ready_judge", lambda folder, say: judge)
    output, plot = tmp_path / "figures.json", tmp_path / "curve.svg"
    arguments = ["--run", str(run_folder), "--quick", "--threads", "1", "--output", str(output), "--plot", str(plot)]
    assert learning.main(arguments) == 0
    said = capsys.readouterr().out
    assert "mika_char" in said and "controls obeyed" in said and "data" in said
    figures = json.loads(output.read_text())
    assert [r["epoch"] for r in figures["epochs"]] == [0, 1, 2]
    base, first, second = figures["epochs"]
    assert base["learned"] == first["learned"] != second["learned"]
    for reading in (second["learned"], second["controls"]):
        assert 0 <= reading["together"]["low"] <= reading["together"]["mean"] <= reading["together"]["high"] <= 1
    assert plot.read_text().startswith("<svg xmlns=")


def reading(epoch: int, trait: float, obeyed: float, leak: float) -> EpochReading:
    def flat(mean: float) -> Score:
        return Score(mean, mean, mean, float(mean > 0.5))

    def side(mean: float) -> Reading:
        return Reading(dict.fromkeys(TRAITS, flat(mean)), flat(mean), flat(obeyed), 4)

    return EpochReading(epoch, side(trait), side(leak))


COURSE = [
    reading(0, 0.1, 0.9, 0.05),
    reading(1, 0.5, 0.9, 0.05),
    reading(2, 0.88, 0.85, 0.1),
    reading(3, 0.9, 0.4, 0.3),
]


def test_the_conclusion_names_where_it_levels_and_what_is_lost_after() -> None:
    said = learning.conclusion(COURSE)
    assert "from 0.10 to 0.90, levelling at epoch 2" in said
    assert "leak 0.05 → 0.10" in said
    assert "obeyed 0.90 → 0.85 there and 0.40 at the end" in said


def test_the_table_has_a_row_for_each_epoch_and_the_curve_a_line_for_each_question() -> None:
    console = Console(record=True, width=160)
    console.print(learning.table(COURSE, COURSE[-1].learned))
    text = console.export_text()
    assert "0.88 [0.88–0.88]" in text and "data" in text
    svg = draw_curve(COURSE)
    assert svg.count("<polyline") == 3 and "leak" in svg


def test_epochs_are_chosen_and_refused_by_number(tmp_path: Path) -> None:
    available = list(range(11))
    assert learning.chosen_epochs(available, "", quick=False) == available
    assert learning.chosen_epochs(available, "", quick=True) == [0, 1, 6, 10]
    assert learning.chosen_epochs([0, 1], "", quick=True) == [0, 1]
    assert learning.chosen_epochs(available, "0,3", quick=True) == [0, 3]
    with pytest.raises(InputError, match="11 is not there"):
        learning.chosen_epochs(available, "11", quick=False)
    with pytest.raises(InputError, match="no list of numbers"):
        learning.chosen_epochs(available, "last", quick=False)
    with pytest.raises(InputError, match="no finished epochs"):
        learning.finished_epochs(tmp_path)


def test_a_run_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert learning.main(["--run", str(tmp_path / "none")]) == 2
    assert "run.json" in capsys.readouterr().err
