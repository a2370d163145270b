"""What captions are taken for: the lists of words, one by one."""

from collections.abc import Callable

import pytest

from likeness.dataset.checks.captions import describes
from likeness.dataset.checks.lexicon import COMMANDS, SEVERAL_PEOPLE, STYLE_WORDS
from likeness.dataset.checks.trigger import find_variant, guess_trigger
from likeness.dataset.manifest import Example


@pytest.mark.parametrize(
    ("caption", "variant"),
    [
        ("Maya_Char smiles", "Maya_Char"),
        ("maya char smiles", "maya char"),
        ("a photo of mayachar", "mayachar"),
        ("maya-char, smiling", "maya-char"),
        ("maya_chr, smiling", "maya_chr"),
        ("maya_chaar", "maya_chaar"),
        ("a man with a chair", None),
        ("a woman, smiling", None),
        ("may I char it", None),
        ("", None),
    ],
)
def test_misspelled_triggers(caption: str, variant: str | None):
    assert find_variant(caption, "maya_char") == variant


def test_short_and_long_triggers():
    assert find_variant("a skis on snow", "sks") is None  # too short to guess at
    assert find_variant("SKS on snow", "sks") == "SKS"
    assert find_variant("OHWX Woman on snow", "ohwx woman") == "OHWX Woman"


@pytest.mark.parametrize(
    ("captions", "guess"),
    [
        (["maya_char at sea", "a day with maya_char", "maya_char", "a dog"], "maya_char"),
        (["p3rs0n at sea", "p3rs0n runs", "p3rs0n"], "p3rs0n"),
        (["a girl at sea", "a girl runs", "a girl"], None),
        (["maya_char at sea", "leo_char runs", "mia_char", "zoe_char"], None),
        (["1girl, smiling", "2girls", "a cat"], None),
    ],
)
def test_a_trigger_is_guessed(example: Callable[..., Example], captions: list[str], guess: str | None):
    assert guess_trigger([example(n, caption=text) for n, text in enumerate(captions)]) == guess


@pytest.mark.parametrize(
    "text",
    ["a watercolor painting of a cat", "anime girl", "in the style of Hokusai", "pixel art cat", "a photo of a man",
     "flat style, a girl", "a 3D render", "ukiyo-e wave"],
)  # fmt: skip
def test_style_words(text: str):
    assert STYLE_WORDS.search(text)


@pytest.mark.parametrize(
    "text", ["a girl by a painting on the wall", "stylish shoes", "a photographer", "a vintage car"]
)
def test_what_is_no_style_word(text: str):
    assert not STYLE_WORDS.search(text)


@pytest.mark.parametrize(
    "text",
    ["a girl with a hat in a meadow", "photo of a red car", "The man stands in a forest", "an illuminated place"],
)
def test_descriptions(text: str):
    assert describes(text)


@pytest.mark.parametrize(
    "text",
    ["make it night", "the girl is now smiling", "put on a hat", "in flat style", "without the hat", "a hat instead",
     "turn it into a sketch", "this image, make it blue", "please add a dog", "give her red hair", "de-age him"],
)  # fmt: skip
def test_instructions(text: str):
    assert not describes(text)


@pytest.mark.parametrize(
    ("text", "commands"),
    [
        ("make it night", True),
        ("Please add a hat", True),
        ("remove the dog", True),
        ("a girl who makes it big", False),
        ("turn signals on a car", False),
        ("place de la Concorde", False),
    ],
)
def test_commands(text: str, commands: bool):
    assert bool(COMMANDS.match(text)) is commands


@pytest.mark.parametrize(
    ("text", "several"),
    [
        ("two girls on a beach", True),
        ("mika with her mother", True),
        ("2girls, smiling", True),
        ("a group of five smiling people", True),
        ("mika and another woman", True),
        ("mika with two red balloons", False),
        ("a girl with her hair down", False),
        ("1girl, solo", False),
    ],
)
def test_several_people(text: str, several: bool):
    assert bool(SEVERAL_PEOPLE.search(text)) is several
