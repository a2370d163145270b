"""The library: LoRAs with a name, facts and example pictures. Each lies in `models/ID/`; its row is what is looked up.

A model's LoRA file never changes. What people say of it does: name, description, tags, strength, examples.
"""

import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import String, cast, delete, select
from sqlalchemy.orm import Session

from likeness import durable
from likeness.catalog import find_card
from likeness.dataset.wording import one_line
from likeness.errors import Conflict, InputError, NotFound
from likeness.report.history import mapping, read_history
from likeness.store.tables import Model, Share, Tag, new_id
from likeness.studio import examples, lora_file, model_cards, shelves, thumbnails
from likeness.studio.examples import Example
from likeness.studio.file_names import file_stem
from likeness.studio.run_summaries import VOICE
from likeness.studio.workspace import Studio

KINDS = ("character", "style", "product", "environment", "edit")
MOST_TAGS, LONGEST_TAG, LONGEST_NAME, LONGEST_TEXT = 30, 40, 100, 10_000
STRENGTHS = (-4.0, 4.0)
RUN_FILE = "run.json"  # in a model's folder: the settings of its run, for other eyes
DAYS_IN_BIN = 30


@dataclass(frozen=True)
class Words:
    """What people say of a model. None: leave it as it is, or take what the file or the run says."""

    name: str | None = None
    description: str | None = None
    tags: Sequence[str] | None = None
    strength: float | None = None
    kind: str | None = None  # one of KINDS, or empty
    base: str | None = None
    trigger: str | None = None


# --- coming in


def publish(
    studio: Studio,
    run: str,
    epoch: int,
    *,
    name: str = "",
    description: str = "",
    tags: Sequence[str] = (),
    strength: float = 1.0,
) -> Model:
    """Put an epoch of a run into the library, with its test pictures as examples and the run's facts.

    Raises InputError for what is no run or has no such epoch, Conflict where this file is in the library already.
    """
    history = read_history(studio.run_folder(run))
    if history.config("kind") == VOICE:
        raise InputError(f"run: '{run}' is a trained voice, and no LoRA for pictures. Fix: keep its epoch as a voice")
    source = history.checkpoints.get(epoch)
    if source is None:
        there = ", ".join(map(str, history.checkpoints)) or "none yet"
        raise InputError(f"epoch: run '{run}' has no LoRA file of epoch {epoch}. Fix: choose from: {there}")
    words = Words(name or history.name, description or str(history.config("description") or ""), tags, strength)
    facts = lora_file.read_facts(source)
    card = model_cards.facts_of_file(facts) | model_cards.facts_of_run(history, epoch)
    base = str(history.config("base") or "")
    model = Model(
        origin="run",
        run=history.folder.name,
        epoch=epoch,
        base=base,
        family=str(mapping(history.run_json.get("base")).get("family") or facts.family),
        kind=str(history.config("kind") or ""),
        trigger=str(history.config("trigger") or facts.trigger),
        card=card,
    )
    run_json = model_cards.portable_run(history.run_json)
    return add(studio, model, words, source, examples.of_run(history, epoch), run_json)


def import_lora(studio: Studio, source: Path, file_name: str, words: Words | None = None) -> Model:
    """Put a LoRA file of any origin into the library; `source` is copied. `file_name`: as its owner calls it.

    Raises InputError for one that is no sound safetensors file of a LoRA, Conflict where it is there already.
    """
    if Path(file_name).suffix.lower() != ".safetensors":
        raise InputError(
            f"file: {one_line(file_name)[:100]} is no .safetensors file, and others can run code of their own when "
            "they are opened. Fix: give the LoRA as .safetensors"
        )
    words = words or Words()
    facts = lora_file.read_facts(source)
    model = Model(
        origin="import",
        base=facts.base,
        family=facts.family,
        kind="",
        trigger=facts.trigger,
        epoch=facts.epoch,
        card=model_cards.facts_of_file(facts) | model_cards.facts_of_base(facts.base),
    )
    name = words.name or facts.name or Path(file_name).stem
    description = facts.description if words.description is None else words.description
    told = Words(name, description, words.tags or (), words.strength, words.kind, words.base, words.trigger)
    return add(studio, model, told, source)


