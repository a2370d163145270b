import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from likeness.dataset import index as index_module
from likeness.dataset.index import Facts, Index, gather
from likeness.errors import InputError

OLD = time.time() - 3600


@pytest.fixture(autouse=True)
def young_files_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that tests need not wait; `test_young_files_are_measured_again` sets it back."""
    monkeypatch.setattr(index_module, "FRESH_SECONDS", 0)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    found = [tmp_path / f"{n}.bin" for n in range(600)]
    for n, file in enumerate(found):
        file.write_bytes(b"x" * n)
    return found


def sizes(files: list[Path], index: Index, kind: str = "size 1") -> tuple[list[object], list[Path]]:
    """What comes out for the files, and which of them were measured."""
    measured: list[Path] = []

    def measure(file: Path) -> Facts:
        measured.append(file)
        if file.stat().st_size == 13:
            raise InputError(f"{file}: unlucky")
        return {"bytes": file.stat().st_size}

    found = list(gather(files, kind, measure, index))
    assert [file for file, _ in found] == files
    return [str(f) if isinstance(f, InputError) else f["bytes"] for _, f in found], sorted(measured)


def test_what_is_known_is_not_measured_again(tmp_path: Path, files: list[Path]):
    with Index(tmp_path / "kept" / "index.sqlite") as index:
        first, measured = sizes(files, index)
        assert len(measured) == 600 and first[14] == 14 and "unlucky" in str(first[13])
    with Index(tmp_path / "kept" / "index.sqlite") as index:
        second, measured = sizes(files, index)
        assert second == first and measured == [files[13]]  # what failed is tried again
        assert len(sizes(files, index, "size 2")[1]) == 600


@pytest.mark.parametrize("change", ["size", "time", "another file"])
def test_what_has_changed_is_measured_again(tmp_path: Path, files: list[Path], change: str):
    with Index(tmp_path / "index.sqlite") as index:
        sizes(files[20:30], index)
        file, before = files[25], files[25].stat()
        if change == "size":
            file.write_bytes(b"y")
        elif change == "time":
            file.write_bytes(b"z" * 25)
        else:
            (tmp_path / "new").write_bytes(b"z" * 25)
            os.utime(tmp_path / "new", ns=(before.st_atime_ns, before.st_mtime_ns))
            os.replace(tmp_path / "new", file)
        assert sizes(files[20:30], index)[1] == [file]


def test_young_files_are_measured_again(tmp_path: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch):
    """They may change once more without a sign of it: clocks of file systems are coarse."""
    monkeypatch.setattr(index_module, "FRESH_SECONDS", 1000)
    with Index(tmp_path / "index.sqlite") as index:
        sizes(files[20:25], index)
        assert len(sizes(files[20:25], index)[1]) == 5


def test_what_was_measured_before_a_stop_is_kept(tmp_path: Path, files: list[Path]):
    def measure(file: Path) -> Facts:
        if file == files[400]:
            raise KeyboardInterrupt
        return {"bytes": file.stat().st_size}

    with Index(tmp_path / "index.sqlite") as index:
        with pytest.raises(KeyboardInterrupt):
            list(gather(files, "size 1", measure, index))
        assert len(sizes(files, index)[1]) == 600 - index_module.WINDOW


def damaged(file: Path) -> None:
    file.write_bytes(b"this is no database, whatever its name says" * 100)


def cut_off(file: Path) -> None:
    with Index(file) as index:
        index.keep("size 1", [(Path(f"/{n}"), "stamp", {"bytes": n}) for n in range(2000)])
    file.write_bytes(file.read_bytes()[:5000])


def a_folder(file: Path) -> None:
    file.mkdir()


@pytest.mark.parametrize("spoil", [damaged, cut_off, a_folder])
def test_an_index_that_cannot_be_used_costs_time_alone(
    tmp_path: Path, files: list[Path], spoil: Callable[[Path], None]
):
    spoil(tmp_path / "index.sqlite")
    for _ in range(2):
        with Index(tmp_path / "index.sqlite") as index:
            assert sizes(files[20:30], index)[0] == list(range(20, 30))


def test_progress_is_told_and_names_of_any_bytes_are_taken(tmp_path: Path):
    strange = Path(os.fsdecode(bytes(tmp_path) + b"/\xff\xfe name.bin"))
    strange.write_bytes(b"12")
    seen: list[int] = []
    with Index() as index:
        found = list(gather([strange, tmp_path / "gone"], "n", lambda f: {"n": f.is_file()}, index, seen.append))
        assert [facts for _, facts in found] == [{"n": True}, {"n": False}] and seen == [2]
        assert list(gather([strange], "n", lambda _: {"n": "again"}, index)) == [(strange, {"n": True})]


def test_a_file_that_comes_twice_is_told_twice_and_measured_once(files: list[Path]):
    twice = [files[20], files[20], files[30], files[20]]
    with Index() as index:
        assert sizes(twice, index) == ([20, 20, 30, 20], [files[20], files[30]])


def test_two_processes_may_share_an_index(tmp_path: Path, files: list[Path]):
    file = tmp_path / "index.sqlite"
    with Index(file) as one, Index(file) as two:
        sizes(files[20:30], one)
        assert sizes(files[20:30], two)[1] == []
    assert sqlite3.connect(file).execute("SELECT count(*) FROM facts").fetchone() == (10,)
