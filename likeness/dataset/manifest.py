"""The manifest: one JSON line per example, frozen into the run folder when a run starts."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from likeness import durable
from likeness.errors import InputError


@dataclass(frozen=True)
class Example:
    """One dataset row: a picture with its caption or, for edits, the picture after with the one before it.

    `width` and `height` are pixels as a viewer shows them, after the EXIF turn. `id` depends on file contents alone
    (see `example_id`), so two copies of one file share it. Paths are absolute.
    """

    id: str
    path: str
    width: int
    height: int
    caption: str  # for edits: the instruction
    repeats: int
    dataset: int  # index into data.datasets, from 0
    sha256: str  # of the file's bytes, hex
    reference: str | None = None  # path of the picture before the edit
    reference_sha256: str | None = None
    held_out: bool = False


def example_id(sha256: str, reference_sha256: str | None) -> str:
    """16 hex digits: the head of the picture's digest; for a pair, of the digest over both digests."""
    if reference_sha256 is None:
        return sha256[:16]
    return hashlib.sha256(f"{sha256} {reference_sha256}".encode()).hexdigest()[:16]


def write_manifest(path: Path, examples: Iterable[Example]) -> None:
    """Write all examples, whole or not at all. Raises OSError, for example when the disk is full."""
    durable.write_text(path, "".join(json.dumps(asdict(e)) + "\n" for e in examples))


def read_manifest(path: Path) -> list[Example]:
    """The examples of a manifest. Raises InputError when it is not there or a line is not an example.

    Keys that this version does not know are ignored, so that a newer manifest can still be read.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        raise InputError(f"{path}: the manifest is not there. Start the run again without --resume.") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: the manifest is damaged. Start the run again without --resume.") from None
    return [_row(line, f"{path}:{number}") for number, line in enumerate(lines, start=1) if line.strip()]


def _row(line: str, where: str) -> Example:
    known = {f.name for f in fields(Example)}
    try:
        row: dict[str, Any] = json.loads(line)
        return Example(**{key: value for key, value in row.items() if key in known})
    except (json.JSONDecodeError, TypeError, AttributeError):
        raise InputError(f"{where}: not a row of a manifest. Start the run again without --resume.") from None
