"""The VAE of FLUX.2 and FLUX.3: 2 x 2 of its latents are one, and normalised channel by channel."""

from typing import Any

import torch
from diffusers import AutoencoderKLFlux2
from torch import Tensor
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from likeness.families.parts import Parts


class FoldedVae:
    """Normalises by the statistics in the autoencoder's batch norm. Latents (B, 4c, H/16, W/16)."""

    def __init__(self, parts: Parts):
        self.network: Any = parts.vae(AutoencoderKLFlux2)

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> Tensor:
        pixels = pixels.to(self.network.device, self.network.dtype)
        rows = [self.network.encode(picture[None]).latent_dist.mode() for picture in pixels]
        mean, spread = self._statistics()
        return ((pixel_unshuffle(torch.cat(rows), 2) - mean) / spread).float().cpu()

    def decode(self, latents: Tensor) -> Tensor:
        mean, spread = self._statistics()
        return self.decode_unfolded(pixel_shuffle(latents.to(self.network.dtype) * spread + mean, 2))

    @torch.no_grad()
    def decode_unfolded(self, latents: Tensor) -> Tensor:
        """Latents (B, c, H/8, W/8), as the autoencoder itself takes them, to pixels."""
        return self.network.decode(latents.to(self.network.dtype), return_dict=False)[0]

    def _statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and spread of the folded latents, (1, 4c, 1, 1) each."""
        bn = self.network.bn
        spread = torch.sqrt(bn.running_var.view(1, -1, 1, 1) + self.network.config["batch_norm_eps"])
        return bn.running_mean.view(1, -1, 1, 1), spread
