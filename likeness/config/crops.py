"""Detail crops: parts of large pictures, trained at full sharpness beside the whole."""

import re
from typing import Annotated

from pydantic import BaseModel, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from likeness.config.section import SECTION

ADDRESS = re.compile(r"https?://[^\s/?#]+[^\s?#]*")  # of a server

SYSTEM_PROMPT = (
    "You caption crops of larger pictures for training an image model. Describe only what this crop shows, in one "
    "sentence, concretely and without guessing what lies outside of it."
)
USER_PROMPT = "The whole picture is described as: {context}\nThis is a part of it. Describe this part."


class DetailCropsConfig(BaseModel):
    """Large pictures are cut into tiles, so that their small things are learned at the size they have."""

    model_config = SECTION

    enabled: bool = Field(default=False, description="Cut pictures into tiles.")
    tile_resolution: int | None = Field(
        default=None, ge=32, le=8192, description="Side of a tile in pixels. Unset: that of the training."
    )
    overlap: float = Field(
        default=0.25,
        ge=0,
        le=0.9,
        description="Least share of a tile that it has in common with the next. Tiles are spread evenly and are all of "
        "full size, so it is often more.",
    )
    blank_std_threshold: float = Field(
        default=8.0, ge=0, le=128, description="Tiles whose grey values (0 to 255) deviate less than this are left out."
    )
    blank_edge_threshold: float = Field(
        default=0.005,
        ge=0,
        le=1,
        description="Tiles in which a smaller share of pixels lies on an edge than this are left out.",
    )
    scales: list[Annotated[float, Field(gt=0, le=1)]] = Field(
        default=[1.0],
        min_length=1,
        description="Sizes of the picture at which it is cut, as shares of its own: 0.5 shows twice as much in a tile.",
    )
    include_context_tiles: bool = Field(
        default=False, description="Also show the whole picture, made as small as one tile: what surrounds the details."
    )
    include_full_images: bool = Field(
        default=True, description="Also show the whole picture as it would be without tiles."
    )
    regenerate_each_epoch: bool = Field(
        default=False, description="Move the tiles a little in each epoch; each epoch's are encoded and kept."
    )
    enable_captioning: bool = Field(
        default=False, description="Caption tiles by themselves; else they have the caption of their picture."
    )
    caption_probability: float = Field(default=1.0, ge=0, le=1, description="Share of the tiles that are captioned.")
    caption_model: str = Field(default="", description="Model that captions: a folder, or a name at the endpoint.")
    caption_system_prompt: str = Field(default=SYSTEM_PROMPT, description="What the captioner is told first.")
    caption_user_prompt: str = Field(
        default=USER_PROMPT, description="What it is asked; {context} stands for the picture's own caption."
    )
    caption_endpoint: str = Field(
        default="", description="Address of an Ollama or OpenAI-compatible server; empty: the model runs here."
    )
    caption_timeout: float = Field(default=120.0, gt=0, le=3600, description="Seconds to wait for one answer.")
    caption_max_retries: int = Field(default=4, ge=0, le=100, description="Further attempts after a failed one.")
    caption_auto_pull: bool = Field(default=False, description="Let Ollama fetch a model that it does not have.")
    parallel_workers: int = Field(
        default=0, ge=0, le=256, description="Tiles captioned, and pictures cut, at once; 0: as suits the machine."
    )

    @field_validator("caption_endpoint")
    @classmethod
    def _can_be_asked(cls, value: str, info: ValidationInfo) -> str:
        """Told when the settings are read, and not when the captioning begins."""
        if value and not ADDRESS.fullmatch(value):
            raise PydanticCustomError("no_address", "should be an address such as http://127.0.0.1:11434")
        if value and info.data.get("enable_captioning") and not info.data.get("caption_model"):
            raise PydanticCustomError("no_model", "needs the name of a model too; set caption_model")
        return value
