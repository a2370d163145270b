"""The pictures of a dataset: put in, listed, cropped, set aside."""

import glob
import hashlib
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from likeness import durable
from likeness.config.data import DatasetConfig
from likeness.dataset import geometry
from likeness.dataset.authorship import Author, Authorship, Place, find_places
from likeness.dataset.captions import read_captions
from likeness.dataset.formats import glance, is_picture, measure
from likeness.dataset.manifest import Box
from likeness.dataset.masks import MASK_SUFFIX, labels
from likeness.dataset.metadata import leads_out
from likeness.dataset.problems import Remarks
from likeness.dataset.sources import is_inside, list_files
from likeness.errors import Conflict, InputError, NotFound
from likeness.store.tables import Dataset
from likeness.studio.datasets import pair_list, steps
from likeness.studio.datasets.names import TEXT_SUFFIXES, free_name, safe_name, same
from likeness.studio.datasets.rows import files_of, get, locked, touch
from likeness.studio.workspace import Studio

MOST_BYTES = 320 << 20  # of a picture file: 100 megapixels of 8-bit RGB that do not compress at all take 300 MB
MOST_TEXT_BYTES = 64 << 10

_SUFFIXES = {  # Pillow's name of a format -> the endings that it goes by
    "PNG": (".png",), "JPEG": (".jpg", ".jpeg", ".jfif"), "MPO": (".jpg", ".jpeg", ".jfif"), "WEBP": (".webp",),
    "AVIF": (".avif",), "HEIF": (".heic", ".heif", ".hif", ".avif"), "TIFF": (".tif", ".tiff"), "BMP": (".bmp",),
    "GIF": (".gif",),
}  # fmt: skip


@dataclass(frozen=True)
class Picture:
    """A picture of a dataset. For edits the caption is the instruction of the pair that it is the outcome of."""

    name: str  # its path below `files/`, which is also its id
    path: Path
    width: int  # pixels as shown, after the EXIF turn; 0 for a file that cannot be read
    height: int
    bytes: int
    caption: str
    author: Author
    crop: Box | None  # x, y, width, height as shares of the picture
    sources: tuple[str, ...]  # names of the pictures before, of one that an edit leads to
    loose: bool  # of edits: in no pair, so it is not learned from
    changed: float


# --- putting in


def add(studio: Studio, dataset: str, source: Path, name: str) -> str:
    """Put a picture in: the file `source`, which is moved, under `name` or one like it; the name that it got.

    The same picture under the same name is there already, and is not put in twice; another one of that name gets a
    number. Raises InputError for a name that cannot be, and for a file that is no sound picture, or too large.
    """
    dataset_id, files = _open(studio, dataset)
    name = safe_name(name)
    if not is_picture(Path(name)):
        raise InputError(f"name: '{name}' is no picture by its ending. Fix: give captions as text")
    if source.stat().st_size > MOST_BYTES:
        raise InputError(f"{name}: is larger than {MOST_BYTES >> 20} MB. Fix: save it smaller")
    sha256 = _sound(source, name)
    name = _with_true_ending(source, name)
    with source.open("rb+") as f:
        os.fsync(f.fileno())
    os.chmod(source, steps.PICTURE_MODE)
    with locked(studio, dataset_id):
        there = _picture_names(files)
        if same(name) in {same(n) for n in there} and _digest_of(files / name) == sha256:
            source.unlink()
            return name
        name = free_name(name, there)
        os.replace(source, files / name)
        durable.flush_folder(files)
        touch(studio, dataset_id)
    return name


