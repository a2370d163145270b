"""The whole of a training on one page: path, base, pictures, test prompts, parameters, cost, start."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse

from likeness.api.shapes import Opened
from likeness.catalog import Card, find_card, resolve_base
from likeness.config.plan import Suggestion
from likeness.errors import Conflict, InputError, NotFound
from likeness.service.costs import Figure
from likeness.store.tables import Dataset
from likeness.studio import datasets, runs
from likeness.studio.bases import Base, bases
from likeness.studio.datasets import checking, files
from likeness.studio.references import DATASET
from likeness.studio.workspace import Studio
from likeness.web.filters import duration, size
from likeness.web.pages import by_field, go, page, part, said
from likeness.web.train_form import BASIC, PREFIX, Filled, Row, fill, groups, read, settings

router = APIRouter()
MOST_DATASETS, MOST_SOURCES = 500, 200
PATHS = (
    ("character", "Character", "A person, an animal, a figure: looks the same in every scene."),
    ("style", "Style", "A way of drawing, painting or photographing, on any subject."),
    ("product", "Product", "One thing, as it is, in new places."),
    ("environment", "Place", "A room, a street, a world to set scenes in."),
    ("edit", "Edit", "A change to pictures, learned from pairs before and after."),
)


async def _sent(request: Request) -> dict[str, list[str]]:
    """The form's fields; a name may be there several times."""
    form = await request.form(max_fields=2000)
    found: dict[str, list[str]] = {}
    for name, value in form.multi_items():
        if isinstance(value, str):
            found.setdefault(name, []).append(value)
    return found


Sent = Annotated[dict[str, list[str]], Depends(_sent)]


@dataclass(frozen=True)
class Shelf:
    """Bases of one family; `first` are those to look at first."""

    family: str
    first: list[Base]
    others: list[Base]


@router.get("/train")
def show_train(
    request: Request, studio: Opened, run: str = "", epoch: int | None = None, dataset: str = ""
) -> HTMLResponse:
    """The page; filled in from an earlier run, or for a dataset, where one is named."""
    filled = fill(runs.retrain(studio, run, epoch) if run else _first(studio, dataset))
    kind = filled.top["kind"] or "character"
    card = _card(filled.top["base"])
    shown: dict[str, Any] = {"filled": filled, "paths": PATHS, "kind": kind, "origin": (run, epoch), "basic": BASIC,
                             "fields": settings(card), "groups": groups(card), "rows": filled.rows}  # fmt: skip
    shown |= _shelves(studio, kind, filled.top["base"])
    shown |= _pictures(studio, kind, filled.dataset, filled.top["trigger"])
    return page(request, "train.html", **shown)


@router.post("/train/path")
def show_path(request: Request, studio: Opened, sent: Sent) -> HTMLResponse:
    """What another path changes: bases, datasets and test prompts."""
    kind = _one(sent, "kind") or "character"
    shown: dict[str, Any] = {"rows": _rows(sent), "kind": kind} | _shelves(studio, kind, _one(sent, "base"))
    shown |= _pictures(studio, kind, _one(sent, "dataset"), _one(sent, "trigger"))
    return part(request, "_train_parts.html", **shown)


@router.post("/train/dataset")
def show_dataset(request: Request, studio: Opened, sent: Sent) -> HTMLResponse:
    """Another dataset was chosen: its pictures, trigger and a name for the run."""
    path, kind = _one(sent, "dataset"), _one(sent, "kind")
    chosen = _chosen(studio, path)
    trigger = chosen.trigger if chosen and chosen.trigger else _one(sent, "trigger")
    name = _one(sent, "name") or _name_for(studio, chosen)
    shown: dict[str, Any] = {"name": name, "kind": kind, "rows": _rows(sent)}
    shown |= _pictures(studio, kind, path, trigger)
    return part(request, "_train_parts.html", **shown)


@router.post("/train/datasets")
def make_dataset(request: Request, studio: Opened, sent: Sent) -> HTMLResponse:
    """A new, empty dataset, chosen at once."""
    kind = _one(sent, "kind") or "character"
    name = _one(sent, "new-dataset") or _free_dataset(studio, kind)
    made = datasets.create(studio, name, kind, trigger=_one(sent, "trigger"))
    return show_dataset(request, studio, sent | {"dataset": [f"{DATASET}{made.name}"]})


