"""Renders of the world, encoded once and kept by shape: the latents that the transformer is pretrained on."""

import argparse
import hashlib
import json
from functools import partial
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKLFlux2
from safetensors import safe_open
from torch import Tensor

from starter_recipe.drawings import Pixels, Size, draw_pairs, draw_pictures, indices_of, name_of, spans
from starter_recipe.training import Replicas, ahead, on_gpu, run_replicas
from starter_recipe.vae_model import encode
from starter_recipe.world import SIZES

CHUNK = 240  # pictures or pairs in a file
MOST = 200  # pictures at once through the VAE
KINDS = {"pictures": ("pictures",), "pairs": ("before", "after")}
HELD_OUT_SQUARE, HELD_OUT_OTHER = 80, 12  # the first pictures and pairs of each shape are never trained on


def held_out(size: Size, count: int) -> int:
    """How many of `count` pictures of this size are kept apart: never more than a quarter."""
    return min(HELD_OUT_SQUARE if size[0] == size[1] else HELD_OUT_OTHER, count // 4)


def encoder_identity(vae_folder: str | Path) -> str:
    """What makes the latents of a VAE: eight letters, the same for VAEs that differ in their decoders alone."""
    digest = hashlib.sha256()
    with safe_open(Path(vae_folder) / "diffusion_pytorch_model.safetensors", "np") as weights:
        for name in sorted(weights.keys()):
            if not name.startswith(("decoder.", "post_quant_conv.")):
                digest.update(weights.get_tensor(name).tobytes())
    return digest.hexdigest()[:8]


def pool_folder(out: Path, vae_folder: str) -> Path:
    """Named by what encodes, so that latents of another VAE are never taken for its own."""
    return out / f"pool-{encoder_identity(vae_folder)}"


def pool_options(parser: argparse.ArgumentParser) -> None:
    """How large it should be; what is there already is kept."""
    gpu = on_gpu()
    parser.add_argument("--pictures", type=int, default=240_000 if gpu else 36_000, help="in the pool (%(default)s)")
    parser.add_argument("--pairs", type=int, default=96_000 if gpu else 12_000, help="in the pool (%(default)s)")


class Pool:
    """Latents by size: `pictures`, `before` and `after`, (N, tokens, channels) float16; on the GPU where there is one,
    else memory-mapped. `numbers`: which picture or pair each row is."""

    def __init__(self, folder: Path, device: torch.device):
        counts = json.loads((folder / "pool.json").read_text())
        self.numbers = {kind: {s: indices_of(s, counts[kind]) for s in SIZES} for kind in KINDS}
        self.latents: dict[str, dict[Size, Tensor]] = {}
        for name in ("pictures", "before", "after"):
            arrays = {size: np.load(folder / f"{name}-{name_of(size)}.npy", mmap_mode="c") for size in SIZES}
            self.latents[name] = {size: torch.from_numpy(array).to(device) for size, array in arrays.items()}


def draw_chunk(job: tuple[str, range]) -> dict[str, dict[Size, Pixels]]:
    """The renders of one file, by array and size."""
    kind, span = job
    if kind == "pictures":
        return {"pictures": draw_pictures(span)}
    before, after = draw_pairs(span)
    return {"before": before, "after": after}


def encoded(vae: AutoencoderKLFlux2, images: Pixels) -> np.ndarray:
    parts = [encode(vae, images[i : i + MOST]).cpu().numpy() for i in range(0, len(images), MOST)]
    return np.concatenate(parts)


def build(replicas: Replicas, folder: Path, vae_folder: str, pictures: int, pairs: int) -> None:
    """Fill the pool, each replica its share of the chunks; chunks that are there already are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    vae = AutoencoderKLFlux2.from_pretrained(vae_folder, dtype=torch.float32).eval().to(replicas.device)
    jobs = [(kind, span) for kind, n in (("pictures", pictures), ("pairs", pairs)) for span in spans(n, CHUNK)]
    path = partial(_path, folder)
    missing = [job for job in jobs if not path(*job).exists()][replicas.rank :: replicas.world]
    for job, drawn in zip(missing, ahead(draw_chunk, missing, replicas.workers), strict=True):
        arrays = {
            f"{name}-{name_of(size)}": encoded(vae, images)
            for name, by_size in drawn.items()
            for size, images in by_size.items()
        }
        np.savez(folder / f"tmp-{replicas.rank}.npz", **arrays)
        (folder / f"tmp-{replicas.rank}.npz").rename(path(*job))


def ready_pool(replicas: int, out: Path, args: argparse.Namespace) -> None:
    """Filled and joined in the folder `out`, as the options of `pool_options` and `args.vae` say."""
    folder = pool_folder(out, args.vae)
    run_replicas(replicas, build, folder, args.vae, args.pictures, args.pairs)
    join(folder, args.pictures, args.pairs)


def _path(folder: Path, kind: str, span: range) -> Path:
    return folder / f"{kind}-{span.start:08d}.npz"


def join(folder: Path, pictures: int, pairs: int) -> None:
    """Join the chunks into the arrays that `Pool` maps, unless that was done; a pool may grow later."""
    counts = {"pictures": _whole(pictures), "pairs": _whole(pairs)}
    done = folder / "pool.json"
    if done.exists() and json.loads(done.read_text()) == counts:
        return
    done.unlink(missing_ok=True)
    for kind, names in KINDS.items():
        files = [np.load(_path(folder, kind, span)) for span in spans(counts[kind], CHUNK)]
        for name in names:
            for size in SIZES:
                key = f"{name}-{name_of(size)}"
                np.save(folder / f"{key}.npy", np.concatenate([f[key] for f in files]))
        for file in files:
            file.close()
    done.write_text(json.dumps(counts))


def _whole(count: int) -> int:
    return -(-count // CHUNK) * CHUNK