def add_text(studio: Studio, dataset: str, data: bytes, name: str) -> str:
    """Put a caption file in, before or after its picture; its name. Raises InputError for what is no UTF-8 text, and
    Conflict where another text has its place: what a person wrote is not written over."""
    dataset_id, files = _open(studio, dataset)
    name = safe_name(name)
    if not name.endswith(TEXT_SUFFIXES):
        raise InputError(f"name: '{name}' is no caption by its ending. Fix: name it like its picture, with .txt")
    if len(data) > MOST_TEXT_BYTES:
        raise InputError(f"{name}: is larger than {MOST_TEXT_BYTES >> 10} KB. Fix: is it a caption?")
    file = files / name
    with locked(studio, dataset_id):
        taken = next((f for suffix in TEXT_SUFFIXES if (f := file.with_suffix(suffix)).exists()), None)
        if taken is not None and taken.read_bytes().strip() not in (b"", data.strip()):
            raise Conflict(f"{name}: there is another caption of that name. Fix: change the caption of the picture")
        if taken is None or not taken.read_bytes().strip():
            durable.write_with(file, lambda partial: _write_checked(partial, data, name))
            touch(studio, dataset_id)
    return name


def _write_checked(partial: Path, data: bytes, name: str) -> None:
    partial.write_bytes(data)
    try:
        read_captions(partial)
    except InputError as e:
        raise InputError(*(text.replace(str(partial), name) for text in e.problems)) from None


def _sound(source: Path, name: str) -> str:
    """The digest of a file that can be decoded in full."""
    try:
        return measure(source).sha256
    except InputError as e:
        raise InputError(*(text.replace(str(source), name) for text in e.problems)) from None


def _with_true_ending(source: Path, name: str) -> str:
    """A file is named for what it is, so that programs which go by the ending can open it."""
    endings = _SUFFIXES.get(glance(source).format, ())
    suffix = Path(name).suffix
    return name if suffix in endings or not endings else name.removesuffix(suffix) + endings[0]


def _digest_of(file: Path) -> str:
    try:
        with file.open("rb") as f:
            return hashlib.file_digest(f, "sha256").hexdigest()
    except OSError:
        return ""


def _picture_names(files: Path) -> list[str]:
    """Of those that lie in the folder itself."""
    return [entry.name for entry in os.scandir(files) if is_picture(Path(entry.name))]


# --- listing


def listed(studio: Studio, dataset: str, limit: int = 100, offset: int = 0) -> tuple[list[Picture], int]:
    """Pictures in natural order, and how many there are in all. Of an edit those after come first, each with its
    sources, then the loose ones; those before are told by name alone."""
    row = get(studio, dataset)
    places, loose = arranged(studio, row)
    record = Authorship(files_of(studio, row.id))
    chosen: list[Place | Path] = [*places, *loose]
    found = [_told(studio, row, one, record) for one in chosen[offset : offset + limit]]
    return found, len(chosen)


def find(studio: Studio, dataset: str, name: str) -> Picture:
    """One picture by its name. Raises NotFound."""
    row = get(studio, dataset)
    path = path_of(studio, row.id, name)
    places, _ = arranged(studio, row)
    place = next((p for p in places if p.pictures[-1] == path), None)
    return _told(studio, row, place or path, Authorship(files_of(studio, row.id)))


def path_of(studio: Studio, dataset: str, name: str) -> Path:
    """The file of a picture. Raises NotFound, also for names that lead anywhere else."""
    files = files_of(studio, get(studio, dataset).id)
    path = files / name
    hidden = any(part.startswith(".") for part in Path(name).parts)
    if "\0" in name or leads_out(name) or hidden or not is_picture(path) or not _is_file(path, files):
        raise NotFound(f"dataset has no picture '{ascii(name)[1:-1][:200]}'. Fix: take a name from its list") from None
    return path


def count(studio: Studio, dataset_id: str) -> int:
    """How many picture files there are, masks not counted; told from names alone."""
    files = files_of(studio, dataset_id)
    try:
        names = [files / name for name in _picture_names(files)]
    except OSError:
        return 0
    return len(names) - len(labels(names, (MASK_SUFFIX,)))


def cover(studio: Studio, dataset_id: str, most: int = 4) -> list[str]:
    """Names of a few pictures to know the dataset by."""
    try:
        return sorted(_picture_names(files_of(studio, dataset_id)))[:most]
    except OSError:
        return []


