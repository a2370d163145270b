"""What is asked and told of runs."""

from typing import Annotated, Any, Literal

from pydantic import Field

from likeness.api.routes.jobs import JobTold
from likeness.api.shapes import Asked, Told
from likeness.service.costs import Fits
from likeness.studio import runs
from likeness.studio.aliases import Dialect
from likeness.studio.run_summaries import State

Name = Annotated[str, Field(max_length=100)]
Settings = Annotated[
    dict[str, Any],
    Field(
        description="Settings as a YAML file holds them; GET /api/v1/schema describes them. "
        "`data.datasets[].path` may name a dataset of the studio: dataset:NAME, or dataset:NAME@3 for its version 3; "
        "`lora.start_from` an epoch: run:NAME/7, or a model: model:ID."
    ),
]


class FigureTold(Told):
    """From low to high; null where nothing is known."""

    low: float | None
    high: float | None
    source: str = Field(description="Where it comes from: an earlier run, or a computation.")


class DeviceTold(Told):
    name: str
    kind: str
    title: str
    memory_bytes: int | None
    bf16: bool
    flops: float | None = Field(description="Measured in matrix products, in operations a second.")


class SuggestionTold(Told):
    field: str
    value: str
    reason: str


class CostTold(Told):
    """Times are seconds, the others bytes."""

    steps: int
    time: FigureTold
    memory: FigureTold
    disk: FigureTold
    download: FigureTold
    device: DeviceTold
    fits: Fits
    why: str
    fixes: list[SuggestionTold] = Field(description="Settings with which it would fit.")


class LengthTold(Told):
    images: int
    held_out: int
    epochs: int
    examples_per_epoch: int
    steps_per_epoch: int
    steps: int
    arithmetic: str


class FindingTold(Told):
    check: str
    severity: Literal["error", "warning", "advice"]
    images: list[str] = Field(description="Names of the files it is about.")
    message: str
    fix: str


class DatasetUsed(Told):
    dataset_id: str
    name: str
    version: int
    digest: str


class PlanTold(Told):
    """What a run would be. POST it with `digest` to /runs to start exactly that."""

    digest: str
    name: str
    name_taken: bool
    config: dict[str, Any] = Field(description="The settings that were planned, to be sent with the digest.")
    yaml: str = Field(description="The same as a file for `likeness train`.")
    plan: LengthTold
    cost: CostTold
    findings: list[FindingTold]
    suggestions: list[SuggestionTold]
    notes: list[str]
    datasets: list[DatasetUsed]


class PlanAsked(Asked):
    """Settings, or a request in the words of a hosted trainer with `dialect`."""

    config: Settings | None = None
    dialect: Dialect | None = None
    request: dict[str, Any] | None = None


class StartAsked(Asked):
    config: Settings
    digest: str = Field(description="Of the plan that is to be started.")
    parent_run: Name | None = Field(default=None, description="The run whose settings these are.")
    parent_epoch: Annotated[int | None, Field(ge=0, le=10**6)] = None
    note: str = Field(default="", max_length=runs.LONGEST_NOTE)
    priority: Annotated[int, Field(ge=-1000, le=1000)] = 0
    mock: bool = Field(default=False, description="Go through all states and events in seconds, and train nothing.")


class StartTold(Told):
    name: str
    job: JobTold


class RunTold(Told):
    name: str
    state: State
    mock: bool
    kind: str
    base: str
    trigger: str
    created: float
    steps: int
    step: int
    progress: float = Field(description="From 0 to 1.")
    epochs: int
    epochs_saved: int
    chosen_epoch: int | None
    suggested_epoch: int | None
    cover: str | None = Field(description="Path of a picture, for /runs/NAME/pictures/PATH.")
    parent_run: str | None
    parent_epoch: int | None
    archived: bool
    note: str
    job: str | None
    error: str | None


class RunsTold(Told):
    runs: list[RunTold]
    total: int


class StageTold(Told):
    name: str
    done: int
    total: int


class PointTold(Told):
    step: int
    epoch: int
    loss: float
    smoothed: float


class SampleTold(Told):
    epoch: int
    step: int
    prompt_index: int
    prompt: str
    seed: int
    path: str = Field(description="For /runs/NAME/pictures/PATH.")
    now: bool = Field(description="Drawn on request, between two epochs.")


class EpochTold(Told):
    """Epoch 0 is the untrained base. Losses are those at the fixed probes."""

    epoch: int
    checkpoint: str | None
    size_bytes: int | None
    samples: list[SampleTold]
    train_loss: float | None
    held_out_loss: float | None


class PromptTold(Told):
    index: int
    text: str
    seed: int | None
    references: int


class RunWhole(Told):
    """A run in full."""

    summary: RunTold
    description: str
    dataset_id: str | None
    dataset_version: int | None
    images: int
    held_out: int
    arithmetic: str
    device: str | None
    precision: str | None
    stage: StageTold | None
    epoch: int
    eta_seconds: float | None
    seconds_per_step: float | None
    images_per_second: float | None
    memory_bytes: int | None
    loss: list[PointTold]
    prompts: list[PromptTold]
    epochs: list[EpochTold]
    now: list[SampleTold]
    verdict: dict[str, Any] | None = Field(description="Of the scorecard; null where nothing was measured.")
    notes: list[str]
    ended: str
    external: bool = Field(description="Trained by a process that is not the queue's.")
    waiting_before: int | None
    config: dict[str, Any]


class RunChange(Asked):
    note: str | None = Field(default=None, max_length=runs.LONGEST_NOTE)
    archived: bool | None = None


class DeletedTold(Told):
    """A run in the bin; its id takes it back."""

    id: str
    name: str
    deleted: float
    size_bytes: int


class BinTold(Told):
    runs: list[DeletedTold]


class StopAsked(Asked):
    become: Literal["paused", "canceled"] = "canceled"


class ExtendAsked(Asked):
    epochs: Annotated[int, Field(ge=1, le=100_000, description="That it will have in all.")]


class ConfigTold(Told):
    config: dict[str, Any]
    notes: list[str] = Field(default=[])
