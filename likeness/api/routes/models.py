"""Models: the LoRAs of the library."""

from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse, PlainTextResponse
from pydantic import AliasChoices, Field

from likeness.api import streams, uploading
from likeness.api.routes.jobs import JobTold
from likeness.api.shapes import Asked, Opened, Told, picture_file
from likeness.api.uploading import Arriving
from likeness.errors import InputError
from likeness.service.conversions import PEFT_CONFIG, Layout
from likeness.store.tables import Model
from likeness.studio import (
    bundles,
    examples,
    gallery,
    layouts,
    library,
    model_cards,
    models,
    publishing,
    thumbnails,
)
from likeness.studio.examples import Example
from likeness.studio.file_names import file_stem
from likeness.studio.library import Filter, Relative, Sort
from likeness.studio.models import Words
from likeness.studio.uploads import Incoming
from likeness.studio.workspace import Studio

router = APIRouter(prefix="/models", tags=["models"])
UPLOADS = "library"  # whose the files are that come in

Kind = Literal["character", "style", "product", "environment", "edit", ""]
Description = Annotated[str | None, Field(validation_alias=AliasChoices("description", "shortDescription"))]


class ModelShort(Told):
    """A model as lists show it."""

    id: str
    name: str
    description: str
    tags: list[str]
    base: str
    family: str
    kind: str
    trigger: str
    strength: float = Field(description="At which it is best used.")
    origin: str = Field(description="run, merge, import or copy.")
    run: str | None
    epoch: int | None
    parents: list[str] = Field(description="Ids of the models that it was made of.")
    file: str
    sha256: str
    size_bytes: int
    thumbnail: str | None
    created: float
    updated: float
    archived: bool
    deleted: float | None = Field(description="In the bin since then, in seconds since 1970.")


class ModelTold(ModelShort):
    examples: list[dict[str, Any]] = Field(description="Pinned pictures, with their settings.")
    card: dict[str, Any] = Field(description="How it was trained, and what was measured.")


class ModelsTold(Told):
    models: list[ModelShort]
    total: int


class ChoicesTold(Told):
    bases: dict[str, int]
    kinds: dict[str, int]
    tags: dict[str, int]
    archived: int
    binned: int


class RelativeTold(Told):
    name: str
    model_id: str = Field(description="Empty where the file is known by its name alone.")
    epoch: int | None
    strength: float | None
    relatives: list["RelativeTold"]


class FamilyTold(Told):
    ancestors: list[RelativeTold]
    descendants: list[RelativeTold]
    siblings: list[RelativeTold] = Field(description="Other epochs of its run.")


class Publish(Asked):
    """An epoch of a run, to be kept as a model."""

    run: str
    epoch: int = Field(ge=1, le=10**6)
    name: str = Field(default="", description="Empty: that of the run.")
    description: Description = None
    tags: list[str] = Field(default=[])
    strength: float = 1.0


class ModelChange(Asked):
    """What is given changes; all else stays."""

    name: str | None = None
    description: Description = None
    tags: list[str] | None = None
    strength: float | None = None
    kind: Kind | None = None
    base: str | None = None
    trigger: str | None = None
    archived: bool | None = None
    thumbnail: str | None = Field(default=None, description="Id of the example to show first.")


class Duplicate(Asked):
    name: str = ""


class Pin(Asked):
    """A picture to show with a model: one that was generated here."""

    picture: str = Field(description="Id of a generated picture.")


class Elsewhere(Asked):
    """A new folder on this machine, or a repository on the hub: one of the two."""

    folder: str | None = None
    repository: str | None = Field(default=None, description="owner/name")
    private: bool = True


class Published(Told):
    folder: str | None
    job: JobTold | None = Field(description="The upload to the hub; its result tells the address.")


class ConvertedTold(Told):
    layout: Layout
    state: layouts.State
    file_name: str
    job: JobTold | None


def short(model: Model, tags: list[str]) -> ModelShort:
    return ModelShort.model_validate({**_columns(model), "tags": tags})


def told(studio: Studio, model: Model) -> ModelTold:
    return ModelTold.model_validate({**_columns(model), "tags": models.tags_of(studio, [model.id])[model.id]})


def _columns(model: Model) -> dict[str, Any]:
    return {name: getattr(model, name) for name in ModelTold.model_fields if name != "tags"}


# --- lists, and coming in


