"""What is measured of an epoch whose pictures were made for it."""

import random
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from PIL import Image

from likeness.dataset.manifest import Example
from likeness.judge.metrics import Rows, unit
from likeness.judge.scorecard import Drawn, Scorecard, without_trigger
from tests.judge.conftest import run_config

CONTROL = "a boy at sea"


class Colours:
    """An encoder that sees the mean colour, and reads its name."""

    name, reads_text = "colours", True

    def images(self, pictures: Sequence[Image.Image]) -> Rows:
        return unit(np.stack([np.asarray(p.convert("RGB"), np.float64).mean(axis=(0, 1)) for p in pictures]))

    def texts(self, texts: Sequence[str]) -> Rows:
        return unit(np.asarray([[255.0, 0, 0] if "red" in t else [0, 0, 255.0] for t in texts]))


def noise(seed: int, colour: tuple[int, int, int] = (1, 1, 1)) -> Image.Image:
    plane = np.random.default_rng(seed).integers(0, 256, (48, 48, 1)) * np.asarray(colour)
    return Image.fromarray(plane.astype(np.uint8))


RED, BLUE = (1, 0, 0), (0, 0, 1)
Make = Callable[..., Drawn]
MakeExample = Callable[..., Example]


def test_a_character_beside_the_base(drawn: Make, example: MakeExample) -> None:
    """The subject is red; epoch 3 draws red, copies one picture, and lets half of the control become red."""
    training = [example(f"{i}", noise(i, RED)) for i in range(4)]
    half = Image.blend(noise(20, BLUE), noise(20, RED), 0.5)
    base = [drawn("p1", 0, noise(10, BLUE)), drawn("p2", 0, noise(11, BLUE)), drawn("c", 0, noise(20, BLUE), CONTROL)]
    now = [drawn("p1", 3, noise(0, RED)), drawn("p2", 3, noise(12, RED)), drawn("c", 3, half, CONTROL)]
    told = Scorecard(run_config(), training, Colours()).measure(3, 30, now, base)
    assert (told.epoch, told.step, told.encoder) == (3, 30, "colours")
    assert told.pictures["likeness"] == pytest.approx({"p1": 1, "p2": 1})
    assert told.pictures["copied"] == {"p1": 1, "p2": 0}
    assert told.pictures["closeness"]["p1"] == pytest.approx(1) and abs(told.pictures["closeness"]["p2"]) < 0.6
    assert told.pictures["leak"] == pytest.approx({"c": np.sqrt(0.5)}, abs=1e-3)
    assert told.pictures["prompt"] == pytest.approx({"p1": -1, "p2": -1})  # both were asked for in blue
    assert told.pictures["drift"]["c"] == pytest.approx(float(np.asarray(noise(20)).mean()) / 255 / 3, rel=0.1)
    assert told.whole.pop("sameness") == pytest.approx(0, abs=0.05)  # noise
    assert told.whole == pytest.approx({"vendi": 1, "diversity": 1})


def test_without_an_encoder_pixels_are_left(drawn: Make, example: MakeExample) -> None:
    training = [example(f"{i}", noise(i)) for i in range(3)]
    base = [drawn("p1", 0, noise(10)), drawn("p2", 0, noise(11)), drawn("c", 0, noise(12), CONTROL)]
    now = [drawn("p1", 1, noise(20)), drawn("p2", 1, noise(20)), drawn("c", 1, noise(12), CONTROL)]
    told = Scorecard(run_config(), training, None).measure(1, 1, now, base)
    assert told.encoder == ""
    assert set(told.pictures) == {"sharpness", "closeness", "copied", "composition", "drift"}
    assert told.pictures["drift"] == {"c": 0}
    assert told.whole["vendi"] == pytest.approx(1) and told.whole["diversity"] < 0.7


def test_diversity_is_that_of_the_prompts(drawn: Make, example: MakeExample) -> None:
    """Two prompts by two seeds: the seeds of a prompt may be alike, the prompts may not."""

    def four(epoch: int, *pictures: Image.Image) -> list[Drawn]:
        names = [(f"p{n}-{s}", f"tiny_char {n}") for n in (1, 2) for s in (1, 2)]
        return [drawn(key, epoch, p, text) for (key, text), p in zip(names, pictures, strict=True)]

    a, b = noise(30), noise(31)
    card = Scorecard(run_config(), [example("a", noise(0))], None)
    base = four(0, a, a, b, b)
    assert card.measure(1, 1, four(1, a, a, b, b), base).whole["diversity"] == pytest.approx(1)
    assert card.measure(1, 1, four(2, a, b, a, b), base).whole["vendi"] == pytest.approx(1)
    assert card.measure(1, 1, base[:1], base).whole == {}


