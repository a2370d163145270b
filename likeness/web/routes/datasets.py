"""Datasets: their shelf, and the page of each. Its pictures are in a panel of their own (see `dataset_panel`)."""

from dataclasses import asdict, dataclass
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Path, Query, Request, Response
from fastapi.responses import HTMLResponse

from likeness.api.shapes import Opened
from likeness.catalog import CARDS
from likeness.errors import InputError
from likeness.store.tables import Dataset
from likeness.studio import datasets
from likeness.studio.datasets import copying, files, freezing
from likeness.studio.workspace import Studio
from likeness.web.pages import by_field, go, page, part

router = APIRouter(prefix="/datasets")

PAGE = 48  # datasets at a time
TELL_PICTURES = '{"dataset-pictures": {"target": "body"}}'  # event: for the pictures, where they have changed
KINDS = (
    ("character", "A character"), ("style", "A style"), ("product", "A product"), ("environment", "A place"),
    ("edit", "An edit, from pairs before and after"),
)  # fmt: skip
Text = Annotated[str, Form()]
Number = Annotated[int, Path(ge=1, le=10**6)]


@dataclass(frozen=True)
class Asked:
    """What stands in the fields of a dataset's settings."""

    name: str = ""
    kind: str = "character"
    trigger: str = ""
    base: str = ""
    description: str = ""


# --- the shelf


@router.get("")
def show_datasets(
    request: Request, studio: Opened, search: Annotated[str, Query(max_length=200)] = "", kind: str = "",
    bin: bool = False, offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> HTMLResponse:  # fmt: skip
    """To htmx the shelf alone; with an offset, what comes after so many."""
    shown = _shelf(studio, search, kind, bin, offset)
    if offset:
        return part(request, "datasets.html", "more", **shown)
    if request.headers.get("HX-Request"):
        return part(request, "datasets.html", "shelf", **shown)
    return page(request, "datasets.html", **shown)


def _shelf(studio: Studio, search: str = "", kind: str = "", bin: bool = False, offset: int = 0) -> dict[str, Any]:
    rows, total = datasets.listed(studio, search=search, kind=kind or None, deleted=bin, limit=PAGE, offset=offset)
    asked = {"search": search, "kind": kind, "bin": "true" if bin else "", "offset": offset + PAGE}
    following = urlencode([(name, value) for name, value in asked.items() if value])
    return {
        "rows": rows, "total": total, "search": search, "kind": kind, "bin": bin,
        "covers": {row.id: files.cover(studio, row.id) for row in rows},
        "counts": {row.id: files.count(studio, row.id) for row in rows},
        "binned": datasets.listed(studio, deleted=True, limit=1)[1],
        "next": f"/datasets?{following}" if offset + PAGE < total else "",
    } | _form(Asked())  # fmt: skip


@router.post("")
def create(
    request: Request, studio: Opened, name: Text = "", kind: Text = "character", trigger: Text = "", base: Text = ""
) -> Response:
    """What is wrong is told at its field, in the dialog that stays open."""
    try:
        return go(request, f"/datasets/{datasets.create(studio, name, kind, trigger, base).id}")
    except InputError as e:
        return part(request, "datasets.html", "new", **_form(Asked(name, kind, trigger, base), by_field(e)))


def _form(asked: Asked, errors: dict[str, str] | None = None) -> dict[str, Any]:
    bases = list(CARDS) + ([asked.base] if asked.base and asked.base not in CARDS else [])
    return {"asked": asked, "errors": errors or {}, "kinds": KINDS, "bases": [(base, base) for base in bases]}


# --- one dataset


@router.get("/{dataset}")
def show_dataset(request: Request, studio: Opened, dataset: str) -> HTMLResponse:
    return page(request, "dataset.html", **_dataset(studio, datasets.get(studio, dataset, deleted=True)))


def _dataset(studio: Studio, row: Dataset) -> dict[str, Any]:
    asked = Asked(**{field: getattr(row, field) for field in asdict(Asked())})
    versions = datasets.versions(studio, row.id)
    return {"row": row, "versions": versions, "used": freezing.used_by(studio, row.id)} | _form(asked)


@router.post("/{dataset}/edit")
def edit(
    request: Request, studio: Opened, dataset: str, name: Text = "", kind: Text = "", trigger: Text = "",
    base: Text = "", description: Text = "",
) -> Response:  # fmt: skip
    row, asked = datasets.get(studio, dataset), Asked(name, kind, trigger, base, description)
    try:
        datasets.change(studio, row.id, **asdict(asked))
    except InputError as e:
        shown = _dataset(studio, row) | _form(asked, by_field(e))
        return part(request, "dataset.html", "edit", **shown)
    return go(request, f"/datasets/{row.id}")


@router.post("/{dataset}/delete")
def delete(request: Request, studio: Opened, dataset: str) -> Response:
    row = datasets.delete(studio, dataset)
    return go(request, f"/datasets/{row.id}")


@router.post("/{dataset}/restore")
def restore(request: Request, studio: Opened, dataset: str) -> Response:
    return go(request, f"/datasets/{datasets.restore(studio, dataset).id}")


@router.post("/{dataset}/erase")
def erase(request: Request, studio: Opened, dataset: str) -> Response:
    datasets.erase(studio, dataset)
    return go(request, "/datasets?bin=true")


@router.post("/{dataset}/duplicate")
def duplicate(request: Request, studio: Opened, dataset: str) -> Response:
    return go(request, f"/datasets/{copying.duplicate(studio, dataset).id}")


# --- versions


@router.post("/{dataset}/freeze")
def freeze(request: Request, studio: Opened, dataset: str, note: Text = "") -> HTMLResponse:
    before = {version.number for version in datasets.versions(studio, dataset)}
    made = datasets.freeze(studio, dataset, note[:1000])
    new = "is kept" if made.number not in before else "has this very content already"
    return _versions(request, studio, dataset, f"Version {made.number} {new}.")


@router.get("/{dataset}/versions/{number}/changes")
def show_changes(request: Request, studio: Opened, dataset: str, number: Number) -> HTMLResponse:
    found = datasets.compare(studio, dataset, number)
    return part(request, "_dataset_changes.html", found=found, number=number)


@router.post("/{dataset}/versions/{number}/restore")
def bring_back(request: Request, studio: Opened, dataset: str, number: Number) -> HTMLResponse:
    datasets.bring_back(studio, dataset, number)
    answer = _versions(request, studio, dataset, f"The dataset is what it was in version {number}.")
    answer.headers["HX-Trigger"] = TELL_PICTURES
    return answer


def _versions(request: Request, studio: Studio, dataset: str, toast: str) -> HTMLResponse:
    shown = _dataset(studio, datasets.get(studio, dataset))
    return part(request, "dataset.html", "versions", toast=toast, **shown)
