"""Who wrote each caption, a person or a machine, and where the next one belongs.

What machines write is recorded beside the pictures, in `.likeness/captions.jsonl`: one line for each text, with what
wrote it. A caption that is no text of that record is a person's.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from likeness import durable
from likeness.config.data import DatasetConfig
from likeness.dataset.archives import is_archive
from likeness.dataset.captions import read_captions
from likeness.dataset.ingest import find_candidates
from likeness.dataset.problems import Remarks
from likeness.dataset.sources import Candidate, Source
from likeness.dataset.wording import one_line
from likeness.errors import InputError

RECORD = Path(".likeness") / "captions.jsonl"

Author = Literal["nobody", "machine", "person"]


@dataclass(frozen=True)
class Place:
    """A picture, or a pair, and the text file in which its caption is looked for first."""

    pictures: tuple[Path, ...]  # one; or those before an edit, and then the one after
    file: Path
    listed: str | None = None  # the caption that it has elsewhere, such as in a list, where there is no such file
    fixed: bool = False  # a text file would not be read, as the list comes first


@dataclass(frozen=True)
class Places:
    """All captions of a dataset, those that exist and those that do not."""

    root: Path
    places: list[Place]
    notes: list[str]  # what was left out, and why


def find_places(settings: DatasetConfig, kind: str) -> Places:
    """Where the captions of a dataset are, or would be looked for; `kind` is the run's: 'edit' finds pairs.

    Raises InputError for what keeps the dataset from being read, and for archives, which cannot be written into.
    """
    if is_archive(Path(settings.path)):
        raise InputError(f"{settings.path}: is an archive. Fix: unpack it, and name the folder")
    remarks = Remarks()
    source, candidates = find_candidates(settings, kind, Path(), remarks)
    notes = [problem.message for problem in remarks.problems] + remarks.notes
    places: list[Place] = []
    taken: dict[Path, Path] = {}  # text file -> picture
    for candidate in candidates:
        place = _place_of(candidate, source)
        if place.file in taken:
            notes.append(f"{candidate.picture} shares {place.file.name} with {taken[place.file].name}. Fix: rename one")
            continue
        taken[place.file] = candidate.picture
        places.append(place)
    return Places(source.root, places, notes)


def _place_of(candidate: Candidate, source: Source) -> Place:
    """The first file that the reader finds, else the first that it looks for."""
    pictures = (*candidate.references, candidate.picture)
    there = [source.sidecars[base] for base in candidate.bases if base in source.sidecars]
    own = next((f for f in there if f.suffix.lower() != ".json"), None)
    if own:
        return Place(pictures, own)
    listed = next((text for f in there if (text := _text_in(f))), None)  # a .json file, which .txt comes before
    if not listed and candidate.row and candidate.row.captions:
        listed = candidate.row.captions[0]
    base = candidate.bases[0] if candidate.bases else str(candidate.picture.with_suffix(""))
    return Place(pictures, Path(f"{base}.txt"), listed, fixed=not candidate.bases)


def _text_in(file: Path) -> str | None:
    """The caption in a file, '' in one that holds none, None for one that is not there or not text."""
    if not file.exists():
        return None
    try:
        return " ".join(read_captions(file))
    except InputError:
        return "" if file.is_file() and not file.read_bytes().strip() else None


class Authorship:
    """The record of a dataset folder. Only one process writes to it at a time."""

    def __init__(self, root: Path):
        self.root = root
        self._file = root / RECORD
        self._digests: dict[str, set[str]] = {}
        self._jobs: dict[str, set[str]] = {}
        for row in _rows(self._file):
            self._note(row)

    def author(self, place: Place) -> Author:
        """Who wrote the caption that stands there now. An empty file counts as nobody's."""
        if not place.file.exists():
            return "person" if place.listed else "nobody"
        text = _text_in(place.file)
        if text == "":
            return "nobody"
        known = self._digests.get(self.name(place), set())
        return "machine" if text is not None and digest(text) in known else "person"

    def written_by(self, job: str) -> set[str]:
        """The text files, as paths below the folder, that a job has written so far."""
        return self._jobs.get(job, set())

    def text(self, place: Place) -> str:
        """The caption that stands there now; '' where there is none, or none that can be read."""
        return (_text_in(place.file) or "") if place.file.exists() else place.listed or ""

    def name(self, place: Place) -> str:
        """The text file as a path below the folder."""
        return place.file.relative_to(self.root).as_posix()

    def write(self, place: Place, text: str, **facts: object) -> None:
        """Write a caption that a machine made; `facts` are recorded with it. A person's that it replaces is kept in the
        record. Raises OSError."""
        rows: list[dict[str, Any]] = []
        if self.author(place) == "person" and (before := _text_in(place.file) or place.listed):
            rows.append({"file": self.name(place), "author": "person", "text": before})
        rows.append({"file": self.name(place), "author": "machine", "text": text, "sha256": digest(text), **facts})
        self._file.parent.mkdir(exist_ok=True)
        for row in rows:  # before the file: killed in between, nothing of a person's is taken for a machine's
            durable.append_line(self._file, json.dumps(row, ensure_ascii=False))
            self._note(row)
        durable.write_text(place.file, text + "\n")

    def _note(self, row: dict[str, Any]) -> None:
        if row.get("author") == "machine":
            self._digests.setdefault(str(row.get("file")), set()).add(str(row.get("sha256")))
            self._jobs.setdefault(str(row.get("job")), set()).add(str(row.get("file")))


def digest(text: str) -> str:
    """SHA-256 in hex of a caption on one line, as it is trained: an editor's line endings make no difference."""
    return hashlib.sha256(one_line(text).encode()).hexdigest()


def _rows(file: Path) -> list[dict[str, Any]]:
    """The whole lines of a record; half a line, which a killed process left, is closed first."""
    if not file.is_file():
        return []
    data = file.read_bytes()
    if data and not data.endswith(b"\n"):
        durable.append_line(file, "")
    rows: list[dict[str, Any]] = []
    for line in data.split(b"\n"):
        try:
            row: Any = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows
