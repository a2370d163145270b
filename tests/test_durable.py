import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from likeness import durable

KILLED_WHILE_WRITING = """
import os, signal, sys
from pathlib import Path
from likeness import durable

def write(partial):
    partial.write_bytes(b"half of the new")
    os.kill(os.getpid(), signal.SIGKILL)

durable.write_with(Path(sys.argv[1]), write)
"""


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.txt"
    durable.write_text(path, "old")
    durable.write_text(path, "né")
    assert path.read_bytes() == "né".encode()
    assert [p.name for p in path.parent.iterdir()] == ["file.txt"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_an_error_while_writing_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    durable.write_bytes(path, b"old")

    def write(partial: Path) -> None:
        partial.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        durable.write_with(path, write)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"file": b"old"}


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_an_error_while_flushing_or_renaming_does_so_too(
    tmp_path: Path, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    durable.write_bytes(path, b"old")

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match="Input/output"):
        durable.write_bytes(path, b"new")
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"file": b"old"}


def test_the_name_appears_only_after_the_flush(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (done.append("flush"), fsync(fd))[1])
    monkeypatch.setattr(os, "replace", lambda a, b: (done.append("rename"), replace(a, b))[1])
    durable.write_bytes(tmp_path / "file", b"new")
    assert done == ["flush", "rename", "flush"]  # the file, its name, the folder


def test_kill_in_the_middle_leaves_the_old_file_and_sweep_removes_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "file"
    durable.write_bytes(path, b"old")
    killed = subprocess.run([sys.executable, "-c", KILLED_WHILE_WRITING, str(path)])
    assert killed.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    assert len(list(path.parent.iterdir())) == 2
    (path.parent / "weights.safetensors.tmpAb12").write_bytes(b"what safetensors leaves")
    assert durable.sweep(tmp_path) == 2
    assert [p.name for p in path.parent.iterdir()] == ["file"]
    assert durable.sweep(tmp_path) == 0


def test_lines_are_appended_whole(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    durable.append_line(path, "one")
    durable.append_line(path, "zwölf")
    assert path.read_text() == "one\nzwölf\n"


def test_metadata_come_in_one_order(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    metadata = {"b": 'quoted "x" and \\ and \n and süß \x01', "a": "1", "z": "é", "c": "{}"}
    tensors = {"w": torch.arange(6.0), "v": torch.ones(2, dtype=torch.bfloat16)}
    found: set[bytes] = set()
    for number in range(8):
        path = tmp_path / str(number)
        save_file(tensors, path, metadata)
        durable.order_metadata(path)
        found.add(path.read_bytes())
        with safe_open(path, "pt") as f:
            assert f.metadata() == metadata
        assert all(torch.equal(load_file(path)[name], t) for name, t in tensors.items())
    assert len(found) == 1


def test_a_folder_is_whole_or_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "folder"

    def fill(text: str, error: BaseException | None = None) -> Callable[[Path], None]:
        def write(partial: Path) -> None:
            (partial / "inner").mkdir()
            (partial / "inner" / "file").write_text(text)
            (partial / "inner" / "file").chmod(0o444)
            if error:
                raise error

        return write

    for text in ("first", "second"):
        durable.write_folder(path, fill(text))
        assert (path / "inner/file").read_text() == text and list(tmp_path.iterdir()) == [path]
    for error in (OSError("disk full"), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            durable.write_folder(path, fill("third", error))
        assert (path / "inner/file").read_text() == "second" and list(tmp_path.iterdir()) == [path]


def test_threads_that_write_the_same_file_do_not_meet(tmp_path: Path) -> None:
    together = threading.Barrier(4)

    def write_slowly(partial: Path) -> None:
        partial.write_bytes(b"whole")
        together.wait(10)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: durable.write_with(tmp_path / "file", write_slowly), range(4)))
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
