"""How the weights are moved."""

from typing import Literal

from pydantic import BaseModel, Field

from likeness.config.section import SECTION


class OptimConfig(BaseModel):
    """Optimizer, learning rates and schedule."""

    model_config = SECTION

    optimizer: Literal["adamw", "adamw8bit", "prodigy", "adafactor", "lion"] = Field(
        default="adamw", description="The update rule. 'adamw8bit' needs CUDA; 'prodigy' wants learning_rate 1."
    )
    learning_rate: float = Field(default=1e-4, gt=0, le=10, description="Step size of the LoRA.")
    text_encoder_learning_rate: float | None = Field(
        default=None,
        ge=0,
        le=10,
        description="Step size of a LoRA on the text encoder. Unset: 1e-5 where the family trains its text encoder "
        "(with 'prodigy' learning_rate), nothing elsewhere; 0: off.",
    )
    weight_decay: float = Field(default=0.01, ge=0, le=10, description="Pull of the weights towards zero.")
    beta1: float = Field(default=0.9, ge=0, lt=1, description="Memory of the mean gradient.")
    beta2: float = Field(default=0.999, ge=0, lt=1, description="Memory of the squared gradient.")
    epsilon: float = Field(default=1e-8, gt=0, le=1, description="Keeps the update finite where gradients vanish.")
    schedule: Literal["constant", "linear", "cosine"] = Field(
        default="constant",
        description="Course of the learning rate after the warm-up; 'linear' and 'cosine' fall to zero.",
    )
    warmup_steps: int = Field(default=0, ge=0, description="Steps over which the learning rate rises from zero.")
    max_gradient_norm: float = Field(
        default=1.0, ge=0, description="Longer gradients are shortened to this length; 0: never."
    )
