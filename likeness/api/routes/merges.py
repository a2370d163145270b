"""Merges: several LoRAs made into a new model."""

from typing import Literal

from fastapi import APIRouter
from pydantic import AliasChoices, Field

from likeness.api.routes.generations import LoraAsked, choices
from likeness.api.routes.jobs import JobTold
from likeness.api.routes.models import ModelTold, told
from likeness.api.shapes import Asked, Opened, Told
from likeness.studio import merges
from likeness.studio.merges import MergeRequest

router = APIRouter(prefix="/merges", tags=["merges"])


class MergeAsked(Asked):
    """What is left out is as usual for the method."""

    name: str = Field(description="Of the new model.")
    loras: list[LoraAsked] = Field(validation_alias=AliasChoices("loras", "concepts"))
    method: Literal["concat", "svd", "linear", "ties", "dare"] = Field(
        default="concat", description=" ".join(f"{name}: {words}" for name, words in merges.METHODS.items())
    )
    rank: int | None = Field(default=None, description="Cut each layer to this rank at most.")
    keep: float | None = Field(default=None, description="Cut each layer to this share of its energy, such as 0.95.")
    density: float | None = Field(default=None, description="ties: share of the values that each LoRA keeps.")
    drop: float | None = Field(default=None, description="dare: probability to drop a value.")
    seed: int | None = Field(default=None, description="dare: which values are dropped.")
    description: str = Field(default="", validation_alias=AliasChoices("description", "shortDescription"))
    tags: list[str] = Field(default=[])

    def request(self) -> MergeRequest:
        return MergeRequest(
            self.name, choices(self.loras), self.method, self.rank, self.keep, self.density, self.drop, self.seed,
            self.description, tuple(self.tags),
        )  # fmt: skip


class MergeTold(Told):
    job: JobTold
    model: ModelTold | None = Field(description="Once the job has finished.")


@router.post("", status_code=202)
def merge(studio: Opened, asked: MergeAsked) -> MergeTold:
    """Queue a merge; its result comes into the library."""
    return MergeTold(job=JobTold.model_validate(merges.merge(studio, asked.request())), model=None)


@router.get("/{job_id}")
def get_merge(studio: Opened, job_id: str) -> MergeTold:
    job, model = merges.model_of(studio, job_id)
    return MergeTold(job=JobTold.model_validate(job), model=told(studio, model) if model else None)
