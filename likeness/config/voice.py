"""Voices: what one is made of (`voice.json`), the engines that speak, and the settings of a trained voice."""

import hashlib
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, Field

from likeness.config.hardware import HardwareConfig
from likeness.config.names import MOST_NAME, NAME
from likeness.config.optim import OptimConfig
from likeness.config.section import SECTION

RECORD = "voice.json"
REFERENCE = "reference.wav"  # the part of the recording that the clone was made from
SAMPLE = "sample.wav"  # a sentence that the voice says, to be heard before it is used
LEAST_CONSENT = 12  # characters; "yes" states nothing
LESSON_SECONDS = (0.5, 30.0)  # of one recording that a voice is trained on, from and to


@dataclass(frozen=True)
class EngineAbout:
    """What a person should know before choosing it. `sounds` is told wherever a voice is made or used."""

    title: str
    sounds: str
    needs: str


ENGINES: dict[str, EngineAbout] = {
    "espeak": EngineAbout(
        "espeak-ng with the speaker's pitch, pace and timbre",
        "a speech synthesiser wearing the speaker's pitch, pace and timbre: clear, alike in colour, and not taken for "
        "the person",
        "no download; the extra 'voice'",
    ),
    "pocket": EngineAbout(
        "Pocket TTS, a small speech network",
        "natural speech, as near to the person as the network's weights allow",
        "its weights (--base), and the extras 'voice' and 'train'",
    ),
    "script": EngineAbout(
        "another engine, in a process with packages of its own",
        "whatever that engine sounds like",
        "a script that speaks the protocol of docs/guides/voice.md",
    ),
}
Engine = Literal["espeak", "pocket", "script"]


class Consent(BaseModel):
    """Who allowed the clone, in their own words or in those of whoever made it."""

    model_config = SECTION

    statement: str = Field(min_length=LEAST_CONSENT, max_length=2000)
    recorded: str  # when it was written down: ISO 8601, UTC

    @property
    def sha256(self) -> str:
        """Of the statement: what made speech carries of it."""
        return hashlib.sha256(self.statement.encode()).hexdigest()


class Reference(BaseModel):
    """The recording a voice was made from; `sha256` is of the original file."""

    model_config = SECTION

    file: str
    seconds: float
    sha256: str


class VoiceRecord(BaseModel):
    """All that is known of a voice. Beside it lie the reference, and what the engine keeps."""

    model_config = SECTION

    version: int = 1
    name: str = Field(pattern=NAME, max_length=MOST_NAME)
    engine: Engine
    language: str = "en-us"
    consent: Consent
    reference: Reference
    values: dict[str, Any] = Field(default_factory=dict[str, Any])  # of the engine: base, script, settings
    figures: dict[str, float] = Field(default_factory=dict[str, float])
    notes: list[str] = Field(default_factory=list[str])  # of the check that were known when it was made
    tags: list[str] = Field(default_factory=list[str])


class VoiceDataConfig(BaseModel):
    """What a voice is learned from."""

    model_config = SECTION

    clips: str = Field(min_length=1, description="Folder of recordings of one person, with the text of each beside it.")
    transcriber: str | None = Field(
        default=None,
        description="Whisper checkpoint (folder or hub repository) that writes the texts which are missing.",
    )
    hold_out: int = Field(default=1, ge=0, le=100, description="Recordings kept out of training, to measure by.")


class VoiceTrainConfig(BaseModel):
    """How long, and in what steps."""

    model_config = SECTION

    epochs: int = Field(default=10, ge=1, le=1000, description="How often every recording is shown.")
    batch_size: int = Field(default=4, ge=1, le=256, description="Recordings per update.")
    seed: int = Field(default=0, ge=0, le=2**63 - 1, description="Decides every draw.")
    state_every: int = Field(
        default=0, ge=0, description="Save the state every so many updates; 0: after epochs alone."
    )


class VoiceLoraConfig(BaseModel):
    """What is trained: a LoRA on the network's backbone."""

    model_config = SECTION

    rank: int = Field(default=16, ge=1, le=512, description="Size of the LoRA's factors.")
    alpha: float = Field(default=32.0, gt=0, le=4096, description="Strength: the change is scaled by alpha / rank.")


class VoiceSamplingConfig(BaseModel):
    """What is spoken after each epoch."""

    model_config = SECTION

    prompts: list[str] = Field(
        default_factory=lambda: [
            "The birch canoe slid on the smooth planks.",
            "It is easy to tell the depth of a well.",
        ],
        max_length=20,
        description="Test sentences.",
    )
    seed: int = Field(default=42, ge=0, le=2**63 - 1, description="Of the test sentences.")


class VoiceMeasuringConfig(BaseModel):
    """Networks that measure the test sentences. Pitch is measured without any."""

    model_config = SECTION

    encoder: str | None = Field(
        default=None, description="Speaker encoder: a folder with an x-vector model, or a d-vector file."
    )
    recogniser: str | None = Field(
        default=None, description="Whisper checkpoint that tells which words are understood."
    )


class VoiceRunConfig(BaseModel):
    """A trained voice: one run."""

    model_config = SECTION

    name: str = Field(min_length=1, max_length=MOST_NAME, pattern=NAME, description="Name of the run and of the voice.")
    kind: Literal["voice"] = "voice"
    base: str = Field(min_length=1, description="Pocket TTS: a hub repository or a folder.")
    consent: str = Field(
        min_length=LEAST_CONSENT, max_length=2000, description="Who is heard, and that they agree to being cloned."
    )
    language: str = Field(default="en", description="Of the texts, for the transcriber.")
    data: VoiceDataConfig
    train: VoiceTrainConfig = Field(default_factory=VoiceTrainConfig)
    optim: OptimConfig = Field(default_factory=OptimConfig)
    lora: VoiceLoraConfig = Field(default_factory=VoiceLoraConfig)
    sampling: VoiceSamplingConfig = Field(default_factory=VoiceSamplingConfig)
    measuring: VoiceMeasuringConfig = Field(default_factory=VoiceMeasuringConfig)
    hardware: HardwareConfig = Field(default_factory=HardwareConfig)
