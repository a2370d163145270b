"""A whole run: everything that decides what comes out."""

from typing import Literal

from pydantic import BaseModel, Field

from likeness.config.data import DataConfig
from likeness.config.hardware import HardwareConfig
from likeness.config.lora import LoraConfig
from likeness.config.model import ModelConfig
from likeness.config.names import MOST_NAME, NAME, NAME_FORM
from likeness.config.optim import OptimConfig
from likeness.config.preserve import PreserveConfig
from likeness.config.sampling import SamplingConfig
from likeness.config.scorecard import ScorecardConfig
from likeness.config.section import SECTION
from likeness.config.stages import StageConfig
from likeness.config.train import TrainConfig


class RunConfig(BaseModel):
    """One training run."""

    model_config = SECTION

    name: str = Field(
        min_length=1,
        max_length=MOST_NAME,
        pattern=NAME,
        description="Name of the run and of its folder.",
        json_schema_extra={"form": NAME_FORM},
    )
    kind: Literal["character", "style", "product", "environment", "edit"] = Field(
        default="character", description="What is learned. 'edit' learns from pairs of pictures before and after."
    )
    base: str = Field(
        min_length=1,
        description="Base model: a name from the catalogue, a hub repository 'owner/name' or 'owner/name@revision', a "
        "folder, a file of weights, or the folder of an earlier run, for the base it had.",
    )
    model: ModelConfig = Field(
        default_factory=ModelConfig, description="Parts of the base from elsewhere, and how it is fetched."
    )
    trigger: str = Field(default="", description="The word that calls up what was learned; captions should contain it.")
    description: str = Field(default="", description="A note for people.")
    data: DataConfig = Field(description="What to learn from.")
    train: TrainConfig = Field(default_factory=TrainConfig, description="How long, and what to save on the way.")
    preserve: PreserveConfig = Field(
        default_factory=PreserveConfig, description="How to keep what the base knows: preservation."
    )
    optim: OptimConfig = Field(default_factory=OptimConfig, description="How the weights are moved.")
    lora: LoraConfig = Field(default_factory=LoraConfig, description="What is trained.")
    sampling: SamplingConfig = Field(default_factory=SamplingConfig, description="Test pictures.")
    scorecard: ScorecardConfig = Field(
        default_factory=ScorecardConfig, description="What is measured to tell which epoch to take."
    )
    hardware: HardwareConfig = Field(default_factory=HardwareConfig, description="What to compute on.")
    stages: list[StageConfig] = Field(
        default_factory=list[StageConfig], description="Several runs, each going on from the LoRA of the one before."
    )
