"""One file that carries a model elsewhere: `.likeness`, a zip of LoRA, card, example pictures and run settings.

Nothing in it is packed, no time is written, and entries have one order: the same model gives the same bytes, and no
bundle unpacks to more than it is. `manifest.json` comes first and holds size and SHA-256 of all others. A bundle from
elsewhere is a stranger's file: every name, size and hash is checked before anything is taken from it.
"""

import hashlib
import io
import json
import re
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from likeness import durable
from likeness.dataset.formats import measure
from likeness.dataset.wording import one_line
from likeness.errors import InputError
from likeness.report.history import mapping
from likeness.store.tables import Model
from likeness.studio import examples, lora_file, model_cards, models
from likeness.studio.examples import Example
from likeness.studio.models import Words
from likeness.studio.workspace import Studio

SUFFIX = ".likeness"
SUFFIXES = (SUFFIX, ".zip")  # that a bundle may have come with: some programs call it what it is
FORMAT, VERSION = "likeness-bundle", 1
MANIFEST, CARD, RUN, README = "manifest.json", "card.json", "run.json", "README.md"
MOST_BYTES = lora_file.MOST_BYTES + (2 << 30)
MOST_TEXT_BYTES = 4 << 20  # of the manifest, the card, the run's settings
MOST_FILES = 8 + 2 * examples.MOST
_NAME = re.compile(
    r"manifest\.json|card\.json|run\.json|README\.md|lora/[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.safetensors"
    r"|examples/[0-9a-f]{16}\.(png|jpg|jpeg|webp)"
)
_NUMBER = (int, float)
_SETTINGS: dict[str, tuple[type, ...]] = {  # of an example, with what each may be
    "prompt": (str,), "negative_prompt": (str,), "seed": (int, type(None)), "width": (int,), "height": (int,),
    "steps": (int,), "guidance": _NUMBER, "strength": _NUMBER, "loras": (list,),
}  # fmt: skip
_FACTS: dict[str, type] = {
    "base": dict, "file": dict, "run": dict, "settings": dict, "sampling": dict, "lineage": list, "made": dict,
    "verdict": dict, "measures": dict,
}  # fmt: skip
_MOST_ANCESTORS = 100
_TOLD = re.compile(r"[0-9a-f]{64}")
_DATE = (1980, 1, 1, 0, 0, 0)  # the first that a zip can hold
_CHUNK = 1 << 20


# --- going out


def write(studio: Studio, model_id: str, target: Path) -> Path:
    """Write a model's bundle to `target`. Raises NotFound, OSError for a full disk."""
    model = models.get(studio, model_id)
    folder = studio.models / model.id
    tags = models.tags_of(studio, [model.id])[model.id]
    shown = [(e["file"], str(e.get("prompt", ""))) for e in model.examples]
    pictures = sorted({p for e in model.examples for p in (e["file"], e.get("reference")) if p})
    parts: list[tuple[str, Path | bytes]] = [
        (CARD, model_cards.as_json(_card(model, tags)).encode()),
        (README, model_cards.readme(model, tags, shown).encode()),
        *([(RUN, folder / models.RUN_FILE)] if (folder / models.RUN_FILE).is_file() else []),
        *((name, folder / name) for name in pictures),
        (f"lora/{model.file}", models.lora_path(studio, model)),
    ]
    durable.write_with(target, lambda partial: _write_zip(partial, parts))
    return target


def _card(model: Model, tags: list[str]) -> dict[str, Any]:
    """What a bundle says of a model: nothing that belongs to this workspace alone."""
    return {
        "name": model.name,
        "description": model.description,
        "base": model_cards.portable_base(model.base),
        "family": model.family,
        "kind": model.kind,
        "trigger": model.trigger,
        "strength": model.strength,
        "epoch": model.epoch,
        "tags": tags,
        "file": model.file,
        "sha256": model.sha256,
        "thumbnail": model.thumbnail,
        "examples": model.examples,
        "facts": _facts(model_cards.portable(model.card)),
    }


def _facts(card: dict[str, Any]) -> dict[str, Any]:
    """Without what leads to files or repositories: those of a stranger's are not ours to fetch."""
    base = {key: value for key, value in mapping(card.get("base")).items() if key != "parts_from"}
    return card | ({"base": base} if "base" in card else {})


def _write_zip(path: Path, parts: list[tuple[str, Path | bytes]]) -> None:
    listed = {name: {"sha256": _sha256(part), "size": _size(part)} for name, part in parts}
    manifest = model_cards.as_json({"format": FORMAT, "version": VERSION, "files": listed}).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as pack:
        for name, part in [(MANIFEST, manifest), *parts]:
            info = zipfile.ZipInfo(name, _DATE)
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            info.create_system = 3  # as on every system
            info.file_size = _size(part)  # known before, so that large files get the right headers
            with _opened(part) as source, pack.open(info, "w") as sink:
                shutil.copyfileobj(source, sink, _CHUNK)


def _opened(part: Path | bytes) -> IO[bytes]:
    return io.BytesIO(part) if isinstance(part, bytes) else part.open("rb")