def arranged(studio: Studio, row: Dataset) -> tuple[list[Place], list[Path]]:
    """Where captions belong, as training would read it: pictures, or pairs; and the pictures that it leaves out."""
    files = files_of(studio, row.id)
    there, _ = list_files(files, lambda _: row.kind == "edit", Remarks())
    pictures = [f for f in there if is_picture(f)]
    if not pictures:
        return [], []
    try:
        places = find_places(DatasetConfig(path=str(files)), row.kind).places
    except InputError:  # no pairs yet
        places = []
    used = {picture for place in places for picture in place.pictures} | labels(pictures, (MASK_SUFFIX,))
    return places, [f for f in pictures if f not in used]


def place_of(studio: Studio, row: Dataset, name: str) -> Place:
    """Where the caption of a picture belongs. Raises NotFound; Conflict for one of an edit that is in no pair."""
    path = path_of(studio, row.id, name)
    for place in arranged(studio, row)[0]:
        if place.pictures[-1] == path:
            return place
    raise Conflict(f"{name}: has no instruction of its own. Fix: make it the picture after of a pair")


def _told(studio: Studio, row: Dataset, one: Place | Path, record: Authorship) -> Picture:
    files = files_of(studio, row.id)
    place = one if isinstance(one, Place) else None
    path = place.pictures[-1] if place else one
    assert isinstance(path, Path)
    size = size_of(path)
    facts = path.stat()
    sources = tuple(p.relative_to(files).as_posix() for p in place.pictures[:-1]) if place else ()
    return Picture(
        path.relative_to(files).as_posix(), path, *size, facts.st_size, record.text(place) if place else "",
        record.author(place) if place else "nobody", _crop_of(path, size), sources,
        place is None and row.kind == "edit", facts.st_mtime,
    )  # fmt: skip


def size_of(path: Path) -> tuple[int, int]:
    """(width, height) as shown, from the file's first bytes; zeros for one that cannot be read."""
    try:
        found = glance(path)
    except InputError:  # the check says what is wrong
        return 0, 0
    return found.width, found.height


def stamp(path: Path) -> str:
    """Another one once the picture or its crop box is another; for addresses that browsers may keep."""
    facts: list[int] = []
    for file in (path, geometry.crop_file(path)):
        try:
            found = file.stat()
            facts += [found.st_size, found.st_mtime_ns, found.st_ino]
        except OSError:
            facts.append(0)
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:12]


def _crop_of(path: Path, size: tuple[int, int]) -> Box | None:
    try:
        box = geometry.read_crop(path, *size) if all(size) else None
    except InputError:
        return None
    return (box[0] / size[0], box[1] / size[1], box[2] / size[0], box[3] / size[1]) if box else None


# --- setting aside


def remove(studio: Studio, dataset: str, names: Sequence[str]) -> None:
    """Set pictures aside, with their captions, crops and masks. Raises NotFound before anything is moved."""
    row = get(studio, dataset)
    dataset_id, files = row.id, files_of(studio, row.id)
    paths = [path_of(studio, dataset_id, name) for name in names]
    if not paths:
        return
    what = f"removed {names[0]}" if len(names) == 1 else f"removed {len(names)} pictures"
    with steps.taking(studio, dataset_id, what) as step:
        if row.kind == "edit":
            pair_list.forget(files, names, step)
        for path in paths:
            for file in (path, *belongings(path)):
                step.set_aside(file.relative_to(files).as_posix())


def belongings(picture: Path) -> list[Path]:
    """The files that go with a picture: captions, crop box, mask."""
    texts = [picture.with_suffix(suffix) for suffix in TEXT_SUFFIXES]
    masks = [p for p in picture.parent.glob(f"{glob.escape(picture.stem)}{MASK_SUFFIX}.*") if is_picture(p)]
    return [p for p in (*texts, geometry.crop_file(picture), *masks) if p.is_file()]


def _open(studio: Studio, dataset: str) -> tuple[str, Path]:
    dataset_id = get(studio, dataset).id
    return dataset_id, files_of(studio, dataset_id)


def _is_file(path: Path, files: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode) and is_inside(path, os.path.realpath(files))
    except (OSError, ValueError):
        return False
