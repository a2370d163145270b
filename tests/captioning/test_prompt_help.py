"""What a language model is asked for test prompts, and what can be read out of its answer."""

import json

import pytest

from likeness.captioning.prompt_help import MOST_CAPTIONS, question, read_answer
from likeness.dataset.prompts import SLOTS


def test_the_captions_and_the_rules_are_told():
    captions = [f"maya_char in picture {n}" for n in range(500)]
    asked = question(captions, "maya_char", "character", {"baseline": "maya_char, waving"})
    assert sum(line.startswith("- ") for line in asked.splitlines()) == MOST_CAPTIONS
    assert "picture 0" in asked and "picture 487" in asked and "maya_char, waving" in asked
    assert all(slot in asked for slot in SLOTS)
    assert "instruction" in question(["put on a hat"], "", "edit", {})


@pytest.mark.parametrize("wrapped", ["{}", "```json\n{}\n```", "Sure! Here they are: {} Enjoy."])
def test_an_object_is_found_in_an_answer(wrapped: str):
    prompts = {slot: f"maya  {slot}" for slot in SLOTS}
    told = wrapped.replace("{}", json.dumps(prompts))
    assert read_answer(told) == {slot: f"maya {slot}" for slot in SLOTS}


def test_keys_may_be_written_otherwise_and_values_left_out():
    found = read_answer('{"Unseen_Pose": "maya runs", "baseline": 7, "more": "x"}')
    assert found == {"unseen pose": "maya runs"}


@pytest.mark.parametrize("text", ["", "I cannot do that.", '{"baseline": "maya', "{baseline}", "[1, 2]"])
def test_answers_without_an_object(text: str):
    with pytest.raises(ValueError, match="the answer"):
        read_answer(text)
