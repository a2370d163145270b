"""How a user's `base:` leads to a Card. Nothing is downloaded or loaded here."""

import difflib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from likeness.catalog.card import Card
from likeness.catalog.cards import CARDS, FAMILIES
from likeness.catalog.choose import with_parts
from likeness.catalog.detect import check_kind, closest, look_into, plain
from likeness.catalog.source import Choice, Source, cached_snapshot
from likeness.errors import InputError

HUB_NAME = re.compile(r"^(?P<name>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(@(?P<revision>[\w./-]+))?$")
OWN_FACTS = "likeness.json"  # in a model folder: Card fields in which it differs from its family's Card
OF_ITS_OWN = "see its own model card"
RUN_FILE, INDEX, MODULAR_INDEX = "run.json", "model_index.json", "modular_model_index.json"
_OWN: dict[str, Any] = {  # what is not known of a model that is in no Card
    "licence": OF_ITS_OWN, "good_for": "what it was made for", "pick": "", "parameters": "", "runs_on": (),
    "successor": None, "download_bytes": None,
}  # fmt: skip
_SETTABLE = (
    "title", "licence", "languages", "parameters", "good_for", "resolution", "max_references", "reference_side",
    "steps", "guidance", "text_layers", "text_tokens", "defaults",
)  # fmt: skip


def find_card(base: str) -> Card | None:
    """The Card with this name or hub repository, in any case of letters."""
    wanted = base.lower()
    for card in CARDS.values():
        if wanted == card.name or (card.repository and wanted == card.repository.lower()):
            return card
    return None


def place_of(base: str, near: Sequence[Path] = (Path(),)) -> Path | None:
    """The folder or file that `base` means, absolute; None where it means a name of the catalogue or the hub."""
    if find_card(base):
        return None
    places = [Path(os.path.abspath(folder / os.path.expanduser(base))) for folder in near]
    return next((place for place in places if place.exists()), None)


def resolve_base(base: str, near: Sequence[Path] = (Path(),), choice: Choice | None = None) -> Card:
    """The Card for what a user wrote as `base`: a catalogue name, a folder, a file of weights, a hub repository
    'owner/name' or 'owner/name@revision', or the folder of a run; `choice` is what else was said of it.

    Relative folders are looked for in each folder of `near`. Nothing is downloaded or loaded.
    Raises InputError where nothing fits, and where a file does not hold what it should.
    """
    choice = choice or Choice()
    place = place_of(base, near)
    if place is not None and (place / RUN_FILE).is_file():
        before, said = run_base(place)
        ours = {f.name: getattr(choice, f.name) for f in fields(Choice) if getattr(choice, f.name)}
        return resolve_base(before, near, replace(said, **ours))
    if place is not None and place.is_file():
        return with_parts(_card_for_file(place, near, choice), choice)
    return with_parts(_with_home(_plain_card(base, place, near, choice), near, choice), choice)


def _with_home(card: Card, near: Sequence[Path], choice: Choice) -> Card:
    """The Card, with the place of the parts that its own has not. Raises InputError for one of another family."""
    named = choice.parts_from or card.parts_from
    if named is None:
        return card
    home = resolve_base(named, near, Choice(offline=choice.offline, allow_pickle=choice.allow_pickle))
    if home.family != card.family:
        raise InputError(
            f"model.parts_from: '{named}' is a {home.title} ({home.family}), but base is a {card.title} "
            f"({card.family}). Fix: name a base of the same family"
        )
    return replace(card, source=replace(card.source, home=home.location))


def run_base(folder: Path) -> tuple[str, Choice]:
    """The base that an earlier run was trained on, and what its settings said of it; not what it has learned.

    Raises InputError where its run.json is damaged.
    """
    frozen = _read_json(folder / RUN_FILE, "")
    config = frozen.get("config")
    if not isinstance(config, dict) or not isinstance(config.get("base"), str):
        raise InputError(f"base: {folder / RUN_FILE} does not tell of a run; name its base model instead")
    values: Any = config.get("model", {})
    known = {f.name for f in fields(Choice)}
    return str(config["base"]), Choice(**{name: value for name, value in values.items() if name in known})


def _plain_card(base: str, place: Path | None, near: Sequence[Path], choice: Choice) -> Card:
    """The Card of a name, a folder or a repository."""
    if card := find_card(base):
        return card
    if place is not None:
        return card_for_folder(place)
    if _looks_like_path(base):
        first = Path(os.path.abspath(near[0] / os.path.expanduser(base)))
        raise InputError(f"base: no folder or file at {first}; check the path, or name a base model: {_names()}")
    if found := HUB_NAME.match(base):
        revision = found["revision"]
        if revision and choice.revision not in (None, revision):
            raise InputError(
                f"model.revision: '{choice.revision}' is another than the one in base ({base}). Fix: keep one of them"
            )
        revision = revision or choice.revision
        card = find_card(found["name"]) or _card_for_repository(found["name"], revision)
        return replace(card, source=replace(card.source, revision=revision))
    close = difflib.get_close_matches(base.lower(), CARDS, n=1)
    hint = f"did you mean '{close[0]}'? Known are {_names()}" if close else f"known are {_names()}"
    raise InputError(
        f"base: no base model called '{base}'; {hint}; 'owner/name' on the hub, a folder or a file will do too"
    )


