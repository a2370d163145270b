"""What tools answer. Short on purpose: an agent reads all of it."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Answer(BaseModel):
    """May be made of a table's row or a dataclass with `model_validate`."""

    model_config = ConfigDict(from_attributes=True)


class JobSeen(Answer):
    id: str
    title: str
    state: Literal["queued", "running", "paused", "finished", "failed", "canceled"]
    progress: str = Field(default="", description="What it does just now.")
    done: int = 0
    total: int = Field(default=0, description="0: nobody knows.")
    eta_seconds: float | None = None
    error: str | None = None


class DeviceSeen(Answer):
    name: str
    title: str
    memory_bytes: int | None


class MachineSeen(Answer):
    devices: list[DeviceSeen]
    cores: int
    memory_bytes: int | None
    free_disk_bytes: int
    problem: str = Field(description="Why nothing can be trained here; empty where it can.")
    jobs: list[JobSeen] = Field(description="That run or wait.")


class BaseSeen(Answer):
    name: str
    title: str
    family: str
    good_for: str
    licence: str
    parameters: str
    resolution: int
    edits: bool = Field(description="Can learn an edit from pairs of pictures.")
    here: bool = Field(description="Its files are on this machine; else they are fetched first.")
    download_bytes: int | None
    fits: str = Field(description="Whether it can be trained on this machine.")
    why: str
    speed: str


class BasesSeen(Answer):
    bases: list[BaseSeen]


class Arrived(Answer):
    dataset: str = Field(description="Its id.")
    name: str
    pictures: list[str] = Field(description="Names of the pictures that came in.")
    texts: list[str] = Field(description="Captions that came in.")
    refused: list[str] = Field(description="What could not be used, and why.")
    notes: list[str]
    pairs: int = Field(description="Pairs that were made, of an edit dataset.")


class PictureSeen(Answer):
    name: str
    caption: str
    author: str = Field(description="Who wrote the caption: a person or a machine.")
    width: int
    height: int
    sources: list[str] = Field(description="Of an edit: the pictures before, of which this one is the outcome.")


class DatasetSeen(Answer):
    id: str
    name: str
    kind: str
    trigger: str
    base: str
    pictures: list[PictureSeen]
    total: int


class FindingSeen(Answer):
    check: str
    severity: Literal["error", "warning", "advice"]
    images: list[str]
    message: str
    fix: str
    fixes: list[str] = Field(default=[], description="For fix_dataset.")


class TriggerSeen(Answer):
    trigger: str
    lacks: list[str] = Field(description="Pictures whose captions lack it.")
    spelled_otherwise: dict[str, str]
    without_caption: list[str]
    is_a_word: bool = Field(description="It means something already: choose another.")


class DatasetChecked(Answer):
    usable: int = Field(description="Pictures or pairs that can be learned from.")
    findings: list[FindingSeen]
    trigger: TriggerSeen | None = Field(description="Where the trigger is missing; null for edits, or without one.")
    suggested_prompts: list[str] = Field(description="Test prompts for plan_training.")
    notes: list[str]


class Fixed(Answer):
    words: str
    job: str | None = Field(description="That does it; wait for it with follow.")


class Edited(Answer):
    changed: list[str] = Field(description="Names of the pictures whose captions changed.")


class JobStarted(Answer):
    job: str = Field(description="Wait for it with follow.")
    title: str


class Planned(Answer):
    digest: str = Field(description="Give it to start_training with the same config.")
    config: dict[str, Any]
    name: str
    name_taken: bool = Field(description="There is such a run: plan again with another name.")
    images: int
    held_out: int
    steps: int
    epochs: int
    arithmetic: str
    fits: str
    why: str
    seconds: list[float | None] = Field(description="From low to high; null where nothing is known.")
    memory_bytes: list[float | None]
    disk_bytes: list[float | None]
    download_bytes: list[float | None]
    findings: list[FindingSeen]
    suggestions: list[str] = Field(description="Settings that may do better, each with its reason.")
    notes: list[str]


class Started(Answer):
    run: str
    job: str


class RunSeen(Answer):
    """A run in a few words."""

    name: str
    state: Literal["queued", "running", "paused", "finished", "failed", "canceled", "stopped"]
    base: str
    kind: str
    trigger: str
    step: int
    steps: int
    epochs_saved: int
    epochs: int
    chosen_epoch: int | None
    suggested_epoch: int | None
    error: str | None


class Followed(Answer):
    """How it stands when the wait is over. Call follow again while state is queued or running."""

    state: str
    progress: str
    done: int
    total: int
    eta_seconds: float | None
    epochs_saved: int | None = Field(description="Of a run; look at them with view_run.")
    loss: float | None = Field(description="Of a run: smoothed, at its last step.")
    error: str | None
    result: dict[str, Any] | None = Field(description="What a job left.")
    notes: list[str]


class SampleSeen(Answer):
    prompt_index: int
    seed: int
    path: str


class EpochSeen(Answer):
    """Epoch 0 is the untrained base. Lower losses are better; held_out_loss is of pictures it did not learn from."""

    epoch: int
    has_lora: bool
    train_loss: float | None
    held_out_loss: float | None
    samples: list[SampleSeen]


class RunWhole(Answer):
    summary: RunSeen
    prompts: list[str]
    epochs: list[EpochSeen]
    verdict: str = Field(description="What the scorecard says; empty where nothing was measured.")
    reasons: list[str]
    advice: list[str]
    flags: list[str]
    measures: list[dict[str, Any]] = Field(description="By epoch: each measure as [mean, noise].")
    notes: list[str]


class Chosen(Answer):
    run: str
    epoch: int
    model: str | None = Field(description="Id in the library, where it was published.")
    lora: str = Field(description="For generate and merge_models.")


class ModelSeen(Answer):
    id: str
    name: str
    base: str
    kind: str
    trigger: str
    strength: float
    tags: list[str] = []
    run: str | None
    epoch: int | None
    description: str


class DatasetListed(Answer):
    id: str
    name: str
    kind: str
    trigger: str


class Listed(Answer):
    """Only what was asked for is filled in."""

    datasets: list[DatasetListed] = []
    runs: list[RunSeen] = []
    models: list[ModelSeen] = []
    jobs: list[JobSeen] = []
    total: int


class PictureDrawn(Answer):
    id: str
    seed: int | None
    strength: float | None = Field(description="Of the first LoRA.")
    file: str


class Generated(Answer):
    job: str
    state: str
    pictures: list[PictureDrawn]
    total: int = Field(description="That there will be; wait for the others with follow, then view them here again.")
    warnings: list[str]
    error: str | None


class Merged(Answer):
    job: str
    state: str
    model: str | None = Field(description="Id in the library, once it is there.")
    error: str | None


class Exported(Answer):
    file: str = Field(description="A path on the server's machine; empty while it is made, or where it is elsewhere.")
    address: str = Field(description="Path on the server, to be fetched with the same key; empty while it is made.")
    job: str | None = Field(description="That makes it; call again when it has finished.")
