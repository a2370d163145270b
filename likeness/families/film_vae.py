"""A VAE for films, used on single pictures: every picture is a film of one frame."""

from typing import Any

import torch
from torch import Tensor, nn

from likeness.families.parts import Parts


class FilmVae:
    """Encodes and decodes with latents normalised channel by channel. `kind` is a diffusers autoencoder over
    (B, C, frames, H, W) whose config has `latents_mean` and `latents_std`."""

    def __init__(self, parts: Parts, kind: type[nn.Module]):
        self.network: Any = parts.vae(kind)

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> Tensor:
        films = pixels.to(self.network.device, self.network.dtype).unsqueeze(2)
        rows = [self.network.encode(film[None]).latent_dist.mode().squeeze(2) for film in films]
        latents = torch.cat(rows).float()
        mean, std = self._statistics(latents)
        return ((latents - mean) / std).cpu()

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        mean, std = self._statistics(latents)
        films = (latents.float() * std + mean).unsqueeze(2).to(self.network.device, self.network.dtype)
        return self.network.decode(films, return_dict=False)[0].squeeze(2)

    def _statistics(self, beside: Tensor) -> list[Tensor]:
        config = self.network.config
        return [
            torch.tensor(v, device=beside.device).view(1, -1, 1, 1) for v in (config.latents_mean, config.latents_std)
        ]
