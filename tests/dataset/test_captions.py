from collections.abc import Callable
from pathlib import Path

import pytest

from likeness.dataset.captions import apply_trigger, caption_of_name, has_trigger, read_captions, trigger_report
from likeness.dataset.manifest import Example
from likeness.errors import InputError


@pytest.mark.parametrize(
    ("stem", "caption"),
    [
        ("a_cat", "a cat"),
        ("a_cat_02", "a cat"),
        ("a cat (3)", "a cat"),
        ("mia-12", "mia"),
        ("r2d2", "r2d2"),
        ("12", "12"),
    ],
)
def test_names_are_captions_without_their_counters(stem: str, caption: str):
    assert caption_of_name(stem) == caption


def test_captions_come_out_on_one_line(tmp_path: Path):
    file = tmp_path / "a.txt"
    file.write_bytes("\ufeff a man,\r\n\r\n  smiling\x1b[31m — \n".encode())
    assert read_captions(file) == ("a man, smiling [31m —",)
    assert read_captions(file, "first") == ("a man,",)
    assert read_captions(file, "draw") == ("a man,", "smiling [31m —")


def test_json_that_says_other_things_is_no_caption(tmp_path: Path):
    file = tmp_path / "a.json"
    for text in ['{"id": 3}', "[1]", '{"tags": {"general": 1}}', '{"caption": 7}']:
        file.write_text(text)
        assert read_captions(file) == ()
    file.write_text("{")
    with pytest.raises(InputError, match="not JSON"):
        read_captions(file)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "empty"),
        (b" \r\n\t\n", "empty"),
        ("caf\u00e9".encode("latin-1"), "not UTF-8"),
        ("a man".encode("utf-16"), "not UTF-8"),
        ("a man".encode("utf-16-le"), "not UTF-8"),
    ],
)
def test_unusable_caption_files_are_refused(tmp_path: Path, content: bytes, what: str):
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(InputError, match=rf"a\.txt: the caption is {what}"):
        read_captions(tmp_path / "a.txt")


def test_placeholders_are_replaced():
    assert apply_trigger("[trigger] and [Trigger]s, [other]", r"m\1") == r"m\1 and m\1s, [other]"


@pytest.mark.parametrize("caption", ["maya", "maya, smiling", "a photo of (maya)", "maya's hat", "one maya-like"])
def test_the_trigger_is_seen(caption: str):
    assert has_trigger(caption, "maya")


@pytest.mark.parametrize("caption", ["", "mayan temple", "himaya", "maya_char", "Maya smiling", "may a"])
def test_the_trigger_is_missed(caption: str):
    assert not has_trigger(caption, "maya")


def test_triggers_may_hold_signs_and_spaces():
    assert has_trigger("a photo of <ma.ya> at home", "<ma.ya>")
    assert not has_trigger("a photo of <maxya> at home", "<ma.ya>")
    assert has_trigger("the ohwx man", "ohwx man")


def test_the_report_names_captions_without_trigger(example: Callable[..., Example]):
    examples = [example(1, caption="maya"), example(2, caption="a cat"), example(3, caption="[trigger] at night")]
    assert trigger_report(examples, "maya") == ["/data/2.png"]
