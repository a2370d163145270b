"""What is kept of what the base knows."""

from pydantic import BaseModel, Field

from likeness.config.section import SECTION


class PreserveConfig(BaseModel):
    """Preservation: captions without their trigger go on as the base draws them."""

    model_config = SECTION

    weight: float = Field(
        default=0.0,
        ge=0,
        le=100,
        description="Of a second error: how far captions without their trigger are from what the base makes of them. 1 "
        "as a rule; less leaks then, and a step takes 2.3 times as long. 0: off.",
    )
    class_word: str = Field(
        default="",
        description="What stands in the trigger's place there, such as 'a girl'. Empty: the trigger is left out.",
    )
