"""What the training loop and the sampler need from a model family, and nothing more.

A family is a module `likeness.families.<Card.family>` with one function `load(card, placement) -> Family`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from PIL import Image
from torch import Tensor, nn

from likeness.catalog import Card
from likeness.functional.objective import Objective

# What a prompt or caption is encoded to: named tensors of one text, without a batch dimension. Opaque outside the
# family; it is cached as it is.
Condition = dict[str, Tensor]


@dataclass(frozen=True)
class Placement:
    """Where and how a base model is held."""

    device: torch.device
    dtype: torch.dtype  # of the frozen weights; trained weights are always fp32
    quantize: str = "none"  # how the blocks' frozen weights are stored: none | int8 | fp8 | nf4 | int4
    offload: float = 0.0  # share of the blocks that wait in main memory until they are needed
    attention: str = "auto"  # auto | native | math | flash | efficient | cudnn
    train_text_encoder: bool = False  # then captions are encoded at every step, and conditions hold token ids


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
    references: tuple[Image.Image, ...] = ()


class Family(Protocol):
    """A loaded base model. Latents are (C, h, w) per image, normalised, unpacked."""

    card: Card
    placement: Placement
    objective: Objective
    blocks: tuple[str, ...]  # dotted paths in the denoiser to the lists of its repeated blocks

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """What LoRAs can be put into, by the prefix of its keys in a LoRA file: the denoiser first, then text
        encoders where `placement.train_text_encoder` is set."""
        ...

    @property
    def text_identity(self) -> str:
        """Changes whenever the same caption would be encoded differently: part of the cache key."""
        ...

    @property
    def image_identity(self) -> str: ...

    def encode_text(self, texts: Sequence[str], references: Sequence[Image.Image] = ()) -> list[Condition]:
        """Conditions on the CPU. `references` are the pictures that go with every one of the texts; only a family
        whose Card says `text_sees_references` looks at them."""
        ...

    def encode_images(self, pixels: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] to latents (B, C, h, w), fp32 on the CPU."""
        ...

    def reference_size(self, source: tuple[int, int], target: tuple[int, int]) -> tuple[int, int]:
        """Width and height in pixels at which a reference picture of size `source` is encoded beside a picture of size
        `target`, as the stock pipeline does it."""
        ...

    def release_encoders(self) -> None:
        """Free what is only needed before training. Sampling still works with conditions encoded earlier."""
        ...

    def predict(
        self, x_t: Tensor, t: Tensor, conditions: Sequence[Condition], references: Sequence[Tensor] = ()
    ) -> Tensor:
        """The objective's target as the denoiser sees it, in the shape of `x_t` (B, C, h, w), at times `t` (B,).

        `references`: latents (B, C, h', w') of the first, second … reference picture of every example.
        """
        ...

    def sample(self, picture: Picture, on_step: Callable[[int], None] | None = None) -> Image.Image:
        """Draw one picture with the LoRAs that are active now. Leaves every global random generator untouched."""
        ...

    def lora_targets(self, preset: str) -> str:
        """The regular expression over the denoiser's module names for 'attention', 'all', or an expression of the
        user's."""
        ...
