"""Generations: pictures drawn on request, and what drew them."""

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse
from pydantic import AliasChoices, Field

from likeness.api import uploading
from likeness.api.routes.jobs import JobTold
from likeness.api.routes.models import RAW_BODY
from likeness.api.shapes import Asked, Opened, Told, picture_file
from likeness.api.uploading import Arriving
from likeness.store.tables import Picture
from likeness.studio import gallery, generations, reference_pictures, thumbnails
from likeness.studio.generations import Checked, Generation, GenerationRequest
from likeness.studio.lora_choice import LoraChoice
from likeness.studio.uploads import Incoming

router = APIRouter(tags=["generations"])
UPLOADS = "references"  # whose the files are that come in


class LoraAsked(Asked):
    """A LoRA to draw or to merge with."""

    lora: str = Field(
        validation_alias=AliasChoices("lora", "modelId", "model", "path"),
        description="'model:ID', 'model:NAME' or an ID of the library; 'run:NAME/EPOCH'.",
    )
    strength: float | None = Field(
        default=None, validation_alias=AliasChoices("strength", "scale", "weight"), description="None: the model's own."
    )
    epoch: int | None = Field(
        default=None, validation_alias=AliasChoices("epoch", "modelEpoch"), description="Another one of its run."
    )


def choices(asked: list[LoraAsked]) -> tuple[LoraChoice, ...]:
    return tuple(LoraChoice(one.lora, one.strength, one.epoch) for one in asked)


class GenerationAsked(Asked):
    """What is left out is the base's own."""

    prompt: str
    loras: list[LoraAsked] = Field(default=[], validation_alias=AliasChoices("loras", "concepts"))
    base: str = Field(default="", description="Empty: that of the first LoRA.")
    negative_prompt: str = Field(default="", validation_alias=AliasChoices("negative_prompt", "negativePrompt"))
    seed: int | None = Field(default=None, description="None: any.")
    seeds: list[int] = Field(default=[], description="A picture for each; in place of `seed` and `batch`.")
    batch: int = Field(
        default=1,
        validation_alias=AliasChoices("batch", "numOutputs", "numSamples", "num_images", "num_outputs"),
        description="Pictures, from the seed on.",
    )
    width: int | None = None
    height: int | None = None
    steps: int | None = Field(
        default=None, validation_alias=AliasChoices("steps", "numInferenceSteps", "num_inference_steps")
    )
    guidance: float | None = Field(
        default=None, validation_alias=AliasChoices("guidance", "guidanceScale", "guidance_scale")
    )
    references: list[str] = Field(
        default=[], description="Source pictures of an edit: 'upload:FILE', 'picture:ID' or 'example:MODEL/ID'."
    )
    strengths: list[float] = Field(default=[], description="Compare these strengths of the first LoRA.")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"

    def request(self) -> GenerationRequest:
        values: dict[str, Any] = {name: getattr(self, name) for name in GenerationAsked.model_fields}
        values["loras"] = choices(self.loras)
        for name in ("seeds", "references", "strengths"):
            values[name] = tuple(values[name])
        return GenerationRequest(**values)


class CheckedTold(Told):
    base: str
    pictures: int
    warnings: list[str]
    missing_triggers: list[str]
    suggested_prompt: str = Field(description="The prompt with the triggers that it lacks.")


class PictureTold(Told):
    id: str
    job_id: str
    base: str
    prompt: str
    settings: dict[str, Any]
    created: float
    pinned: bool
    deleted: float | None


class GenerationTold(Told):
    job: JobTold
    request: dict[str, Any] = Field(description="As settled: send it again to draw the same.")
    warnings: list[str]
    pictures: list[PictureTold] = Field(description="Those that are drawn so far.")
    total: int


class HistoryTold(Told):
    generations: list[GenerationTold]
    total: int


class PicturesTold(Told):
    pictures: list[PictureTold]
    total: int


class PictureChange(Asked):
    pinned: bool


class ReferenceTold(Told):
    reference: str = Field(description="For the field `references`.")


def told(found: Generation) -> GenerationTold:
    return GenerationTold(
        job=JobTold.model_validate(found.job),
        request=found.request,
        warnings=found.warnings,
        pictures=[picture_told(p) for p in found.pictures],
        total=found.total,
    )


def picture_told(row: Picture) -> PictureTold:
    return PictureTold.model_validate(row)


# --- generations


@router.post("/generations", status_code=202)
def generate(studio: Opened, asked: GenerationAsked) -> GenerationTold:
    """Queue pictures to be drawn. They appear in the generation as they are finished."""
    return told(generations.generate(studio, asked.request()))


@router.post("/generations/check")
def check_generation(studio: Opened, asked: GenerationAsked) -> CheckedTold:
    """Whether this can be drawn, and what may be meant otherwise; nothing is queued."""
    return _checked(generations.check(studio, asked.request()))


