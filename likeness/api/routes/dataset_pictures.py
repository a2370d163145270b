"""Pictures of a dataset: sent, listed, shown, captioned one by one, cropped, set aside; and pairs of them."""

import base64
import binascii
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from urllib.parse import quote

from anyio import to_thread
from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import FileResponse, Response
from pydantic import AliasChoices, BeforeValidator, Field

from likeness.api.shapes import Asked, Opened, Told, picture_file
from likeness.api.uploading import Arriving, arrived, drain, receive
from likeness.errors import InputError
from likeness.studio import datasets, thumbnails, uploads
from likeness.studio.datasets import arrivals, captions, crops, files, pairs
from likeness.studio.datasets.arrivals import Arrived
from likeness.studio.datasets.files import Picture
from likeness.studio.datasets.pairs import Asked as PairAsked
from likeness.studio.uploads import Incoming
from likeness.studio.workspace import Studio

router = APIRouter(prefix="/datasets/{dataset}", tags=["datasets"])

MOST_DATA_BYTES = 64 << 20  # of a picture inside JSON, as base64
Share = Annotated[float, Field(ge=0, le=1)]
Stamp = Annotated[
    str, Header(description="What tells it from another file of its name and size; the same for all parts.")
]
Names = Annotated[list[str], Field(min_length=1, max_length=10_000)]
_RAW_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


class Crop(Asked):
    """Shares of the picture."""

    x: Share
    y: Share
    width: Share
    height: Share


class CropTold(Told):
    x: float
    y: float
    width: float
    height: float


class PictureTold(Told):
    id: str = Field(description="Its name, by which it is asked for.")
    name: str
    caption: str = Field(description="For edits the instruction of the pair that it is the outcome of.")
    author: Literal["nobody", "machine", "person"] = Field(description="Who wrote the caption.")
    width: int
    height: int
    bytes: int
    crop: CropTold | None
    sources: list[str] = Field(description="For edits: the pictures before.")
    loose: bool = Field(description="Of an edit, and in no pair: it is not learned from.")
    changed: float


class PicturesTold(Told):
    images: list[PictureTold]
    total: int


class PictureChange(Asked):
    caption: str | None = Field(
        default=None,
        validation_alias=AliasChoices("caption", "description", "instruction"),
        description="'' takes it away. What is written here is a person's, and no machine writes over it.",
    )
    crop: Crop | None = Field(default=None, description="null shows all of it.")
    square: bool = Field(default=False, description="Crop the square in its middle.")


class NamesAsked(Asked):
    images: Names = Field(description="Names of pictures.")


class ArrivedTold(Told):
    pictures: list[str] = Field(description="Names that they have now.")
    texts: list[str]
    refused: list[str] = Field(description="What could not be used, and why.")
    notes: list[str]
    pairs: int = Field(description="That were made.")


class UploadTold(Told):
    name: str
    total: int
    received: int
    changed: float
    result: ArrivedTold | None
    problem: str | None


class UploadsTold(Told):
    uploads: list[UploadTold]


def _several(value: object) -> object:
    return [value] if isinstance(value, str) else value


class Pair(Asked):
    sources: Annotated[list[str], BeforeValidator(_several, json_schema_input_type=str | list[str])] = Field(
        validation_alias=AliasChoices("sources", "sourceId", "sourceIds", "source", "before"),
        description="Names of the pictures before, or of the one.",
    )
    target: str = Field(
        validation_alias=AliasChoices("target", "targetId", "after"), description="Name of the picture after."
    )
    instruction: str | None = Field(
        default=None, validation_alias=AliasChoices("instruction", "caption"), description="Unset: stays as it is."
    )


class PairsAsked(Asked):
    pairs: list[Pair] = Field(min_length=1, max_length=10_000)


class PairTold(Told):
    sources: list[str]
    target: str
    instruction: str
    author: Literal["nobody", "machine", "person"]


class PairsTold(Told):
    pairs: list[PairTold]
    count: int


class TargetsAsked(Asked):
    targets: Names = Field(description="Names of pictures after.")


def told(picture: Picture) -> PictureTold:
    crop = picture.crop
    return PictureTold(
        id=picture.name, name=picture.name, caption=picture.caption, author=picture.author, width=picture.width,
        height=picture.height, bytes=picture.bytes, sources=list(picture.sources), loose=picture.loose,
        changed=picture.changed,
        crop=CropTold(x=crop[0], y=crop[1], width=crop[2], height=crop[3]) if crop else None,
    )  # fmt: skip


# --- sent


