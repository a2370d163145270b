import json
from collections.abc import Callable
from pathlib import Path

import pytest

from likeness.dataset.manifest import Example, example_id
from tests.dataset.conftest import Picture, Read

Pairs = Callable[..., list[Example]]
Problems = Callable[..., list[str]]


@pytest.fixture
def pairs(read: Read) -> Callable[..., list[Example]]:
    """Reads pairs that must be fine."""

    def reading(path: Path, instruction: str | None = None, **settings: object) -> list[Example]:
        found = read(path, kind="edit", instruction=instruction, repeats=2, **settings)
        assert found.problems == []
        return found.examples

    return reading


@pytest.fixture
def problems(read: Read) -> Callable[..., list[str]]:
    """What is wrong with pairs."""

    def reading(path: Path, instruction: str | None = None, **settings: object) -> list[str]:
        return [p.message for p in read(path, kind="edit", instruction=instruction, **settings).problems]

    return reading


def rows(path: Path, *lines: object, name: str = "pairs.jsonl") -> Path:
    file = path / name
    file.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines) + "\n")
    return file


def told(examples: list[Example], root: Path) -> list[tuple[str, str, str]]:
    assert all(e.references for e in examples)
    return [
        (str(Path(e.references[0]).relative_to(root)), str(Path(e.path).relative_to(root)), e.caption) for e in examples
    ]


# --- layouts ---


def test_two_folders(tmp_path: Path, picture: Picture, pairs: Pairs):
    for name in ["a10.png", "a2.png", "deep/b.png", "c.png"]:
        picture(f"before/{name}")
    picture("after/a10.jpg", caption="from after")
    picture("after/a2.png")
    picture("after/deep/b.png")
    picture("after/c.webp")
    (tmp_path / "before/a2.txt").write_text("from before")
    (tmp_path / "before/a10.txt").write_text("not this one")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/b.txt").write_text("from the root")
    examples = pairs(tmp_path, "for all", subfolders=True)
    assert told(examples, tmp_path) == [
        ("before/a2.png", "after/a2.png", "from before"),
        ("before/a10.png", "after/a10.jpg", "from after"),
        ("before/c.png", "after/c.webp", "for all"),
        ("before/deep/b.png", "after/deep/b.png", "from the root"),
    ]
    e = examples[0]
    assert e.sha256 != e.reference_sha256s[0]
    assert e.id == example_id(e.sha256, e.reference_sha256s)
    assert (e.width, e.height, e.repeats) == (24, 20, 2)


def test_suffixes(tmp_path: Path, picture: Picture, pairs: Pairs):
    for name in ["a.v2_before.png", "b_Before.jpg", "more/c_before.png"]:
        picture(name)
    for name in ["a.v2_after.png", "b_AFTER.png", "more/c_after.png"]:
        picture(name)
    (tmp_path / "a.v2.txt").write_text("make it night")
    (tmp_path / "b_AFTER.txt").write_text("make it day")
    (tmp_path / "more/c.txt").write_text("add a hat")
    assert told(pairs(tmp_path, subfolders=True), tmp_path) == [
        ("a.v2_before.png", "a.v2_after.png", "make it night"),
        ("b_Before.jpg", "b_AFTER.png", "make it day"),
        ("more/c_before.png", "more/c_after.png", "add a hat"),
    ]


@pytest.mark.parametrize("name", ["pairs.jsonl", "metadata.jsonl"])
@pytest.mark.parametrize(
    "keys",
    [("before", "after", "instruction"), ("source", "target", "caption"), ("control", "output", "prompt"),
     ("input", "image", "text")],
)  # fmt: skip
def test_lists(tmp_path: Path, picture: Picture, name: str, keys: tuple[str, str, str], pairs: Pairs):
    picture("x/one.png")
    picture("two.png")
    values = ("x/one.png", "two.png", "make it\u2028night")
    file = rows(tmp_path, dict(zip(keys, values, strict=True)), "", name=name)
    file.write_text(json.dumps(dict(zip(keys, values, strict=True)), ensure_ascii=False) + "\n\n", encoding="utf-8")
    expected = [("x/one.png", "two.png", "make it night")]
    assert told(pairs(tmp_path), tmp_path) == expected
    assert told(pairs(file), tmp_path) == expected


def test_rows_without_instruction_take_that_of_the_dataset(
    tmp_path: Path, picture: Picture, pairs: Pairs, problems: Problems
):
    picture("a.png")
    picture("b.png")
    file = rows(tmp_path, {"before": "a.png", "after": "b.png"})
    assert pairs(file, "make it night")[0].caption == "make it night"
    (problem,) = problems(file)
    assert "pairs.jsonl:1: has no instruction" in problem


