"""Voices: cloned from recordings, listed, spoken with, carried elsewhere."""

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse
from pydantic import AliasChoices, Field

from likeness.api import streams, uploading
from likeness.api.routes.jobs import JobTold
from likeness.api.routes.models import RAW_BODY, Description, Duplicate
from likeness.api.shapes import Asked, Opened, Told, picture_file, sound_file
from likeness.api.uploading import Arriving
from likeness.config.voice import ENGINES, REFERENCE, SAMPLE
from likeness.store.tables import Voice
from likeness.studio import voice_bundles, voice_engines, voices
from likeness.studio.said import Speech
from likeness.studio.uploads import Incoming
from likeness.studio.voices import CloneRequest, SayRequest
from likeness.studio.workspace import Studio

router = APIRouter(tags=["voices"])
UPLOADS = "voices"  # whose the files are that come in


class VoiceShort(Told):
    """A voice as lists show it."""

    id: str
    name: str
    description: str
    tags: list[str]
    engine: str
    language: str
    origin: str = Field(description="clone, run, import or copy.")
    run: str | None
    epoch: int | None
    thumbnail: str | None
    created: float
    updated: float
    archived: bool
    deleted: float | None = Field(description="In the bin since then, in seconds since 1970.")


class ConsentTold(Told):
    statement: str
    recorded: str = Field(description="When it was written down: ISO 8601, UTC.")


class ReferenceTold(Told):
    file: str
    seconds: float
    sha256: str = Field(description="Of the recording as it came.")


class VoiceTold(VoiceShort):
    consent: ConsentTold
    reference: ReferenceTold
    figures: dict[str, float] = Field(description="Of the speaker, and how far off the clone is.")
    notes: list[str] = Field(description="What the check found that was known when it was made.")
    sounds: str = Field(description="What it sounds like.")


class VoicesTold(Told):
    voices: list[VoiceShort]
    total: int


class CloneAsked(Asked):
    """A voice to be. Without a statement of consent there is none."""

    recordings: list[str] = Field(min_length=1, max_length=voices.MOST_CLONED, description="Ids, of one person.")
    name: str
    consent: str = Field(description="Who is heard, and that they agree to being cloned. Kept with the voice.")
    engine: str = Field(default="espeak", description="See `voice-engines`.")
    language: str = Field(default="en-us", description="That espeak speaks: a code such as en-us, en-gb, de.")
    base: str | None = Field(default=None, description="For pocket: its weights, a hub repository.")
    description: str = ""
    tags: list[str] = Field(default=[])


class VoiceChange(Asked):
    """What is given changes; all else stays."""

    name: str | None = None
    description: Description = None
    tags: list[str] | None = None
    archived: bool | None = None


class SayAsked(Asked):
    """A text to be spoken."""

    text: str = Field(validation_alias=AliasChoices("text", "input"))
    speed: float = Field(default=1.0, description="0.5 to 2; 1 is the speaker's own pace.")
    strength: float = Field(default=1.0, description="For espeak: 0 is its own timbre, 1 the speaker's, up to 1.5.")
    seed: int = 0
    format: Literal["wav", "flac", "ogg", "mp3"] = Field(
        default="wav", validation_alias=AliasChoices("format", "response_format")
    )
    mark: bool = Field(default=True, description="Leave the inaudible mark of made speech in the sound.")


class SpeechTold(Told):
    job: JobTold
    voice_id: str
    text: str
    request: dict[str, Any] = Field(description="Send it again to hear the same.")
    format: str
    ready: bool = Field(description="Whether the sound can be fetched.")


class SpeechesTold(Told):
    speech: list[SpeechTold]
    total: int


class LanguageTold(Told):
    code: str
    name: str


class EngineTold(Told):
    name: str
    title: str
    sounds: str
    needs: str
    base: bool = Field(description="Whether it needs weights to be named.")
    usable: bool
    missing: str = Field(description="What to do so that it can be used here.")


