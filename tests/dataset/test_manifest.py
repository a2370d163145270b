from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from likeness.dataset.manifest import Example, example_id, read_manifest, write_manifest
from likeness.errors import InputError


def test_what_is_written_is_read(tmp_path: Path, example: Callable[..., Example]):
    examples = [
        example(1, caption='says "hi"\u2028and möre 日本'),
        example(2, references=("/data/b.png",), reference_sha256s=("ab",), reference_sizes=((3, 4),), held_out=True),
        example(3, path="/data/\udcff.png"),  # a file name that is not UTF-8
    ]
    file = tmp_path / "manifest.jsonl"
    write_manifest(file, examples)
    assert read_manifest(file) == examples
    assert len(file.read_text().split("\n")) == 4
    assert [p.name for p in tmp_path.iterdir()] == ["manifest.jsonl"]


def test_keys_of_later_versions_are_ignored(tmp_path: Path, example: Callable[..., Example]):
    file = tmp_path / "manifest.jsonl"
    write_manifest(file, [example(1)])
    file.write_text(file.read_text().replace("{", '{"mask": "m.png", ', 1))
    assert read_manifest(file) == [example(1)]


@pytest.mark.parametrize("line", ["{", "[1]", "3", "null", '{"id": "x"}'])
def test_damaged_rows_are_named(tmp_path: Path, example: Callable[..., Example], line: str):
    file = tmp_path / "manifest.jsonl"
    write_manifest(file, [example(1)])
    file.write_text(file.read_text() + line + "\n")
    with pytest.raises(InputError, match=r"manifest\.jsonl:2: not a row"):
        read_manifest(file)


def test_a_missing_manifest_is_told(tmp_path: Path):
    with pytest.raises(InputError, match="not there"):
        read_manifest(tmp_path / "manifest.jsonl")


def test_ids_follow_both_pictures():
    assert example_id("ab" * 32, None) == "ab" * 8
    ids = {example_id(a, b) for a in ("1" * 64, "2" * 64) for b in (None, "1" * 64, "3" * 64)}
    assert len(ids) == 6
    assert all(len(i) == 16 for i in ids)


def test_examples_are_frozen(example: Callable[..., Example]):
    with pytest.raises(AttributeError):
        example(1).caption = "x"  # type: ignore[misc]
    assert replace(example(1), caption="x").caption == "x"
