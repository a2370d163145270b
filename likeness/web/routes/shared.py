"""What a link shows to whoever has it: one model, read-only. No key is needed under /shared/ (see api.gate)."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, HTMLResponse

from likeness.api import streams
from likeness.api.shapes import Opened, picture_file
from likeness.studio import bundles, examples, model_cards, models, shares, thumbnails
from likeness.studio.file_names import file_stem
from likeness.web.pages import page

router = APIRouter(prefix=shares.PATH)
# The address is the key: it is told to no other site, and to no search engine.
_DISCREET = {"Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex, nofollow"}


@router.get("/{token}")
def show_shared(request: Request, studio: Opened, token: str) -> HTMLResponse:
    model, link = shares.shared(studio, token)
    answer = page(
        request,
        "shared.html",
        model=model,
        expires=link.expires,
        url=f"{shares.PATH}/{token}",
        tags=models.tags_of(studio, [model.id])[model.id],
        facts=model_cards.in_words(model),
        measures=model_cards.measures_in_words(model.card),
    )
    answer.headers.update(_DISCREET)
    return answer


@router.get("/{token}/pictures/{file_name}", response_class=FileResponse)
def get_shared_picture(
    studio: Opened, token: str, file_name: str, size: Annotated[int | None, Query()] = None
) -> FileResponse:
    model, _ = shares.shared(studio, token)
    path = examples.picture_path(studio, model, f"{examples.FOLDER}/{file_name}")
    return picture_file(path if size is None else thumbnails.thumbnail(studio, path, size))


@router.get("/{token}/file", response_class=FileResponse)
def get_shared_file(studio: Opened, token: str) -> FileResponse:
    model, _ = shares.shared(studio, token)
    return streams.saved(models.lora_path(studio, model), model.file)


@router.get("/{token}/bundle", response_class=FileResponse)
def get_shared_bundle(studio: Opened, token: str) -> FileResponse:
    model, _ = shares.shared(studio, token)
    name = f"{file_stem(model.name, 'model')}{bundles.SUFFIX}"
    return streams.made(studio, name, lambda target: bundles.write(studio, model.id, target))
