"""Sealed zips: one file that carries something of the studio elsewhere, and is checked whole before it is used.

Nothing in it is packed, no time is written, and entries have one order: the same things give the same bytes, and none
unpacks to more than it is. `manifest.json` comes first and holds size and SHA-256 of all others. One from elsewhere is
a stranger's file: every name, size and hash is checked before anything is taken from it.
"""

import hashlib
import io
import json
import re
import shutil
import stat
import zipfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from likeness import durable
from likeness.dataset.wording import one_line
from likeness.errors import InputError
from likeness.report.history import mapping
from likeness.studio import model_cards

MANIFEST = "manifest.json"
MOST_TEXT_BYTES = 4 << 20  # of the manifest, and of other texts
Part = tuple[str, Path | bytes]  # name in the zip, and its content
_TOLD = re.compile(r"[0-9a-f]{64}")
_DATE = (1980, 1, 1, 0, 0, 0)  # the first that a zip can hold
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Seal:
    """What one kind of sealed zip is like. `names`: all that may lie in it, besides the manifest."""

    format: str
    version: int
    names: re.Pattern[str]
    most_bytes: int
    most_files: int


def write(seal: Seal, target: Path, parts: Sequence[Part]) -> Path:
    """Write a sealed zip to `target`. Raises OSError for a full disk."""
    durable.write_with(target, lambda partial: _write_zip(seal, partial, parts))
    return target


def _write_zip(seal: Seal, path: Path, parts: Sequence[Part]) -> None:
    listed = {name: {"sha256": _sha256(part), "size": _size(part)} for name, part in parts}
    manifest = model_cards.as_json({"format": seal.format, "version": seal.version, "files": listed}).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as pack:
        for name, part in [(MANIFEST, manifest), *parts]:
            info = zipfile.ZipInfo(name, _DATE)
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            info.create_system = 3  # as on every system
            info.file_size = _size(part)  # known before, so that large files get the right headers
            with _opened(part) as source, pack.open(info, "w") as sink:
                shutil.copyfileobj(source, sink, _CHUNK)


def _opened(part: Path | bytes) -> io.BytesIO | io.BufferedReader:
    return io.BytesIO(part) if isinstance(part, bytes) else part.open("rb")


def _size(part: Path | bytes) -> int:
    return len(part) if isinstance(part, bytes) else part.stat().st_size


def _sha256(part: Path | bytes) -> str:
    with _opened(part) as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def unpack(seal: Seal, source: Path, folder: Path) -> dict[str, str]:
    """The files of a sealed zip in `folder`, as its manifest tells them: SHA-256 by name.

    Raises InputError for one that is damaged, changed, or other than Likeness writes them.
    """
    with _pack(source) as pack:
        infos = _checked_names(seal, pack, source.stat().st_size)
        manifest = mapping(_loads(pack.read(infos.pop(MANIFEST)), MANIFEST))
        if manifest.get("format") != seal.format:
            raise bad("is a zip file, and no bundle of Likeness of this kind")
        if manifest.get("version") != seal.version:
            raise InputError(
                f"bundle: is of version {str(manifest.get('version'))[:20]}, and this Likeness reads {seal.version}. "
                "Fix: upgrade Likeness"
            )
        told = mapping(manifest.get("files"))
        if told.keys() != infos.keys():
            raise bad("does not hold the files that its manifest tells of")
        return {name: _take(pack, info, mapping(told[name]), folder / name) for name, info in infos.items()}


def _checked_names(seal: Seal, pack: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """Entries by name: only names that a bundle has, plain files, not packed, no more together than the file is."""
    infos = pack.infolist()
    if size > seal.most_bytes or len(infos) > seal.most_files:
        raise bad(f"holds {len(infos):,} files in {size:,} bytes, more than any bundle does")
    found: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        shown = one_line(info.orig_filename)[:100]
        known = info.filename == MANIFEST or seal.names.fullmatch(info.filename)
        if info.orig_filename != info.filename or not known:
            raise bad(f"holds '{shown}', which no bundle does")
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG) or info.flag_bits & 1:
            raise bad(f"'{shown}' is a link, a device or locked")
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
            raise bad(f"'{shown}' is packed, as Likeness never writes it")
        if info.filename in found:
            raise bad(f"'{shown}' is in it twice")
        if info.filename.endswith((".json", ".md")) and info.file_size > MOST_TEXT_BYTES:
            raise bad(f"'{shown}' has {info.file_size:,} bytes, more than any bundle's")
        found[info.filename] = info
    if sum(info.file_size for info in infos) > size:
        raise bad("tells of more bytes than it has")
    if MANIFEST not in found:
        raise bad("is a zip file, and no bundle of Likeness")
    return found


def _take(pack: zipfile.ZipFile, info: zipfile.ZipInfo, told: dict[str, Any], target: Path) -> str:
    """One file, held against its size and hash while it is written; its hash."""
    digest, size = told.get("sha256"), told.get("size")
    if not isinstance(digest, str) or not _TOLD.fullmatch(digest) or size != info.file_size:
        raise bad(f"'{info.filename}' is not as its manifest tells")
    target.parent.mkdir(parents=True, exist_ok=True)
    sha = hashlib.sha256()
    with pack.open(info) as entry, target.open("xb") as sink:
        while chunk := entry.read(_CHUNK):
            sha.update(chunk)
            sink.write(chunk)
    if sha.hexdigest() != digest or target.stat().st_size != size:
        raise bad(f"'{info.filename}' is damaged or was changed: its SHA-256 is another")
    return digest


@contextmanager
def _pack(source: Path) -> Generator[zipfile.ZipFile]:
    """The zip file, with whatever a broken one does told as an InputError."""
    try:
        with zipfile.ZipFile(source) as pack:
            yield pack
    except InputError:
        raise
    except OSError as e:
        if e.errno is not None:  # the disk, not the file
            raise
        raise bad("is damaged") from e
    except Exception as e:  # readers meet hostile bytes with many kinds of error
        raise bad(f"is damaged, or no bundle ({one_line(str(e))[:100] or type(e).__name__})") from None


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object that came in one. Raises InputError for another thing."""
    tree = _loads(path.read_bytes(), path.name)
    if not isinstance(tree, dict):
        raise bad(f"{path.name}: is no JSON object")
    return cast(dict[str, Any], tree)


def _loads(data: bytes, name: str) -> Any:
    try:
        return json.loads(data.decode("utf-8"), parse_constant=_no_number)
    except (ValueError, RecursionError) as e:
        raise bad(f"{name}: is no JSON ({one_line(str(e))[:100]})") from None


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number")


def bad(what: str) -> InputError:
    return InputError(f"bundle: {what}. Fix: get it again from where it was made")
