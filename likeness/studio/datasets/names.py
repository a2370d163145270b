"""Names of files as they come from anywhere, made into names that every system can hold."""

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from likeness.dataset.formats import READ_FORMATS, is_picture
from likeness.dataset.masks import CONDITION_SUFFIX, MASK_SUFFIX
from likeness.dataset.pairs import ending_of, is_side
from likeness.dataset.wording import is_plain
from likeness.errors import InputError

TEXT_SUFFIXES = (".txt", ".caption")
LONGEST_STEM = 150  # bytes of UTF-8; file systems take 255, and some names get longer endings

_FORBIDDEN = re.compile(r'[<>:"|?*]')
_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}


def safe_name(name: str) -> str:
    """A picture's or a caption's file name as it is kept: composed letters, no sign that a system forbids, not too
    long, its ending in small letters. Raises InputError for a path, for signs that cannot be shown, and for a file that
    is neither picture nor text."""
    if not is_plain(name):
        raise InputError(f"name: {name!a} has signs that cannot be shown. Fix: rename the file")
    if "/" in name or "\\" in name or name in ("", ".", ".."):
        raise InputError(f"name: '{name[:200]}' is a path. Fix: give the name of the file alone")
    name = _FORBIDDEN.sub("_", unicodedata.normalize("NFC", name)).strip()
    stem, suffix = PurePosixPath(name).stem, PurePosixPath(name).suffix.lower()
    if suffix not in TEXT_SUFFIXES and not is_picture(Path(f"a{suffix}")):
        raise InputError(
            f"name: '{name[:200]}' is neither a picture nor a caption by its ending. Fix: {READ_FORMATS} are read, and "
            f"captions in {' and '.join(TEXT_SUFFIXES)} files"
        )
    stem = _shortened(stem.lstrip(".").strip(" ."))
    if stem.split(".")[0].strip().casefold() in _DEVICES or not stem:
        stem = f"picture-{stem}".rstrip("-")
    return stem + suffix


def with_folder(name: str, folder: str) -> str:
    """A name that says on which side of a pair the picture is, where the folder that it lay in did: 'a.png' from
    'before' is 'a_before.png'."""
    stem, dot, suffix = name.rpartition(".")
    if not is_side(folder) or not stem or ending_of(stem):
        return name
    return f"{stem}_{re.sub('[ -]', '_', folder.lower())}{dot}{suffix}"


def free_name(name: str, taken: Iterable[str]) -> str:
    """`name`, or that name with a number that no file in `taken` has, whatever its ending: pictures that differ in it
    alone would share one caption. What follows an underscore in pairs and masks stays last: 'a-2_before.png'."""
    stems = {same(PurePosixPath(other).stem) for other in taken}
    stem, suffix = PurePosixPath(name).stem, PurePosixPath(name).suffix
    if same(stem) not in stems:
        return name
    base, ending = _split(stem)
    number = 2
    while same(f"{base}-{number}{ending}") in stems:
        number += 1
    return f"{base}-{number}{ending}{suffix}"


def same(name: str) -> str:
    """Names that some system takes for one have this in common."""
    return unicodedata.normalize("NFC", name).casefold()


def _split(stem: str) -> tuple[str, str]:
    for suffix in (MASK_SUFFIX, CONDITION_SUFFIX):
        if stem.endswith(suffix) and stem != suffix:
            return stem.removesuffix(suffix), suffix
    found = ending_of(stem)
    return (found.base, stem.removeprefix(found.base)) if found else (stem, "")


def _shortened(stem: str) -> str:
    data = stem.encode("utf-8")[:LONGEST_STEM]
    return data.decode("utf-8", "ignore").rstrip(" .")
