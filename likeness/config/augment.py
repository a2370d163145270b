"""How pictures and captions are varied from one showing to the next."""

from typing import Literal

from pydantic import BaseModel, Field

from likeness.config.section import SECTION


class RandomChanges(BaseModel):
    """Changes drawn anew for each variation, each up to its strength; 0 and false leave a thing as it is."""

    model_config = SECTION

    flip: bool = Field(default=False, description="Mirror half of them. Not for writing or lopsided faces.")
    crop: float = Field(
        default=0.0,
        ge=0,
        le=0.5,
        description="Crop jitter: up to this share of each side is cut away, and the cut lies anywhere.",
    )
    rotate: float = Field(default=0.0, ge=0, le=45, description="Degrees, either way; no empty corners are shown.")
    brightness: float = Field(default=0.0, ge=0, lt=1, description="0.1: between 0.9 and 1.1 times as bright.")
    contrast: float = Field(default=0.0, ge=0, lt=1, description="0.1: between 0.9 and 1.1 times the contrast.")
    saturation: float = Field(default=0.0, ge=0, lt=1, description="0.1: between 0.9 and 1.1 times as colourful.")
    hue: float = Field(default=0.0, ge=0, le=180, description="Degrees on the colour wheel, either way.")


class FixedChanges(BaseModel):
    """Changes made to every picture, always by the same amount."""

    model_config = SECTION

    flip: bool = Field(default=False, description="Mirror every picture.")
    rotate: float = Field(default=0.0, ge=-45, le=45, description="Degrees, clockwise; no empty corners are shown.")
    brightness: float = Field(default=1.0, gt=0, le=4, description="Factor.")
    contrast: float = Field(default=1.0, gt=0, le=4, description="Factor.")
    saturation: float = Field(default=1.0, ge=0, le=4, description="Factor; 0 is grey.")
    hue: float = Field(default=0.0, ge=-180, le=180, description="Degrees on the colour wheel.")


class AugmentConfig(BaseModel):
    """Changes to pictures. Source and result of an edit are always changed alike."""

    model_config = SECTION

    variations: int = Field(
        default=8,
        ge=2,
        le=1000,
        description="Image variations: in how many ways each picture is encoded and kept, the first without random "
        "changes. Used where `random` asks for any.",
    )
    random: RandomChanges = Field(default_factory=RandomChanges, description="Drawn for each variation.")
    fixed: FixedChanges = Field(default_factory=FixedChanges, description="The same for all.")


class CaptionsConfig(BaseModel):
    """Changes to captions. Tags are the pieces between separators."""

    model_config = SECTION

    dropout: float = Field(
        default=0.05, ge=0, le=1, description="Caption dropout: share of examples shown with an empty caption."
    )
    variations: int = Field(
        default=8,
        ge=2,
        le=1000,
        description="Text variations: in how many ways each caption is encoded and kept, the first as it was written. "
        "Used where anything below asks for them.",
    )
    shuffle: bool = Field(default=False, description="Put the tags in another order.")
    drop: float = Field(default=0.0, ge=0, le=1, description="Tag dropout: share of tags that are left out.")
    keep_first: int = Field(
        default=1, ge=0, description="Tags at the start that keep their place and are never dropped: the trigger's."
    )
    separator: str = Field(default=",", min_length=1, max_length=8, description="What stands between tags.")
    caps: list[Literal["lower", "upper", "title", "first", "random"]] = Field(
        default=[],
        description="Other capitals for tags after the kept ones, one of these for each variation: all small, all "
        "large, each word's first, the first letter, or letter by letter.",
    )
