"""The scorecard in the report."""

from conftest import RunWriter

from likeness.events import VerdictGiven
from likeness.report.history import read_history
from likeness.report.page import render_report
from likeness.report.scorecard import Cell, mark_of, scorecard_table

HOSTILE = "<script>alert(1)</script>"


def verdict(**changes: object) -> VerdictGiven:
    rows = [
        {"epoch": 0, "held_out_loss": 0.6, "train_loss": 0.7, "likeness": [0.25, None]},
        {"epoch": 1, "held_out_loss": 0.55, "train_loss": 0.6, "likeness": [0.5, 0.04], "leak": [0.01, None]},
        {"epoch": 2, "held_out_loss": None, "train_loss": 0.5, "likeness": [0.7, 0.02]},
        {"epoch": 3, "held_out_loss": 0.62, "train_loss": 0.4, "likeness": [0.8, 0.02]},
    ]
    values = {
        "epoch": 3, "verdict": "sweet spot", "sentence": "Sweet spot: epochs 1–2, suggested 2; overfit from 3.",
        "suggested": 2, "sweet_spot": [1, 2], "overfit_from": 3, "flags": [], "reasons": ["It fell."],
        "advice": ["Change nothing."], "rows": rows,
    }  # fmt: skip
    return VerdictGiven(**{**values, **changes})


def test_only_what_was_measured_has_a_column() -> None:
    table = scorecard_table(verdict())
    assert [name for name, _ in table.columns] == ["held-out loss", "training loss", "likeness", "leak"]
    assert [row.mark for row in table.rows] == ["", "sweet spot", "suggested", "overfit"]
    assert table.rows[1].cells == [Cell("0.5500", ""), Cell("0.6000", ""), Cell("0.50", "±0.04"), Cell("0.01", "")]
    assert table.rows[2].cells[0] == Cell("–", "") and table.rows[0].cells[3] == Cell("–", "")


def test_marks() -> None:
    assert mark_of(verdict(suggested=None, sweet_spot=[], overfit_from=None), 2) == ""
    assert mark_of(verdict(sweet_spot=[], overfit_from=1, suggested=None), 1) == "overfit"


def test_rows_of_another_version_are_read_leniently() -> None:
    table = scorecard_table(verdict(rows=[{"mood": 1}, {"epoch": 1, "likeness": "high"}, {"epoch": 2, "likeness": []}]))
    assert [row.epoch for row in table.rows] == [1, 2]


def test_the_report_tells_which_epoch_and_why(finished_run: RunWriter) -> None:
    without = render_report(read_history(finished_run.folder))
    assert "Which epoch" not in without
    finished_run.write(verdict(sentence="old"), verdict(reasons=[HOSTILE]))
    page = render_report(read_history(finished_run.folder))
    assert "Sweet spot: epochs 1–2, suggested 2; overfit from 3." in page and ">old<" not in page
    assert HOSTILE not in page and "&lt;script&gt;alert(1)" in page
    assert "Change nothing." in page and '<span class="mark">suggested</span>' in page and "±0.04" in page