@router.get("")
def list_models(
    studio: Opened,
    search: Annotated[str, Query(max_length=500)] = "",
    base: str | None = None,
    family: str | None = None,
    kind: str | None = None,
    origin: str | None = None,
    run: str | None = None,
    tag: Annotated[list[str] | None, Query(description="All of them.")] = None,
    archived: bool = False,
    binned: bool = False,
    sort: Sort = "newest",
    limit: Annotated[int, Query(ge=1, le=500)] = 60,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> ModelsTold:
    """The library, a page at a time. Every word of `search` stands in name, description, trigger, base or a tag."""
    wanted = Filter(search, base, family, kind, origin, run, tuple(tag or ()), archived, binned)
    page = library.listed(studio, wanted, sort, limit, offset)
    return ModelsTold(models=[short(m, page.tags[m.id]) for m in page.models], total=page.total)


@router.get("/choices")
def list_choices(studio: Opened) -> ChoicesTold:
    """What the library can be filtered by, with how many models there are of each."""
    return ChoicesTold.model_validate(library.choices(studio))


@router.post("", status_code=201)
def publish_model(studio: Opened, asked: Publish) -> ModelTold:
    """Keep an epoch of a run as a model, with its test pictures and the facts of the run."""
    model = models.publish(
        studio,
        asked.run,
        asked.epoch,
        name=asked.name,
        description=asked.description or "",
        tags=asked.tags,
        strength=asked.strength,
    )
    return told(studio, model)


RAW_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.put(
    "/upload/{file_name}",
    status_code=201,
    response_model=ModelTold,
    max_body_size=bundles.MOST_BYTES,
    openapi_extra=RAW_BODY,
)
async def upload_model(request: Request, studio: Opened, file_name: str, base: str = "", trigger: str = "",
                       kind: Kind = "") -> Response:  # fmt: skip
    """Import a LoRA as .safetensors, or a .likeness bundle with everything that belongs to it.

    `base`, `trigger` and `kind` are for a LoRA whose file does not tell. A transfer that was cut off can be gone on
    with, as described at the files of datasets.
    """
    words = Words(base=base or None, trigger=trigger or None, kind=kind or None)

    def use(incoming: Incoming) -> dict[str, Any]:
        return told(studio, take_in(studio, incoming.path, file_name, words)).model_dump(mode="json")

    return await uploading.receive(request, studio, Arriving(UPLOADS, file_name, bundles.MOST_BYTES, use))


@router.head("/upload/{file_name}")
def upload_so_far(request: Request, studio: Opened, file_name: str) -> Response:
    """How much of a file has arrived, as `Upload-Offset`."""
    return uploading.arrived(request, studio, UPLOADS, file_name)


def take_in(studio: Studio, path: Path, file_name: str, words: Words) -> Model:
    """Put an uploaded file into the library, by what its name says it is. Raises InputError, Conflict."""
    if file_name.lower().endswith(bundles.SUFFIXES):
        if words != Words():
            raise InputError("base, trigger, kind: a bundle tells them itself. Fix: leave them out")
        return bundles.import_bundle(studio, path)
    return models.import_lora(studio, path, file_name, words)


# --- one model


@router.get("/{model_id}")
def get_model(studio: Opened, model_id: str) -> ModelTold:
    return told(studio, models.get(studio, model_id, binned=True))


@router.patch("/{model_id}")
def change_model(studio: Opened, model_id: str, asked: ModelChange) -> ModelTold:
    """Change what is said of a model, archive it, or choose its thumbnail."""
    words = Words(asked.name, asked.description, asked.tags, asked.strength, asked.kind, asked.base, asked.trigger)
    if asked.thumbnail is not None:
        examples.find(models.get(studio, model_id), asked.thumbnail)
    model = models.update(studio, model_id, words)
    if asked.archived is not None:
        model = models.archive(studio, model_id, asked.archived)
    if (example_id := asked.thumbnail) is not None:
        model = models.change(studio, model_id, lambda m: examples.show_first(m, example_id))
    return told(studio, model)


@router.delete("/{model_id}")
def delete_model(studio: Opened, model_id: str) -> ModelTold:
    """Into the bin. It can be put back for 30 days."""
    return told(studio, models.delete_model(studio, model_id))


@router.post("/{model_id}/restore")
def restore_model(studio: Opened, model_id: str) -> ModelTold:
    """Out of the bin."""
    return told(studio, models.restore(studio, model_id))


@router.post("/{model_id}/remove", status_code=204)
def remove_model(studio: Opened, model_id: str) -> None:
    """Out of the bin for good, files and all."""
    models.remove(studio, model_id)


@router.post("/{model_id}/duplicate", status_code=201)
def duplicate_model(studio: Opened, model_id: str, asked: Duplicate) -> ModelTold:
    """A second entry with the same file, to be named and tagged otherwise."""
    return told(studio, models.duplicate(studio, model_id, asked.name))


@router.get("/{model_id}/family")
def get_family(studio: Opened, model_id: str) -> FamilyTold:
    """What it was made of, what was made of it, and other epochs of its run."""
    found = library.family(studio, model_id)
    return FamilyTold(
        ancestors=[_relative(r) for r in found.ancestors],
        descendants=[_relative(r) for r in found.descendants],
        siblings=[_relative(r) for r in found.siblings],
    )


def _relative(one: Relative) -> RelativeTold:
    return RelativeTold.model_validate(one)


# --- its pictures


@router.post("/{model_id}/examples", status_code=201)
def pin_example(studio: Opened, model_id: str, asked: Pin) -> ModelTold:
    """Show a generated picture with the model. It is copied, so it stays when the other is deleted."""
    return told(studio, pin_picture(studio, model_id, asked.picture))


def pin_picture(studio: Studio, model_id: str, picture_id: str) -> Model:
    """Raises NotFound, Conflict where the model has too many examples."""
    row = gallery.get(studio, picture_id)
    example = Example(gallery.path_of(studio, row), gallery.settings_told(row))
    return models.change(studio, model_id, lambda model: examples.pin(studio, model, example))


@router.delete("/{model_id}/examples/{example_id}")
def unpin_example(studio: Opened, model_id: str, example_id: str) -> ModelTold:
    """Show it no longer."""
    return told(studio, models.change(studio, model_id, lambda model: examples.unpin(model, example_id)))


@router.get("/{model_id}/pictures/{file_name}", response_class=FileResponse)
def get_picture(
    studio: Opened, model_id: str, file_name: str, size: Annotated[int | None, Query(description="Pixels")] = None
) -> FileResponse:
    """An example or its source picture, whole or small: 128, 256, 512 or 1024 pixels."""
    model = models.get(studio, model_id, binned=True)
    path = examples.picture_path(studio, model, f"{examples.FOLDER}/{file_name}")
    return picture_file(path if size is None else thumbnails.thumbnail(studio, path, size), forever=True)


# --- its file


@router.get("/{model_id}/file", response_class=FileResponse)
def get_file(studio: Opened, model_id: str, layout: Layout | None = None) -> FileResponse:
    """The LoRA as it is, or in a layout that was asked for before and is ready; PEFT's is a zip of two files."""
    if layout is None:
        model = models.get(studio, model_id)
        return streams.saved(models.lora_path(studio, model), model.file)
    return layout_file(studio, f"model:{model_id}", layout)


def layout_file(studio: Studio, lora: str, layout: Layout) -> FileResponse:
    """A LoRA ('model:ID' or 'run:NAME/EPOCH') in a layout. Raises Conflict where it is not ready."""
    ready = layouts.file_of(studio, lora, layout)
    assert ready.path is not None
    if layout != "peft":
        return streams.saved(ready.path, ready.file_name)
    both = [ready.path, ready.path.with_name(PEFT_CONFIG)]
    return streams.made(studio, ready.file_name, lambda target: streams.write_zip(target, both))


@router.get("/{model_id}/layouts/{layout}")
def get_layout(studio: Opened, model_id: str, layout: Layout) -> ConvertedTold:
    """Whether it can be fetched in a layout: none (not asked for), made (being made), ready, or failed."""
    return layout_told(layout, layouts.converted(studio, f"model:{model_id}", layout))


@router.post("/{model_id}/layouts/{layout}", status_code=202)
def make_layout(studio: Opened, model_id: str, layout: Layout) -> ConvertedTold:
    """Have the file made with the key names that another program reads."""
    return layout_told(layout, layouts.convert(studio, f"model:{model_id}", layout))


def layout_told(layout: Layout, found: layouts.Converted) -> ConvertedTold:
    """How it stands with a LoRA in a layout."""
    job = JobTold.model_validate(found.job) if found.job else None
    return ConvertedTold(layout=layout, state=found.state, file_name=found.file_name, job=job)


@router.get("/{model_id}/bundle", response_class=FileResponse)
def get_bundle(studio: Opened, model_id: str) -> FileResponse:
    """Everything in one .likeness file, which another Likeness imports. The same model gives the same bytes."""
    name = f"{file_stem(models.get(studio, model_id).name, 'model')}{bundles.SUFFIX}"
    return streams.made(studio, name, lambda target: bundles.write(studio, model_id, target))


@router.get("/{model_id}/card", response_class=PlainTextResponse)
def get_card(studio: Opened, model_id: str) -> str:
    """The model card as Markdown, with the hub's front matter."""
    model = models.get(studio, model_id)
    shown = [(str(e["file"]), str(e.get("prompt", ""))) for e in model.examples]
    return model_cards.readme(model, models.tags_of(studio, [model_id])[model_id], shown)


@router.post("/{model_id}/publish", status_code=202)
def publish_elsewhere(studio: Opened, model_id: str, asked: Elsewhere) -> Published:
    """Put file, examples and model card into a new folder of this machine, or queue their upload to the hub."""
    if (asked.folder is None) == (asked.repository is None):
        raise InputError("folder: give a folder or a repository, one of the two. Fix: leave one out")
    if asked.folder is not None:
        return Published(folder=str(publishing.to_folder(studio, model_id, Path(asked.folder))), job=None)
    job = publishing.to_hub(studio, model_id, str(asked.repository), private=asked.private)
    return Published(folder=None, job=JobTold.model_validate(job))