def add(
    studio: Studio,
    model: Model,
    words: Words,
    source: Path,
    shown: Sequence[Example] = (),
    run_json: dict[str, Any] | None = None,
    *,
    file_name: str = "",
) -> Model:
    """Make a model's folder and row. `model` has its facts; name, file, hash and examples are filled in here.

    `file_name` of the LoRA; empty: made of the model's name. Raises InputError for words that do not do, and Conflict
    where the file is in the library already.
    """
    model.id = model.id or new_id()
    model.strength, model.parents = 1.0, model.parents or []
    tags = _say(model, replace(words, name=words.name or ""))
    model.file = file_name or f"{file_stem(model.name, 'lora')}.safetensors"
    model.sha256, model.size_bytes = lora_file.sha256_of(source), source.stat().st_size
    if twin := _twin(studio, model.sha256):
        raise Conflict(f"file: is in the library already, as '{twin.name}'. Fix: use that one, or duplicate it")
    folder = studio.models / model.id

    def fill(partial: Path) -> None:
        copy_file(source, partial / model.file)
        model.examples = examples.write(partial, shown)
        if run_json is not None:
            durable.write_text(partial / RUN_FILE, model_cards.as_json(run_json))

    durable.write_folder(folder, fill)
    model.thumbnail = model.thumbnail or next((e["file"] for e in model.examples), None)
    try:
        with studio.database.session() as session:
            _join_family(session, model)
            session.add(model)
            session.flush()
            session.add_all(Tag(model_id=model.id, tag=tag) for tag in tags)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    thumbnails.prepare(studio, (folder / e["file"] for e in model.examples))
    return model


def duplicate(studio: Studio, model_id: str, name: str = "") -> Model:
    """A second entry with the same file, to be named and tagged otherwise. Raises NotFound."""
    old = get(studio, model_id)
    folder = studio.models / old.id
    new = Model(
        id=new_id(), name="", file=old.file, sha256=old.sha256, size_bytes=old.size_bytes, base=old.base,
        family=old.family, kind=old.kind, trigger=old.trigger, strength=old.strength, description=old.description,
        origin="copy", run=old.run, epoch=old.epoch, parents=[old.id], thumbnail=old.thumbnail,
        examples=old.examples, card=old.card,
    )  # fmt: skip
    tags = tags_of(studio, [old.id])[old.id]
    new.name = plain_name(name or f"{old.name[: LONGEST_NAME - 5]} copy")
    durable.write_folder(studio.models / new.id, lambda partial: link_all(folder, partial))
    try:
        with studio.database.session() as session:
            session.add(new)
            session.flush()
            session.add_all(Tag(model_id=new.id, tag=tag) for tag in tags)
    except BaseException:
        shutil.rmtree(studio.models / new.id, ignore_errors=True)
        raise
    return new


# --- looking up (lists are in `library`)


def get(studio: Studio, model_id: str, *, binned: bool = False) -> Model:
    """Raises NotFound where there is none, or it lies in the bin and `binned` does not allow for that."""
    with studio.database.reading() as session:
        model = session.get(Model, model_id)
    return _there(model, model_id, binned)


def _there(model: Model | None, model_id: str, binned: bool = False) -> Model:
    if model is None:
        raise NotFound(f"no model '{one_line(model_id)[:40]}' in the library. Fix: take an id from the list of models")
    if model.deleted is not None and not binned:
        raise NotFound(f"model '{model.name}' is in the bin. Fix: put it back first")
    return model


def lora_path(studio: Studio, model: Model) -> Path:
    """Its file. Raises NotFound where somebody took it away."""
    path = studio.models / model.id / model.file
    if not path.is_file():
        raise NotFound(f"{path}: is not there any more. Fix: put it back, or delete the model")
    return path


def tags_of(studio: Studio, model_ids: Sequence[str]) -> dict[str, list[str]]:
    """Tags by model, in the order of the alphabet."""
    found: dict[str, list[str]] = {model_id: [] for model_id in model_ids}
    with studio.database.reading() as session:
        for tag in session.scalars(select(Tag).where(Tag.model_id.in_(model_ids)).order_by(Tag.tag)):
            found[tag.model_id].append(tag.tag)
    return found


# --- changing


def update(studio: Studio, model_id: str, words: Words) -> Model:
    """Change what is said of a model. Raises InputError for words that do not do, NotFound."""
    with studio.database.session() as session:
        model = _there(session.get(Model, model_id), model_id)
        tags = _say(model, words)
        if words.tags is not None:
            session.execute(delete(Tag).where(Tag.model_id == model.id))
            session.add_all(Tag(model_id=model.id, tag=tag) for tag in tags)
    return model


def change(studio: Studio, model_id: str, edit: Callable[[Model], None]) -> Model:
    """Let `edit` change the row of a model that is not in the bin. Raises NotFound."""
    with studio.database.session() as session:
        model = _there(session.get(Model, model_id), model_id)
        edit(model)
    return model


def archive(studio: Studio, model_id: str, archived: bool = True) -> Model:
    """Take a model out of the usual list, or back into it. Raises NotFound."""
    return change(studio, model_id, lambda model: setattr(model, "archived", archived))


def delete_model(studio: Studio, model_id: str) -> Model:
    """Into the bin, for DAYS_IN_BIN days; its links stop working. Raises NotFound."""
    return change(studio, model_id, lambda model: setattr(model, "deleted", time.time()))


def restore(studio: Studio, model_id: str) -> Model:
    """Out of the bin. Raises NotFound where it is gone."""
    with studio.database.session() as session:
        model = _there(session.get(Model, model_id), model_id, binned=True)
        model.deleted = None
    return model