@router.put(
    "/files/{name:path}", status_code=201, max_body_size=arrivals.MOST_ARCHIVE_BYTES, response_model=ArrivedTold,
    openapi_extra=_RAW_BODY, responses={202: {"description": "A part of it has come."}},
)  # fmt: skip
async def send_file(
    request: Request, studio: Opened, dataset: str, name: str,
    content_range: Annotated[str, Header(description="Which part of the file this is: 'bytes 500-999/1000'.")] = "",
    upload_stamp: Stamp = "",
) -> Response:  # fmt: skip
    """Send a picture, a caption (.txt), or a .zip or .tar of many, as it is.

    `name` may have the folders that the file lay in: of edits, 'before' and 'after' say which side of a pair it is. An
    upload that was cut off goes on: HEAD tells as `Upload-Offset` how much has come, and a PUT with `Content-Range`
    sends the rest. The same file under the same name is put in once; another one of that name gets a number.
    """
    try:
        row = await to_thread.run_sync(datasets.get, studio, dataset)
        arrivals.check_name(name, row.kind)
    except InputError:
        await drain(request)
        raise

    def use(incoming: Incoming) -> dict[str, Any]:
        return _arrived_as(arrivals.take(studio, row.id, incoming.path, name)).model_dump()

    return await receive(request, studio, Arriving(_owner(row.id), name, arrivals.most_bytes(name), use))


@router.head("/files/{name:path}", responses={404: {"description": "Nothing of it is here.", "content": {}}})
def ask_for_upload(
    request: Request, studio: Opened, dataset: str, name: str,
    upload_length: Annotated[str, Header(description="Bytes of the whole file.")] = "",
    upload_stamp: Stamp = "",
) -> Response:  # fmt: skip
    """How much of a file has arrived: `Upload-Offset`."""
    return arrived(request, studio, _owner(datasets.get(studio, dataset).id), name)


@router.get("/uploads")
def list_uploads(studio: Opened, dataset: str) -> UploadsTold:
    """Files that are on their way, and what became of those that came lately; the latest first."""
    found = uploads.listed(studio, _owner(datasets.get(studio, dataset).id))
    return UploadsTold(uploads=[UploadTold.model_validate(upload) for upload in found])


@router.delete("/uploads", status_code=204)
def forget_uploads(studio: Opened, dataset: str) -> None:
    """Drop what is on its way, and the list of what came. Pictures that have arrived stay."""
    uploads.forget(studio, _owner(datasets.get(studio, dataset).id))


def _owner(dataset_id: str) -> str:
    return f"dataset:{dataset_id}"


def _arrived_as(found: Arrived) -> ArrivedTold:
    return ArrivedTold.model_validate(found)


# --- listed and shown


