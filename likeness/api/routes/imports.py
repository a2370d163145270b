"""Files from URLs. They cannot reach this machine or its network, unless the settings allow it."""

from fastapi import APIRouter
from pydantic import Field

from likeness.api.shapes import Asked, Opened, Told
from likeness.studio import imports

router = APIRouter(tags=["imports"])


class UrlsAsked(Asked):
    urls: list[str] = Field(min_length=1, max_length=imports.MOST_URLS, description="Pictures, captions, archives.")


class UrlAsked(Asked):
    url: str = Field(description="A LoRA as .safetensors, or a bundle that another Likeness made.")


class ImportTold(Told):
    pictures: list[str] = Field(description="Names that they have in the dataset.")
    texts: list[str]
    refused: list[str] = Field(description="What could not be fetched or used, and why.")
    notes: list[str]
    pairs: int = Field(description="That were made.")


class ModelImported(Told):
    id: str
    name: str


@router.post("/datasets/{dataset}/imports")
def import_into_dataset(studio: Opened, dataset: str, asked: UrlsAsked) -> ImportTold:
    """Fetch files from URLs into a dataset. The answer comes when all have been tried."""
    return ImportTold.model_validate(imports.into_dataset(studio, dataset, asked.urls))


@router.post("/imports/model", status_code=201)
def import_model(studio: Opened, asked: UrlAsked) -> ModelImported:
    """Fetch a LoRA or a bundle from a URL into the library."""
    return ModelImported.model_validate(imports.into_library(studio, asked.url))
