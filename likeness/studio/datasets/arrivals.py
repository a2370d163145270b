"""What is put into a dataset from outside: single files, archives and folders, in any layout that training reads."""

import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from likeness.config.data import DatasetConfig
from likeness.dataset import geometry
from likeness.dataset.archives import ARCHIVE_SUFFIXES, unpack
from likeness.dataset.captions import read_captions
from likeness.dataset.formats import IMAGE_SUFFIXES
from likeness.dataset.ingest import find_candidates
from likeness.dataset.manifest import Box
from likeness.dataset.masks import MASK_SUFFIX
from likeness.dataset.metadata import leads_out
from likeness.dataset.pairs import is_side
from likeness.dataset.problems import Remarks
from likeness.dataset.sources import Candidate, Source
from likeness.errors import InputError
from likeness.store.tables import Dataset
from likeness.studio.datasets import pair_list, pairs
from likeness.studio.datasets.files import MOST_BYTES, MOST_TEXT_BYTES, add, add_text, size_of
from likeness.studio.datasets.names import TEXT_SUFFIXES, safe_name, with_folder
from likeness.studio.datasets.rows import files_of, get
from likeness.studio.workspace import Studio

MOST_ARCHIVE_BYTES = 16 << 30
ACCEPTED = (*IMAGE_SUFFIXES, *TEXT_SUFFIXES, *ARCHIVE_SUFFIXES)  # endings, for file dialogs


@dataclass
class Arrived:
    """What came of it. Names are those that the files have now."""

    pictures: list[str] = field(default_factory=list[str])
    texts: list[str] = field(default_factory=list[str])
    refused: list[str] = field(default_factory=list[str])  # why, each with the name of the file
    notes: list[str] = field(default_factory=list[str])
    pairs: int = 0  # that were made


def most_bytes(name: str) -> int:
    """How large a file of that name may be."""
    suffix = Path(name).suffix.lower()
    if suffix in ARCHIVE_SUFFIXES:
        return MOST_ARCHIVE_BYTES
    return MOST_TEXT_BYTES if suffix in TEXT_SUFFIXES else MOST_BYTES


def check_name(name: str, kind: str) -> None:
    """Raises InputError for a name that no file of a dataset could have, before any of it is sent."""
    flat = flat_name(name, kind)
    if Path(flat).suffix.lower() not in ARCHIVE_SUFFIXES or len(flat) > 1000:
        safe_name(flat)


def take(studio: Studio, dataset: str, source: Path, name: str) -> Arrived:
    """Put one file in, which is moved: a picture, a caption, or an archive of many. `name` may have the folders that
    it lay in. Raises InputError for what cannot be used, Conflict for a caption whose place is taken."""
    row = get(studio, dataset)
    arrived, flat = Arrived(), flat_name(name, row.kind)
    if Path(flat).suffix.lower() in ARCHIVE_SUFFIXES:
        return take_archive(studio, dataset, source, flat)
    if Path(flat).suffix.lower() in TEXT_SUFFIXES:
        if source.stat().st_size > MOST_TEXT_BYTES:
            raise InputError(f"{flat}: is larger than {MOST_TEXT_BYTES >> 10} KB. Fix: is it a caption?")
        arrived.texts.append(add_text(studio, row.id, source.read_bytes(), flat))
    else:
        arrived.pictures.append(add(studio, row.id, source, flat))
        if row.kind == "edit":
            arrived.pairs = pairs.pair_by_name(studio, row.id, arrived.pictures)
    return arrived


def take_archive(studio: Studio, dataset: str, archive: Path, name: str) -> Arrived:
    """Put in what a zip or tar file holds. Raises InputError for one that is damaged, or a trap; nothing of it is put
    in then. Single pictures that cannot be used are told."""
    row = get(studio, dataset)
    with tempfile.TemporaryDirectory(dir=_room(studio), prefix="unpack-") as place:
        named = Path(place) / f"archive{Path(name).suffix.lower()}"
        os.replace(archive, named)
        try:
            folder = unpack(named, Path(place))
        except InputError as e:
            raise InputError(*(text.replace(str(named), name) for text in e.problems)) from None
        return _take_folder(studio, row, folder, name)


def take_folder(studio: Studio, dataset: str, folder: Path) -> Arrived:
    """Put in what a folder of this machine holds; it stays as it is. Not for callers from elsewhere: it may be any."""
    row = get(studio, dataset)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder. Fix: give the path of a folder with pictures")
    with tempfile.TemporaryDirectory(dir=_room(studio), prefix="copy-") as place:
        copy = Path(place) / "files"
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns(".*"))
        return _take_folder(studio, row, copy, folder.name)


def flat_name(name: str, kind: str) -> str:
    """The name of a file in a dataset, which has no folders. The outermost folder is what was dropped; the others
    become a part of the name, and of edits the folder says which side of a pair it is. Raises InputError for a path
    that leads out."""
    if leads_out(name) or "\\" in name:
        raise InputError(f"name: '{ascii(name)[1:-1][:200]}' leads out of its folder. Fix: give a plain name")
    *folders, last = [part for part in name.split("/") if part] or [""]
    if kind == "edit" and folders and is_side(folders[-1]):
        last = with_folder(last, folders.pop())
    return "-".join([*folders[1:], last])


