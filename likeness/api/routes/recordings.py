"""Recordings: sounds to make voices of, checked and mended."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse
from pydantic import Field

from likeness.api import uploading
from likeness.api.routes.jobs import JobTold
from likeness.api.routes.models import RAW_BODY
from likeness.api.shapes import Asked, Opened, Told, sound_file
from likeness.api.uploading import Arriving
from likeness.studio import recordings, voices
from likeness.studio.uploads import Incoming

router = APIRouter(prefix="/recordings", tags=["recordings"])
UPLOADS = "recordings"  # whose the files are that come in

Purpose = Literal["instant", "trained"]


class RecordingTold(Told):
    id: str
    name: str
    size_bytes: int
    created: float
    seconds: float | None = Field(description="None where only a check can tell.")
    checked: dict[str, Any] = Field(description="Purpose, figures and findings of the last check; empty before.")


class RecordingsTold(Told):
    recordings: list[RecordingTold]


class CheckAsked(Asked):
    recordings: list[str] = Field(min_length=1, max_length=recordings.MOST_AT_ONCE, description="Ids.")
    purpose: Purpose = Field(default="instant", description="For an instant clone, or for a trained voice.")


class MendAsked(Asked):
    purpose: Purpose = "instant"


def told(found: recordings.Recording) -> RecordingTold:
    return RecordingTold.model_validate(found)


@router.put(
    "/uploads/{file_name}",
    status_code=201,
    response_model=RecordingTold,
    max_body_size=recordings.MOST_BYTES,
    openapi_extra=RAW_BODY,
)
async def upload_recording(request: Request, studio: Opened, file_name: str) -> Response:
    """Bring a recording: WAV, FLAC, Ogg or MP3.

    A transfer that was cut off can be gone on with, as described at the files of datasets.
    """

    def use(incoming: Incoming) -> dict[str, Any]:
        return told(recordings.receive(studio, incoming)).model_dump(mode="json")

    return await uploading.receive(request, studio, Arriving(UPLOADS, file_name, recordings.MOST_BYTES, use))


@router.head("/uploads/{file_name}")
def recording_so_far(request: Request, studio: Opened, file_name: str) -> Response:
    """How much of a file has arrived, as `Upload-Offset`."""
    return uploading.arrived(request, studio, UPLOADS, file_name)


@router.get("")
def list_recordings(studio: Opened, limit: Annotated[int, Query(ge=1, le=1000)] = 50) -> RecordingsTold:
    """The newest first."""
    return RecordingsTold(recordings=[told(one) for one in recordings.recent(studio, limit)])


@router.post("/check", status_code=202)
def check_recordings(studio: Opened, asked: CheckAsked) -> JobTold:
    """Have recordings checked: length, clipping, noise, silence, loudness, sample rate, several speakers, music.

    The job's result has a row for each, with `recording`, `figures` and `findings`, the worst first, each with its fix.
    """
    return JobTold.model_validate(recordings.check(studio, asked.recordings, asked.purpose))


@router.get("/{recording_id}")
def get_recording(studio: Opened, recording_id: str) -> RecordingTold:
    return told(recordings.get(studio, recording_id))


@router.delete("/{recording_id}", status_code=204)
def delete_recording(studio: Opened, recording_id: str) -> None:
    """For good. Voices that were made of it have their own part of it."""
    recordings.remove(studio, recording_id)


@router.get("/{recording_id}/file", response_class=FileResponse)
def get_recording_file(studio: Opened, recording_id: str) -> FileResponse:
    """The sound as it came."""
    return sound_file(recordings.get(studio, recording_id).path, forever=True)


@router.post("/{recording_id}/mend", status_code=202)
def mend_recording(studio: Opened, recording_id: str, asked: MendAsked) -> JobTold:
    """Have a mended copy made: trimmed, denoised, resampled, at an even loudness, as its check advises. It becomes a
    recording of its own, whose id is the result's `recording`."""
    return JobTold.model_validate(recordings.mend(studio, recording_id, asked.purpose))


@router.post("/{recording_id}/verify", status_code=202)
def verify_recording(studio: Opened, recording_id: str) -> JobTold:
    """Ask whether a sound is made speech, by the mark in it and by what its file says: the result's `made`."""
    return JobTold.model_validate(voices.verify(studio, recording_id))