class EnginesTold(Told):
    engines: list[EngineTold]
    languages: list[LanguageTold] = Field(description="That espeak speaks.")


def told(studio: Studio, voice: Voice) -> VoiceTold:
    record = voices.record(studio, voice)
    return VoiceTold(
        **_columns(voice),
        consent=ConsentTold(**record.consent.model_dump()),
        reference=ReferenceTold(**record.reference.model_dump()),
        figures=record.figures,
        notes=record.notes,
        sounds=ENGINES[record.engine].sounds,
    )


def _columns(voice: Voice) -> dict[str, Any]:
    return {name: getattr(voice, name) for name in VoiceShort.model_fields}


def speech_told(found: Speech) -> SpeechTold:
    return SpeechTold(
        job=JobTold.model_validate(found.job), voice_id=found.voice, text=found.text, request=found.request,
        format=found.format, ready=found.path is not None,
    )  # fmt: skip


# --- lists, and coming in


@router.get("/voices")
def list_voices(
    studio: Opened,
    search: Annotated[str, Query(max_length=500)] = "",
    tag: str | None = None,
    archived: bool = False,
    binned: bool = False,
    limit: Annotated[int, Query(ge=1, le=500)] = 60,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> VoicesTold:
    """Voices, newest first. Every word of `search` stands in name, description, language, engine or a tag."""
    rows, total = voices.listed(studio, search, tag, archived, binned, limit, offset)
    return VoicesTold(voices=[VoiceShort.model_validate(row) for row in rows], total=total)


@router.post("/voices", status_code=202)
def clone_voice(studio: Opened, asked: CloneAsked) -> JobTold:
    """Clone a voice from recordings, in seconds; the job's result has its `voice_id`."""
    values: dict[str, Any] = asked.model_dump()
    values |= {"recordings": tuple(asked.recordings), "tags": tuple(asked.tags)}
    return JobTold.model_validate(voices.clone(studio, CloneRequest(**values)))


@router.get("/voice-engines")
def list_engines() -> EnginesTold:
    """What voices can speak with: how each sounds, what it needs, and whether it can be used here."""
    return EnginesTold(
        engines=[EngineTold(**asdict(one), usable=not one.missing) for one in voice_engines.engines()],
        languages=[LanguageTold.model_validate(one) for one in voices.languages()],
    )


@router.put(
    "/voices/imports/{file_name}",
    status_code=201,
    response_model=VoiceTold,
    max_body_size=voice_bundles.MOST_BYTES,
    openapi_extra=RAW_BODY,
)
async def import_voice(request: Request, studio: Opened, file_name: str, base: str | None = None) -> Response:
    """Import a .likeness-voice bundle. `base`: where it speaks with Pocket TTS and does not tell its weights.

    A transfer that was cut off can be gone on with, as described at the files of datasets.
    """

    def use(incoming: Incoming) -> dict[str, Any]:
        return told(studio, voice_bundles.import_bundle(studio, incoming, base)).model_dump(mode="json")

    return await uploading.receive(request, studio, Arriving(UPLOADS, file_name, voice_bundles.MOST_BYTES, use))


@router.head("/voices/imports/{file_name}")
def import_so_far(request: Request, studio: Opened, file_name: str) -> Response:
    """How much of a file has arrived, as `Upload-Offset`."""
    return uploading.arrived(request, studio, UPLOADS, file_name)


# --- one voice: by its id, or by a name that only one has


@router.get("/voices/{voice_id}")
def get_voice(studio: Opened, voice_id: str) -> VoiceTold:
    return told(studio, voices.get(studio, voice_id, binned=True))


@router.patch("/voices/{voice_id}")
def change_voice(studio: Opened, voice_id: str, asked: VoiceChange) -> VoiceTold:
    """Change what is said of a voice, or archive it."""
    found = voices.get(studio, voice_id)
    return told(studio, voices.change(studio, found.id, **asked.model_dump()))


@router.delete("/voices/{voice_id}")
def delete_voice(studio: Opened, voice_id: str) -> VoiceShort:
    """Into the bin. It can be put back for 30 days; its links stop working at once."""
    return VoiceShort.model_validate(voices.delete(studio, voices.get(studio, voice_id).id))


@router.post("/voices/{voice_id}/restore")
def restore_voice(studio: Opened, voice_id: str) -> VoiceShort:
    """Out of the bin."""
    return VoiceShort.model_validate(voices.restore(studio, voice_id))


@router.post("/voices/{voice_id}/remove", status_code=204)
def remove_voice(studio: Opened, voice_id: str) -> None:
    """Out of the bin for good, with its files and all it said."""
    voices.remove(studio, voice_id)


@router.post("/voices/{voice_id}/duplicate", status_code=201)
def duplicate_voice(studio: Opened, voice_id: str, asked: Duplicate) -> VoiceTold:
    """A second entry with the same files, to be named and tagged otherwise."""
    found = voices.get(studio, voice_id)
    return told(studio, voices.duplicate(studio, found.id, asked.name))


@router.get("/voices/{voice_id}/reference", response_class=FileResponse)
def get_reference(studio: Opened, voice_id: str) -> FileResponse:
    """The part of the recording that it was made from."""
    voice = voices.get(studio, voice_id, binned=True)
    return sound_file(voices.file_of(studio, voice, REFERENCE))


@router.get("/voices/{voice_id}/sample", response_class=FileResponse)
def get_sample(studio: Opened, voice_id: str) -> FileResponse:
    """A sentence that it says."""
    voice = voices.get(studio, voice_id, binned=True)
    return sound_file(voices.file_of(studio, voice, SAMPLE))


@router.get("/voices/{voice_id}/thumbnail", response_class=FileResponse)
def get_thumbnail(studio: Opened, voice_id: str) -> FileResponse:
    """Its waveform, drawn."""
    voice = voices.get(studio, voice_id, binned=True)
    return picture_file(voices.file_of(studio, voice, voices.THUMBNAIL))


@router.get("/voices/{voice_id}/bundle", response_class=FileResponse)
def get_bundle(studio: Opened, voice_id: str) -> FileResponse:
    """Everything in one .likeness-voice file, which another Likeness imports. The same voice gives the same bytes."""
    voice = voices.get(studio, voice_id)
    name = voice_bundles.file_name(voice)
    return streams.made(studio, name, lambda target: voice_bundles.write(studio, voice.id, target))


# --- heard


@router.post("/voices/{voice_id}/say", status_code=202)
def say(studio: Opened, voice_id: str, asked: SayAsked) -> SpeechTold:
    """Have a text spoken. The sound is made by a job; `speech` tells when it is ready."""
    job = voices.say(studio, SayRequest(voice_id, **asked.model_dump()))
    return speech_told(voices.speech(studio, job.id))


@router.get("/voices/{voice_id}/speech")
def list_speech(
    studio: Opened,
    voice_id: str,
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> SpeechesTold:
    """What a voice said, newest first."""
    found, total = voices.spoken(studio, voice_id, limit, offset)
    return SpeechesTold(speech=[speech_told(one) for one in found], total=total)


@router.get("/speech/{speech_id}")
def get_speech(studio: Opened, speech_id: str) -> SpeechTold:
    """What was asked to be said, by the id of its job."""
    return speech_told(voices.speech(studio, speech_id))


@router.get("/speech/{speech_id}/file", response_class=FileResponse)
def get_speech_file(studio: Opened, speech_id: str) -> FileResponse:
    """The sound."""
    found = voices.speech(studio, speech_id)
    return sound_file(found.sound, forever=True)


@router.delete("/speech/{speech_id}", status_code=204)
def forget_speech(studio: Opened, speech_id: str) -> None:
    """Take away a sound and its words, for good; what still runs is canceled."""
    voices.forget(studio, speech_id)
