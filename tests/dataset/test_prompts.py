"""Test prompts from captions: what they vary is left in one thing at a time."""

from pathlib import Path

import pytest

from likeness.dataset.captions import has_trigger
from likeness.dataset.prompt_words import PLACES, POSES
from likeness.dataset.prompts import (
    SLOTS,
    Idea,
    aspect,
    call,
    common_style,
    control_of,
    noun_of,
    problems_with,
    suggest_prompts,
)

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
MIKA = [p.read_text().strip() for p in sorted((EXAMPLES / "character" / "mika").glob("*.txt"))]
CAPTIONS = {
    "character": (["maya_char woman standing in a kitchen", "maya_char woman in a kitchen, close-up"], "maya_char"),
    "style": (["a cat on a roof, in inkwash style", "a village, in inkwash style"], "inkwash"),
    "product": (["zephyr, a bottle on a wooden table", "zephyr, a bottle held in a hand"], "zephyr"),
    "environment": (["oldmill by day, wide view", "oldmill at night"], "oldmill"),
}


def by_slot(ideas: list[Idea]) -> dict[str, str]:
    return {idea.slot: idea.prompt for idea in ideas}


@pytest.mark.parametrize("kind", CAPTIONS)
def test_every_kind_gets_its_slots(kind: str):
    captions, trigger = CAPTIONS[kind]
    prompts = by_slot(suggest_prompts(captions, trigger, kind))
    assert tuple(prompts) == SLOTS
    assert all(has_trigger(prompts[slot], trigger) for slot in SLOTS[:-1])
    assert trigger not in prompts["control"]
    assert problems_with(prompts, captions, trigger, kind) == {}, "its own prompts stand its own check"


def test_each_slot_leaves_the_captions_in_one_thing():
    prompts = by_slot(suggest_prompts(MIKA, "mika_char", "character"))
    told = " | ".join(MIKA)
    base = set(prompts["baseline"].split(", "))
    for slot in ("unseen pose", "new environment", "other framing"):
        new = set(prompts[slot].split(", ")) - base
        assert len(new) == 1 and new.pop() not in told, prompts[slot]
    assert all(piece.removeprefix("mika_char") in told for piece in base), "the baseline is made of what is there"


def test_what_captions_always_have_is_not_asked_for():
    everywhere = aspect([v.words for v in PLACES[:-1]], PLACES)
    assert everywhere.unseen == PLACES[-1].words
    nothing = aspect([], POSES)
    assert (nothing.usual, nothing.unseen) == ("", POSES[0].words)
    all_seen = aspect([v.words for v in POSES] + ["sitting, seated"], POSES)
    assert all_seen.usual == "sitting on a chair" and all_seen.unseen != all_seen.usual


def test_a_style_that_most_captions_name_goes_along():
    flat = ["sks on a beach, flat style", "sks in a city, flat style", "sks, pencil sketch"]
    assert common_style(flat, "sks") == "flat style"
    assert all("flat style" in p for p in by_slot(suggest_prompts(flat, "sks", "character")).values())
    assert common_style(["sks in a city", "sks"], "sks") == ""


def test_the_thing_is_named_as_in_captions():
    captions = CAPTIONS["character"][0]
    assert noun_of(captions, "maya_char", "character") == "woman"
    assert call(captions, "maya_char", "character") == "maya_char woman"
    assert call(["maya_char, a woman"], "maya_char", "character") == "maya_char"
    assert call(["a woman at sea"], "", "character") == "a woman"


@pytest.mark.parametrize(
    ("prompt", "kind", "control"),
    [
        ("maya, waving", "character", "a person, waving"),
        ("photo of maya woman at sea", "character", "photo of a woman at sea"),
        ("the maya, a bottle in a shop", "product", "a bottle in a shop"),
        ("a cat, in the style of maya", "style", "a cat"),
        ("maya, a cat", "style", "a cat"),
        ("a cat in maya style, at night", "style", "a cat, at night"),
        ("maya", "style", "a picture"),
        ("mayas at sea", "character", "mayas at sea"),
    ],
)
def test_controls_lose_the_trigger_alone(prompt: str, kind: str, control: str):
    assert control_of(prompt, "maya", kind) == control


def test_edits_vary_their_sources():
    ideas = suggest_prompts(["put on a hat", "put on a hat", "make it night"], "", "edit")
    prompts = by_slot(ideas)
    assert prompts["baseline"] == "put on a hat" and prompts["unseen pose"] == "make it night"
    assert prompts["control"] not in ("put on a hat", "make it night")
    assert all("source picture" in idea.why for idea in ideas[:-1])


def test_without_captions_the_prompts_are_general():
    prompts = by_slot(suggest_prompts([], "maya", "character"))
    assert len(prompts) == len(SLOTS) and prompts["baseline"].startswith("maya")


def test_prompts_of_others_are_checked():
    good = by_slot(suggest_prompts(MIKA, "mika_char", "character"))
    changes = {
        "baseline": ("a girl at sea", "trigger"),
        "unseen pose": ("mika_char " * 70, "70 words"),
        "new environment": (good["baseline"], "repeats"),
        "other framing": (MIKA[0], "a caption"),
        "control": ("MIKA_CHAR at sea", "has the trigger"),
    }
    for slot, (text, why) in changes.items():
        found = problems_with(good | {slot: text}, MIKA, "mika_char", "character")
        assert why in found[slot], slot
    assert set(problems_with({}, MIKA, "mika_char", "character")) == set(SLOTS)
