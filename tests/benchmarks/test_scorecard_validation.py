"""What the validation of the scorecard counts, without a training."""

import json
from pathlib import Path

import pytest

from benchmarks import scorecard_validation as validation
from benchmarks.planted import CONDITIONS, Condition, write_settings
from benchmarks.scorecard_validation import Result
from likeness.config.load import read_config
from likeness.events import EventLog, ProbesMeasured
from likeness.judge.recommend import EpochEvidence, recommend

CURVE = (0.60, 0.57, 0.55, 0.551, 0.56, 0.66, 0.70)


def probes(epoch: int) -> ProbesMeasured:
    """The held-out picture turns; the learned ones fall on and on."""
    rows = [("kept", CURVE[epoch]), *((f"learned {i}", 0.6 - 0.05 * epoch) for i in range(3))]
    return ProbesMeasured(
        epoch=epoch, step=epoch, train_loss=0.6 - 0.05 * epoch, held_out_loss=CURVE[epoch], per_image=rows,
        per_probe={"kept": [CURVE[epoch]] * 4},
    )  # fmt: skip


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    run = tmp_path / "runs" / "good-1"
    run.mkdir(parents=True)
    (run / "run.json").write_text(json.dumps({"config": {"kind": "character"}}))
    (run / "manifest.jsonl").write_text(json.dumps({"id": "kept", "held_out": True}) + "\n")
    log = EventLog(run / "events.jsonl")
    for epoch in range(len(CURVE)):
        log.write(probes(epoch))
    (run / "report.html").touch()
    return run


def test_a_run_is_examined_by_the_rule_as_it_is_now(finished: Path) -> None:
    good = CONDITIONS[0]
    found = validation.examine(good, 1, finished, {str(e): 0.5 + 0.05 * e for e in range(1, 7)})
    assert found.kind == "sweet spot" and found.agrees and found.suggested == 3
    assert found.rivals == {"last": 6, "middle": 4, "lowest training loss": 6}
    assert found.swapped_overfits is False  # training pictures in place of the held-out one
    assert validation.shortfall(found, 4) == pytest.approx(1 - 0.7 / 0.8)
    assert validation.shortfall(found, None) is None


def test_the_negative_control_holds_other_pictures() -> None:
    by_epoch = {epoch: probes(epoch) for epoch in range(len(CURVE))}
    evidence = [EpochEvidence(e, p.per_probe, p.train_loss) for e, p in by_epoch.items()]
    assert recommend(evidence).overfit_from == 5
    control = validation.swapped(evidence, by_epoch)
    assert set(control[3].held_out) == {"learned 0", "learned 1", "learned 2"}
    assert recommend(control).kind == "underfit"


@pytest.mark.parametrize(
    ("condition", "kind", "flags", "agrees"),
    [
        (Condition("a", kinds=("overfit",)), "overfit", [], True),
        (Condition("a", kinds=("overfit",)), "sweet spot", [], False),
        (Condition("a", flags=("leaks",)), "sweet spot", ["leaks", "copies"], True),
        (Condition("a", flags=("leaks",)), "sweet spot", ["copies"], False),
        (Condition("a", silent=("leaks",)), "sweet spot", ["copies"], True),
        (Condition("a", silent=("leaks",)), "sweet spot", ["leaks"], False),
        (Condition("a"), "underfit", [], None),
    ],
)
def test_agreement(condition: Condition, kind: str, flags: list[str], agrees: bool | None) -> None:
    assert validation.agrees(condition, kind, flags) is agrees


def test_quality_counts_what_is_kept_and_what_leaks() -> None:
    assert validation.quality(0.8, 1.0, 0.05, 0.05) == pytest.approx(0.8)
    assert validation.quality(0.8, 0.5, 0.15, 0.05) == pytest.approx(0.3)
    assert validation.quality(0.1, 1.0, 0.9, 0.0) == 0


def test_the_table_counts() -> None:
    def result(agrees: bool | None, suggested: int | None, swapped: bool | None) -> Result:
        qualities = {"1": 0.5, "2": 1.0, "3": 0.97}
        rivals = {"last": 3, "middle": 2, "lowest training loss": 1}
        return Result("good", 1, "sweet spot", [], "words", suggested, agrees, swapped, qualities, rivals)

    told = validation.table(
        [result(True, 3, False), result(False, 1, None), result(None, None, True)], {1: "cannot tell", 2: "A"}
    )
    assert "agrees with the planted condition: 1 of 2 (50%)" in told
    assert "within 5% of the best: 1 of 2 (50%)" in told
    assert "- last epoch: 2 of 2" in told and "- lowest training loss epoch: 0 of 2" in told
    assert "'cannot tell': 1 of 2" in told and "signal is lost: 1 of 2" in told


def test_an_oracle_is_as_good_as_the_judge_is_quiet() -> None:
    def result(qualities: list[float]) -> Result:
        by_epoch = {str(e): q for e, q in enumerate(qualities, start=1)}
        return Result("good", 1, "sweet spot", [], "words", 1, None, None, by_epoch, {})

    level = [0.8] * 10
    assert validation.ceiling([result(level), result([])]) == 1
    noisy = [0.8 + (0.2 if e % 2 else -0.2) for e in range(10)]
    assert 0 < (validation.ceiling([result(noisy)]) or 0) < 0.5
    assert validation.ceiling([result([0.01] * 10), result([])]) is None  # nothing was learned, or not judged


def test_every_condition_can_be_trained(tmp_path: Path) -> None:
    """Their settings are read by the product, and every one expects something or is half of a pair."""
    for condition in CONDITIONS:
        path = tmp_path / f"{validation.name_of(condition, 7)}.yaml"
        write_settings(path, condition, 7, tmp_path, path.stem, 1)
        config = read_config(path).config
        assert (
            config.name == path.stem
            and config.data.datasets[0].repeats == condition.settings["data.datasets.0.repeats"]
        )
        assert config.train.seed == condition.settings.get("train.seed", 7)
        assert config.preserve.weight == (condition.name == "preserving")
        assert condition.kinds or condition.flags or condition.silent or condition.name == "good again"


def test_planted_pictures_are_drawn_again_alike(tmp_path: Path) -> None:
    pytest.importorskip("skia")
    from benchmarks.planted import PICTURES, TRIGGER, make_dataset

    for data in sorted({c.data for c in CONDITIONS}):
        make_dataset(tmp_path / data, data, 3)
        captions = [p.read_text() for p in sorted((tmp_path / data).glob("*.txt"))]
        assert len(list((tmp_path / data).glob("*.png"))) == len(captions) == PICTURES
        with_trigger = sum(TRIGGER in text for text in captions)
        assert with_trigger == (PICTURES // 2 if data in ("no trigger", "style") else PICTURES)
    make_dataset(tmp_path / "again", "style", 3)
    for path in (tmp_path / "again").iterdir():
        assert path.read_bytes() == (tmp_path / "style" / path.name).read_bytes()


def test_sealed_seeds_are_no_tuning_seeds() -> None:
    assert not {*validation.TUNING} & {*validation.SEALED}
    assert [c.name for c in validation.chosen("same-pose,good")] == ["same pose", "good"]
    with pytest.raises(SystemExit, match="none of"):
        validation.chosen("nothing")
