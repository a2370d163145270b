"""What is trained: small low-rank matrices beside the frozen base."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field
from pydantic_core import PydanticCustomError

from likeness.config.section import SECTION


def _regex(instead: str = "") -> AfterValidator:
    def compiles(pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as e:
            raise PydanticCustomError(
                "targets", "should be {instead}a regular expression ({why})", {"why": str(e), "instead": instead}
            ) from e
        return pattern

    return AfterValidator(compiles)


Rank = Annotated[int, Field(ge=1, le=1024)]
Alpha = Annotated[float, Field(gt=0, le=65536)]


class ModuleConfig(BaseModel):
    """Layers that get a rank or alpha of their own. The first entry that matches a layer's whole name counts."""

    model_config = SECTION

    match: Annotated[str, _regex()] = Field(
        min_length=1, description="Regular expression over layer names, such as '.*\\.to_q'."
    )
    rank: Rank | None = Field(default=None, description="Unset: lora.rank.")
    alpha: Alpha | None = Field(default=None, description="Unset: lora.alpha.")


class LoraConfig(BaseModel):
    """Type, size and place of the LoRA. Its effect is scaled by alpha / rank (rslora: by alpha / √rank)."""

    model_config = SECTION

    type: Literal["lora", "dora", "rslora", "lokr", "loha"] = Field(
        default="lora", description="How the change of a weight is composed; 'lora' is read by every tool."
    )
    rank: Rank = Field(default=16, description="Width of the matrices: more can learn more, and overfit more.")
    alpha: Alpha = Field(default=16.0, description="The LoRA is scaled by alpha / rank.")
    dropout: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Share of LoRA inputs switched off at random while training; not for 'lokr' and 'loha'.",
    )
    targets: Annotated[str, _regex("'attention', 'all' or ")] = Field(
        default="all",
        min_length=1,
        description="Which layers get a LoRA: 'attention', 'all', or a regular expression over layer names.",
    )
    exclude: Annotated[str, _regex()] = Field(
        default="", description="Layers that get none after all: a regular expression over layer names."
    )
    modules: list[ModuleConfig] = Field(
        default_factory=list[ModuleConfig], description="Ranks and alphas of their own for some of the layers."
    )
    conv: bool = Field(default=False, description="Convolutions too, in the blocks of a UNet (Stable Diffusion).")
    start_from: str | None = Field(
        default=None,
        min_length=1,
        description="A LoRA file to go on from, of any layout; its layers, ranks and type must be those of this run.",
    )
    training_adapter: str = Field(
        default="auto",
        min_length=1,
        description="A LoRA file that is active while training and never saved, as distilled bases need one; 'off', "
        "or 'auto': the base's own where it has one that can be had.",
    )
