"""What families have in common: each is a stock pipeline, taken apart for training and put together for sampling."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

import torch
from PIL import Image
from torch import Tensor, nn

from likeness.families.base import Picture
from likeness.families.parts import Parts
from likeness.families.placement import release_unused

T = TypeVar("T")


class Vae(Protocol):
    """Pictures to normalised latents and back, one by one: a batch would round differently from a single picture."""

    network: Any

    def encode(self, pixels: Tensor) -> Tensor:
        """(B, channels, H, W) in [-1, 1] to latents (B, C, h, w), fp32 on the CPU: the mode, nothing is drawn."""
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """Latents (B, C, h, w) to pixels (B, channels, H, W) in about [-1, 1], in the VAE's number format."""
        ...


class StockFamily:
    """The same half of the protocol `Family` for all of them: a transformer, a text encoder, a VAE.

    The other half is the family's own: what it is trained to predict, how it encodes text, predicts and samples.
    """

    targets: Mapping[str, str]  # presets of `lora_targets`
    _text_encoder: Any  # None once it is released
    _transformer: Any

    def __init__(self, parts: Parts, vae: Vae):
        self.card, self.placement, self._parts, self._vae = parts.card, parts.placement, parts, vae

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        return {"transformer": self._transformer}

    @property
    def image_identity(self) -> str:
        return self._parts.identity("vae")

    def encode_images(self, pixels: Tensor) -> Tensor:
        return self._vae.encode(pixels)

    def reference_size(self, source: tuple[int, int], target: tuple[int, int]) -> tuple[int, int]:
        raise ValueError(f"{self.card.title} takes no references")

    def release_encoders(self) -> None:
        """Only the text encoder goes: samples and references still need the VAE."""
        self._text_encoder = None
        release_unused(self.placement.device)

    def lora_targets(self, preset: str) -> str:
        return self.targets.get(preset, preset)


def still_there(encoder: T | None) -> T:
    """A text encoder. Raises RuntimeError for one that has been released."""
    if encoder is None:
        raise RuntimeError("the text encoder has been released; encode prompts before training")
    return encoder


def asked(picture: Picture, on_step: Callable[[int], None] | None) -> dict[str, Any]:
    """What every stock pipeline is called with. `on_step` is called with the number of steps that are done.

    It is asked for latents, and the family decodes them: the VAE is in fp32, whatever the transformer is in.
    """

    def after_step(pipeline: Any, step: int, t: Any, values: dict[str, Any]) -> dict[str, Any]:
        if on_step is not None:
            on_step(step + 1)
        return {}

    return {
        "width": picture.width,
        "height": picture.height,
        "num_inference_steps": picture.steps,
        "guidance_scale": picture.guidance,
        "generator": torch.Generator().manual_seed(picture.seed),
        "callback_on_step_end": after_step,
        "output_type": "latent",
    }


def shown(pipeline: Any, pixels: Tensor) -> Image.Image:
    """Decoded pixels (1, channels, H, W) as the stock pipeline would show them."""
    return pipeline.image_processor.postprocess(pixels, output_type="pil")[0]
