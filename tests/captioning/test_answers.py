"""What becomes of answers: wrapping taken off, refusals seen, what should be left unsaid taken out."""

import pytest

from likeness.captioning.answers import clean, cut, is_refusal, without_loops
from likeness.captioning.engine import with_trigger
from likeness.captioning.prompts import system_prompt, user_prompt
from likeness.captioning.protocol import Answer, CaptionFailed
from likeness.captioning.trimming import own_nouns, trim_prose, trim_tags
from likeness.config.caption import CaptionConfig


@pytest.mark.parametrize(
    "said",
    [
        "A hat on a chair.",
        '"A hat on a chair."',
        "Here's a caption for the picture: A hat on a chair.",
        "Sure! Here is the caption:\n\n“A hat on a chair.”",
        "**Caption:** A hat\non a chair.",
        "Caption: A hat on a chair.",
        "```text\nA hat on a chair.\n```",
        "<think>A hat? Yes.</think>\nA hat on a chair.",
        "A **hat** on a chair.",
    ],
)
def test_wrapping_is_taken_off(said: str):
    assert clean(Answer(said), 80) == ("A hat on a chair.", False)


@pytest.mark.parametrize(
    "said",
    [
        "I'm sorry, but I can't help with that.",
        "I’m unable to describe people in images.",
        "I cannot assist with this request.",
        "Unfortunately, I can't identify who this is.",
        "As an AI language model, I do not see.",
        "Sorry, that is not something I do.",
        "I apologize, but no.",
    ],
)
def test_refusals_are_seen(said: str):
    with pytest.raises(CaptionFailed) as e:
        clean(Answer(said), 80)
    assert e.value.reason == "refused"


@pytest.mark.parametrize(
    "caption",
    [
        "A sign that says 'I can't help falling in love'.",
        "A man with the words sorry on his shirt. I cannot describe.",
        "I love you, written in sand.",
        "Here a girl sits: calm, and smiling.",
    ],
)
def test_captions_are_no_refusals(caption: str):
    assert not is_refusal(caption) and clean(Answer(caption), 80)[0] == caption


@pytest.mark.parametrize("said", ["", "...", "<think>without end", "```\n```"])
def test_nothing_is_no_caption(said: str):
    with pytest.raises(CaptionFailed) as e:
        clean(Answer(said), 80)
    assert e.value.reason == "empty"


def test_long_ones_are_cut_where_it_hurts_least():
    assert clean(Answer("One two. Three four. Five six seven."), 6) == ("One two. Three four.", True)
    assert clean(Answer("One two three. Four"), 80) == ("One two three. Four", False)
    assert clean(Answer("One two three. Four", cut_off=True), 80) == ("One two three.", True)
    assert cut("a red hat, a blue coat, and shoes of leather", 8) == "a red hat, a blue coat"
    assert cut("one two three four", 2) == "one two"
    assert cut("一个女孩。她在微笑。背景是海。", 12) == "一个女孩。她在微笑。"
    assert cut("x" * 1000, 3) == "x" * 90


# --- what should be left unsaid


@pytest.mark.parametrize(
    ("caption", "rest"),
    [
        ("a girl with long red hair wearing a hat, smiling", "a girl wearing a hat, smiling"),
        ("a boy with a pink bowl cut and light skin wearing a suit", "a boy wearing a suit"),
        ("a girl with blue eyes and a red scarf", "a girl with a red scarf"),
        ("a girl wearing a pink hair bow, her eyes closed", "a girl wearing a pink hair bow, her eyes closed"),
        ("a fox in the snow", "a fox in the snow"),
    ],
)
def test_a_character_keeps_its_traits_to_itself(caption: str, rest: str):
    assert trim_prose(caption, own_nouns("character"), ()) == rest


@pytest.mark.parametrize(
    ("caption", "rest"),
    [
        ("a watercolor of a pink pig, in front of a castle", "a pink pig, in front of a castle"),
        ("A watercolor painting of a fox. It is an oil painting in art nouveau style.", "a fox."),
        ("a drum, at a harbour at night, outline style", "a drum, at a harbour at night"),
        ("flat style, a girl, half body", "a girl, half body"),
        ("a green cake, in a kitchen, pixel art", "a green cake, in a kitchen"),
        ("an artist paints a wall", "an artist paints a wall"),
    ],
)
def test_a_style_is_not_named(caption: str, rest: str):
    assert trim_prose(caption, own_nouns("style"), ()) == rest


def test_chosen_words_are_left_out():
    assert trim_prose("an orange ball and a dog, smiling", (), ("orange", "smiling")) == "a ball and a dog"
    tags = ["1girl", "long hair", "blue_eyes", "hair bow", "closed eyes", "red scarf"]
    assert trim_tags(tags, own_nouns("character"), ("scarf",)) == ["1girl", "hair bow", "closed eyes"]
    assert CaptionConfig(leave_out=["red hair, freckles", " scar "]).leave_out == ["red hair", "freckles", "scar"]


# --- prompts and triggers


def test_prompts_say_what_to_leave_out_by_kind():
    style = user_prompt(CaptionConfig(kind="style", trigger="ink_style"))
    assert "Leave out how the picture is made" in style and "ink_style" not in style
    assert "Also name what always belongs to the character" in user_prompt(CaptionConfig(traits="name"))
    edit = CaptionConfig(kind="edit", instruction="Speak plainly.", mention=["the sky"])
    assert "begins with a verb, at most 30 words" in system_prompt(edit)
    assert user_prompt(edit).endswith("name: the sky. Speak plainly.")
    own = CaptionConfig(prompt="Tags: {context}.", system="Be short.")
    assert (system_prompt(own), user_prompt(own, "{a}, b")) == ("Be short.", "Tags: {a}, b.")
    assert user_prompt(CaptionConfig(prompt="Describe."), "a dog") == "Describe. What is known of the picture: a dog"


def test_the_trigger_stands_in_every_caption():
    assert with_trigger("A girl waves.", "maya_char") == "maya_char, A girl waves."
    assert with_trigger("Maya_Char waves.", "maya_char") == "maya_char waves."
    assert with_trigger("A maya_char waves.", "maya_char") == "A maya_char waves."
    assert with_trigger("A [trigger] waves.", "maya_char") == "A maya_char waves."
    assert with_trigger("A girl waves.", "") == "A girl waves."


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (
            "a boy in a meadow, flat style, flat style, flat style, side view",
            "a boy in a meadow, flat style, side view",
        ),
        ("A hat. A hat. A hat.", "A hat."),
        ("A hat. a hat", "A hat"),
        ("a cat, a dog, a cat", "a cat, a dog, a cat"),  # not at once: it may be meant
        ("no, no way", "no, no way"),
        ("猫がいる。猫がいる。", "猫がいる。"),
        ("a 5.5 inch screen", "a 5.5 inch screen"),
        ("a sign that says 10.10 pm", "a sign that says 10.10 pm"),
        ("...", "..."),
        ("", ""),
    ],
)
def test_what_a_model_says_over_and_over_is_kept_once(said: str, kept: str):
    assert without_loops(said) == kept


def test_a_loop_to_the_limit_is_no_long_caption():
    looped = Answer("A boy in a meadow" + ", flat style" * 100, cut_off=True)
    assert clean(looped, 20) == ("A boy in a meadow", True)
