"""Where the base model's files come from, where `base` alone does not say it."""

from typing import Annotated

from pydantic import BaseModel, Field

from likeness.catalog import Choice
from likeness.config.section import SECTION

Place = Annotated[str, Field(min_length=1)]


class ModelConfig(BaseModel):
    """Parts of the base model from elsewhere, and how it is fetched. Relative paths start at the settings file."""

    model_config = SECTION

    transformer: Place | None = Field(
        default=None,
        description="A folder or a .safetensors file with the transformer (Stable Diffusion: the UNet), as diffusers, "
        "ComfyUI or the model's makers name its weights.",
    )
    vae: Place | None = Field(default=None, description="A folder or file with the VAE.")
    text_encoder: Place | None = Field(default=None, description="A folder or file with the text encoder.")
    text_encoder_2: Place | None = Field(
        default=None, description="The same for the second one, where there are two (FLUX.1: T5; SDXL: bigG)."
    )
    parts_from: Place | None = Field(
        default=None,
        description="Where the parts are that `base` lacks: a name from the catalogue, a hub repository or a folder. "
        "Unset: where the base model is published.",
    )
    revision: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][\w./-]*$",
        description="Branch, tag or commit of the hub repository. Unset: its main branch.",
        json_schema_extra={"form": "a branch, a tag or a commit"},
    )
    offline: bool = Field(default=False, description="Use what has been fetched before; never ask the hub.")
    allow_pickle: bool = Field(
        default=False,
        description="Read .ckpt, .pt and .bin files too, tensors only. Say so only for files whose origin you trust.",
    )

    def choice(self) -> Choice:
        return Choice(**self.model_dump())
