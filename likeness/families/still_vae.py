"""The VAE of FLUX.1, Stable Diffusion and Z-Image: latents brought to scale as a whole."""

from typing import Any

import torch
from diffusers import AutoencoderKL
from torch import Tensor

from likeness.families.parts import Parts


class StillVae:
    """Encodes and decodes pictures with the `shift_factor` and `scaling_factor` in the autoencoder's config."""

    def __init__(self, parts: Parts):
        self.network: Any = parts.vae(AutoencoderKL)
        config = self.network.config
        self._shift: float = config["shift_factor"] or 0.0  # Stable Diffusion's has none
        self._scaling: float = config["scaling_factor"]

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> Tensor:
        pixels = pixels.to(self.network.device, self.network.dtype)
        rows = [self.network.encode(picture[None]).latent_dist.mode() for picture in pixels]
        return ((torch.cat(rows) - self._shift) * self._scaling).float().cpu()

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        latents = latents.to(self.network.device, self.network.dtype) / self._scaling + self._shift
        return self.network.decode(latents, return_dict=False)[0]
