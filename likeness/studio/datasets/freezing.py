"""Datasets as they were. A run is trained on a version, which stays as it is whatever becomes of the dataset.

`versions/NUMBER/` is a folder like `files/`: its pictures are the same files under a second name, so it takes no room;
captions and other small files are copies. Pictures are only ever replaced whole, and cannot be written into.
"""

import hashlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select

from likeness import durable
from likeness.dataset.authorship import RECORD
from likeness.dataset.formats import is_picture
from likeness.dataset.index import Facts, gather
from likeness.dataset.problems import Remarks
from likeness.dataset.sources import list_files
from likeness.dataset.wording import one_line
from likeness.errors import InputError, NotFound
from likeness.service.reading import open_index
from likeness.store.tables import DatasetVersion, Run
from likeness.studio.datasets import steps
from likeness.studio.datasets.names import TEXT_SUFFIXES
from likeness.studio.datasets.rows import files_of, folder_of, get, locked
from likeness.studio.workspace import Studio

_HASHED = "sha256 1"  # kind of fact in the index


@dataclass(frozen=True)
class Difference:
    """What changed from one version to another. Names are paths below the folder."""

    added: list[str]
    removed: list[str]
    replaced: list[str]  # pictures of the same name with other content
    captions: list[tuple[str, str, str]]  # picture or text file without its ending, the caption before, and after
    others: list[str]  # crop boxes, masks and lists of pairs that came, went or changed

    @property
    def same(self) -> bool:
        return not (self.added or self.removed or self.replaced or self.captions or self.others)


def freeze(studio: Studio, dataset: str, note: str = "") -> DatasetVersion:
    """The dataset as it is now, as a version; where it was like this before, that version.

    Raises InputError for a dataset without pictures.
    """
    row = get(studio, dataset)
    with locked(studio, row.id):
        files = files_of(studio, row.id)
        digests = _digests(files)
        pictures = sum(is_picture(Path(name)) for name in digests)
        if not pictures:
            raise InputError(f"dataset '{row.name}': has no pictures. Fix: add some first")
        digest = _digest(digests)
        with studio.database.reading() as session:
            query = select(DatasetVersion).where(DatasetVersion.dataset_id == row.id)
            same = session.scalar(query.where(DatasetVersion.digest == digest))
            last = session.scalar(select(func.max(DatasetVersion.number)).where(DatasetVersion.dataset_id == row.id))
        if same is not None and _folder(studio, row.id, same.number).is_dir():
            return same
        number = same.number if same is not None else (last or 0) + 1

        def fill(folder: Path) -> None:
            nonlocal digest
            copy_files(files, folder)  # pictures come and go under the lock alone, but a captioner may be at work
            digest = _digest({name: digests.get(name, "") if is_picture(Path(name)) else _text_digest(folder / name)
                              for name in names_in(folder)})  # fmt: skip

        durable.write_folder(_folder(studio, row.id, number), fill)
        version = DatasetVersion(dataset_id=row.id, number=number, digest=digest, pictures=pictures, note=note)
        with studio.database.session() as session:
            version = session.merge(version)
    return version


def version(studio: Studio, dataset: str, number: int) -> DatasetVersion:
    """Raises NotFound."""
    row = get(studio, dataset, deleted=True)
    with studio.database.reading() as session:
        found = session.get(DatasetVersion, (row.id, number))
    if found is None:
        raise NotFound(f"dataset '{row.name}': has no version {number}. Fix: take one from its list")
    return found


def versions(studio: Studio, dataset: str) -> list[DatasetVersion]:
    """All of them, the newest first."""
    row = get(studio, dataset, deleted=True)
    with studio.database.reading() as session:
        query = select(DatasetVersion).where(DatasetVersion.dataset_id == row.id)
        return list(session.scalars(query.order_by(DatasetVersion.number.desc())))


def version_folder(studio: Studio, dataset: str, number: int) -> Path:
    """Where the files of a version lie: a folder that training reads, and that never changes. Raises NotFound."""
    found = version(studio, dataset, number)
    folder = _folder(studio, found.dataset_id, number)
    if not folder.is_dir():
        raise NotFound(f"{folder}: is not there any more. Fix: put it back from a copy of the workspace")
    return folder


def used_by(studio: Studio, dataset: str) -> dict[int, list[str]]:
    """Names of the runs that were trained on each version."""
    row = get(studio, dataset, deleted=True)
    query = select(Run.dataset_version, Run.name).where(Run.dataset_id == row.id, Run.deleted.is_(None))
    found: dict[int, list[str]] = {}
    with studio.database.reading() as session:
        for number, name in session.execute(query.order_by(Run.created)):
            found.setdefault(number or 0, []).append(name)
    return found


def compare(studio: Studio, dataset: str, before: int, after: int | None = None) -> Difference:
    """What changed from one version to another, or to the dataset as it is now."""
    row = get(studio, dataset, deleted=True)
    old = version_folder(studio, dataset, before)
    new = files_of(studio, row.id) if after is None else version_folder(studio, dataset, after)
    return difference(old, new)


