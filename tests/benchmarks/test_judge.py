import random
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKLFlux2
from PIL import Image

from benchmarks import judge as judging
from benchmarks import school
from benchmarks.judge import SCENES, SIDE, TIMES, TRAITS, UNKNOWN, Judge, Labels, examine, fit_judge
from tests.contract.bases.flux2 import make_tiny_base


def toy_world(count: int, seed: int) -> tuple[torch.Tensor, Labels]:
    """Four bands, bright where a trait is there; red for the scene, blue for the time."""
    draw = torch.Generator().manual_seed(seed)
    traits = torch.randint(0, 2, (count, len(TRAITS)), generator=draw)
    scene = torch.randint(0, 2, (count,), generator=draw)
    time = torch.randint(0, 2, (count,), generator=draw)
    x = torch.zeros(count, 3, SIDE, SIDE)
    x[:, 1] = (traits * 2.0 - 1).repeat_interleave(SIDE // len(TRAITS), 1)[:, :, None]
    x[:, 0] = (scene * 2.0 - 1)[:, None, None]
    x[:, 2] = (time * 2.0 - 1)[:, None, None]
    return x * 0.7, Labels(traits, scene, time)


@pytest.fixture(scope="module")
def taught() -> tuple[Judge, list[float]]:
    torch.manual_seed(0)
    judge = Judge(width=8)
    return judge, fit_judge(judge, *toy_world(256, 1), passes=10)


def test_the_loss_falls_and_every_head_learns(taught: tuple[Judge, list[float]]) -> None:
    judge, losses = taught
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])
    facts = examine(judge, *toy_world(128, 2))
    assert set(facts) == {*TRAITS, "scene", "time"}
    assert all(f.accuracy > 0.85 for f in facts.values()), facts


def test_a_trait_is_found_by_itself_not_with_the_others(taught: tuple[Judge, list[float]]) -> None:
    judge, _ = taught
    x, labels = toy_world(64, 3)
    only_the_first = labels.traits.tolist()[0]
    images = [Image.fromarray(((p.permute(1, 2, 0) + 1) * 127.5).byte().numpy()) for p in x]
    verdict = judge.look(images)
    assert verdict.traits.shape == (64, len(TRAITS))
    assert verdict.scene.shape == (64, len(SCENES)) and verdict.time.shape == (64, len(TIMES))
    assert ((verdict.traits[0] > 0.5).astype(int) == only_the_first).all()
    assert np.allclose(verdict.scene.sum(1), 1, atol=1e-5)


def test_what_cannot_be_seen_teaches_nothing() -> None:
    torch.manual_seed(0)
    judge = Judge(width=8)
    x, labels = toy_world(8, 4)
    outputs = judge(x)
    hidden = Labels(labels.traits.clone(), labels.scene, torch.full((8,), UNKNOWN))
    hidden.traits[:, 1] = UNKNOWN
    judging.loss_of(outputs, hidden).backward()
    weights = judge.head.weight.grad
    assert weights is not None
    assert weights[1].abs().sum() == 0
    assert weights[-len(TIMES) :].abs().sum() == 0
    assert weights[0].abs().sum() > 0


def test_the_renders_mix_the_traits_independently() -> None:
    pytest.importorskip("skia")
    from benchmarks.renders import labels_of, mixed_picture
    from starter_recipe.world import picture as world

    assert tuple(dict.fromkeys(world.SCENES)) == SCENES and tuple(dict.fromkeys(world.TIMES)) == TIMES
    rng = random.Random(0)
    pictures = [p for p in (mixed_picture(rng) for _ in range(4000)) if p.is_person and not p.is_gray]
    traits = labels_of([p for p in pictures if p.view == "front" and p.framing != "close-up"]).traits
    known = traits[(traits != UNKNOWN).all(1)].double()
    assert all(0.15 < share < 0.6 for share in known.mean(0))
    together = torch.corrcoef(known.T) - torch.eye(len(TRAITS))
    assert together.abs().max() < 0.12


def test_what_a_picture_hides_has_no_label() -> None:
    pytest.importorskip("skia")
    from benchmarks.renders import labels_of
    from starter_recipe.world import Picture

    near = Picture(hair="fins", hair_colour="mint", framing="close-up", emblem="bolt", garment_colour="purple")
    sketch = Picture(hair="fins", hair_colour="mint", style="sketch", emblem="bolt", garment_colour="purple")
    assert labels_of([near, sketch]).traits.tolist() == [[1, 1, UNKNOWN, UNKNOWN], [1, UNKNOWN, 1, UNKNOWN]]
    assert labels_of([Picture(scene="plain"), sketch]).time.tolist() == [UNKNOWN, UNKNOWN]


def test_pictures_go_through_the_vae_in_part(tmp_path: Path) -> None:
    pytest.importorskip("skia")
    from benchmarks.renders import prepared, renders

    vae = AutoencoderKLFlux2.from_pretrained(make_tiny_base(tmp_path) / "vae")
    images, labels = renders(6, seed=3)
    assert images.shape == (6, 128, 128, 3) and labels.traits.shape == (6, len(TRAITS))
    half, none = prepared(images, vae, 0.5, 0.2), prepared(images, vae, 0.0, 0.2)
    assert half.shape == (6, 3, SIDE, SIDE)
    assert torch.equal(half[3:], none[3:])
    assert (half[:3] - none[:3]).abs().mean() > 0.05  # the tiny VAE is untrained
    assert torch.allclose(none[0], judging.small(Image.fromarray(images[0])), atol=0.02)


def test_a_judge_is_kept_and_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("skia")
    monkeypatch.setattr(school, "TRAIN_PICTURES", 48)
    monkeypatch.setattr(school, "HELD_OUT_PICTURES", 48)
    monkeypatch.setattr(school, "TRAIN_THROUGH_VAE", 0.0)
    monkeypatch.setattr(school, "STARTER_FOLDER", make_tiny_base(tmp_path / "base"))
    said: list[str] = []
    first = school.ready_judge(tmp_path / "judge", said.append)
    second = school.ready_judge(tmp_path / "judge", said.append)
    assert len(said) == 1 and "48 renders" in said[0]
    assert second.facts == first.facts and set(first.facts) == {*TRAITS, "scene", "time"}
    image = Image.new("RGB", (128, 128), "purple")
    assert (first.look([image]).traits == second.look([image]).traits).all()
    # Another VAE, another judge.
    monkeypatch.setattr(school, "STARTER_FOLDER", make_tiny_base(tmp_path / "other", seed=1))
    school.ready_judge(tmp_path / "judge", said.append)
    assert len(said) == 2 and len(list((tmp_path / "judge").iterdir())) == 2
