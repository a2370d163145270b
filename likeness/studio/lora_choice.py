"""A LoRA as somebody names it: one of the library, or an epoch of a run. And what has to be known to use it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select

from likeness.catalog import Choice, resolve_base
from likeness.dataset.captions import has_trigger
from likeness.dataset.wording import one_line
from likeness.errors import InputError, NotFound
from likeness.report.history import mapping, read_history
from likeness.store.tables import Model
from likeness.studio import models, trust
from likeness.studio.lora_file import sha256_of
from likeness.studio.run_summaries import pictures_only
from likeness.studio.workspace import Studio

MOST = 8  # LoRAs at a time
RUN, MODEL = "run:", "model:"
_EPOCH = re.compile(r"(?P<run>.+)[/:](epoch-)?(?P<epoch>\d{1,6})")


@dataclass(frozen=True)
class LoraChoice:
    """`lora`: 'model:ID' or 'model:NAME', or just the ID; 'run:NAME/EPOCH'. `strength`: None for the model's own.

    `epoch`: of the run 'run:NAME', or another one of the run that a model came from.
    """

    lora: str
    strength: float | None = None
    epoch: int | None = None


@dataclass(frozen=True)
class Chosen:
    """A LoRA that is there. `triggers`: words that call it up; several of a merged one."""

    lora: str  # as LoraChoice, in one form
    path: Path
    strength: float
    name: str
    sha256: str
    base: str
    family: str
    triggers: tuple[str, ...] = ()
    kind: str = ""
    parts_from: str | None = None
    model_id: str | None = None
    run: str | None = None
    epoch: int | None = None

    def told(self) -> dict[str, Any]:
        """What is kept of it with a picture or a merge."""
        return {"lora": self.lora, "name": self.name, "strength": self.strength, "sha256": self.sha256,
                "triggers": list(self.triggers)}  # fmt: skip


def choose(studio: Studio, choices: Sequence[LoraChoice]) -> list[Chosen]:
    """Raises NotFound for one that is not there, InputError for too many or a strength out of range."""
    if len(choices) > MOST:
        raise InputError(f"loras: {len(choices)} are too many. Fix: at most {MOST}")
    return [_chosen(studio, choice) for choice in choices]


def _chosen(studio: Studio, choice: LoraChoice) -> Chosen:
    low, high = models.STRENGTHS
    if choice.strength is not None and not low <= choice.strength <= high:
        raise InputError(f"loras: strength {choice.strength:g} is out of range. Fix: from {low:g} to {high:g}")
    if choice.lora.startswith(RUN):
        text = choice.lora.removeprefix(RUN) + ("" if choice.epoch is None else f"/{choice.epoch}")
        return _of_run(studio, text, 1.0 if choice.strength is None else choice.strength)
    model = find_model(studio, choice.lora.removeprefix(MODEL))
    if choice.epoch not in (None, model.epoch):
        if model.run is None:
            raise InputError(f"loras: '{model.name}' has one file only, whatever its epoch. Fix: leave the epoch out")
        return _of_run(studio, f"{model.run}/{choice.epoch}", 1.0 if choice.strength is None else choice.strength)
    strength = model.strength if choice.strength is None else choice.strength
    return of_model(studio, model, strength)


def find_model(studio: Studio, name: str) -> Model:
    """A model by id, or by its name where only one has it. Raises NotFound, InputError for a name that several have."""
    with studio.database.reading() as session:
        found = session.get(Model, name)
        if found is not None and found.deleted is None:
            return found
        named = list(session.scalars(select(Model).where(Model.name == name, Model.deleted.is_(None)).limit(2)))
    if len(named) > 1:
        raise InputError(f"loras: several models are called '{name}'. Fix: take the id of one")
    return named[0] if named else models.get(studio, name)


def of_model(studio: Studio, model: Model, strength: float) -> Chosen:
    """Raises NotFound where its file is gone."""
    parts_from = mapping(model.card.get("base")).get("parts_from")
    return Chosen(
        lora=f"{MODEL}{model.id}",
        path=models.lora_path(studio, model),
        strength=strength,
        name=model.name,
        sha256=model.sha256,
        base=model.base,
        family=model.family,
        triggers=triggers_of(model),
        kind=model.kind,
        parts_from=str(parts_from) if parts_from else None,
        model_id=model.id,
        run=model.run,
        epoch=model.epoch,
    )


def triggers_of(model: Model) -> tuple[str, ...]:
    """A merged model has those of all that it was made of."""
    parts = model.trigger.split(", ") if model.card.get("made") else [model.trigger]
    return tuple(part for part in parts if part)


def _of_run(studio: Studio, text: str, strength: float) -> Chosen:
    match = _EPOCH.fullmatch(text)
    if match is None:
        raise InputError(f"loras: 'run:{one_line(text)[:80]}' names no epoch. Fix: write run:NAME/EPOCH")
    run, epoch = match["run"], int(match["epoch"])
    history = read_history(pictures_only(studio, run))
    path = history.checkpoints.get(epoch)
    if path is None:
        there = ", ".join(map(str, history.checkpoints)) or "none yet"
        raise NotFound(f"loras: run '{run}' has no LoRA file of epoch {epoch}. Fix: choose from: {there}")
    trigger, parts_from = str(history.config("trigger") or ""), history.config("model.parts_from")
    return Chosen(
        lora=f"{RUN}{run}/{epoch}",
        path=path.resolve(),
        strength=strength,
        name=f"{history.name} epoch {epoch}",
        sha256=sha256_of(path),
        base=str(history.config("base") or ""),
        family=str(mapping(history.run_json.get("base")).get("family") or ""),
        triggers=(trigger,) if trigger else (),
        kind=str(history.config("kind") or ""),
        parts_from=str(parts_from) if parts_from else None,
        run=run,
        epoch=epoch,
    )


# --- what goes together


@dataclass(frozen=True)
class Base:
    """A base model to draw on, and where the parts are that its own file lacks."""

    name: str
    parts_from: str | None = None


def base_for(chosen: Sequence[Chosen], asked: str = "") -> Base:
    """The base that is asked for, else that of the first LoRA that tells.

    Raises InputError where none is known, or a LoRA is of another family than the base.
    """
    trust.check("base", asked)
    teller = next((c for c in chosen if c.base), None)
    base = asked or (teller.base if teller else "")
    if not base:
        raise InputError("base: nobody tells which base to draw on. Fix: name one, such as 'starter'")
    parts_from = next((c.parts_from for c in chosen if c.base == base and c.parts_from), None)
    card = resolve_base(base, choice=Choice(parts_from=parts_from))
    for one in chosen:
        if one.family and one.family != card.family:
            raise InputError(
                f"base: '{one.name}' is a LoRA for family {one.family}, and '{card.name}' is of {card.family}. "
                f"Fix: take another base{f', such as {one.base}' if one.base else ''}, or leave the LoRA out"
            )
    return Base(base, parts_from)


def doubts(chosen: Sequence[Chosen], base: str) -> list[str]:
    """What may go wrong with these on this base, in words."""
    others = [c for c in chosen if c.base and c.base != base and c.strength != 0]
    return [f"'{c.name}' was trained on {c.base}; on {base} it may look otherwise, or not fit." for c in others]


@dataclass(frozen=True)
class TriggerHelp:
    """Triggers that a prompt lacks, by LoRA, and the prompt with them."""

    missing: list[tuple[str, str]]  # (LoRA's name, trigger)
    prompt: str

    def in_words(self) -> list[str]:
        return [f"The prompt does not hold '{trigger}', which calls up '{name}'." for name, trigger in self.missing]


def trigger_help(prompt: str, chosen: Sequence[Chosen]) -> TriggerHelp:
    """LoRAs at strength 0 need no trigger."""
    missing = [
        (one.name, trigger)
        for one in chosen
        if one.strength != 0
        for trigger in one.triggers
        if not has_trigger(prompt, trigger)
    ]
    words = list(dict.fromkeys(trigger for _, trigger in missing))
    return TriggerHelp(missing, ", ".join(filter(None, [*words, prompt.strip()])))
