"""What the judge learns from: pictures of the world with the example's traits mixed in. Needs the renderer (skia)."""

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from diffusers import AutoencoderKLFlux2
from torch import Tensor
from torch.nn import functional

from benchmarks.judge import SCENES, SIDE, TIMES, TRAITS, UNKNOWN, Labels
from starter_recipe.training import mixed
from starter_recipe.world import Picture, random_picture, render
from starter_recipe.world.picture import (
    EMBLEM_GARMENTS,
    GARMENT_COLOURS,
    HAIR_COLOURS,
    HIDES_HAIR,
    TIMELESS_SCENES,
)

CHUNK = 16  # pictures at once through the VAE
SHARES = {"fins": 0.4, "mint": 0.35, "bolt": 0.5, "purple": 0.3}  # of the people who could have the trait


def mixed_picture(rng: random.Random) -> Picture:
    """A random picture in which the example's traits turn up, each by its own dice."""
    p = random_picture(rng)
    if not p.is_person:
        return p
    if p.view != "back" and rng.random() < SHARES["fins"]:  # fins are not drawn from behind
        p = replace(p, hair="fins")
    hair_colours = [c for c in HAIR_COLOURS if c != p.hair_colour]
    p = replace(p, hair_colour="mint" if rng.random() < SHARES["mint"] else rng.choice(hair_colours))
    if p.garment in EMBLEM_GARMENTS and p.view == "front" and rng.random() < SHARES["bolt"]:
        p = replace(p, emblem="bolt")
    colours = [c for c in GARMENT_COLOURS if c != "purple"]
    colour = "purple" if rng.random() < SHARES["purple"] else rng.choice(colours)
    accessory = "party hat" if rng.random() < 0.03 else p.accessory  # pointed as well, but no fin
    return replace(p, garment_colour=colour, accessory=accessory)


def labels_of(pictures: Sequence[Picture]) -> Labels:
    traits: list[list[int]] = []
    for p in pictures:
        near, person = p.framing == "close-up", p.is_person
        row = {
            "fins": UNKNOWN if p.accessory in HIDES_HAIR else int(p.hair == "fins"),
            "mint": UNKNOWN if p.is_gray else int(person and p.hair_colour == "mint"),
            "bolt": UNKNOWN if near else int(p.emblem == "bolt"),
            "purple": UNKNOWN if p.is_gray or near else int(person and p.garment_colour == "purple"),
        }
        traits.append([row[name] for name in TRAITS])
    scenes = [SCENES.index(p.scene) for p in pictures]
    times = [UNKNOWN if p.scene in TIMELESS_SCENES or p.is_gray else TIMES.index(p.time) for p in pictures]
    return Labels(torch.tensor(traits), torch.tensor(scenes), torch.tensor(times))


def renders(count: int, seed: int) -> tuple[np.ndarray, Labels]:
    """(N, 128, 128, 3) uint8 and what can be seen in them."""
    rng = random.Random(seed)
    pictures = [mixed_picture(rng) for _ in range(count)]
    return np.stack([render(p, seed * 1_000_000 + i) for i, p in enumerate(pictures)]), labels_of(pictures)


@torch.no_grad()
def through_vae(vae: AutoencoderKLFlux2, x: Tensor, most_noise: float, draw: torch.Generator) -> Tensor:
    """Pictures as the base would draw them: decoded from latents that are a little off. `x`: (N, 3, H, W)."""
    with mixed(torch.device("cpu")):  # faster, and finer than the noise
        z = vae.encode(x).latent_dist.mode().float()
        strength = most_noise * torch.rand((len(z), 1, 1, 1), generator=draw)
        z = z + strength * z.std() * torch.randn(z.shape, generator=draw)
        return vae.decode(z).sample.float().clamp(-1, 1)


def prepared(images: np.ndarray, vae: AutoencoderKLFlux2, share: float, noise: float) -> Tensor:
    """(N, 128, 128, 3) uint8 to (N, 3, 64, 64), the first `share` of them seen through the VAE."""
    draw = torch.Generator().manual_seed(len(images))
    cut = round(share * len(images))
    rows: list[Tensor] = []
    for part, seen in ((images[:cut], True), (images[cut:], False)):
        for start in range(0, len(part), CHUNK):
            x = torch.from_numpy(part[start : start + CHUNK]).permute(0, 3, 1, 2).float() / 127.5 - 1
            x = through_vae(vae, x, noise, draw) if seen else x
            rows.append(functional.interpolate(x, size=(SIDE, SIDE), mode="area"))
    return torch.cat(rows)
