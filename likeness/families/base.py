"""What the training loop and the sampler need from a model family, and nothing more."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from PIL import Image
from torch import Tensor, nn

from likeness.catalog import Card

# What a prompt or caption is encoded to: named tensors of one text, without a batch dimension. Opaque outside the
# family; it is cached as it is.
Condition = dict[str, Tensor]


@dataclass(frozen=True)
class Placement:
    """Where and how a base model is held."""

    device: torch.device
    dtype: torch.dtype  # of the frozen weights; trained weights are always fp32


@dataclass(frozen=True)
class Picture:
    """One picture to be sampled. Sizes in pixels."""

    condition: Condition
    negative: Condition
    width: int
    height: int
    steps: int
    guidance: float
    seed: int
    reference: Image.Image | None = None


class Family(Protocol):
    """A loaded base model. Latents are (C, h, w) per image, normalised, unpacked."""

    card: Card
    placement: Placement
    pipeline_class: str  # the stock diffusers pipeline that samples the same

    @property
    def denoiser(self) -> nn.Module:
        """The network that LoRAs are put into; its file keys start with `prefix`."""
        ...

    @property
    def prefix(self) -> str: ...

    @property
    def text_identity(self) -> str:
        """Changes whenever the same caption would be encoded differently: part of the cache key."""
        ...

    @property
    def image_identity(self) -> str: ...

    def encode_text(self, texts: list[str]) -> list[Condition]: ...

    def encode_images(self, pixels: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] to latents (B, C, h, w), fp32 on the CPU."""
        ...

    def release_encoders(self) -> None:
        """Free what is only needed before training. Sampling still works with conditions encoded earlier."""
        ...

    def draw_times(self, u: Tensor, tokens: int, how: str, shift: float | None) -> Tensor:
        """Training times from uniform draws `u` (B,). `how`: auto | uniform | logit_normal; `auto` is the family's."""
        ...

    def predict_velocity(
        self, x_t: Tensor, t: Tensor, conditions: list[Condition], references: Tensor | None
    ) -> Tensor:
        """Velocity in the shape of `x_t` (B, C, h, w); `references` (B, C, h', w') are the source pictures' latents."""
        ...

    def sample(self, picture: Picture, on_step: Callable[[int], None] | None = None) -> Image.Image:
        """Draw one picture with the LoRAs that are active now. Leaves every global random generator untouched."""
        ...

    def load_lora(self, path: Path, name: str) -> None:
        """Add a LoRA file for sampling, by the stock loader. Raises ValueError or RuntimeError if it does not fit."""
        ...

    def set_strengths(self, strengths: dict[str, float]) -> None:
        """Activate the named LoRAs at these strengths, and no others."""
        ...

    def lora_targets(self, preset: str) -> str:
        """The regular expression over module names for 'attention', 'all', or an expression of the user's."""
        ...
