"""What is trained: small low-rank matrices beside the frozen base."""

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field
from pydantic_core import PydanticCustomError

from likeness.config.section import SECTION


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as e:
        raise PydanticCustomError(
            "targets",
            "should be 'attention', 'all' or a regular expression ({why})",
            {"why": str(e)},
        ) from e
    return pattern


class LoraConfig(BaseModel):
    """Size and place of the LoRA. Its effect is scaled by alpha / rank."""

    model_config = SECTION

    rank: int = Field(
        default=16, ge=1, le=1024, description="Width of the matrices: more can learn more, and overfit more."
    )
    alpha: float = Field(default=16.0, gt=0, le=65536, description="The LoRA is scaled by alpha / rank.")
    dropout: float = Field(
        default=0.0, ge=0, lt=1, description="Share of LoRA inputs switched off at random while training."
    )
    targets: Annotated[str, AfterValidator(_compiles)] = Field(
        default="all",
        min_length=1,
        description="Which layers get a LoRA: 'attention', 'all', or a regular expression over layer names.",
    )