def test_a_list_decides_over_the_folders_it_names(tmp_path: Path, picture: Picture, pairs: Pairs):
    for name in ["before/a.png", "after/a.png", "before/b.png"]:
        picture(name)
    rows(tmp_path, {"before": "before/b.png", "after": "after/a.png", "text": "swap"})
    assert told(pairs(tmp_path), tmp_path) == [("before/b.png", "after/a.png", "swap")]


# --- refused input ---


def test_partners_missing_are_named(tmp_path: Path, picture: Picture, problems: Problems):
    for name in ["before/a.png", "after/a.png", "before/b.png", "after/c.jpg"]:
        picture(name)
    found = problems(tmp_path, "x")
    assert len(found) == 2
    assert f"{tmp_path}/after/c.jpg" in found[0] and f"no {tmp_path}/before/c.png" in found[0]
    assert f"{tmp_path}/before/b.png" in found[1] and f"no {tmp_path}/after/b.png" in found[1]


def test_partners_missing_by_suffix_are_named(tmp_path: Path, picture: Picture, problems: Problems):
    picture("a_before.png")
    picture("b_after.png")
    found = problems(tmp_path, "x")
    assert len(found) == 2
    assert f"no {tmp_path}/a_after.png" in found[0] and f"no {tmp_path}/b_before.png" in found[1]


def test_two_candidates_for_one_side_are_refused(tmp_path: Path, picture: Picture, problems: Problems):
    for name in ["before/a.png", "before/a.jpg", "after/a.png"]:
        picture(name)
    (problem,) = problems(tmp_path, "x")
    assert "two pictures before" in problem and "a.jpg" in problem


def test_pictures_outside_of_pairs_are_told(tmp_path: Path, picture: Picture, problems: Problems):
    for name in ["before/a.png", "after/a.png", "stray.png"]:
        picture(name)
    (problem,) = problems(tmp_path, "x")
    assert "stray.png: belongs to no pair" in problem


def test_mixed_and_missing_layouts_list_all_three(tmp_path: Path, picture: Picture, problems: Problems):
    picture("a.png")
    (none,) = problems(tmp_path)
    picture("before/a.png")
    picture("b_after.png")
    (mixed,) = problems(tmp_path)
    assert "no pairs" in none and "mixes two layouts" in mixed
    for problem in (none, mixed):
        assert all(layout in problem for layout in ("before/NAME.png", "NAME_before.png", "pairs.jsonl"))


def test_folders_that_are_not_there_or_empty_are_told(tmp_path: Path, problems: Problems):
    assert "does not exist" in problems(tmp_path / "nowhere")[0]
    assert "does not exist" in problems(tmp_path / "nowhere.jsonl")[0]
    assert "holds no pictures" in problems(tmp_path)[0]


@pytest.mark.parametrize(("size", "fine"), [((204, 150), True), ((208, 150), False), ((400, 300), True)])
def test_shapes_must_agree_within_two_percent(
    tmp_path: Path, picture: Picture, size: tuple[int, int], fine: bool, pairs: Pairs, problems: Problems
):
    picture("a_before.png", size=(200, 150))
    picture("a_after.png", size=size)
    if fine:
        assert len(pairs(tmp_path, "x")) == 1
    else:
        (problem,) = problems(tmp_path, "x")
        assert "200x150" in problem and "208x150" in problem


def test_all_faults_of_pairs_are_told_at_once(tmp_path: Path, picture: Picture, problems: Problems):
    for name in "abcd":
        picture(f"before/{name}.png")
        picture(f"after/{name}.png", caption="x")
    (tmp_path / "after/a.txt").write_text("")
    (tmp_path / "after/b.txt").unlink()
    (tmp_path / "before/a.png").write_bytes(b"junk")
    (tmp_path / "after/c.png").unlink()
    found = problems(tmp_path)
    assert len(found) == 4
    for words in ["after/a.txt: the caption is empty", "pair b: has no instruction", "before/a.png: is none of",
                  "pair c is not whole"]:  # fmt: skip
        assert any(words in p for p in found), words