def _take_folder(studio: Studio, row: Dataset, folder: Path, name: str) -> Arrived:
    """Move in what lies in a folder of ours; `name` is what messages call it."""
    arrived, remarks = Arrived(), Remarks()
    if row.kind == "edit":
        pair_list.ensure(files_of(studio, row.id))  # what is paired so far, before other pictures come between
    source, candidates, loose = _read(row, folder, name, remarks)
    placed: dict[Path, str] = {}  # file -> the name that it has in the dataset

    def place(file: Path, wanted: str) -> str | None:
        if file not in placed:
            try:
                placed[file] = add(studio, row.id, file, wanted)
                arrived.pictures.append(placed[file])
            except InputError as e:
                arrived.refused += e.problems
        return placed.get(file)

    rows: list[pair_list.Row] = []
    for candidate in candidates:
        wanted = _wanted_names(candidate, source, row.kind)
        names = [place(file, wanted[file]) for file in (*candidate.references, candidate.picture)]
        if None in names:
            continue
        whole = [n for n in names if n is not None]
        _take_belongings(studio, row, candidate, source, whole[-1], arrived)
        if len(whole) > 1:
            rows.append(pair_list.Row(tuple(whole[:-1]), whole[-1]))
    for file in loose:
        place(file, flat_name(f"x/{source.inside(file)}", row.kind))
    if row.kind == "edit":
        arrived.pairs = pairs.add_new(studio, row.id, rows)
        arrived.pairs += pairs.pair_by_name(studio, row.id, arrived.pictures)
    here = f"{folder}{os.sep}"
    problems = [p.message for p in remarks.problems if p.check != "pair"]
    arrived.notes += [text.replace(here, "").replace(str(folder), name) for text in (*problems, *remarks.notes)]
    arrived.refused = [text.replace(here, "") for text in arrived.refused]
    return arrived


def _read(row: Dataset, folder: Path, name: str, remarks: Remarks) -> tuple[Source, list[Candidate], list[Path]]:
    """The files, what belongs together among them, and the pictures that belong to none."""
    settings = DatasetConfig(path=str(folder), subfolders=True)
    try:
        source, candidates = find_candidates(settings, row.kind, folder, remarks)
    except InputError:
        if row.kind != "edit":
            raise InputError(f"{name}: holds no pictures that are read. Fix: choose another") from None
        try:  # no pairs, so they are taken as loose pictures
            source, single = find_candidates(settings, "character", folder, Remarks())
        except InputError:
            raise InputError(f"{name}: holds no pictures that are read. Fix: choose another") from None
        return source, [], [c.picture for c in single]
    used = {file for c in candidates for file in c.files}
    return source, candidates, [f for f in source.pictures if f not in used] if row.kind == "edit" else []


def _wanted_names(candidate: Candidate, source: Source, kind: str) -> dict[Path, str]:
    """What the files of a candidate are to be called. Pictures of a pair that share a name get its ends."""
    files = (*candidate.references, candidate.picture)
    names = {file: flat_name(f"x/{source.inside(file)}", kind) for file in files}
    stems = {Path(n).stem for n in names.values()}
    if len(files) > 1 and len(stems) < len(files):
        stem = Path(names[candidate.picture]).stem
        ends = [f"before_{i + 1}" if len(files) > 2 else "before" for i in range(len(files) - 1)] + ["after"]
        return {file: f"{stem}_{end}{file.suffix}" for file, end in zip(files, ends, strict=True)}
    return names


def _take_belongings(
    studio: Studio, row: Dataset, candidate: Candidate, source: Source, name: str, arrived: Arrived
) -> None:
    """Caption, crop box and mask of a picture that is called `name` now."""
    target = files_of(studio, row.id) / name
    try:
        if found := _text(candidate, source):
            data, suffix = found
            arrived.texts.append(add_text(studio, row.id, data, target.with_suffix(suffix).name))
        if candidate.mask and candidate.mask.is_file() and candidate.mask != candidate.picture:
            add(studio, row.id, candidate.mask, f"{target.stem}{MASK_SUFFIX}{candidate.mask.suffix}")
        if box := _crop(candidate.picture, target):
            geometry.write_crop(target, box, *size_of(target))
    except InputError as e:
        arrived.refused += e.problems


def _crop(picture: Path, target: Path) -> Box | None:
    """The crop box that came with a picture, which has moved to `target`; none where there is one already."""
    box, own = geometry.crop_file(picture), geometry.crop_file(target)
    if not box.is_file() or own.exists():
        return None
    with tempfile.TemporaryDirectory(dir=box.parent) as place:  # it is read as what lies beside a picture
        beside = Path(place) / picture.name
        os.replace(box, geometry.crop_file(beside))
        try:
            return geometry.read_crop(beside, *size_of(target))
        except InputError as e:
            here = f"{place}{os.sep}"
            raise InputError(*(text.replace(here, "").replace(str(beside), target.name) for text in e.problems)) from e


def _text(candidate: Candidate, source: Source) -> tuple[bytes, str] | None:
    """The caption of a candidate as a file's bytes, and the ending of that file."""
    for base in candidate.bases:
        if file := source.sidecars.get(base):
            if file.suffix.lower() in TEXT_SUFFIXES:
                return file.read_bytes(), file.suffix.lower()
            if told := read_captions(file):
                return told[0].encode(), TEXT_SUFFIXES[0]
    if candidate.row and candidate.row.captions:
        return candidate.row.captions[0].encode(), TEXT_SUFFIXES[0]
    return None


def _room(studio: Studio) -> Path:
    studio.uploads.mkdir(parents=True, exist_ok=True)
    return studio.uploads
