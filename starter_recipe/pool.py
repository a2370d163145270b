"""Renders of the world, encoded once: the latents that the transformer is pretrained on."""

import random
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKLFlux2, Flux2KleinPipeline

from starter_recipe.training import Replicas
from starter_recipe.vae import to_tensor
from starter_recipe.world import Picture, edit_pair, random_picture, render

CHUNK = 250


def picture_of(index: int) -> Picture:
    return random_picture(random.Random(10_000_000 + index))


def pair_of(index: int) -> tuple[Picture, Picture, str]:
    return edit_pair(random.Random(20_000_000 + index))


@torch.no_grad()
def encode(vae: AutoencoderKLFlux2, images: np.ndarray) -> np.ndarray:
    """(B, 128, 128, 3) uint8 to packed, normalised latents (B, 64, 64) float16."""
    with torch.autocast("cpu", torch.bfloat16):
        z = vae.encode(to_tensor(images)).latent_dist.mode().float()
    z = Flux2KleinPipeline._patchify_latents(z)
    std = (vae.bn.running_var + vae.config.batch_norm_eps).sqrt()
    z = (z - vae.bn.running_mean.view(1, -1, 1, 1)) / std.view(1, -1, 1, 1)
    return z.flatten(2).permute(0, 2, 1).half().numpy()


class Pool:
    """Memory-mapped latents: `pictures` (N, 64, 64), `before` and `after` (M, 64, 64)."""

    def __init__(self, folder: Path):
        self.pictures, self.before, self.after = (
            np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("pictures", "before", "after")
        )


def build(replicas: Replicas, folder: Path, vae_folder: str, pictures: int, pairs: int) -> None:
    """Fill the pool, each replica its share of the chunks; chunks that are there already are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    vae = AutoencoderKLFlux2.from_pretrained(vae_folder, torch_dtype=torch.float32).eval()
    jobs = [(kind, start) for kind, n in (("pictures", pictures), ("pairs", pairs)) for start in range(0, n, CHUNK)]
    for kind, start in jobs[replicas.rank :: replicas.world]:
        path = folder / f"{kind}-{start:07d}.npz"
        if path.exists():
            continue
        span = range(start, start + CHUNK)
        if kind == "pictures":
            arrays = {"pictures": encode(vae, np.stack([render(picture_of(i), i) for i in span]))}
        else:
            drawn = [(pair_of(i), 50_000_000 + i) for i in span]
            arrays = {
                "before": encode(vae, np.stack([render(p[0], seed) for p, seed in drawn])),
                "after": encode(vae, np.stack([render(p[1], seed) for p, seed in drawn])),
            }
        np.savez(folder / f"tmp-{replicas.rank}.npz", **arrays)
        (folder / f"tmp-{replicas.rank}.npz").rename(path)


def join(folder: Path) -> None:
    """Join the chunks into the arrays that `Pool` maps."""
    for kind, names in (("pictures", ("pictures",)), ("pairs", ("before", "after"))):
        chunks = sorted(folder.glob(f"{kind}-*.npz"))
        for name in names:
            np.save(folder / f"{name}.npy", np.concatenate([np.load(c)[name] for c in chunks]))
