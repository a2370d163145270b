"""A training in several stages: each goes on from the LoRA of the one before, with settings of its own."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from likeness.config.names import NAME, NAME_FORM
from likeness.config.section import SECTION


class StageConfig(BaseModel):
    """One stage. It is a run of its own, called NAME-STAGE, with the settings of the file but for those named here."""

    model_config = SECTION

    name: str = Field(
        min_length=1,
        max_length=40,
        pattern=NAME,
        description="Name of the stage; the run's name is put before it.",
        json_schema_extra={"form": NAME_FORM},
    )
    go_on_from: Literal["last", "suggested"] | int = Field(
        default="last",
        description="Which epoch of the stage before: the last, the one that its scorecard suggests (the last where it "
        "suggests none), or a number. The first stage starts as lora.start_from says.",
    )
    settings: dict[str, Any] = Field(
        default_factory=dict[str, Any],
        description="Settings that are others in this stage, by their dotted names, such as 'train.epochs: 4'.",
    )
