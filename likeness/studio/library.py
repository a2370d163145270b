"""Lists of the library: searched, filtered, sorted, by pages; and who comes from whom."""

from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, String, cast, func, or_, select
from sqlalchemy.orm import Session

from likeness.report.history import mapping
from likeness.store.tables import Model, Tag
from likeness.studio import models
from likeness.studio.workspace import Studio

Sort = Literal["newest", "oldest", "changed", "name", "largest"]
_ORDER: dict[str, tuple[Any, ...]] = {
    "newest": (Model.created.desc(), Model.id),
    "oldest": (Model.created, Model.id),
    "changed": (Model.updated.desc(), Model.id),
    "name": (func.lower(Model.name), Model.id),
    "largest": (Model.size_bytes.desc(), Model.id),
}
MOST_WORDS = 10  # of a search


@dataclass(frozen=True)
class Filter:
    """Every word of `search` must stand in name, description, trigger, base or a tag. `tags`: all of them."""

    search: str = ""
    base: str | None = None
    family: str | None = None
    kind: str | None = None
    origin: str | None = None
    run: str | None = None
    tags: tuple[str, ...] = ()
    archived: bool = False
    binned: bool = False


@dataclass(frozen=True)
class Page:
    """`total`: how many there are on all pages."""

    models: list[Model]
    tags: dict[str, list[str]]  # by model
    total: int


def listed(studio: Studio, wanted: Filter, sort: Sort = "newest", limit: int = 60, offset: int = 0) -> Page:
    """One page of the models that pass the filter."""
    with studio.database.reading() as session:
        total = session.scalar(_where(select(func.count()).select_from(Model), wanted)) or 0
        query = _where(select(Model), wanted).order_by(*_ORDER[sort]).offset(offset).limit(limit)
        found = list(session.scalars(query))
    return Page(found, models.tags_of(studio, [model.id for model in found]), total)


def _where(query: Select[Any], wanted: Filter) -> Select[Any]:
    query = query.where(Model.deleted.is_not(None) if wanted.binned else Model.deleted.is_(None))
    if not wanted.binned:
        query = query.where(Model.archived == wanted.archived)
    for column, value in (
        (Model.base, wanted.base),
        (Model.family, wanted.family),
        (Model.kind, wanted.kind),
        (Model.origin, wanted.origin),
        (Model.run, wanted.run),
    ):
        if value is not None:
            query = query.where(column == value)
    for tag in wanted.tags:
        query = query.where(Model.id.in_(select(Tag.model_id).where(Tag.tag == tag.strip().lower())))
    for word in wanted.search.split()[:MOST_WORDS]:
        texts = (Model.name, Model.description, Model.trigger, Model.base)
        tagged = Model.id.in_(select(Tag.model_id).where(Tag.tag.icontains(word, autoescape=True)))
        query = query.where(or_(tagged, *(text.icontains(word, autoescape=True) for text in texts)))
    return query


@dataclass(frozen=True)
class Choices:
    """What can be filtered by, with how many models there are of each, most first."""

    bases: dict[str, int]
    kinds: dict[str, int]
    tags: dict[str, int]
    archived: int
    binned: int


def choices(studio: Studio) -> Choices:
    """Counted over all models outside of archive and bin."""
    with studio.database.reading() as session:
        shown = (Model.deleted.is_(None), Model.archived.is_(False))
        tagged = select(Tag.tag, func.count()).join(Model, Model.id == Tag.model_id).where(*shown).group_by(Tag.tag)
        return Choices(
            bases=_counts(session, select(Model.base, func.count()).where(*shown).group_by(Model.base)),
            kinds=_counts(session, select(Model.kind, func.count()).where(*shown).group_by(Model.kind)),
            tags=_counts(session, tagged),
            archived=_count(session, Model.deleted.is_(None), Model.archived.is_(True)),
            binned=_count(session, Model.deleted.is_not(None)),
        )


def _counts(session: Session, query: Select[str, int]) -> dict[str, int]:
    rows = [(row[0], row[1]) for row in session.execute(query)]
    return dict(sorted(rows, key=lambda row: (-row[1], row[0])))


def _count(session: Session, *where: ColumnElement[bool]) -> int:
    return session.scalar(select(func.count()).select_from(Model).where(*where)) or 0


# --- the family tree


@dataclass(frozen=True)
class Relative:
    """A model, or a file that is known by its name alone: then `model_id` is empty. `how`: what made the next one."""

    name: str
    model_id: str = ""
    epoch: int | None = None
    strength: float | None = None
    relatives: "list[Relative]" = field(default_factory=list["Relative"])


@dataclass(frozen=True)
class Family:
    """Of one model: what it was made of, with what those were made of; what was made of it; epochs of its run."""

    ancestors: list[Relative]
    descendants: list[Relative]
    siblings: list[Relative]


MOST_GENERATIONS = 12


def family(studio: Studio, model_id: str) -> Family:
    """Raises NotFound."""
    model = models.get(studio, model_id)
    with studio.database.reading() as session:
        siblings: list[Relative] = []
        if model.run is not None:
            query = select(Model).where(Model.run == model.run, Model.id != model.id, Model.deleted.is_(None))
            siblings = [Relative(m.name, m.id, m.epoch) for m in session.scalars(query.order_by(Model.epoch).limit(50))]
        return Family(_ancestors(session, model, {model.id}), _descendants(session, model, {model.id}), siblings)


def _ancestors(session: Session, model: Model, seen: set[str]) -> list[Relative]:
    if len(seen) > MOST_GENERATIONS:
        return []
    known = [m for m in (session.get(Model, i) for i in model.parents) if m is not None and m.id not in seen]
    found: list[Relative] = []
    told = {str(row.get("sha256")): row for row in map(mapping, model.card.get("lineage") or [])}
    for parent in known:
        row = told.pop(parent.sha256, {})
        name = parent.name if parent.deleted is None else f"{parent.name} (in the bin)"
        above = _ancestors(session, parent, seen | {parent.id})
        found.append(Relative(name, parent.id, parent.epoch, _number(row.get("strength")), above))
    for row in told.values():  # files that are not in the library
        epoch = row.get("epoch")
        found.append(Relative(str(row.get("name") or "a LoRA"), "", epoch if isinstance(epoch, int) else None,
                              _number(row.get("strength"))))  # fmt: skip
    return found


def _descendants(session: Session, model: Model, seen: set[str]) -> list[Relative]:
    if len(seen) > MOST_GENERATIONS:
        return []
    query = select(Model).where(
        cast(Model.parents, String).contains(f'"{model.id}"'), Model.deleted.is_(None), Model.id.not_in(seen)
    )
    return [
        Relative(m.name, m.id, m.epoch, None, _descendants(session, m, seen | {m.id}))
        for m in session.scalars(query.order_by(Model.created).limit(50))
    ]


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None