def _card_for_file(path: Path, near: Sequence[Path], choice: Choice) -> Card:
    """The Card for a file of weights: the whole of a Stable Diffusion, or a transformer, whose other parts come from
    its Card's repository or from `choice.parts_from`."""
    try:
        check_kind(path, allow_pickle=choice.allow_pickle)
        found = look_into(path, allow_pickle=choice.allow_pickle)
    except InputError as e:
        raise InputError(*(f"base: {problem}" for problem in e.problems)) from e
    if found.part not in ("transformer", "checkpoint"):
        raise InputError(
            f"base: {path} holds {found.words}, which is no base model. Fix: give the file of the transformer or the "
            "whole checkpoint; a VAE or text encoder goes into model.vae or model.text_encoder"
        )
    if choice.parts_from:
        home = resolve_base(choice.parts_from, near, Choice(revision=choice.revision, offline=choice.offline))
        if home.family not in found.families:
            raise InputError(
                f"model.parts_from: '{choice.parts_from}' is a {home.title} ({home.family}), but {path.name} holds "
                f"{found.words}. Fix: name a base of family {' or '.join(found.families)}"
            )
    elif found.cards:
        home = closest(path.stem, found.cards)
    else:
        raise InputError(
            f"base: {path} holds {found.words}, which is in no Card. Fix: say with model.parts_from (in "
            "`likeness sample`: --parts-from) where its other parts and settings are: a folder or a repository"
        )
    source = replace(home.source, checkpoint=path) if found.part == "checkpoint" else home.source
    parts = source.parts if found.part == "checkpoint" else (*source.parts, ("transformer", path))
    return replace(home, source=replace(source, parts=parts))


def card_for_folder(folder: Path) -> Card:
    """The Card for a folder in diffusers layout. Raises InputError where it is not one, or of an unknown family."""
    folder = folder.resolve()
    if shipped := next((card for card in CARDS.values() if card.path == folder), None):
        return shipped
    index = _read_json(
        _index_of(folder),
        f"base: {folder} is not a diffusers model folder; expected model_index.json in it, beside the folders "
        "transformer, vae, text_encoder, tokenizer and scheduler",
    )
    card = _variant_in(folder, str(index.get("_class_name")))
    card = replace(
        card,
        name=folder.name,
        title=folder.name,
        path=folder,
        repository=None,
        parts_from=None,
        **_OWN | {"download_bytes": 0},
    )
    return _with_own_facts(card, folder / OWN_FACTS)


def _index_of(folder: Path) -> Path:
    """The file that names the pipeline: of a modular one where there is no other."""
    modular = folder / MODULAR_INDEX
    return modular if modular.is_file() and not (folder / INDEX).is_file() else folder / INDEX


def _variant_in(folder: Path, pipeline: str) -> Card:
    """Of the Cards with this pipeline class, the one with the most marks that the folder bears."""
    sisters = [card for card in CARDS.values() if card.pipeline == pipeline and card.path is None]
    if not sisters:
        known = ", ".join(dict.fromkeys(card.pipeline for card in CARDS.values()))
        raise InputError(f"base: {folder} holds a {pipeline}, which no family here can train; known are {known}")
    borne = [card for card in sisters if all(_bears(folder, *mark) for mark in card.marks)]
    return max(borne or sisters, key=lambda card: len(card.marks) if borne else -len(card.marks))


def _bears(folder: Path, file: str, key: str, value: Any) -> bool:
    path = folder / file
    return path.is_file() and _read_json(path, "").get(key) == value


def _with_own_facts(card: Card, path: Path) -> Card:
    """The Card with what the folder says of itself. Raises InputError for a fact that no Card has."""
    if not path.is_file():
        return card
    facts = _read_json(path, "")
    if unknown := sorted(set(facts) - set(_SETTABLE)):
        raise InputError(f"base: {path}: no such fact as '{unknown[0]}'. Fix: use {', '.join(_SETTABLE)}")
    types = {f.name: type(getattr(card, f.name)) for f in fields(card)}
    values: dict[str, Any] = {}
    for name, value in facts.items():
        wanted = types[name]
        value = tuple(value) if wanted is tuple and isinstance(value, list) else value
        value = float(value) if wanted is float and isinstance(value, int) else value
        if not isinstance(value, wanted):
            raise InputError(f"base: {path}: {name} should be a {wanted.__name__} (got {value!r})")
        values[name] = value
    return replace(card, **values)


def _card_for_repository(repository: str, revision: str | None) -> Card:
    """By its own index where it has been fetched before, else a guess by name alone; the loader checks that."""
    folder = cached_snapshot(repository, revision)
    if folder is not None and _index_of(folder).is_file():
        return replace(card_for_folder(folder), name=repository, title=repository, path=None, repository=repository)
    stems = {plain(name): card.family for card in CARDS.values() for name in (card.family, card.name)}
    known = [stem for stem in stems if stem in plain(repository)]
    if not known:
        raise InputError(
            f"base: no folder '{repository}' here, and as a hub repository its name tells of no family that can be "
            f"trained (families: {', '.join(FAMILIES)}); name one of {_names()}, or download it (`hf download "
            f"{repository}`), which tells what it is"
        )
    family = stems[max(known, key=len)]
    card = closest(repository, [c for c in CARDS.values() if c.family == family and c.path is None])
    return replace(card, name=repository, title=repository, repository=repository, source=Source(guessed=True), **_OWN)


def _looks_like_path(base: str) -> bool:
    return base.startswith((".", "/", "~")) or "\\" in base or base.endswith("/") or base.count("/") > 1


def _names() -> str:
    return ", ".join(CARDS)


def _read_json(path: Path, if_missing: str) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(if_missing)
    try:
        value: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as e:
        raise InputError(f"base: {path} cannot be read ({e}); download or save the model again") from e
    if not isinstance(value, dict):
        raise InputError(f"base: {path} should hold a JSON object; download or save the model again")
    return value  # pyright: ignore[reportUnknownVariableType]
