from collections.abc import Callable
from pathlib import Path

import pytest

from likeness.dataset.captions import apply_trigger, apply_triggers, has_trigger, read_sidecar, trigger_report
from likeness.dataset.manifest import Example
from likeness.errors import InputError


def test_txt_comes_before_caption(tmp_path: Path):
    base = tmp_path / "a.v2"
    assert read_sidecar(base) is None
    (tmp_path / "a.v2.caption").write_text("second")
    assert read_sidecar(base) == "second"
    (tmp_path / "a.v2.TXT").write_text("first")
    assert read_sidecar(base) == "first"


def test_captions_come_out_on_one_line(tmp_path: Path):
    (tmp_path / "a.txt").write_bytes("\ufeff a man,\r\n\r\n  smiling — \n".encode())
    assert read_sidecar(tmp_path / "a") == "a man, smiling —"


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
        read_sidecar(tmp_path / "a")


def test_placeholders_are_replaced():
    assert apply_trigger("[trigger] and [Trigger]s, [other]", r"m\1") == r"m\1 and m\1s, [other]"


def test_a_placeholder_without_trigger_is_refused(example: Callable[..., Example]):
    examples = [example(1, caption="[trigger] smiling"), example(2)]
    assert [e.caption for e in apply_triggers(examples, "zoe")] == ["zoe smiling", examples[1].caption]
    with pytest.raises(InputError) as caught:
        apply_triggers(examples, None)
    assert len(caught.value.problems) == 1
    assert "/data/1.png" in caught.value.problems[0]
    assert apply_triggers(examples[1:], None) == examples[1:]


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