def remove(studio: Studio, model_id: str) -> None:
    """Out of the bin for good, files and all. Raises Conflict for one that is not in it, NotFound."""
    with studio.database.session() as session:
        model = _there(session.get(Model, model_id), model_id, binned=True)
        if model.deleted is None:
            raise Conflict(f"model '{model.name}' is not in the bin. Fix: delete it first")
        for table in (Tag, Share):
            session.execute(delete(table).where(table.model_id == model.id))
        session.delete(model)
    shutil.rmtree(studio.models / model_id, ignore_errors=True)
    if _twin(studio, model.sha256) is None:
        shutil.rmtree(layouts_folder(studio, model.sha256), ignore_errors=True)


def empty_bin(studio: Studio, older_than: float = DAYS_IN_BIN * 86400) -> int:
    """Remove what has lain in the bin for more than so many seconds; how many models that were."""
    return shelves.empty_bin(studio, Model, studio.models, remove, older_than)


# --- words


def check_words(words: Words) -> None:
    """Raises InputError for words that would not do."""
    _say(Model(card={}), words)


def _say(model: Model, words: Words) -> list[str]:
    """Put the words that are given into the row; the tags, made plain. Raises InputError."""
    if words.name is not None:
        model.name = plain_name(words.name)
    if words.description is not None:
        if len(words.description) > LONGEST_TEXT:
            raise InputError(f"description: is longer than {LONGEST_TEXT:,} characters. Fix: make it shorter")
        model.description = words.description.strip()
    if words.strength is not None:
        if not STRENGTHS[0] <= words.strength <= STRENGTHS[1]:
            raise InputError(f"strength: {words.strength:g} is out of range. Fix: from -4 to 4; 1 is as trained")
        model.strength = words.strength
    if words.kind is not None:
        if words.kind not in ("", *KINDS):
            raise InputError(f"kind: there is no kind '{one_line(words.kind)[:40]}'. Fix: one of {', '.join(KINDS)}")
        model.kind = words.kind
    if words.base is not None:
        model.card = _with_base(model, words.base.strip())
    if words.trigger is not None:
        model.trigger = one_line(words.trigger)[:200]
    return plain_tags(words.tags or ())


def _with_base(model: Model, base: str) -> dict[str, Any]:
    """Name the base of a model; its card, with the facts of that base alone."""
    if base == model.base:
        return model.card
    card = find_card(base) if base else None
    model.base, model.family = (card.name, card.family) if card else (base, model.family)
    kept = {key: value for key, value in model.card.items() if key != "base"}
    return kept | model_cards.facts_of_base(model.base)


def plain_name(text: str) -> str:
    """On one line. Raises InputError for none, or one that is too long."""
    name = one_line(text)
    if not 0 < len(name) <= LONGEST_NAME:
        raise InputError(f"name: has {len(name)} characters. Fix: give it 1 to {LONGEST_NAME}")
    return name


def plain_tags(tags: Sequence[str]) -> list[str]:
    """In lower case, each once. Raises InputError for too many, or one that is none."""
    found = list(dict.fromkeys(filter(None, (one_line(tag).lower() for tag in tags))))
    if len(found) > MOST_TAGS:
        raise InputError(f"tags: {len(found)} are too many. Fix: at most {MOST_TAGS}")
    if long := next((tag for tag in found if len(tag) > LONGEST_TAG or "," in tag), None):
        raise InputError(f"tags: '{long[:60]}' is no tag. Fix: up to {LONGEST_TAG} characters, without a comma")
    return found


# --- family


def _twin(studio: Studio, sha256: str) -> Model | None:
    with studio.database.reading() as session:
        return session.scalar(select(Model).where(Model.sha256 == sha256, Model.deleted.is_(None)).limit(1))


def _join_family(session: Session, model: Model) -> None:
    """Name as parents the models whose files this one was made of, and this one in those that were made of it."""
    lineage = [mapping(row).get("sha256") for row in model.card.get("lineage") or []]
    known = [str(sha) for sha in lineage if isinstance(sha, str)]
    parents = session.scalars(select(Model.id).where(Model.sha256.in_(known)).order_by(Model.created))
    model.parents = list(dict.fromkeys([*model.parents, *parents]))
    for child in session.scalars(select(Model).where(cast(Model.card, String).contains(f'"sha256": "{model.sha256}"'))):
        if model.id not in child.parents:
            child.parents = [*child.parents, model.id]


# --- files


def layouts_folder(studio: Studio, sha256: str) -> Path:
    """Where copies of a LoRA file lie that have other programs' key names; may be deleted at any time."""
    return studio.root / "layouts" / sha256[:32]


def copy_file(source: Path, target: Path) -> None:
    """The bytes alone: no permissions, no times."""
    shutil.copyfile(source, target)


def link_all(folder: Path, target: Path) -> None:
    """The same files again without their bytes: those of a model are never written to."""
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        place = target / path.relative_to(folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(path, place)
        except OSError:  # a file system without links
            shutil.copyfile(path, place)
