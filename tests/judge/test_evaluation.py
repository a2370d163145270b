"""Pictures at several strengths measured seed by seed, on plain pictures."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from PIL import Image

from likeness.dataset.manifest import Example
from likeness.judge.evaluation import Evaluation, Shown
from likeness.judge.metrics import Rows, unit
from likeness.judge.scorecard import Drawn
from tests.judge.conftest import run_config

SIZE = (32, 32)


class MeanColour:
    """An encoder that sees the mean colour alone, and counts what it looks at."""

    name, reads_text = "colour", False

    def __init__(self) -> None:
        self.looked_at = 0

    def images(self, pictures: Sequence[Image.Image]) -> Rows:
        self.looked_at += len(pictures)
        return unit(np.stack([np.asarray(p, np.float64).mean(axis=(0, 1)) for p in pictures]))

    def texts(self, texts: Sequence[str]) -> Rows:
        raise ValueError("reads none")


def colour(red: int, green: int, blue: int) -> Image.Image:
    return Image.new("RGB", SIZE, (red, green, blue))


@pytest.fixture
def shown(drawn: Callable[..., Drawn]) -> Callable[..., list[Shown]]:
    """Two prompts, one of them a control, by two turns; `called` and `control` are colours by turn."""

    def make(place: int, called: list[Image.Image], control: list[Image.Image]) -> list[Shown]:
        prompts = (("tiny_char at sea", called), ("a boat at sea", control))
        return [
            Shown(drawn(f"prompt-{p}-turn-{turn}", place, picture, prompt), turn)
            for p, (prompt, pictures) in enumerate(prompts, start=1)
            for turn, picture in enumerate(pictures)
        ]

    return make


def test_each_seed_gives_a_value(example: Callable[..., Example], shown: Callable[..., list[Shown]]):
    training = [example("a", colour(250, 0, 0)), example("b", colour(240, 0, 0))]
    base = shown(0, [colour(0, 0, 200), colour(0, 200, 0)], [colour(0, 0, 100), colour(0, 0, 100)])
    encoder = MeanColour()
    evaluation = Evaluation(run_config(), training, encoder, base)
    nothing = evaluation.measure(0.0, base)
    assert nothing.values["likeness"] == [0, 0] and nothing.values["drift"] == [0, 0]
    half = shown(1, [colour(200, 0, 0), colour(0, 200, 0)], [colour(0, 0, 100), colour(51, 0, 100)])
    tried = evaluation.measure(0.5, half)
    assert tried.strength == 0.5
    assert tried.values["likeness"] == pytest.approx([1, 0])  # the first seed took to it
    assert tried.values["drift"] == pytest.approx([0, 51 / 255 / 3])
    assert tried.values["leak"][0] == 0 < tried.values["leak"][1]
    assert encoder.looked_at == 2 + 5  # of training, and each different picture that was drawn, once


def test_diversity_is_told_beside_the_base(example: Callable[..., Example], shown: Callable[..., list[Shown]]):
    training = [example("a", colour(250, 0, 0))]
    varied = [colour(250, 0, 0), colour(0, 250, 0), colour(0, 0, 250)]
    plain = [colour(9, 9, 9)] * 3
    config = run_config(trigger="")  # then every picture should show what was learned
    base = shown(0, varied, varied)
    evaluation = Evaluation(config, training, MeanColour(), base)
    same = evaluation.measure(1.0, base).values["diversity"]
    assert same == pytest.approx([1, 1, 1])
    alike = evaluation.measure(1.0, shown(2, plain, plain)).values["diversity"]
    assert len(alike) == 3 and sum(alike) / 3 < 0.6


def test_without_an_encoder_pixels_are_compared(example: Callable[..., Example], shown: Callable[..., list[Shown]]):
    base = shown(0, [colour(0, 0, 200), colour(0, 200, 0)], [colour(0, 0, 100), colour(0, 0, 100)])
    tried = Evaluation(run_config(), [example("a", colour(250, 0, 0))], None, base).measure(0.0, base)
    assert "likeness" not in tried.values and tried.values["drift"] == [0, 0]