@router.post("/train/prompts")
def suggest_prompts(request: Request, studio: Opened, sent: Sent) -> HTMLResponse:
    """Test prompts from the captions, in the rows that are empty."""
    chosen = _chosen(studio, _one(sent, "dataset"))
    if chosen is None:
        raise InputError("dataset: choose one first, so that its captions can be read. Fix: step 3")
    rows, ideas = _rows(sent), [idea.prompt for idea in checking.suggest(studio, chosen.id).ideas]
    written = {row.prompt for row in rows}
    fresh = iter([idea for idea in ideas if idea not in written])
    sources = _sources(studio, chosen)
    spread = [sources[i * len(sources) // len(rows)][0] for i in range(len(rows))]  # another picture for each
    if len(sources) > 1:
        spread[0] = sources[1][0]
    rows = [
        row if row.prompt else Row(next(fresh, ""), row.reference or source, row.more)
        for row, source in zip(rows, spread, strict=True)
    ]
    shown: dict[str, Any] = {"rows": rows, "kind": _one(sent, "kind"), "sources": sources}
    return part(request, "_train_prompts.html", **shown)


@router.post("/train/plan")
def show_plan(request: Request, studio: Opened, sent: Sent) -> HTMLResponse:
    """What the run would be and cost, or what is wrong and where."""
    context: dict[str, Any] = {"planned": None, "errors": {}, "waiting": "", "fields": settings(), "advice": []}
    chosen = _chosen(studio, _one(sent, "dataset"))
    if not _one(sent, "dataset"):
        context["waiting"] = "Choose pictures to learn from."
    elif chosen and not files.count(studio, chosen.id):
        context["waiting"] = "Drop pictures into the dataset."
    else:
        try:
            context |= _planned(studio, sent)
        except InputError as e:
            context["errors"] = by_field(e)
    return part(request, "_train_plan.html", **context)


@router.post("/train/start")
def start(request: Request, studio: Opened, sent: Sent) -> Response:
    """Start exactly the plan that was shown."""
    epoch = _one(sent, "parent-epoch")
    try:
        started = runs.start(
            studio, read(sent), _one(sent, "digest"), parent_run=_one(sent, "parent-run") or None,
            parent_epoch=int(epoch) if epoch.isdecimal() else None,
        )  # fmt: skip
    except Conflict as e:
        return said(str(e), "error", status=409)
    return go(request, f"/runs/{started.name}")


# --- what the parts show


def _planned(studio: Studio, sent: Mapping[str, list[str]]) -> dict[str, Any]:
    planned = runs.plan(studio, read(sent))
    cost = planned.cost
    return {
        "planned": planned,
        "free_name": runs.free_name(studio, planned.name) if planned.name_taken else "",
        "ranges": {"time": _range(cost.time, duration), "memory": _range(cost.memory, size),
                   "disk": _range(cost.disk, size)},
        "advice": [_advice(suggestion) for suggestion in planned.suggestions],
    }  # fmt: skip


def _range(figure: Figure, told: Callable[[float], str]) -> str:
    """A figure as people read it: '3 min to 5 min'."""
    if figure.low is None:
        return "not known" if figure.high is None else f"at most {told(figure.high)}"
    if figure.high is None:
        return f"at least {told(figure.low)}"
    low, high = told(figure.low), told(figure.high)
    return high if low == high else f"{low} to {high}"


def _advice(suggestion: Suggestion) -> dict[str, str]:
    """A suggestion with the field it is for, and the value that a button would put there: the first that is named."""
    known = settings()
    number = re.match(r"[\d.]+(e-?\d+)?", suggestion.value)
    name = PREFIX + suggestion.field if suggestion.field in known else suggestion.field
    label = known[suggestion.field].label if suggestion.field in known else suggestion.field.capitalize()
    usable = suggestion.field in known and number is not None
    return {"name": name, "label": label, "value": suggestion.value, "reason": suggestion.reason,
            "use": number[0] if usable and number else ""}  # fmt: skip


def _first(studio: Studio, dataset: str) -> dict[str, Any]:
    """Settings to begin with: the starter is trained anywhere, and in minutes."""
    config: dict[str, Any] = {"base": "starter"}
    if dataset:
        row = datasets.get(studio, dataset)
        config |= {
            "kind": row.kind, "base": row.base or "starter", "trigger": row.trigger, "name": _name_for(studio, row),
            "data": {"datasets": [{"path": f"{DATASET}{row.name}"}]},
        }  # fmt: skip
    return config


def _shelves(studio: Studio, kind: str, base: str) -> dict[str, Any]:
    """The bases by family: those that can learn this kind, and among them first what one would train on here."""
    shelves: dict[str, Shelf] = {}
    usable = [one for one in bases(studio) if kind != "edit" or one.card.edits]
    for one in usable:
        shelf = shelves.setdefault(one.family, Shelf(one.family, [], []))
        best = not one.card.distilled and not one.card.successor and one.fits != "no"
        (shelf.first if best or one.card.name == base else shelf.others).append(one)
    own = "" if any(one.card.name == base for one in usable) else base
    return {"shelves": list(shelves.values()), "base": base, "own_base": own}


def _pictures(studio: Studio, kind: str, path: str, trigger: str) -> dict[str, Any]:
    """The datasets to choose from, and what is seen of the chosen one."""
    rows, _ = datasets.listed(studio, limit=MOST_DATASETS)
    fitting = [row for row in rows if (row.kind == "edit") == (kind == "edit")]
    offered = {f"{DATASET}{row.name}" for row in fitting}
    if (
        path.startswith(DATASET)
        and path not in offered
        and (chosen := _chosen(studio, path))
        and ((chosen.kind == "edit") != (kind == "edit"))
    ):
        path = ""  # pairs are of no use for a character, nor single pictures for an edit
    chosen = _chosen(studio, path)
    return {
        "datasets": [
            ("", "none chosen"),
            *((f"{DATASET}{row.name}", row.name) for row in fitting),
            *([(path, path.removeprefix(DATASET))] if path and path not in offered else []),
        ],
        "dataset": path,
        "chosen": chosen,
        "sources": _sources(studio, chosen),
        "trigger": trigger or (chosen.trigger if chosen else ""),
    }


def _sources(studio: Studio, chosen: Dataset | None) -> list[tuple[str, str]]:
    """Pictures that a test prompt of an edit can start from: those before. None comes first."""
    none = ("", "no source picture")
    if chosen is None or chosen.kind != "edit":
        return [none]
    found, _ = files.listed(studio, chosen.id, limit=MOST_SOURCES)
    names = dict.fromkeys(source for picture in found for source in picture.sources)
    return [none, *((f"{DATASET}{chosen.name}/{name}", name) for name in names)]


def _chosen(studio: Studio, path: str) -> Dataset | None:
    """The dataset of the studio that a path names; None for any other path."""
    if not path.startswith(DATASET):
        return None
    try:
        return datasets.get(studio, re.sub(r"@\d+$", "", path.removeprefix(DATASET)))
    except NotFound:
        return None


def _rows(sent: Mapping[str, list[str]]) -> list[Row]:
    texts = {"prompt": sent.get("prompt", []), "reference": sent.get("reference", []),
             "prompt-more": sent.get("prompt-more", [])}  # fmt: skip
    try:
        prompts = read({"dataset": ["x"], **texts}).get("sampling", {}).get("prompts", [])
    except InputError:
        prompts = []
    filled: Filled = fill({"sampling": {"prompts": prompts}})
    return filled.rows


def _card(base: str) -> Card | None:
    """The Card of a base that is named; None where it is none, which the plan tells."""
    try:
        return find_card(base) or (resolve_base(base) if base else None)
    except InputError:
        return None


def _name_for(studio: Studio, row: Dataset | None) -> str:
    """A name for a run on a dataset, that no run has yet; '' where none comes to mind."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", row.name).strip("-.")[:60] if row else ""
    return runs.free_name(studio, stem) if stem and stem != "studio" else ""


def _free_dataset(studio: Studio, kind: str) -> str:
    """A name for a dataset that has none yet: 'character', 'character 2' …"""
    taken = {row.name for row in datasets.listed(studio, limit=10_000)[0]}
    return next(name for name in (kind, *(f"{kind} {n}" for n in range(2, 10**6))) if name not in taken)


def _one(sent: Mapping[str, list[str]], name: str) -> str:
    return next(iter(sent.get(name, ())), "").strip()
