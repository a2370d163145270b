"""What a run learns from."""

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, Field

from likeness.config.section import SECTION


class DatasetConfig(BaseModel):
    """One folder of images with captions, or of edit pairs. In YAML a bare string stands for its `path`."""

    model_config = SECTION
    shorthand: ClassVar[str] = "path"

    path: str = Field(
        min_length=1,
        description="Folder of images with .txt captions beside them; for kind 'edit' a folder or JSONL file of pairs. "
        "Relative paths start at the settings file.",
    )
    repeats: int = Field(default=20, ge=1, le=100_000, description="How often each image is shown per epoch.")
    caption: str | None = Field(default=None, description="Caption for images that have no .txt file of their own.")
    instruction: str | None = Field(
        default=None, description="Instruction for edit pairs that have no text of their own."
    )


def _dataset_from_path(value: object) -> object:
    return {DatasetConfig.shorthand: value} if isinstance(value, str) else value


DatasetEntry = Annotated[DatasetConfig, BeforeValidator(_dataset_from_path, json_schema_input_type=str | DatasetConfig)]


class DataConfig(BaseModel):
    """Which images, how they are cut to size, and what is kept aside to measure with."""

    model_config = SECTION

    datasets: list[DatasetEntry] = Field(min_length=1, description="The datasets, all used in every epoch.")
    resolution: int | None = Field(
        default=None,
        ge=32,
        le=8192,
        description="Side in pixels of a square with the area that images are scaled to; other shapes keep their "
        "proportions. Unset: the base model's own.",
    )
    hold_out: Literal["auto"] | Annotated[int, Field(ge=0)] = Field(
        default="auto",
        description="Images kept out of training to measure overfitting with. 'auto': none below 8 images, then 1, 2, "
        "or a tenth; 0: none.",
    )
    caption_dropout: float = Field(
        default=0.05, ge=0, le=1, description="Share of training examples shown with an empty caption."
    )
    flip: bool = Field(default=False, description="Mirror half of the examples. Not for writing or lopsided faces.")
    crop: Literal["center", "random"] = Field(default="center", description="Where to cut what does not fit the size.")
