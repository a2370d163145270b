"""The judge of all attributes, and the table that it fills."""

import json
import random
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("skia", reason="the renderer needs the extra 'starter'")

import torch
from rich.console import Console

from benchmarks import attribute_school, starter_quality
from benchmarks.attribute_judge import (
    AttributeJudge,
    examine,
    labels_of,
    pixel_values,
    roughened,
    shown,
    with_taught,
)
from benchmarks.starter_quality import Row, changes, region_psnr, unchanged, write_into_card
from likeness.errors import InputError
from starter_recipe.fields import FIELDS, UNKNOWN, loss_of
from starter_recipe.world import SIZES, Picture, random_picture, read, render
from starter_recipe.world.picture import HELD_OUT
from tests.toy_starter import write_toy, write_toy_vae


def test_the_judge_knows_every_value_that_the_world_draws_or_a_caption_names() -> None:
    rng = random.Random(0)
    for _ in range(2000):
        p = with_taught(random_picture(rng), rng)
        for field, value in shown(p).items():
            assert value in FIELDS[field]
    assert {f for f, values in HELD_OUT.items() if values[0] in FIELDS[f]} == set(HELD_OUT)
    assert set(read("a girl with red hair in a blue coat, in a city at night")) <= set(FIELDS)


def test_what_cannot_be_seen_is_unknown() -> None:
    sketch = Picture(style="sketch", view="back", framing="close-up", scene="space")
    assert not {"hair_colour", "expression", "emblem", "pose", "time", "prop", "skin"} & shown(sketch).keys()
    thing = Picture(kind="thing", noun="car", colour="red")
    assert shown(thing).keys() == {"kind", "style", "scene", "time", "noun", "colour"}
    labels = labels_of([sketch, thing])
    assert labels.shape == (2, len(FIELDS)) and (labels == UNKNOWN).any(1).all()


def test_lessons_show_held_out_values_and_the_exam_does_not() -> None:
    rng = random.Random(1)
    drawn = [with_taught(random_picture(rng), rng) for _ in range(3000)]
    for field, (value, *_) in HELD_OUT.items():
        assert any(shown(p).get(field) == value for p in drawn), field
    images, labels = attribute_school.lesson((2, 3))
    assert images.shape[0] == labels.shape[0] == 3 and images.shape[1:3] != (128, 128)
    again, _ = attribute_school.lesson((2, 3))
    assert np.array_equal(images, again)


def test_a_judge_learns_and_takes_any_shape() -> None:
    torch.manual_seed(0)
    judge = AttributeJudge(width=8)
    base = Picture(scene="plain", framing="half body")
    values = {"scene": ("plain", "beach"), "garment_colour": ("red", "blue"), "style": ("flat", "sketch")}
    pictures = [
        replace(base, scene=s, garment_colour=c, style=t, width=w, height=h)
        for w, h in SIZES[:2]
        for s in values["scene"]
        for c in values["garment_colour"]
        for t in values["style"]
    ]
    optimizer = torch.optim.Adam(judge.parameters(), 5e-3)
    batches = [
        (pixel_values([render(p, i) for i, p in enumerate(same)]), labels_of(same))
        for same in (pictures[:8], pictures[8:])
    ]
    losses: list[float] = []
    for step in range(40):
        x, labels = batches[step % 2]
        judge.train()
        loss = loss_of(judge(roughened(x)), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    facts = examine(judge, batches)
    assert facts["scene"] > 0.9 and facts["style"] > 0.9 and "noun" not in facts
    seen = judge.look([render(pictures[0], 0), render(pictures[-1], 7)])
    assert [s["scene"] for s in seen] == ["plain", "beach"]


def test_a_judge_is_kept_and_taught_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attribute_school, "EXAM_PICTURES", 60)
    path = tmp_path / "judge.safetensors"
    with pytest.raises(InputError, match=r"no judge\. Fix: .*--judge"):
        attribute_school.load_judge(path)
    taught = attribute_school.teach(path, 0.02, width=4)
    judge = attribute_school.load_judge(path)
    assert judge.facts == taught.facts and 0 < judge.facts["accuracy"]["scene"] <= 1
    x = torch.rand(2, 3, 64, 64)
    assert all(torch.equal(a, b) for a, b in zip(judge(x), taught(x), strict=True))
    monkeypatch.setattr(attribute_school, "world_identity", lambda: "another")
    with pytest.raises(InputError, match="a world that has changed"):
        attribute_school.load_judge(path)
    more = attribute_school.teach(path, 0.02, width=8)
    assert more.width == 4 and more.facts["pictures"] > judge.facts["pictures"]
    assert attribute_school.load_judge(path).facts == more.facts


