"""What the tools for voices answer."""

from typing import Any, Literal

from pydantic import Field

from likeness.mcp.shapes import Answer, RunSeen


class SoundFinding(Answer):
    check: str
    severity: Literal["error", "warning", "advice"]
    message: str
    fix: str
    mend: str | None = Field(default=None, description="check_recordings can mend it.")


class RecordingSeen(Answer):
    id: str
    name: str
    seconds: float | None
    text: str = Field(default="", description="What is said, where a .txt of the same name came with it.")
    findings: list[SoundFinding] = Field(description="Of the check; errors stop a clone.")
    mended: str | None = Field(default=None, description="Id of the mended copy, to be used in its place.")


class RecordingsSeen(Answer):
    recordings: list[RecordingSeen]
    findings: list[SoundFinding] = Field(description="Of all together, such as too little speech to train on.")
    refused: list[str] = Field(description="What could not be used, and why.")
    job: str | None = Field(description="The check, where it goes on still; wait with follow, then check_recordings.")


class VoiceSeen(Answer):
    id: str
    name: str
    engine: str
    language: str
    origin: str
    tags: list[str]
    description: str
    consent: str = Field(description="The statement that is kept with the voice.")


class EngineSeen(Answer):
    name: str
    sounds: str = Field(description="How it sounds: tell people honestly.")
    needs: str
    missing: str = Field(description="What to do so that it can be used here; empty where it can.")


class VoicesSeen(Answer):
    voices: list[VoiceSeen]
    total: int
    engines: list[EngineSeen]


class Cloned(Answer):
    job: str
    state: str
    voice: str | None = Field(description="Id of the new voice, for say; null while it is made.")
    sounds: str = Field(description="How voices of this engine sound.")
    notes: list[str] = Field(description="What was amiss with the recording.")
    figures: dict[str, float]
    error: str | None


class SoundSeen(Answer):
    """A sound file."""

    words: str
    address: str = Field(description="Path on the server, to be fetched with the same key.")
    file: str = Field(description="A path on this machine; empty where the server is elsewhere.")
    bytes: int


class Spoken(Answer):
    job: str
    state: str
    text: str
    seconds: float | None
    watermark: bool | None = Field(description="Whether the sound carries the mark of made speech.")
    sound: SoundSeen | None = Field(description="Null while it is made: say again with this job.")
    notes: list[str]
    error: str | None


class RemarkSeen(SoundFinding):
    recording: str
    name: str


class VoicePlanned(Answer):
    digest: str = Field(description="Give it to start_voice_training with the same config.")
    config: dict[str, Any]
    name: str
    name_taken: bool = Field(description="There is such a run: plan again with another name.")
    recordings: int = Field(description="That are learned from.")
    held_out: int
    epochs: int
    steps: int
    findings: list[RemarkSeen]
    notes: list[str]


class VoiceEpochSeen(Answer):
    """Epoch 0 is the untrained base. `figures` are means over the test sentences, and losses."""

    epoch: int
    finished: bool = Field(description="It can be kept as a voice.")
    figures: dict[str, float]
    sounds: list[SoundSeen]


class VoiceRunSeen(Answer):
    summary: RunSeen
    sentences: list[str]
    epochs: list[VoiceEpochSeen]
    figures: dict[str, str] = Field(description="What each figure says.")
    verdict: str = Field(description="What the figures say of which epoch to take; empty before there is one.")
    notes: list[str]


class VoiceKept(Answer):
    voice: str = Field(description="Id, for say.")
    name: str


class Verified(Answer):
    recording: str
    name: str
    state: str
    made: bool | None = Field(
        description="Whether it carries the mark, or says of itself that it is synthetic. False says nothing of other "
        "programs' speech; null while it is looked at."
    )
    watermark: dict[str, Any]
    provenance: dict[str, Any]
    job: str
    error: str | None
