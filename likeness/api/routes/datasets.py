"""Datasets: made, listed, changed, versions of them, undo, and how they leave."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import StreamingResponse
from pydantic import AliasChoices, Field

from likeness.api.shapes import Asked, Opened, Told
from likeness.api.streams import SAVED
from likeness.store.tables import Dataset
from likeness.studio import datasets
from likeness.studio.datasets import copying, files, steps
from likeness.studio.datasets.freezing import Difference
from likeness.studio.workspace import Studio

router = APIRouter(prefix="/datasets", tags=["datasets"])

Trigger = Annotated[
    str, Field(validation_alias=AliasChoices("trigger", "trigger_word", "triggerWord", "trigger_phrase"))
]
Description = Annotated[str, Field(validation_alias=AliasChoices("description", "shortDescription"))]
Number = Annotated[int, Path(ge=1, le=10**6)]


class DatasetMaking(Asked):
    name: str
    kind: str = Field(default="character", description=f"One of {', '.join(datasets.KINDS)}.")
    trigger: Trigger = ""
    base: str = Field(default="", description="That it is checked for; empty for none.")
    description: Description = ""


class DatasetChange(Asked):
    name: str = ""
    kind: str = ""
    trigger: Trigger = ""
    base: str = ""
    description: Description = ""


class Duplicate(Asked):
    name: str = Field(default="", description="Empty for the old name with 'copy' behind it.")
    version: int | None = Field(default=None, ge=1, le=10**6, description="That is copied; unset: as it is now.")


class DatasetTold(Told):
    id: str
    name: str
    kind: str
    trigger: str
    base: str
    description: str
    created: float
    updated: float
    deleted: float | None = Field(description="In the bin since then.")
    pictures: int
    cover: list[str] = Field(description="Names of a few pictures to know it by.")


class DatasetsTold(Told):
    datasets: list[DatasetTold]
    total: int


class VersionTold(Told):
    number: int
    digest: str = Field(description="SHA-256 of names, contents and captions.")
    pictures: int
    note: str
    created: float


class VersionsTold(Told):
    versions: list[VersionTold]


class VersionMaking(Asked):
    note: str = Field(default="", max_length=1000)


class CaptionChanged(Told):
    name: str = Field(description="Of the caption's file, without its ending.")
    before: str
    after: str


class ChangesTold(Told):
    same: bool
    added: list[str]
    removed: list[str]
    replaced: list[str]
    captions: list[CaptionChanged]
    others: list[str] = Field(description="Crop boxes, masks and lists of pairs that came, went or changed.")


class StepTold(Told):
    number: int
    what: str
    time: float
    files: list[str]
    undone: bool


class StepsTold(Told):
    steps: list[StepTold]


class Undo(Asked):
    step: int | None = Field(default=None, ge=1, le=10**9, description="Unset: the last one that stands.")


class UndoneTold(Told):
    step: StepTold
    left: list[str] = Field(description="Files that have changed since, and stay as they are.")


def told(studio: Studio, row: Dataset) -> DatasetTold:
    """A dataset with what its folder says."""
    facts = {name: getattr(row, name) for name in DatasetTold.model_fields if name not in ("pictures", "cover")}
    return DatasetTold(**facts, pictures=files.count(studio, row.id), cover=files.cover(studio, row.id))


@router.get("")
def list_datasets(
    studio: Opened,
    search: Annotated[str, Query(max_length=200)] = "",
    kind: str | None = None,
    deleted: bool = False,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> DatasetsTold:
    """Those changed last first. `deleted`: those in the bin."""
    rows, total = datasets.listed(studio, search=search, kind=kind, deleted=deleted, limit=limit, offset=offset)
    return DatasetsTold(datasets=[told(studio, row) for row in rows], total=total)


@router.post("", status_code=201)
def create_dataset(studio: Opened, asked: DatasetMaking) -> DatasetTold:
    return told(studio, datasets.create(studio, **asked.model_dump()))


@router.get("/{dataset}")
def get_dataset(studio: Opened, dataset: str) -> DatasetTold:
    """By id or name."""
    return told(studio, datasets.get(studio, dataset))


@router.patch("/{dataset}")
def change_dataset(studio: Opened, dataset: str, asked: DatasetChange) -> DatasetTold:
    """What is not named stays."""
    return told(studio, datasets.change(studio, dataset, **asked.model_dump(exclude_unset=True)))


@router.delete("/{dataset}", status_code=204)
def delete_dataset(studio: Opened, dataset: str, forever: bool = False) -> None:
    """Put it into the bin; with `forever`, delete what is in the bin, by its id, for good."""
    if forever:
        datasets.erase(studio, dataset)
    else:
        datasets.delete(studio, dataset)


@router.post("/{dataset}/restore")
def restore_dataset(studio: Opened, dataset: str) -> DatasetTold:
    """Take it out of the bin, by its id."""
    return told(studio, datasets.restore(studio, dataset))


@router.post("/{dataset}/duplicate", status_code=201)
def duplicate_dataset(studio: Opened, dataset: str, asked: Duplicate) -> DatasetTold:
    return told(studio, copying.duplicate(studio, dataset, asked.name, asked.version))


@router.get(
    "/{dataset}/export", response_class=StreamingResponse, responses={200: {"content": {"application/zip": {}}}}
)
def export_dataset(
    studio: Opened, dataset: str, version: Annotated[int | None, Query(ge=1, le=10**6)] = None
) -> StreamingResponse:
    """All pictures and captions as a zip file, which can be put into another dataset."""
    made = copying.export(studio, dataset, version)
    head = {"Content-Disposition": f'attachment; filename="{made.name}"', "Cache-Control": "private", **SAVED}
    return StreamingResponse(made.chunks, media_type="application/zip", headers=head)


# --- versions


@router.get("/{dataset}/versions")
def list_versions(studio: Opened, dataset: str) -> VersionsTold:
    """The newest first."""
    return VersionsTold(versions=[VersionTold.model_validate(v) for v in datasets.versions(studio, dataset)])


@router.post("/{dataset}/versions", status_code=201)
def freeze_dataset(studio: Opened, dataset: str, asked: VersionMaking) -> VersionTold:
    """Keep it as it is now; where it was like this before, that version is told."""
    return VersionTold.model_validate(datasets.freeze(studio, dataset, asked.note))


@router.get("/{dataset}/versions/{number}")
def get_version(studio: Opened, dataset: str, number: Number) -> VersionTold:
    return VersionTold.model_validate(datasets.version(studio, dataset, number))


@router.get("/{dataset}/versions/{number}/changes")
def compare_versions(
    studio: Opened, dataset: str, number: Number, to: Annotated[int | None, Query(ge=1, le=10**6)] = None
) -> ChangesTold:
    """What changed from a version to another one, or to the dataset as it is now."""
    return _changes(datasets.compare(studio, dataset, number, to))


@router.post("/{dataset}/versions/{number}/restore")
def bring_version_back(studio: Opened, dataset: str, number: Number) -> ChangesTold:
    """Make the dataset what it was, as a step that can be undone. What it is now is kept as a version first."""
    return _changes(datasets.bring_back(studio, dataset, number))


def _changes(found: Difference) -> ChangesTold:
    captions = [CaptionChanged(name=name, before=before, after=after) for name, before, after in found.captions]
    return ChangesTold(same=found.same, added=found.added, removed=found.removed, replaced=found.replaced,
                       captions=captions, others=found.others)  # fmt: skip


# --- undo


@router.get("/{dataset}/steps")
def list_steps(studio: Opened, dataset: str, limit: Annotated[int, Query(ge=1, le=1000)] = 20) -> StepsTold:
    """What was done to its files, the last first. Each can be undone."""
    return StepsTold(steps=[StepTold.model_validate(step) for step in steps.listed(studio, dataset, limit)])


@router.post("/{dataset}/undo")
def undo_step(studio: Opened, dataset: str, asked: Undo) -> UndoneTold:
    step, left = steps.undo(studio, dataset, asked.step)
    return UndoneTold(step=StepTold.model_validate(step), left=left)