def _checked(found: Checked) -> CheckedTold:
    return CheckedTold(
        base=found.job.base,
        pictures=len(found.job.seeds) * max(1, len(found.job.strengths)),
        warnings=found.warnings,
        missing_triggers=list(dict.fromkeys(trigger for _, trigger in found.triggers.missing)),
        suggested_prompt=found.triggers.prompt,
    )


@router.get("/generations")
def list_generations(
    studio: Opened,
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> HistoryTold:
    """The history, newest first."""
    found, total = generations.history(studio, limit, offset)
    return HistoryTold(generations=[told(one) for one in found], total=total)


@router.get("/generations/{job_id}")
def get_generation(studio: Opened, job_id: str) -> GenerationTold:
    return told(generations.get(studio, job_id))


@router.delete("/generations/{job_id}")
def delete_generation(studio: Opened, job_id: str) -> GenerationTold:
    """With its pictures into the bin; one that still runs is canceled."""
    return told(generations.delete(studio, job_id))


@router.post("/generations/{job_id}/restore")
def restore_generation(studio: Opened, job_id: str) -> GenerationTold:
    """Out of the bin."""
    return told(generations.restore(studio, job_id))


# --- pictures


@router.get("/pictures")
def list_pictures(
    studio: Opened,
    search: Annotated[str, Query(max_length=500)] = "",
    pinned: bool | None = None,
    lora: Annotated[str, Query(description="'model:ID' or 'run:NAME/EPOCH'.", max_length=300)] = "",
    limit: Annotated[int, Query(ge=1, le=500)] = 60,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> PicturesTold:
    """All generated pictures, newest first. Every word of `search` stands in the prompt."""
    found, total = gallery.listed(studio, search=search, pinned=pinned, lora=lora, limit=limit, offset=offset)
    return PicturesTold(pictures=[picture_told(p) for p in found], total=total)


@router.get("/pictures/{picture_id}")
def get_picture_facts(studio: Opened, picture_id: str) -> PictureTold:
    return picture_told(gallery.get(studio, picture_id))


@router.get("/pictures/{picture_id}/file", response_class=FileResponse)
def get_picture_file(
    studio: Opened, picture_id: str, size: Annotated[int | None, Query(description="Pixels")] = None
) -> FileResponse:
    """The picture, whole or small: 128, 256, 512 or 1024 pixels."""
    path = gallery.path_of(studio, gallery.get(studio, picture_id, binned=True))
    return picture_file(path if size is None else thumbnails.thumbnail(studio, path, size), forever=True)


@router.get("/pictures/{picture_id}/request")
def get_picture_request(studio: Opened, picture_id: str) -> dict[str, Any]:
    """What to send to draw this picture again, or to change."""
    return asdict(generations.request_for(gallery.get(studio, picture_id)))


@router.patch("/pictures/{picture_id}")
def change_picture(studio: Opened, picture_id: str, asked: PictureChange) -> PictureTold:
    """Pin a picture, or take the pin away."""
    return picture_told(gallery.pin(studio, picture_id, asked.pinned))


@router.delete("/pictures/{picture_id}")
def delete_picture(studio: Opened, picture_id: str) -> PictureTold:
    """Into the bin."""
    return picture_told(gallery.delete(studio, picture_id))


@router.post("/pictures/{picture_id}/restore")
def restore_picture(studio: Opened, picture_id: str) -> PictureTold:
    """Out of the bin."""
    return picture_told(gallery.restore(studio, picture_id))


# --- source pictures


@router.put(
    "/references/{file_name}",
    status_code=201,
    response_model=ReferenceTold,
    max_body_size=reference_pictures.MOST_BYTES,
    openapi_extra=RAW_BODY,
)
async def upload_reference(request: Request, studio: Opened, file_name: str) -> Response:
    """Keep a source picture for edits. The same picture gets the same name."""

    def use(incoming: Incoming) -> dict[str, Any]:
        return {"reference": reference_pictures.keep(studio, incoming.path, file_name)}

    return await uploading.receive(request, studio, Arriving(UPLOADS, file_name, reference_pictures.MOST_BYTES, use))


@router.head("/references/{file_name}")
def reference_so_far(request: Request, studio: Opened, file_name: str) -> Response:
    """How much of a picture has arrived, as `Upload-Offset`."""
    return uploading.arrived(request, studio, UPLOADS, file_name)


@router.get("/references/{reference:path}", response_class=FileResponse)
def get_reference(
    studio: Opened, reference: str, size: Annotated[int | None, Query(description="Pixels")] = None
) -> FileResponse:
    """A source picture by its name, whole or small: 128, 256, 512 or 1024 pixels."""
    path = reference_pictures.path_of(studio, reference)
    return picture_file(path if size is None else thumbnails.thumbnail(studio, path, size), forever=True)