def test_the_kept_judge_knows_todays_world() -> None:
    """What changes the world makes the judge worth less; it is taught on then."""
    accuracy = attribute_school.load_judge().facts["accuracy"]
    assert accuracy["scene"] > 0.9 and accuracy["hair_colour"] > 0.85 and accuracy["hair"] > 0.7


def test_an_edit_is_judged_by_what_it_changes_and_the_rest_by_pixels() -> None:
    before = Picture(scene="plain", accessory="none")
    after = replace(before, accessory="crown", accessory_colour="blue")
    assert changes(before, after) == {"accessory": "crown"}  # a crown's colour cannot be told
    assert changes(after, before) == {"accessory": "none"}
    a, b = render(before, 3), render(after, 3)
    region = unchanged(a, b)
    assert 0.3 < region.mean() < 1 and (a[region] == b[region]).all()
    assert region_psnr(a, b, region) > 70
    noisy = np.clip(a.astype(int) + 13, 0, 255)
    assert region_psnr(noisy, a, np.ones_like(region)) == pytest.approx(25.9, abs=1.5)
    assert not unchanged(a, 255 - a).any()


def test_goals_are_floors_but_for_sizes() -> None:
    assert Row("x", 95.0, "%", goal=95).reached and not Row("x", 94.9, "%", goal=95).reached
    assert Row("x", 89.0, "MB", goal=90).reached and not Row("x", 91.0, "MB", goal=90).reached
    assert Row("x", 1.0, "%").reached is None


def test_figures_are_kept_and_not_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy = write_toy(tmp_path / "starter", write_toy_vae(tmp_path / "vae"))
    torch.manual_seed(0)
    judge = AttributeJudge(4)
    judge.facts = {"pictures": 1}
    monkeypatch.setattr(starter_quality, "load_judge", lambda _: judge)
    options = Namespace(
        base=str(toy), count=2, only=["prompts", "edits", "sizes"], card=True, anew=False, folder=tmp_path / "kept",
        judge=tmp_path, threads=1,
    )  # fmt: skip
    card = toy / "README.md"
    card.write_text("# Toy\n\n## Measured quality\n\nGood.\n\n## Licence\n\nFree.\n")
    parts = starter_quality.run(options, Console(quiet=True))
    whats = [row["what"] for part in parts.values() for row in part["rows"]]
    assert "edits followed" in whats and any(w.startswith("prompts, ") for w in whats)
    assert all(0 <= row["figure"] <= 100 for row in parts["prompts"]["rows"])
    (kept,) = (tmp_path / "kept").glob("starter-*")
    assert len(list((kept / "prompts").glob("*.png"))) == 2
    assert json.loads((kept / "figures-2" / "edits.json").read_text()) == parts["edits"]
    monkeypatch.setattr(starter_quality, "load_judge", None)  # not needed again
    assert starter_quality.run(options, Console(quiet=True)) == parts
    options.only, options.anew = ["sizes"], True  # all else is kept
    assert starter_quality.run(options, Console(quiet=True)) == parts
    text = card.read_text()
    assert text.count(starter_quality.HEADING) == 1 and text.count("## Licence") == 1 and "| edits followed |" in text
    assert "Good." in text and text.endswith("Free.\n")
    assert "Not measured on these weights: " in text and "how well the examples are learned" in text
    assert "edits" not in text.split("Not measured")[1]
    card.unlink()
    with pytest.raises(InputError, match="no model card"):
        write_into_card(card, parts)
