"""Files that are whole or absent: written under a temporary name, flushed, renamed, and the folder flushed too.

safetensors 0.8 renames but does not flush, and leaves files behind when it is killed; so our own name is used
for everything, and `sweep` removes what a killed process left.
"""

import json
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

PARTIAL = ".partial-"


def write_bytes(path: Path, data: bytes) -> None:
    """Replace `path` with `data`. Raises OSError (for example a full disk) and then leaves the old file."""
    write_with(path, lambda partial: partial.write_bytes(data))


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode())


def write_with(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then flush and rename it into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{PARTIAL}{_writer()}-{path.name}")
    try:
        write(partial)
        with partial.open("rb+") as f:
            os.fsync(f.fileno())
        os.chmod(partial, 0o644)  # safetensors creates its files readable by the owner alone
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    flush_folder(path.parent)


def write_folder(path: Path, fill: Callable[[Path], object]) -> None:
    """Let `fill` make a new folder beside `path`, then flush all of it and give it the name, in place of an older one.

    Raises OSError (for example a full disk) and then leaves the old folder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial, old = (path.with_name(f"{PARTIAL}{_writer()}-{kind}-{path.name}") for kind in ("new", "old"))
    try:
        partial.mkdir()
        fill(partial)
        for file in (p for p in partial.rglob("*") if p.is_file()):
            with file.open("rb+" if os.access(file, os.W_OK) else "rb") as f:
                os.fsync(f.fileno())
        if path.exists():
            os.replace(path, old)  # a folder cannot take the place of another that holds files
        os.replace(partial, path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        if old.exists() and not path.exists():
            os.replace(old, path)
        shutil.rmtree(old, ignore_errors=True)
    flush_folder(path.parent)


def _writer() -> str:
    """Whoever writes now: two threads that write the same file do not share a temporary one."""
    return f"{os.getpid()}-{threading.get_native_id()}"


def order_metadata(path: Path) -> None:
    """Sort the metadata of a safetensors file in place: the library writes them in another order every time, and the
    same run should give the same bytes. To be used on the temporary file, before it gets its name."""
    with path.open("rb+") as f:
        size = int.from_bytes(f.read(8), "little")
        header: dict[str, Any] = json.loads(f.read(size))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode().ljust(size)
        if len(text) != size:
            raise ValueError(f"{path}: the header would take {len(text)} bytes, and there are {size}")
        f.seek(8)
        f.write(text)


def append_line(path: Path, line: str) -> None:
    """Append one whole line. A reader that tails the file never sees half of it for short lines."""
    with path.open("ab") as f:
        f.write(line.encode() + b"\n")


def flush_folder(folder: Path) -> None:
    """Make renames in `folder` survive a power cut, where the system allows opening folders."""
    try:
        fd = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows cannot open folders
        return
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sweep(folder: Path) -> int:
    """Remove what interrupted writers left anywhere under `folder`; returns how many files that were."""
    leftovers = [p for p in folder.rglob("*") if p.is_file() and (p.name.startswith(PARTIAL) or ".tmp" in p.suffix)]
    for p in leftovers:
        p.unlink(missing_ok=True)
    return len(leftovers)
