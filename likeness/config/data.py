"""What a run learns from."""

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, Field

from likeness.config.augment import AugmentConfig, CaptionsConfig
from likeness.config.crops import DetailCropsConfig
from likeness.config.section import SECTION


class DatasetConfig(BaseModel):
    """One folder, archive or list of images with captions, or of edit pairs. In YAML a bare string stands for its
    `path`. Relative paths start at the settings file."""

    model_config = SECTION
    shorthand: ClassVar[str] = "path"

    path: str = Field(
        min_length=1,
        description="Folder of images with .txt captions beside them, a .zip or .tar of one, or a .json, .jsonl or "
        ".csv list of images; for kind 'edit' one that holds pairs.",
    )
    type: Literal["train", "validation", "regularisation"] = Field(
        default="train",
        description="What it is for. 'validation': never trained, only measured with. 'regularisation': pictures of "
        "what the base draws already and should go on drawing; they get no trigger.",
    )
    repeats: int = Field(
        default=20,
        ge=1,
        le=100_000,
        description="How often each image is shown per epoch. Sub-folders called like 40_name set their own, unless "
        "this is set.",
    )
    loss_weight: float = Field(
        default=1, gt=0, le=1000, description="What the errors on these images are multiplied with."
    )
    trigger: str | None = Field(
        default=None, description="Trigger word of this dataset; '' for none. Unset: that of the run."
    )
    subfolders: bool = Field(default=False, description="Read the folders inside the folder too.")
    captions_from: Literal["auto", "sidecars", "names", "none"] = Field(
        default="auto",
        description="Where captions come from. 'auto': text files beside the images, else a list in the folder; "
        "'sidecars': only the former; 'names': the names of the image files; 'none': `caption` for all.",
    )
    captions_file: str | None = Field(
        default=None,
        description="One file with the captions: text, from which each showing of an image draws a line, or a .json, "
        ".jsonl or .csv list.",
    )
    caption_lines: Literal["join", "first", "draw"] = Field(
        default="join",
        description="What the lines of a caption file beside an image are: one caption, a caption and then something "
        "else, or captions of which each showing draws one.",
    )
    caption: str | None = Field(default=None, description="Caption for images that have none of their own.")
    instruction: str | None = Field(
        default=None, description="Instruction for edit pairs that have no text of their own."
    )
    controls: list[Annotated[str, Field(min_length=1)]] = Field(
        default=[],
        max_length=8,
        description="For edits: folders with the pictures before, called like those in `path`, which are then the "
        "pictures after. The first folder holds the first source picture, and so on.",
    )
    masks: str = Field(
        default="auto",
        min_length=1,
        description="Which parts are learned. 'auto': NAME-masklabel.png beside the image, if there is one; 'alpha': "
        "what is not transparent; 'none'; a suffix such as '_mask'; or a folder with a mask for each image, called "
        "like it. White is learned.",
    )

    @property
    def mask_folder(self) -> str | None:
        """The folder that `masks` names; None where it names none."""
        words = self.masks in ("auto", "alpha", "none") or self.masks.startswith(("-", "_"))
        return None if words else self.masks


def _dataset_from_path(value: object) -> object:
    return {DatasetConfig.shorthand: value} if isinstance(value, str) else value


DatasetEntry = Annotated[DatasetConfig, BeforeValidator(_dataset_from_path, json_schema_input_type=str | DatasetConfig)]


class MaskedLossConfig(BaseModel):
    """For images with a mask: where it is white, errors count in full; where it is black, less."""

    model_config = SECTION

    enabled: bool = Field(default=True, description="Use the masks that datasets have.")
    outside: float = Field(
        default=0.1, ge=0, le=1, description="Weight of errors where the mask is black; 1: as if there were no mask."
    )


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
    resolutions: list[Annotated[int, Field(ge=32, le=8192)]] = Field(
        default=[],
        description="Several resolutions in place of the one. Each showing of an image is at one of them, drawn per "
        "epoch; all are used equally often, and nothing is shown more often than before.",
    )
    upscale: bool = Field(
        default=False,
        description="Enlarge images that are smaller than the resolution. Else they are trained at their own size.",
    )
    fit: Literal["crop", "pad", "square-crop", "square-pad"] = Field(
        default="crop",
        description="What to do where an image does not fit the size: cut its edges, or pad it with white that is not "
        "learned. 'square-': all become squares.",
    )
    hold_out: Literal["auto"] | Annotated[int, Field(ge=0)] = Field(
        default="auto",
        description="Images kept out of training to measure overfitting with. 'auto': none below 8 images, then 1, 2, "
        "or a tenth; 0: none.",
    )
    augment: AugmentConfig = Field(default_factory=AugmentConfig, description="Changes to pictures.")
    captions: CaptionsConfig = Field(default_factory=CaptionsConfig, description="Changes to captions.")
    masked_loss: MaskedLossConfig = Field(
        default_factory=MaskedLossConfig, description="How much is learned outside of masks."
    )
    detail_crops: DetailCropsConfig = Field(
        default_factory=DetailCropsConfig, description="Parts of large pictures beside the whole."
    )

    def sides(self, default: int) -> tuple[int, ...]:
        """The resolutions that are trained, smallest first; `default` is the base model's."""
        return tuple(sorted(set(self.resolutions))) or (self.resolution or default,)