def test_bad_rows_are_told_by_line(tmp_path: Path, picture: Picture, problems: Problems):
    picture("a.png")
    picture("b.png")
    good = {"before": "a.png", "after": "b.png", "instruction": "x"}
    file = rows(
        tmp_path,
        good,
        "",
        '{"before": "a.png",',
        "[1, 2]",
        {"before": "a.png", "instruction": "x"},
        {**good, "after": 3},
        {**good, "instruction": "  "},
        {**good, "before": "gone.png"},
        {**good, "before": "x" * 5000},
        "[" * 100_000,
    )
    told = {int(p.split("pairs.jsonl:")[1].split(":")[0]): p for p in problems(file)}
    found = [told[line] for line in range(3, 11)]
    words = ["not JSON", "not a JSON object", "no picture after", "no path of the picture", "is empty",
             "gone.png is not there", "is not there", "not JSON"]  # fmt: skip
    for problem, word in zip(found, words, strict=True):
        assert word in problem


@pytest.mark.parametrize(
    "value", ["../a.png", "x/../../a.png", "/etc/a.png", "..\\a.png", "C:\\a.png", "\\\\host\\share\\a.png"]
)
def test_paths_out_of_the_folder_are_refused(tmp_path: Path, picture: Picture, value: str, problems: Problems):
    picture("a.png")
    picture("data/b.png")
    (tmp_path / "data/x").mkdir()
    file = rows(tmp_path / "data", {"before": value, "after": "b.png", "instruction": "x"})
    (problem,) = problems(file)
    assert "leads out of" in problem and ":1: before" in problem


def test_lists_that_cannot_be_read_are_told(tmp_path: Path, picture: Picture, problems: Problems):
    file = tmp_path / "pairs.jsonl"
    file.write_bytes(b"\xff\xfe{")
    assert "not UTF-8" in problems(file)[0]
    file.write_text("\n\n")
    assert "has no rows" in problems(file)[0]
    picture("a.png")
    (tmp_path / "metadata.jsonl").write_text("{}")
    assert "both pairs.jsonl and metadata.jsonl" in problems(tmp_path)[0]


def test_several_sources_may_have_shapes_of_their_own(tmp_path: Path, picture: Picture, pairs: Pairs):
    picture("after/a.png", size=(100, 50), caption="wear it")
    picture("before/a.png", size=(100, 50))
    picture("before_2/a.png", size=(40, 90))
    (e,) = pairs(tmp_path)
    assert e.reference_sizes == ((100, 50), (40, 90))


def test_numbers_in_names_are_sources_only_where_the_name_has_none(tmp_path: Path, picture: Picture, pairs: Pairs):
    for name in ["in/a.png", "in/a_1.png", "c/a.png", "c/a_1.png"]:
        picture(name, caption="x" if name.startswith("in") else None)
    found = told(pairs(tmp_path / "in", controls=[str(tmp_path / "c")]), tmp_path)
    assert found == [("c/a.png", "in/a.png", "x"), ("c/a_1.png", "in/a_1.png", "x")]


def test_a_source_missing_in_one_of_the_folders_is_told(tmp_path: Path, picture: Picture, problems: Problems):
    for name in ["target/a.png", "control_1/a.png", "target/b.png", "control_1/b.png", "control_2/b.png"]:
        picture(name)
    (problem,) = problems(tmp_path, "x")
    assert f"no {tmp_path}/control_2/a.png" in problem


def test_links_out_of_the_folder_are_refused_in_lists(tmp_path: Path, picture: Picture, problems: Problems):
    picture("secret.png")
    picture("data/a.png")
    (tmp_path / "data/link.png").symlink_to(tmp_path / "secret.png")
    file = rows(tmp_path / "data", {"before": "link.png", "after": "a.png", "instruction": "x"})
    assert "leads out of" in problems(file)[0]


def test_pairs_may_share_a_picture(tmp_path: Path, picture: Picture, pairs: Pairs):
    for n, name in enumerate(["a.png", "b.png", "c.png"]):
        picture(name, size=(200, 199 + n))
    listed = [{"before": "a.png", "after": after, "instruction": "x"} for after in ("b.png", "c.png")]
    assert [(e.reference_sizes, e.height) for e in pairs(rows(tmp_path, *listed))] == [
        (((200, 199),), 200),
        (((200, 199),), 201),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["a\0.png", "a\x1b.png", "\ud800.png"])
def test_keys_that_are_no_path_are_told(tmp_path: Path, picture: Picture, read: Read, name: str):
    picture(tmp_path / "c" / "a.png")
    (tmp_path / "pairs.json").write_text(json.dumps({name: {"before": "c/a.png", "instruction": "make it night"}}))
    (problem,) = read(tmp_path / "pairs.json", kind="edit").problems
    assert "no path of a picture" in problem.message and "Fix: " in problem.message
