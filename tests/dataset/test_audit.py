from collections.abc import Callable

import pytest

from likeness.dataset.audit import Finding, findings
from likeness.dataset.manifest import Example

Make = Callable[..., Example]


def look(examples: list[Example], **changes: object) -> dict[str, Finding]:
    options: dict[str, object] = {"kind": "character", "trigger": "maya_char", "resolution": 512}
    found = findings(examples, **{**options, **changes})  # type: ignore[arg-type]
    assert len({f.check for f in found}) == len(found)
    return {f.check: f for f in found}


@pytest.mark.parametrize("count", [5, 12, 50])
def test_a_clean_dataset_has_no_findings(example: Make, count: int):
    assert look([example(n) for n in range(count)], max_caption_tokens=77) == {}


def test_too_few_and_too_many_are_told(example: Make):
    few = look([example(n) for n in range(4)])
    assert set(few) == {"count"} and few["count"].severity == "warning"
    many = look([example(n) for n in range(51)])
    assert set(many) == {"count"} and many["count"].severity == "advice"
    assert "4 pairs" in look([example(n) for n in range(4)], kind="edit")["count"].message


def test_copies_are_told_in_groups(example: Make):
    examples = [example(n, sha256=f"{n % 6:064x}") for n in range(8)]
    found = look(examples)
    assert set(found) == {"duplicates"}
    assert found["duplicates"].images == ("/data/0.png", "/data/6.png", "/data/1.png", "/data/7.png")
    assert "2 of 8" in found["duplicates"].message


def test_one_picture_with_two_references_is_no_copy(example: Make):
    examples = [example(n, sha256="a" * 64, reference=f"/b/{n}.png", reference_sha256=str(n)) for n in range(6)]
    assert look(examples, kind="edit") == {}


def test_small_pictures_are_told(example: Make):
    examples = [example(n) for n in range(6)] + [example(7, width=511), example(8, width=256, height=1024)]
    found = look(examples)
    assert set(found) == {"resolution"}
    assert found["resolution"].images == ("/data/7.png",)


def test_captions_without_trigger_are_told(example: Make):
    examples = [example(n) for n in range(6)] + [example(7, caption="a woman on a beach")]
    found = look(examples)
    assert set(found) == {"trigger"}
    assert found["trigger"].images == ("/data/7.png",)
    assert look(examples, trigger=None) == {}


@pytest.mark.parametrize("caption", ["maya_char", "[trigger], smiling", "maya_char maya_char ..."])
def test_captions_that_say_nothing_are_told(example: Make, caption: str):
    found = look([example(n) for n in range(6)] + [example(7, caption=caption)])
    assert set(found) == {"caption"}
    assert found["caption"].images == ("/data/7.png",)
    assert found["caption"].severity == "advice"


def test_long_captions_are_told_where_the_limit_is_known(example: Make):
    examples = [example(n) for n in range(6)] + [example(7, caption="maya_char " + "word " * 80)]
    assert look(examples) == {}
    found = look(examples, max_caption_tokens=77)
    assert set(found) == {"caption_length"}
    assert found["caption_length"].images == ("/data/7.png",)


def test_warnings_come_first(example: Make):
    found = findings([example(1, caption="hi"), example(2)], kind="character", trigger="maya_char", resolution=1024)
    severities = [f.severity for f in found]
    assert severities == sorted(severities, reverse=True)
    assert {f.check for f in found} == {"count", "resolution", "trigger", "caption"}
    assert all(f.message and f.fix for f in found)