def _size(part: Path | bytes) -> int:
    return len(part) if isinstance(part, bytes) else part.stat().st_size


def _sha256(part: Path | bytes) -> str:
    return hashlib.sha256(part).hexdigest() if isinstance(part, bytes) else lora_file.sha256_of(part)


# --- coming in


def import_bundle(studio: Studio, source: Path) -> Model:
    """Check a bundle whole and put its model into the library, with the facts that it had.

    Raises InputError for a bundle that is damaged, changed, or other than Likeness writes them, and Conflict where its
    LoRA is in the library already. Nothing is kept then.
    """
    studio.uploads.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=durable.PARTIAL, dir=studio.uploads) as made:
        folder = Path(made)
        card = _unpacked(source, folder)
        facts = lora_file.read_facts(folder / "lora" / card.file)
        model = Model(
            origin="import",
            base=model_cards.portable_base(card.text("base", 500)),
            family=card.text("family", 50),
            kind=card.text("kind", 50),
            trigger=card.text("trigger", 200),
            epoch=card.count("epoch"),
            card=model_cards.facts_of_file(facts) | card.facts(),
        )
        shown, thumbnail = card.shown(folder)
        model.thumbnail = thumbnail
        words = Words(
            name=card.text("name", 1000), description=card.text("description", models.LONGEST_TEXT, lines=True),
            tags=card.texts("tags"), strength=card.number("strength", 1.0), kind=model.kind,
        )  # fmt: skip
        run_json = _json(folder / RUN) if (folder / RUN).is_file() else None
        return models.add(studio, model, words, folder / "lora" / card.file, shown, run_json, file_name=card.file)


@dataclass(frozen=True)
class _Card:
    """card.json, read with care: it may say anything."""

    tree: dict[str, Any]
    file: str  # of the LoRA

    def text(self, name: str, longest: int, *, lines: bool = False) -> str:
        value = self.tree.get(name)
        if value is None:
            return ""
        if not isinstance(value, str) or len(value) > longest:
            raise _bad(f"{CARD}: '{name}' is no text of at most {longest:,} characters")
        return value if lines else one_line(value)

    def texts(self, name: str) -> list[str]:
        value = self.tree.get(name) or []
        if not isinstance(value, list) or not all(isinstance(v, str) for v in cast(list[Any], value)):
            raise _bad(f"{CARD}: '{name}' is no list of texts")
        return cast(list[str], value)

    def number(self, name: str, otherwise: float) -> float:
        value = self.tree.get(name, otherwise)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _bad(f"{CARD}: '{name}' is no number")
        return float(value)

    def count(self, name: str) -> int | None:
        value = self.tree.get(name)
        if value is not None and (type(value) is not int or not 0 <= value < 1_000_000):
            raise _bad(f"{CARD}: '{name}' is no count")
        return value

    def facts(self) -> dict[str, Any]:
        told = self.tree.get("facts") or {}
        if not isinstance(told, dict) or any(not isinstance(told.get(k), t) for k, t in _FACTS.items() if k in told):
            raise _bad(f"{CARD}: 'facts' are not as Likeness writes them")
        known = {key: value for key, value in cast(dict[str, Any], told).items() if key in _FACTS}
        lineage = known.get("lineage", [])
        if len(lineage) > _MOST_ANCESTORS or not all(isinstance(row, dict) for row in lineage):
            raise _bad(f"{CARD}: 'lineage' is no list of what it was made of")
        return _facts(known)

    def shown(self, folder: Path) -> tuple[list[Example], str | None]:
        """Examples in their order, and the thumbnail. Each picture is decoded once, so none that is broken stays."""
        rows = self.tree.get("examples") or []
        if not isinstance(rows, list) or len(cast(list[Any], rows)) > examples.MOST:
            raise _bad(f"{CARD}: 'examples' is no list of at most {examples.MOST} pictures")
        found: list[Example] = []
        for row in map(mapping, cast(list[Any], rows)):
            reference = row.get("reference")
            found.append(
                Example(
                    _picture(folder, row.get("file")),
                    _settings(row),
                    _picture(folder, reference) if reference is not None else None,
                )
            )
        thumbnail = self.tree.get("thumbnail")
        if thumbnail is not None and thumbnail not in {f"examples/{e.path.name}" for e in found}:
            raise _bad(f"{CARD}: its thumbnail is none of its examples")
        return found, thumbnail


def _settings(row: dict[str, Any]) -> dict[str, Any]:
    """What drew an example."""
    told = {key: row[key] for key in _SETTINGS if key in row}
    for key, value in told.items():
        if isinstance(value, bool) or not isinstance(value, _SETTINGS[key]) or len(str(value)) > models.LONGEST_TEXT:
            raise _bad(f"{CARD}: '{key}' of an example is not as Likeness writes it")
    for use in cast(list[Any], told.get("loras", [])):
        found = mapping(use)
        if not isinstance(found.get("name"), str) or not isinstance(found.get("strength"), _NUMBER):
            raise _bad(f"{CARD}: 'loras' of an example are not as Likeness writes them")
    return told


