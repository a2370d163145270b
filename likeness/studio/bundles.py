"""One file that carries a model elsewhere: `.likeness`, a sealed zip of LoRA, card, example pictures, run settings."""

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from likeness import durable
from likeness.dataset.formats import measure
from likeness.dataset.wording import one_line
from likeness.errors import InputError
from likeness.report.history import mapping
from likeness.store.tables import Model
from likeness.studio import examples, lora_file, model_cards, models, sealed
from likeness.studio.examples import Example
from likeness.studio.models import Words
from likeness.studio.sealed import Part, Seal, bad, read_json
from likeness.studio.workspace import Studio

SUFFIX = ".likeness"
SUFFIXES = (SUFFIX, ".zip")  # that a bundle may have come with: some programs call it what it is
CARD, RUN, README = "card.json", "run.json", "README.md"
MOST_BYTES = lora_file.MOST_BYTES + (2 << 30)
MOST_FILES = 8 + 2 * examples.MOST
_NAME = re.compile(
    r"card\.json|run\.json|README\.md|lora/[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.safetensors"
    r"|examples/[0-9a-f]{16}\.(png|jpg|jpeg|webp)"
)
SEAL = Seal("likeness-bundle", 1, _NAME, MOST_BYTES, MOST_FILES)
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


# --- going out


def write(studio: Studio, model_id: str, target: Path) -> Path:
    """Write a model's bundle to `target`. Raises NotFound, OSError for a full disk."""
    model = models.get(studio, model_id)
    folder = studio.models / model.id
    tags = models.tags_of(studio, [model.id])[model.id]
    shown = [(e["file"], str(e.get("prompt", ""))) for e in model.examples]
    pictures = sorted({p for e in model.examples for p in (e["file"], e.get("reference")) if p})
    parts: list[Part] = [
        (CARD, model_cards.as_json(_card(model, tags)).encode()),
        (README, model_cards.readme(model, tags, shown).encode()),
        *([(RUN, folder / models.RUN_FILE)] if (folder / models.RUN_FILE).is_file() else []),
        *((name, folder / name) for name in pictures),
        (f"lora/{model.file}", models.lora_path(studio, model)),
    ]
    return sealed.write(SEAL, target, parts)


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
        run_json = read_json(folder / RUN) if (folder / RUN).is_file() else None
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
            raise bad(f"{CARD}: '{name}' is no text of at most {longest:,} characters")
        return value if lines else one_line(value)

    def texts(self, name: str) -> list[str]:
        value = self.tree.get(name) or []
        if not isinstance(value, list) or not all(isinstance(v, str) for v in cast(list[Any], value)):
            raise bad(f"{CARD}: '{name}' is no list of texts")
        return cast(list[str], value)

    def number(self, name: str, otherwise: float) -> float:
        value = self.tree.get(name, otherwise)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise bad(f"{CARD}: '{name}' is no number")
        return float(value)

    def count(self, name: str) -> int | None:
        value = self.tree.get(name)
        if value is not None and (type(value) is not int or not 0 <= value < 1_000_000):
            raise bad(f"{CARD}: '{name}' is no count")
        return value

    def facts(self) -> dict[str, Any]:
        told = self.tree.get("facts") or {}
        if not isinstance(told, dict) or any(not isinstance(told.get(k), t) for k, t in _FACTS.items() if k in told):
            raise bad(f"{CARD}: 'facts' are not as Likeness writes them")
        known = {key: value for key, value in cast(dict[str, Any], told).items() if key in _FACTS}
        lineage = known.get("lineage", [])
        if len(lineage) > _MOST_ANCESTORS or not all(isinstance(row, dict) for row in lineage):
            raise bad(f"{CARD}: 'lineage' is no list of what it was made of")
        return _facts(known)

    def shown(self, folder: Path) -> tuple[list[Example], str | None]:
        """Examples in their order, and the thumbnail. Each picture is decoded once, so none that is broken stays."""
        rows = self.tree.get("examples") or []
        if not isinstance(rows, list) or len(cast(list[Any], rows)) > examples.MOST:
            raise bad(f"{CARD}: 'examples' is no list of at most {examples.MOST} pictures")
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
            raise bad(f"{CARD}: its thumbnail is none of its examples")
        return found, thumbnail


def _settings(row: dict[str, Any]) -> dict[str, Any]:
    """What drew an example."""
    told = {key: row[key] for key in _SETTINGS if key in row}
    for key, value in told.items():
        if isinstance(value, bool) or not isinstance(value, _SETTINGS[key]) or len(str(value)) > models.LONGEST_TEXT:
            raise bad(f"{CARD}: '{key}' of an example is not as Likeness writes it")
    for use in cast(list[Any], told.get("loras", [])):
        found = mapping(use)
        if not isinstance(found.get("name"), str) or not isinstance(found.get("strength"), _NUMBER):
            raise bad(f"{CARD}: 'loras' of an example are not as Likeness writes them")
    return told


def _picture(folder: Path, name: Any) -> Path:
    if not isinstance(name, str) or not name.startswith("examples/") or not _NAME.fullmatch(name):
        raise bad(f"{CARD}: an example names no picture of the bundle")
    path = folder / name
    if not path.is_file():
        raise bad(f"{CARD}: the picture {name} is not in the bundle")
    if not lora_file.sha256_of(path).startswith(path.stem):
        raise bad(f"{name}: is not named after its content")
    try:
        measure(path)
    except InputError as e:
        raise bad(f"{name}: {e.problems[0].removeprefix(f'{path}: ').partition(' Fix: ')[0]}") from e
    return path


def _unpacked(source: Path, folder: Path) -> _Card:
    """The files of a bundle in `folder`, as its manifest tells them."""
    told = sealed.unpack(SEAL, source, folder)
    loras = [name for name in told if name.startswith("lora/")]
    if len(loras) != 1 or CARD not in told:
        raise bad("should hold one LoRA and one card")
    card = read_json(folder / CARD)
    file = Path(loras[0]).name
    if card.get("file") != file or card.get("sha256") != told[loras[0]]:
        raise bad(f"{CARD}: is of another LoRA than the one in the bundle")
    return _Card(card, file)
