"""The scorecard on the command line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from likeness.judge.features import SHIPPED
from tests.cli.conftest import Answer

Likeness = Callable[..., Answer]
MORE = ("--set", "data.hold_out=1", "--set", "scorecard.encoder=none")


@pytest.fixture
def trained(likeness: Likeness, config: Path, tmp_path: Path) -> Path:
    answer = likeness("train", config, *MORE)
    assert answer.code == 0
    assert '"event": "verdict"' in (tmp_path / "runs" / "tiny" / "events.jsonl").read_text()
    assert any(word in answer.words for word in ("Cannot tell", "Sweet spot", "Underfit", "Overfit"))
    return tmp_path / "runs" / "tiny"


def test_it_is_made_again_when_the_run_has_ended(likeness: Likeness, trained: Path) -> None:
    before = (trained / "events.jsonl").read_bytes()
    answer = likeness("scorecard", trained)
    assert answer.code == 0 and answer.error == ""
    assert "held out" in answer.words and "copied" in answer.words and "base" in answer.words
    after = (trained / "events.jsonl").read_bytes()
    assert after.startswith(before) and after.count(b'"event": "measured"') == 6
    said = likeness("scorecard", trained, "--json").json
    assert {"verdict", "sentence", "suggested", "reasons", "advice", "rows"} <= set(said)
    assert [row["epoch"] for row in said["rows"]] == [0, 1, 2]


def test_with_further_seeds_and_the_shipped_clip(likeness: Likeness, trained: Path) -> None:
    answer = likeness("scorecard", trained, "--seeds", "2", "--encoder", SHIPPED, "--json")
    rows = answer.json["rows"]
    assert answer.code == 0 and all(-1 <= row["likeness"][0] <= 1 for row in rows)
    assert rows[0]["prompt"] == [0.0, None] and rows[2]["prompt"][1] > 0
    drawn = sorted(p.relative_to(trained).as_posix() for p in trained.glob("scorecard/*/*"))
    assert drawn == [f"scorecard/epoch-00{n}/prompt-1-seed-43.png" for n in range(3)]
    assert len({(trained / p).read_bytes() for p in drawn}) == 3  # each epoch draws with its own file


def test_a_further_picture_is_the_same_whenever_it_is_drawn(likeness: Likeness, trained: Path, config: Path) -> None:
    assert likeness("scorecard", trained, "--seeds", "2").code == 0
    assert likeness("train", config, *MORE, "--set", "scorecard.seeds=2", "--set", "name=two").code == 0
    for path in trained.glob("scorecard/*/*"):
        twin = trained.with_name("two") / path.relative_to(trained)
        assert path.read_bytes() == twin.read_bytes()


def test_a_run_held_against_its_twin(likeness: Likeness, trained: Path, config: Path) -> None:
    assert likeness("train", config, *MORE, "--set", "name=two", "--set", "train.seed=7").code == 0
    two = trained.with_name("two")
    said = likeness("scorecard", trained, "--against", two, "--json").json
    assert said["better"] in ("A", "B", "cannot tell") and "held-out loss" in said["why"]
    itself = likeness("scorecard", trained, "--against", trained)
    assert "Cannot tell which run learned better" in itself.words
    assert likeness("scorecard", trained, "--against", two / "samples").code == 2


def test_compare_tells_the_verdict(likeness: Likeness, trained: Path) -> None:
    sentence = likeness("compare", trained, "--json").json["verdict"]["sentence"]
    assert " ".join(sentence.split()) in likeness("compare", trained).words
    assert sentence.split("<")[0] in (trained / "report.html").read_text()


def test_refusals(likeness: Likeness, trained: Path, tmp_path: Path) -> None:
    nowhere = likeness("scorecard", tmp_path / "nowhere")
    assert nowhere.code == 2 and "no such folder" in nowhere.error
    encoder = likeness("scorecard", trained, "--encoder", "nowhere")
    assert encoder.code == 2 and encoder.error.startswith("--encoder: nowhere")
    seeds = likeness("scorecard", trained, "--seeds", "0", "--json")
    assert seeds.code == 2 and "--seeds: 0 should be between" in seeds.json["error"]
    empty = tmp_path / "runs" / "empty"
    empty.mkdir()
    (empty / "run.json").write_text(json.dumps({"config": {}}))
    assert "neither test pictures nor" in likeness("scorecard", empty).error