def _picture(folder: Path, name: Any) -> Path:
    if not isinstance(name, str) or not name.startswith("examples/") or not _NAME.fullmatch(name):
        raise _bad(f"{CARD}: an example names no picture of the bundle")
    path = folder / name
    if not path.is_file():
        raise _bad(f"{CARD}: the picture {name} is not in the bundle")
    if not lora_file.sha256_of(path).startswith(path.stem):
        raise _bad(f"{name}: is not named after its content")
    try:
        measure(path)
    except InputError as e:
        raise _bad(f"{name}: {e.problems[0].removeprefix(f'{path}: ').partition(' Fix: ')[0]}") from e
    return path


def _unpacked(source: Path, folder: Path) -> _Card:
    """The files of a bundle in `folder`, as its manifest tells them."""
    with _pack(source) as pack:
        infos = _checked_names(pack, source.stat().st_size)
        manifest = mapping(_loads(pack.read(infos.pop(MANIFEST)), MANIFEST))
        if manifest.get("format") != FORMAT:
            raise _bad("is a zip file, and no bundle of Likeness")
        if manifest.get("version") != VERSION:
            raise InputError(
                f"bundle: is of version {str(manifest.get('version'))[:20]}, and this Likeness reads {VERSION}. "
                "Fix: upgrade Likeness"
            )
        told = mapping(manifest.get("files"))
        if told.keys() != infos.keys():
            raise _bad("does not hold the files that its manifest tells of")
        for name, info in infos.items():
            _take(pack, info, mapping(told[name]), folder / name)
    loras = [name for name in infos if name.startswith("lora/")]
    if len(loras) != 1 or CARD not in infos:
        raise _bad("should hold one LoRA and one card")
    card = _json(folder / CARD)
    file = Path(loras[0]).name
    if card.get("file") != file or card.get("sha256") != mapping(told[loras[0]]).get("sha256"):
        raise _bad(f"{CARD}: is of another LoRA than the one in the bundle")
    return _Card(card, file)


def _checked_names(pack: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """Entries by name: only names that a bundle has, plain files, not packed, no more together than the file is."""
    infos = pack.infolist()
    if size > MOST_BYTES or len(infos) > MOST_FILES:
        raise _bad(f"holds {len(infos):,} files in {size:,} bytes, more than any bundle does")
    found: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        shown = one_line(info.orig_filename)[:100]
        if info.orig_filename != info.filename or not _NAME.fullmatch(info.filename):
            raise _bad(f"holds '{shown}', which no bundle does")
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG) or info.flag_bits & 1:
            raise _bad(f"'{shown}' is a link, a device or locked")
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
            raise _bad(f"'{shown}' is packed, as Likeness never writes it")
        if info.filename in found:
            raise _bad(f"'{shown}' is in it twice")
        if info.filename.endswith((".json", ".md")) and info.file_size > MOST_TEXT_BYTES:
            raise _bad(f"'{shown}' has {info.file_size:,} bytes, more than any bundle's")
        found[info.filename] = info
    if sum(info.file_size for info in infos) > size:
        raise _bad("tells of more bytes than it has")
    if MANIFEST not in found:
        raise _bad("is a zip file, and no bundle of Likeness")
    return found


def _take(pack: zipfile.ZipFile, info: zipfile.ZipInfo, told: dict[str, Any], target: Path) -> None:
    """One file, held against its size and hash while it is written."""
    digest, size = told.get("sha256"), told.get("size")
    if not isinstance(digest, str) or not _TOLD.fullmatch(digest) or size != info.file_size:
        raise _bad(f"'{info.filename}' is not as its manifest tells")
    target.parent.mkdir(parents=True, exist_ok=True)
    sha = hashlib.sha256()
    with pack.open(info) as entry, target.open("xb") as sink:
        while chunk := entry.read(_CHUNK):
            sha.update(chunk)
            sink.write(chunk)
    if sha.hexdigest() != digest or target.stat().st_size != size:
        raise _bad(f"'{info.filename}' is damaged or was changed: its SHA-256 is another")


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
        raise _bad("is damaged") from e
    except Exception as e:  # readers meet hostile bytes with many kinds of error
        raise _bad(f"is damaged, or no bundle ({one_line(str(e))[:100] or type(e).__name__})") from None


def _json(path: Path) -> dict[str, Any]:
    tree = _loads(path.read_bytes(), path.name)
    if not isinstance(tree, dict):
        raise _bad(f"{path.name}: is no JSON object")
    return cast(dict[str, Any], tree)


def _loads(data: bytes, name: str) -> Any:
    try:
        return json.loads(data.decode("utf-8"), parse_constant=_no_number)
    except (ValueError, RecursionError) as e:
        raise _bad(f"{name}: is no JSON ({one_line(str(e))[:100]})") from None


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number")


def _bad(what: str) -> InputError:
    return InputError(f"bundle: {what}. Fix: get it again from where it was made")
