"""How well the examples are learned, in the eyes of the attribute judge."""

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("skia", reason="the renderer needs the extra 'starter'")

import torch

from benchmarks import starter_loras
from benchmarks.attribute_judge import AttributeJudge, shown
from benchmarks.starter_loras import SUBJECTS, Learned, Look, controls, obeyed, shots, traits, traits_seen
from benchmarks.starter_quality import Studio, lora_rows
from likeness.worker.training import read_job
from starter_recipe.world import read

WANTED = {
    "character/mika": {"hair": "fins", "hair_colour": "mint", "emblem": "bolt"},
    "product/radio": {"noun": "radio", "prop": "radio"},
    "environment/garden": {"scene": "tea garden"},
    "style/glass": {"style": "stained glass"},
}


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda s: s.file.stem)
def test_prompts_show_the_trait_name_the_trigger_and_are_in_no_example(subject: starter_loras.Subject) -> None:
    captions = [path.read_text().strip() for path in subject.file.with_suffix("").glob("*.txt")]
    assert captions
    trigger = {"mika": "mika_char", "radio": "orla_radio", "garden": "willow_garden", "glass": "glass_style"}
    drawn = shots(subject, 60)
    assert drawn == shots(subject, 60) and len(drawn) == 60
    found: dict[str, str] = {}
    for p, text in drawn:
        assert traits(p) and trigger[subject.file.stem] in text and text not in captions
        assert all(shown(p).get(field) == value for field, value in read(text).items() if field in shown(p)), text
        found |= traits(p)
    assert found == WANTED[subject.example]
    scenes = {read(text).get("scene") for text in captions} - {None}
    assert subject.example == "environment/garden" or scenes.isdisjoint(p.scene for p, _ in drawn)


def test_controls_show_no_trait_and_say_what_they_show() -> None:
    drawn = controls(40)
    assert len({text for _, text in drawn}) == 40
    assert not any(traits(p) for p, _ in drawn) and all(len(read(text)) >= 3 for _, text in drawn)


def test_a_picture_with_two_of_three_traits_shows_most_but_not_every_one() -> None:
    wanted = shots(SUBJECTS[0], 2)
    eyes = [shown(p) for p, _ in wanted]
    assert traits_seen(eyes, wanted) == (1, 1) and obeyed(eyes, wanted) == 1
    eyes[0] = eyes[0] | {"emblem": "heart"}
    assert traits_seen(eyes, wanted) == (1, 0.5)
    eyes[0] = eyes[0] | {"hair": "bob"}
    assert traits_seen(eyes, wanted) == (0.5, 0.5) and obeyed(eyes, wanted) == 1
    named = len(read(wanted[0][1])) + len(read(wanted[1][1]))
    eyes[1] = eyes[1] | {"scene": "tea garden"}
    assert obeyed(eyes, wanted) == pytest.approx(1 - 1 / named)


LOOKS = (
    Look(3, 0.5, 0.5, 0.9, 0.99, 1, 0),
    Look(10, 0.9, 0.8, 0.85, 0.95, 0.98, 0.1),
    Look(20, 1, 0.8, 0.85, 0.95, 0.98, 0.3),
    Look(30, 1, 1, 0.5, 0.6, 0.7, 0.7),
)


def test_the_best_epoch_has_the_trait_where_it_should_be_alone_and_the_goals() -> None:
    found = Learned(SUBJECTS[0], 30, LOOKS, 0.97, 0.93)
    assert found.best.epoch == 10
    assert replace(found, looks=(LOOKS[1], replace(LOOKS[1], epoch=11), LOOKS[3])).best.epoch == 10
    assert replace(found, looks=(LOOKS[0], replace(LOOKS[3], leak=0))).best.epoch == 3  # never the last
    spoiling = replace(LOOKS[1], most=1, unchanged=0.85, epoch=12)  # more of the trait, and too little of the rest
    assert replace(found, looks=(LOOKS[1], spoiling, LOOKS[3])).best.epoch == 10
    assert replace(found, looks=(LOOKS[0], spoiling, LOOKS[3])).best.epoch == 12
    rows = {row.what: row for row in lora_rows(found)}
    assert rows["mika, epoch 10: trait there"].reached and rows["mika, epoch 10: trait there"].ceiling == 97
    assert rows["mika, epoch 10: all of its parts"].figure == 80
    assert rows["mika, epoch 10: controls unchanged"].reached
    assert rows["mika, epoch 10: of them, what was right"].figure == 98
    assert rows["mika, epoch 30: controls that show the trait"].figure == 70
    assert rows["mika, epoch 30: trait there"].reached is None and "mika, epoch 30: all of its parts" not in rows


def test_a_lora_that_does_nothing_leaves_the_controls_as_they_are(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the two epochs of the run, the first has no weight and the second far too much."""
    monkeypatch.setattr(starter_loras, "LOOKED_AT", (0.1, 0.2))
    torch.manual_seed(0)
    judge, base = AttributeJudge(4), read_job(run_folder).config.base

    def learned() -> Learned:
        studio = Studio(base, tmp_path / "studio", 1)
        networks = studio.family.networks
        return starter_loras.learned(SUBJECTS[0], run_folder, networks, studio.picture, judge, tmp_path, 2)

    found = learned()
    first, second = found.looks
    assert first.epoch == 1 and second.epoch == 2 and first.unchanged == first.still_right == 1
    files = {path.parent.name: path.read_bytes() for path in tmp_path.glob("*/control-000.png")}
    assert files["epoch-000"] == files["epoch-001"] != files["epoch-002"]
    names = sorted(path.name for path in (tmp_path / "epoch-002").iterdir())
    assert names == ["control-000.png", "trigger-000.png", "trigger-001.png"]
    assert learned() == found
