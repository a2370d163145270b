"""What a link shows to whoever has it: one model or one voice, read-only. No key is needed under /shared/
(see api.gate)."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, HTMLResponse

from likeness.api import streams
from likeness.api.shapes import Opened, picture_file, sound_file
from likeness.config.voice import ENGINES, SAMPLE
from likeness.store.tables import Model, Voice
from likeness.studio import bundles, examples, model_cards, models, shares, thumbnails, voice_bundles, voices
from likeness.studio.file_names import file_stem
from likeness.studio.workspace import Studio
from likeness.web.pages import page

router = APIRouter(prefix=shares.PATH)
# The address is the key: it is told to no other site, and to no search engine.
_DISCREET = {"Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex, nofollow"}


@router.get("/{token}")
def show_shared(request: Request, studio: Opened, token: str) -> HTMLResponse:
    found, link = shares.opened(studio, token)
    shown = _voice(studio, found) if isinstance(found, Voice) else _model(studio, found)
    name = "shared_voice.html" if isinstance(found, Voice) else "shared.html"
    answer = page(request, name, expires=link.expires, url=f"{shares.PATH}/{token}", **shown)
    answer.headers.update(_DISCREET)
    return answer


def _model(studio: Studio, model: Model) -> dict[str, Any]:
    return {
        "model": model,
        "tags": models.tags_of(studio, [model.id])[model.id],
        "facts": model_cards.in_words(model),
        "measures": model_cards.measures_in_words(model.card),
    }


def _voice(studio: Studio, voice: Voice) -> dict[str, Any]:
    record = voices.record(studio, voice)
    about = ENGINES[record.engine]
    facts = [("engine", about.title), ("language", voice.language),
             ("made from", f"{record.reference.seconds:.0f} s of speech")]  # fmt: skip
    sample = (studio.voices / voice.id / SAMPLE).is_file()
    return {"voice": voice, "record": record, "facts": facts, "sounds": about.sounds, "sample": sample}


@router.get("/{token}/sample", response_class=FileResponse)
def get_shared_sample(studio: Opened, token: str) -> FileResponse:
    voice, _ = shares.shared_voice(studio, token)
    return sound_file(voices.file_of(studio, voice, SAMPLE))


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
    found, _ = shares.opened(studio, token)
    if isinstance(found, Voice):
        name = voice_bundles.file_name(found)
        return streams.made(studio, name, lambda target: voice_bundles.write(studio, found.id, target))
    name = f"{file_stem(found.name, 'model')}{bundles.SUFFIX}"
    return streams.made(studio, name, lambda target: bundles.write(studio, found.id, target))