def test_composition_is_the_mean_over_all_training_pictures(drawn: Make, example: MakeExample) -> None:
    mixed = [example("a", noise(0)), example("b", noise(0).point(lambda v: 255 - v))]
    same = [example("c", noise(0)), example("d", noise(0).point(lambda v: v // 2))]
    for training, wanted in ((mixed, 0), (same, 1)):
        told = Scorecard(run_config(), training, None).measure(1, 1, [drawn("p", 1, noise(0))], [])
        assert told.pictures["composition"] == pytest.approx({"p": wanted}, abs=0.01)


def test_sameness_is_that_of_the_training_pictures(drawn: Make, example: MakeExample) -> None:
    unlike, dark = noise(0).point(lambda v: 255 - v), noise(0).point(lambda v: v // 2)
    for pictures, wanted in (((noise(0), dark), 1), ((noise(0), unlike), -1), ((noise(0), dark, unlike), -1 / 3)):
        training = [example(f"{i}", p) for i, p in enumerate(pictures)]
        told = Scorecard(run_config(), training, None).measure(1, 1, [drawn("p", 1, noise(5))], [])
        assert told.whole["sameness"] == pytest.approx(wanted, abs=0.01)
    alone = Scorecard(run_config(), [example("a", noise(0))], None).measure(1, 1, [drawn("p", 1, noise(5))], [])
    assert "sameness" not in alone.whole


def test_a_mirrored_copy_is_one(drawn: Make, example: MakeExample) -> None:
    mirrored = noise(0).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    told = Scorecard(run_config(), [example("a", noise(0)), example("b", noise(1))], None).measure(
        1, 1, [drawn("p", 1, mirrored)], []
    )
    assert told.pictures["copied"] == {"p": 1}


def test_without_a_trigger_every_prompt_calls(drawn: Make, example: MakeExample) -> None:
    told = Scorecard(run_config(trigger=""), [example("a", noise(0))], None).measure(
        1, 1, [drawn("c", 1, noise(3), CONTROL)], [drawn("c", 0, noise(4), CONTROL)]
    )
    assert "drift" not in told.pictures and list(told.pictures["copied"]) == ["c"]


def test_held_out_pictures_tiles_and_regularisation_are_not_compared_with(drawn: Make, example: MakeExample) -> None:
    rows = [example("a", noise(0)), example("b", noise(1)), example("c", noise(2)), example("d", noise(3))]
    import dataclasses

    kinds = ({"held_out": True}, {"type": "regularisation"}, {"side": 32})
    examples = [rows[0], *(dataclasses.replace(r, **k) for r, k in zip(rows[1:], kinds, strict=True))]
    card = Scorecard(run_config(), examples, None)
    now = [drawn(f"p{i}", 1, noise(i)) for i in range(4)]
    assert card.measure(1, 1, now, []).pictures["copied"] == {"p0": 1, "p1": 0, "p2": 0, "p3": 0}


def pair_of(seed: int) -> tuple[Image.Image, Image.Image]:
    """A picture, and it with its upper half in red."""
    before = noise(seed, BLUE)
    after = before.copy()
    after.paste((255, 0, 0), (0, 0, 48, 24))
    return before, after


def test_an_edit(drawn: Make, example: MakeExample, tmp_path) -> None:
    pairs = [pair_of(i) for i in range(3)]
    training = [example(f"{i}", after, "paint it", before) for i, (before, after) in enumerate(pairs)]
    before, after = pair_of(7)
    before.save(tmp_path / "source.png")
    source = str(tmp_path / "source.png")
    shown = {"right": after, "nothing": before, "all": Image.new("RGB", before.size, (255, 0, 0))}
    now = [drawn(key, 1, picture, "paint it", source) for key, picture in shown.items()]
    config = run_config(kind="edit", trigger="")
    told = Scorecard(config, training, Colours()).measure(1, 1, now, []).pictures
    assert told["followed"]["right"] > 0.95 and told["followed"]["nothing"] == 0
    assert told["change"]["right"] == pytest.approx(1, rel=0.05) and told["change"]["nothing"] == 0
    assert told["preserved"]["right"] == pytest.approx(1, abs=0.01)
    assert told["preserved"]["all"] < 0.8
    assert "likeness" not in told
    pixels = Scorecard(config, training, None).measure(1, 1, now, []).pictures
    assert "followed" not in pixels and pixels["change"] == told["change"]


def test_an_edit_that_no_pair_teaches_is_not_measured(drawn: Make, example: MakeExample, tmp_path) -> None:
    training = [example(f"{i}", pair_of(i)[1], text, pair_of(i)[0]) for i, text in enumerate(("paint it", "melt it"))]
    pair_of(7)[0].save(tmp_path / "source.png")
    now = [drawn(t, 1, pair_of(7)[1], t, str(tmp_path / "source.png")) for t in ("Paint it", "freeze it")]
    told = Scorecard(run_config(kind="edit", trigger=""), training, None).measure(1, 1, now, [])
    assert list(told.pictures["change"]) == ["Paint it"]


def test_what_cannot_be_read_is_left_out(drawn: Make, example: MakeExample) -> None:
    whole, broken = drawn("p1", 1, noise(1)), drawn("p2", 1, noise(2))
    broken.path.write_bytes(random.Random(0).randbytes(50))
    gone = example("gone", noise(5))
    (training := example("a", noise(0)))
    from pathlib import Path

    Path(gone.path).unlink()
    card = Scorecard(run_config(), [gone, training], None)
    assert list(card.measure(1, 1, [whole, broken], []).pictures["copied"]) == ["p1"]
    assert card.measure(1, 1, [broken], []).pictures == {}
    assert Scorecard(run_config(), [gone], None).measure(1, 1, [whole], []).pictures.keys() == {"sharpness"}


@pytest.mark.parametrize(
    ("prompt", "read"),
    [
        ("tiny_char, smiling, in a room", "smiling, in a room"),
        ("a photo of tiny_char at sea", "a photo of at sea"),
        ("tiny_characters at sea", "tiny_characters at sea"),
        ("tiny_char", "tiny_char"),
    ],
)
def test_the_trigger_is_not_read_out(prompt: str, read: str) -> None:
    assert without_trigger(prompt, "tiny_char") == read
    assert without_trigger(prompt, "") == prompt
