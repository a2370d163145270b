"""How long a run trains, and what it saves on the way."""

from typing import Literal

from pydantic import BaseModel, Field

from likeness.config.section import SECTION


class TrainConfig(BaseModel):
    """Length, batch, cadences and noise of the training."""

    model_config = SECTION

    epochs: int = Field(default=10, ge=1, le=100_000, description="Passes over all images and their repeats.")
    batch_size: int = Field(default=1, ge=1, le=4096, description="Examples that go through the model at once.")
    gradient_accumulation: int = Field(
        default=1, ge=1, le=4096, description="Batches summed up before each update: a larger batch in the same memory."
    )
    seed: int = Field(
        default=42, ge=0, le=2**32 - 1, description="Decides data order, noise, timesteps, crops and dropouts."
    )
    save_every: int = Field(
        default=1, ge=1, le=100_000, description="Epochs between LoRA files; the last is always saved."
    )
    sample_every: int = Field(default=1, ge=0, le=100_000, description="Epochs between test pictures; 0: never.")
    state_every: int = Field(
        default=0, ge=0, description="Steps between resumable states, beside the one of each epoch; 0: each epoch only."
    )
    ema_decay: float = Field(
        default=0.0, ge=0, lt=1, description="Decay of a running average of the LoRA, saved in its place; 0: off."
    )
    timestep_sampling: Literal["auto", "uniform", "logit_normal"] = Field(
        default="auto", description="How noise levels are drawn; 'auto': as suits the model family."
    )
    timestep_shift: float | None = Field(
        default=None,
        gt=0,
        le=100,
        description="Above 1 moves noise levels towards noise, below towards picture. Unset: the family's.",
    )
    min_snr: float | None = Field(
        default=None,
        gt=0,
        le=100,
        description="Weight errors by min(SNR, this) / SNR, 5 as a rule. Stable Diffusion only. Unset: all alike.",
    )
    probes: int = Field(
        default=16, ge=1, le=1024, description="Fixed (timestep, noise) points per image to measure the loss at."
    )
    probe_every: int = Field(default=1, ge=0, le=100_000, description="Epochs between such measurements; 0: never.")
    early_stop: int = Field(
        default=0,
        ge=0,
        le=100_000,
        description="End the run after this many epochs without a lower loss on held-out pictures; 0: never.",
    )
    keep_best: int = Field(
        default=0,
        ge=0,
        le=100_000,
        description="Keep only so many LoRA files, those of the lowest loss on held-out pictures, and the latest; the "
        "others are deleted. 0: keep all.",
    )
