"""The manifest: one JSON line per example, frozen into the run folder when a run starts."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from likeness import durable
from likeness.errors import InputError

Box = tuple[float, float, float, float]  # left, top, width, height in pixels


@dataclass(frozen=True, slots=True)
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
    references: tuple[str, ...] = ()  # paths of the pictures that an edit starts from
    reference_sha256s: tuple[str, ...] = ()
    reference_sizes: tuple[tuple[int, int], ...] = ()  # width, height in pixels, after the EXIF turn
    held_out: bool = False
    type: str = "train"  # what its dataset is for: train, validation or regularisation
    loss_weight: float = 1.0
    trigger: str = ""  # the word that its caption should hold; none for regularisation
    captions: tuple[str, ...] = ()  # where a caption is drawn at each showing: all of them, `caption` being the first
    mask: str | None = None  # grey picture, white where it is learned from; its own path where alpha is the mask
    mask_sha256: str | None = None
    crop: Box | None = None  # left, top, width, height in pixels: the part that is shown; all where there is none
    side: int | None = None  # pixels; of a square with the area it is shown at, where that is not the run's: tiles
    moves: tuple[float, float, float, float] | None = None  # pixels by which an epoch may move a tile: l, r, up, down


_FIELDS = tuple(f.name for f in fields(Example))


def example_id(sha256: str, reference_sha256s: Sequence[str] = ()) -> str:
    """16 hex digits: the head of the picture's digest; with references, of the digest over all digests."""
    if not reference_sha256s:
        return sha256[:16]
    return hashlib.sha256(" ".join([sha256, *reference_sha256s]).encode()).hexdigest()[:16]


def write_manifest(path: Path, examples: Iterable[Example]) -> None:
    """Write all examples, whole or not at all. Raises OSError, for example when the disk is full."""

    def write(partial: Path) -> None:
        with partial.open("w", encoding="ascii") as f:
            for e in examples:
                f.write(json.dumps({name: getattr(e, name) for name in _FIELDS}) + "\n")

    durable.write_with(path, write)


def read_manifest(path: Path) -> list[Example]:
    """The examples of a manifest. Raises InputError when it is not there or a line is not an example.

    Keys that this version does not know are ignored, so that a newer manifest can still be read.
    """
    try:
        with path.open(encoding="utf-8", newline="\n") as f:
            return [_row(line, f"{path}:{number}") for number, line in enumerate(f, start=1) if line.strip()]
    except FileNotFoundError:
        raise InputError(f"{path}: the manifest is not there. Start the run again without --resume.") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: the manifest is damaged. Start the run again without --resume.") from None


def _as_tuple(value: Any) -> Any:
    """JSON has no tuples: lists become some, at every depth."""
    return tuple(_as_tuple(v) for v in value) if isinstance(value, list) else value  # pyright: ignore[reportUnknownVariableType]


def _row(line: str, where: str) -> Example:
    try:
        row: dict[str, Any] = json.loads(line)
        return Example(**{key: _as_tuple(value) for key, value in row.items() if key in _FIELDS})
    except (json.JSONDecodeError, TypeError, AttributeError):
        raise InputError(f"{where}: not a row of a manifest. Start the run again without --resume.") from None
