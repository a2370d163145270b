"""The test pictures that are drawn while a run trains."""

from typing import Annotated, ClassVar

from pydantic import BaseModel, BeforeValidator, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from likeness.config.section import SECTION

SEED_LIMIT = 2**32 - 1
SMALLEST, LARGEST = 16, 8192  # pixels per side


def _list_of_one(value: object) -> object:
    return [value] if isinstance(value, str) else value


References = Annotated[
    list[Annotated[str, Field(min_length=1)]], BeforeValidator(_list_of_one, json_schema_input_type=str | list[str])
]


class PromptConfig(BaseModel):
    """One test picture. In YAML a bare string stands for its `prompt`."""

    model_config = SECTION
    shorthand: ClassVar[str] = "prompt"

    prompt: str = Field(description="What to draw; for an edit, the instruction.")
    negative_prompt: str | None = Field(default=None, description="What to avoid. Unset: sampling.negative_prompt.")
    reference: References = Field(
        default_factory=list,
        description="Source image of an edit, or a list of them. Relative paths start at the settings file.",
    )
    width: int | None = Field(default=None, ge=SMALLEST, le=LARGEST, description="Pixels. Unset: sampling.width.")
    height: int | None = Field(default=None, ge=SMALLEST, le=LARGEST, description="Pixels. Unset: sampling.height.")
    seed: int | None = Field(default=None, ge=0, le=SEED_LIMIT, description="Unset: sampling.seed.")


def _prompt_from_text(value: object) -> object:
    return {PromptConfig.shorthand: value} if isinstance(value, str) else value


PromptEntry = Annotated[PromptConfig, BeforeValidator(_prompt_from_text, json_schema_input_type=str | PromptConfig)]


class SamplingConfig(BaseModel):
    """Test prompts and how they are drawn, the same at every epoch."""

    model_config = SECTION

    max_prompts: int = Field(
        default=4,
        ge=1,
        le=1000,
        description="Guards against a long list slowing every epoch; raise it to use more prompts.",
    )
    prompts: list[PromptEntry] = Field(default_factory=list[PromptConfig], description="The test prompts.")
    negative_prompt: str = Field(default="", description="What to avoid in all test pictures.")
    width: int | None = Field(default=None, ge=SMALLEST, le=LARGEST, description="Pixels. Unset: the base model's own.")
    height: int | None = Field(
        default=None, ge=SMALLEST, le=LARGEST, description="Pixels. Unset: the base model's own."
    )
    steps: int | None = Field(default=None, ge=1, le=1000, description="Denoising steps. Unset: the base model's own.")
    guidance: float | None = Field(
        default=None,
        ge=0,
        le=100,
        description="How strongly pictures follow the prompt, as the base model counts it: `likeness models` says what "
        "is usual and where it is off. Unset: the base model's own.",
    )
    seed: int = Field(
        default=42, ge=0, le=SEED_LIMIT, description="Starting noise of the test pictures; not train.seed."
    )

    @field_validator("prompts")
    @classmethod
    def _not_too_many(cls, prompts: list[PromptConfig], info: ValidationInfo) -> list[PromptConfig]:
        limit = info.data.get("max_prompts")  # absent where it was itself refused
        if isinstance(limit, int) and len(prompts) > limit:
            raise PydanticCustomError(
                "too_many_prompts",
                "{count} prompts are drawn at every epoch, more than sampling.max_prompts ({limit}); "
                "raise sampling.max_prompts to {count} if that is meant",
                {"count": len(prompts), "limit": limit},
            )
        return prompts
