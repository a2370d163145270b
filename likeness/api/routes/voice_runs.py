"""Trained voices: planned, started, heard epoch by epoch, kept.

They are runs as well: /runs/NAME/events follows one, /runs/NAME/epochs/… and the bin are as of others.
"""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from fastapi.responses import FileResponse
from pydantic import Field

from likeness.api.routes.jobs import JobTold
from likeness.api.run_shapes import RunsTold, RunTold, RunWhole, StopAsked
from likeness.api.shapes import Asked, Opened, Told, sound_file
from likeness.config.voice import VoiceRunConfig
from likeness.studio import runs, voice_runs, voices

router = APIRouter(tags=["voices"])
Settings = Annotated[
    dict[str, Any],
    Field(
        description="Settings of a trained voice, as GET /api/v1/schema/voice has them: name, base, consent, train, … "
        "In place of `data.clips`: `recordings`, ids of recordings of one person, and `texts`, what is said in each "
        "by its id."
    ),
]
Number = Annotated[int, Path(ge=0, le=10**6)]


class VoicePlanAsked(Asked):
    config: Settings


class VoiceStartAsked(Asked):
    config: Settings
    digest: str = Field(description="Of the plan that is to be started.")
    note: str = Field(default="", max_length=runs.LONGEST_NOTE)
    priority: Annotated[int, Field(ge=-1000, le=1000)] = 0


class RemarkTold(Told):
    """Of the last check for training."""

    recording: str
    name: str
    check: str
    severity: Literal["error", "warning", "advice"]
    message: str
    fix: str
    mend: str | None


class VoicePlanTold(Told):
    """What a training would be. POST it with `digest` to /voice-runs to start exactly that."""

    digest: str
    name: str
    name_taken: bool
    config: dict[str, Any] = Field(description="The settings that were planned, to be sent with the digest.")
    recordings: int = Field(description="That are learned from.")
    held_out: int = Field(description="That are kept out, to measure by.")
    epochs: int
    steps: int
    findings: list[RemarkTold]
    notes: list[str]


class VoiceStartTold(Told):
    name: str
    job: JobTold


class VoiceSettingsTold(Told):
    config: dict[str, Any]


class SaidTold(Told):
    prompt: int = Field(description="Number of the sentence, from 1; for /voice-runs/NAME/epochs/N/sounds/PROMPT.")
    seed: int
    figures: dict[str, float]


class VoiceEpochTold(Told):
    """Epoch 0 is the untrained base, speaking from the recordings."""

    epoch: int
    finished: bool = Field(description="It can be kept as a voice.")
    sounds: list[SaidTold]
    figures: dict[str, float]


class FigureTold(Told):
    key: str
    name: str
    says: str


class ClipTold(Told):
    id: str
    name: str
    recording: str | None
    text: str
    held_out: bool


class VoiceRunTold(Told):
    """A trained voice in full. `run` is what it has in common with other runs: state, steps, losses."""

    run: RunWhole
    base: str
    language: str
    consent: str
    consent_recorded: str
    sentences: list[str] = Field(description="Test sentences, from 1.")
    epochs: list[VoiceEpochTold]
    figures: list[FigureTold] = Field(description="Those that were measured.")
    clips: list[ClipTold]
    verdict: str
    sentence: str = Field(description="The verdict in words.")
    suggested: int | None
    chosen: int | None
    has_reference: bool


class KeepAsked(Asked):
    name: str = Field(default="", max_length=100, description="Of the voice; empty: the run's own.")


class KeptTold(Told):
    voice_id: str
    name: str


@router.get("/schema/voice")
def get_voice_schema() -> dict[str, Any]:
    """The JSON schema of a trained voice's settings; `recordings` and `texts` stand in place of `data.clips` here."""
    return VoiceRunConfig.model_json_schema()


@router.post("/voice-runs/plan")
def plan_voice_run(studio: Opened, asked: VoicePlanAsked) -> VoicePlanTold:
    """Check settings and recordings, and tell what the training would be. Nothing is started."""
    planned = voice_runs.plan(studio, asked.config)
    return VoicePlanTold(
        digest=planned.digest, name=planned.name, name_taken=planned.name_taken, config=asked.config,
        recordings=planned.recordings, held_out=planned.held_out, epochs=planned.epochs, steps=planned.steps,
        findings=[RemarkTold.model_validate(found) for found in planned.findings], notes=planned.notes,
    )  # fmt: skip


@router.post("/voice-runs", status_code=201)
def start_voice_run(studio: Opened, asked: VoiceStartAsked) -> VoiceStartTold:
    """Start exactly what was planned; a Conflict where it is no longer that."""
    job = voice_runs.start(studio, asked.config, asked.digest, note=asked.note, priority=asked.priority)
    return VoiceStartTold(name=str(job.extra["run"]), job=JobTold.model_validate(job))


@router.get("/voice-runs")
def list_voice_runs(
    studio: Opened,
    archived: bool = False,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> RunsTold:
    """The trainings of voices, newest first; also those that the command line trained."""
    found = voice_runs.listed(studio, archived=archived)
    return RunsTold(runs=[RunTold.model_validate(r) for r in found[offset : offset + limit]], total=len(found))


@router.get("/voice-runs/{name}")
def get_voice_run(studio: Opened, name: str) -> VoiceRunTold:
    """Sentences by epoch with their figures, losses, verdict."""
    return VoiceRunTold.model_validate(voice_runs.view(studio, name))


@router.get("/voice-runs/{name}/settings")
def get_voice_settings(studio: Opened, name: str) -> VoiceSettingsTold:
    """Settings for a training like this one."""
    return VoiceSettingsTold(config=voice_runs.settings(studio, name))


@router.get("/voice-runs/{name}/reference", response_class=FileResponse)
def get_voice_reference(studio: Opened, name: str) -> FileResponse:
    """The speaker, as recorded, to be heard beside the epochs."""
    return sound_file(voice_runs.reference(studio, name))


@router.get("/voice-runs/{name}/epochs/{epoch}/sounds/{prompt}", response_class=FileResponse)
def get_voice_sound(
    studio: Opened,
    name: str,
    epoch: Number,
    prompt: Number,
    seed: Annotated[int | None, Query(ge=0, le=2**63 - 1)] = None,
) -> FileResponse:
    """A test sentence (from 1) as an epoch says it."""
    return sound_file(voice_runs.sound(studio, name, epoch, prompt, seed))


@router.post("/voice-runs/{name}/epochs/{epoch}/keep", status_code=201)
def keep_voice(studio: Opened, name: str, epoch: Number, asked: KeepAsked) -> KeptTold:
    """Put an epoch among the voices."""
    voice_runs.voice_folder(studio, name, epoch)
    voice = voices.keep_epoch(studio, name, epoch, asked.name or name)
    return KeptTold(voice_id=voice.id, name=voice.name)


@router.post("/voice-runs/{name}/stop")
def stop_voice_run(studio: Opened, name: str, asked: StopAsked) -> JobTold:
    """Save and end; it can go on later. Asked a second time it ends at once."""
    return JobTold.model_validate(voice_runs.stop(studio, name, asked.become))


@router.post("/voice-runs/{name}/resume")
def resume_voice_run(studio: Opened, name: str) -> JobTold:
    """Queue a training that stopped before its end; it goes on where it was."""
    return JobTold.model_validate(voice_runs.resume(studio, name))