def difference(old: Path, new: Path) -> Difference:
    """What changed from one folder to the other."""
    before, after = _digests(old), _digests(new)
    added, removed = ([n for n in a if n not in b] for a, b in ((after, before), (before, after)))
    changed = [n for n in after if n in before and before[n] != after[n]]
    texts = [_stem(n) for n in (*changed, *added, *removed) if _is_text(n)]
    captions = [(stem, _caption(old, stem), _caption(new, stem)) for stem in dict.fromkeys(texts)]
    return Difference(
        [n for n in added if is_picture(Path(n))],
        [n for n in removed if is_picture(Path(n))],
        [n for n in changed if is_picture(Path(n))],
        [c for c in captions if c[1] != c[2]],
        [n for n in (*changed, *added, *removed) if not is_picture(Path(n)) and not _is_text(n)],
    )


def bring_back(studio: Studio, dataset: str, number: int) -> Difference:
    """Make the dataset what it was, as a step that can be undone: what changed by it. The state that it has now is
    kept as a version first."""
    row = get(studio, dataset)
    folder, files = version_folder(studio, dataset, number), files_of(studio, row.id)
    with steps.taking(studio, row.id, f"brought back version {number}") as step:
        if _digests(files):
            freeze(studio, row.id, f"before version {number} was brought back")
        now, then = _digests(files), _digests(folder)
        changes = difference(files, folder)
        for name in [n for n in now if n not in then]:
            step.set_aside(name)
        for name in [n for n in then if now.get(n) != then[n]]:
            step.keep(name)
            _replace(folder / name, files / name)
        _add_record(folder, files)
    return changes


def copy_files(source: Path, folder: Path) -> None:
    """All that belongs to a dataset, and who wrote its captions: pictures linked, the others copied."""
    for name in names_in(source):
        steps.preserve(source / name, folder / name)
        if is_picture(folder / name):
            os.chmod(folder / name, steps.PICTURE_MODE)
    if (source / RECORD).is_file():
        (folder / RECORD).parent.mkdir(exist_ok=True)
        shutil.copyfile(source / RECORD, folder / RECORD)


def _replace(file: Path, target: Path) -> None:
    partial = target.with_name(f"{durable.PARTIAL}{os.getpid()}-{target.name}")
    partial.unlink(missing_ok=True)
    steps.preserve(file, partial)
    os.replace(partial, target)
    partial.unlink(missing_ok=True)  # a rename onto another name of the same file does nothing
    durable.flush_folder(target.parent)


def _add_record(folder: Path, files: Path) -> None:
    """What a version knows of who wrote its captions, where the dataset has forgotten it."""
    if not (folder / RECORD).is_file():
        return
    known = set((files / RECORD).read_bytes().splitlines()) if (files / RECORD).is_file() else set[bytes]()
    for line in (folder / RECORD).read_bytes().splitlines():
        if line not in known:
            (files / RECORD).parent.mkdir(exist_ok=True)
            durable.append_line(files / RECORD, line.decode(errors="replace"))


def _folder(studio: Studio, dataset_id: str, number: int) -> Path:
    return folder_of(studio, dataset_id) / "versions" / str(number)


def names_in(folder: Path) -> list[str]:
    """All files that are not hidden, in natural order, as paths below the folder."""
    if not folder.is_dir():
        return []
    found, _ = list_files(folder, lambda _: True, Remarks())
    return [file.relative_to(folder).as_posix() for file in found]


def _digests(folder: Path) -> Mapping[str, str]:
    """SHA-256 of each file, by name. Those of pictures are remembered; captions count as they are trained, on one
    line."""
    names = names_in(folder)
    found = {name: _text_digest(folder / name) for name in names if not is_picture(Path(name))}
    pictures = [folder / name for name in names if is_picture(Path(name))]
    with open_index() as index:
        for file, facts in gather(pictures, _HASHED, _hashed, index):
            if isinstance(facts, InputError):
                raise facts
            found[file.relative_to(folder).as_posix()] = str(facts["sha256"])
    return {name: found[name] for name in names}


def _hashed(file: Path) -> Facts:
    try:
        with file.open("rb") as f:
            return {"sha256": hashlib.file_digest(f, "sha256").hexdigest()}
    except OSError as e:
        raise InputError(f"{file.name}: cannot be read ({e.strerror}). Fix: check its permissions") from None


def _text_digest(file: Path) -> str:
    data = file.read_bytes()
    if _is_text(file.name):
        data = one_line(data.decode("utf-8", "replace")).encode()
    return hashlib.sha256(data).hexdigest()


def _digest(digests: Mapping[str, str]) -> str:
    whole = "".join(f"{name}\0{digests[name]}\n" for name in sorted(digests))
    return hashlib.sha256(whole.encode()).hexdigest()


def _is_text(name: str) -> bool:
    return name.lower().endswith(TEXT_SUFFIXES)


def _stem(name: str) -> str:
    return name[: -len(Path(name).suffix)]


def _caption(folder: Path, stem: str) -> str:
    for suffix in TEXT_SUFFIXES:
        try:
            return one_line((folder / f"{stem}{suffix}").read_text(encoding="utf-8-sig", errors="replace"))
        except OSError:
            continue
    return ""