@router.get("/images")
def list_pictures(
    studio: Opened, dataset: str, limit: Annotated[int, Query(ge=1, le=10_000)] = 100,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> PicturesTold:  # fmt: skip
    """In natural order. Of an edit those after, each with its sources; then those that are in no pair."""
    found, total = datasets.pictures(studio, dataset, limit, offset)
    return PicturesTold(images=[told(picture) for picture in found], total=total)


@router.get("/images/{name:path}")
def get_picture(studio: Opened, dataset: str, name: str) -> PictureTold:
    return told(datasets.find(studio, dataset, name))


@router.get("/pictures/{name:path}", response_class=FileResponse, responses={200: {"content": {"image/*": {}}}})
def show_picture(studio: Opened, dataset: str, name: str) -> FileResponse:
    """The file itself."""
    return picture_file(datasets.path_of(studio, dataset, name))


@router.get("/thumbnails/{name:path}", response_class=FileResponse, responses={200: {"content": {"image/webp": {}}}})
def show_thumbnail(
    studio: Opened, dataset: str, name: str, size: int = 256, cropped: bool = False, v: str = ""
) -> FileResponse:
    """A small copy, upright and in sRGB. `v` may be anything: with it the answer is kept for ever."""
    path = datasets.path_of(studio, dataset, name)
    return picture_file(thumbnails.thumbnail(studio, path, size, cropped=cropped), forever=bool(v))


# --- changed


@router.patch("/images/{name:path}")
def change_picture(studio: Opened, dataset: str, name: str, asked: PictureChange) -> PictureTold:
    """Write its caption, or crop it. What is not named stays."""
    change(studio, dataset, name, asked)
    return told(datasets.find(studio, dataset, name))


def change(studio: Studio, dataset: str, name: str, asked: PictureChange) -> None:
    if "crop" in asked.model_fields_set and asked.square:
        raise InputError("crop: does not go with square. Fix: give one of them")
    if "crop" in asked.model_fields_set:
        crop = asked.crop
        crops.set_crop(studio, dataset, name, (crop.x, crop.y, crop.width, crop.height) if crop else None)
    if asked.square:
        crops.square(studio, dataset, [name])
    if asked.caption is not None:
        captions.set_caption(studio, dataset, name, asked.caption)


@router.delete("/images/{name:path}", status_code=204)
def remove_picture(studio: Opened, dataset: str, name: str) -> None:
    """Set it aside with its caption; that can be undone. Of a pair, also those before it that no other pair needs."""
    pairs.remove(studio, dataset, [name])


@router.post("/images/remove", status_code=204)
def remove_pictures(studio: Opened, dataset: str, asked: NamesAsked) -> None:
    """Set several aside, as one step."""
    pairs.remove(studio, dataset, asked.images)


@router.post("/images/square")
def square_pictures(studio: Opened, dataset: str, asked: NamesAsked) -> PicturesTold:
    """Crop the squares in their middle, as one step."""
    crops.square(studio, dataset, asked.images)
    found = [told(datasets.find(studio, dataset, name)) for name in asked.images]
    return PicturesTold(images=found, total=len(found))


# --- pairs


@router.get("/pairs")
def list_pairs(studio: Opened, dataset: str) -> PairsTold:
    found, _ = files.listed(studio, dataset, limit=10**6)
    rows = [PairTold(sources=list(p.sources), target=p.name, instruction=p.caption, author=p.author)
            for p in found if p.sources]  # fmt: skip
    return PairsTold(pairs=rows, count=len(rows))


@router.post("/pairs", status_code=201)
def add_pairs(studio: Opened, dataset: str, asked: PairsAsked) -> PairsTold:
    """Pair pictures that are there."""
    pairs.add(studio, dataset, [PairAsked(p.sources, p.target, p.instruction) for p in asked.pairs])
    return list_pairs(studio, dataset)


@router.put("/pairs")
def set_pairs(studio: Opened, dataset: str, asked: Annotated[list[Pair], Field(max_length=10_000)]) -> PairsTold:
    """Make these all the pairs that there are. Pictures of others stay, in no pair."""
    pairs.put(studio, dataset, [PairAsked(p.sources, p.target, p.instruction) for p in asked])
    return list_pairs(studio, dataset)


@router.post("/pairs/swap")
def swap_pairs(studio: Opened, dataset: str, asked: TargetsAsked) -> PairsTold:
    """Exchange before and after."""
    pairs.swap(studio, dataset, asked.targets)
    return list_pairs(studio, dataset)


@router.post("/pairs/separate")
def separate_pairs(studio: Opened, dataset: str, asked: TargetsAsked) -> PairsTold:
    """Take pairs apart; their pictures stay."""
    pairs.separate(studio, dataset, asked.targets)
    return list_pairs(studio, dataset)


# --- the hosted trainers' own way


class TrainingImage(Asked):
    name: str
    data: str = Field(description="Base64, or a data: URL.")
    description: str = Field(default="", validation_alias=AliasChoices("description", "caption"))


class TrainingImageTold(Told):
    id: str
    name: str
    description: str
    automaticCaptioning: str = Field(description="The caption, where a machine wrote it.")
    downloadUrl: str
    createdAt: str


class TrainingImageAnswer(Told):
    trainingImage: TrainingImageTold


@router.post("/training-images", status_code=201, max_body_size=MOST_DATA_BYTES * 4 // 3 + 65536)
def add_training_image(studio: Opened, dataset: str, asked: TrainingImage) -> TrainingImageAnswer:
    """Put a picture in from inside JSON. `PUT …/files/NAME` takes larger ones, and needs less memory."""
    try:
        data = base64.b64decode(asked.data.partition("base64,")[2] or asked.data, validate=True)
    except (binascii.Error, ValueError):
        raise InputError("data: is not base64. Fix: send base64, or the file itself by PUT") from None
    with uploads.receiving(studio, asked.name, MOST_DATA_BYTES, len(data)) as incoming:
        incoming.write(data)
        incoming.flush()
        name = datasets.add(studio, dataset, incoming.path, asked.name)
    if asked.description:
        captions.set_caption(studio, dataset, name, asked.description)
    return TrainingImageAnswer(trainingImage=_training_image(dataset, datasets.find(studio, dataset, name)))


def _training_image(dataset: str, picture: Picture) -> TrainingImageTold:
    return TrainingImageTold(
        id=picture.name, name=picture.name, description=picture.caption,
        automaticCaptioning=picture.caption if picture.author == "machine" else "",
        downloadUrl=f"/api/v1/datasets/{quote(dataset, safe='')}/pictures/{quote(picture.name)}",
        createdAt=datetime.fromtimestamp(picture.changed, UTC).isoformat(),
    )  # fmt: skip


@router.put("/training-images/pairs")
def set_training_pairs(
    studio: Opened, dataset: str, asked: Annotated[list[Pair], Field(max_length=10_000)]
) -> PairsTold:
    """The same as PUT …/pairs."""
    return set_pairs(studio, dataset, asked)
