"""The starter that ships distilled draws what the starter draws, in a quarter of the steps."""

import numpy as np
from PIL import Image

from likeness.catalog import CARDS, Card
from likeness.config.hardware import HardwareConfig
from likeness.config.sampling import PromptConfig, SamplingConfig
from likeness.families import open_family
from likeness.families.placement import choose_placement
from likeness.sample.sampler import draw, encode_texts, settle

PROMPTS = (
    "a girl with long pink hair wearing a red dress, half body, in a meadow, flat style",
    "a blue car, in a desert at sunset, watercolor style",
    "an orange cat, in a forest at night, outline style",
)
TEACHER, STUDENT = CARDS["starter"], CARDS["starter-distilled"]


def drawn(card: Card, sampling: SamplingConfig) -> list[np.ndarray]:
    family = open_family(card, choose_placement(HardwareConfig(precision="fp32", device="cpu")))
    requests = [settle(PromptConfig(prompt=text, seed=3), sampling, card) for text in PROMPTS]
    pictures: list[Image.Image] = [draw(family, r, encode_texts(family, r)) for r in requests]
    return [np.asarray(picture, float) for picture in pictures]


def test_four_steps_of_it_come_nearer_to_the_starter_than_four_of_the_starter_itself() -> None:
    def apart(pictures: list[np.ndarray]) -> float:
        return float(np.mean([(a - b) ** 2 for a, b in zip(pictures, wanted, strict=True)]))

    wanted = drawn(TEACHER, SamplingConfig())
    own, hasty = drawn(STUDENT, SamplingConfig()), drawn(TEACHER, SamplingConfig(steps=4, guidance=1.0))
    assert settle(PromptConfig(prompt="x"), SamplingConfig(), STUDENT).steps == 4
    assert apart(own) < 0.8 * apart(hasty)


def test_a_lora_of_the_starter_meets_the_same_layers_and_the_same_words() -> None:
    assert TEACHER.path is not None and STUDENT.path is not None
    for file in ("text_encoder/model.safetensors", "tokenizer/tokenizer.json", "transformer/config.json"):
        assert (TEACHER.path / file).read_bytes() == (STUDENT.path / file).read_bytes()
