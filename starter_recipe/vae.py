"""Pretrain the starter's AutoencoderKLFlux2 on renders of the world, of all shapes.

    python -m starter_recipe.vae --out build/vae --steps 6000
    python -m starter_recipe.vae --from likeness/starter/vae --minutes 6
    python -m starter_recipe.vae --from likeness/starter/vae --minutes 30 --decoder-only

Goes on from build/vae/state.pt when it exists; `--from` starts with finished weights instead. From nothing it starts
near a linear PCA codec (see `vae_model.pca_start`), which beats a random start by 3 dB after the same short time.
With `--decoder-only` latents stay what they are, so that a transformer that was trained on them needs no more training.
Takes a GPU where there is one.
"""

import argparse
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKLFlux2
from torch import Tensor

from starter_recipe.drawings import Size, draw_pictures, indices_of, name_of, picture_of, spans
from starter_recipe.optimizers import Optimizers, young
from starter_recipe.training import (
    Clock,
    Journal,
    Replicas,
    Smooth,
    ahead,
    keep_curve,
    mixed,
    on_gpu,
    run_replicas,
    save_state,
    warm_cosine,
)
from starter_recipe.vae_model import (
    hidden_kernels,
    make_vae,
    pca_start,
    psnr,
    reconstruct,
    set_latent_statistics,
    to_tensor,
)
from starter_recipe.world import SIZES

SERIES = 30_000_000  # seeds of the pictures
HELD_OUT = 192  # the first numbers, never trained on
CHUNK = 192
WARM_UP = 30  # steps
DECAYS = (0.0, 1e-5)  # of weights: Muon's and AdamW's
SQUARES = 8  # weight of the squared error, which quality is told in: at 29 dB as much as the absolute one


class Images:
    """Renders by size, made once and kept as memory-mapped arrays; on the GPU where there is one."""

    def __init__(self, folder: Path, count: int, device: torch.device, sketches: float = 0.0):
        """`sketches`: so much of every batch are sketches, beside those that turn up anyway."""
        self.by_size: dict[Size, Tensor] = {}
        self.held_out: dict[Size, int] = {}
        self.sketches: dict[Size, np.ndarray] = {}
        self.sketch_share = sketches
        for size in SIZES:
            array = np.load(self.path(folder, count, size), mmap_mode="c")
            self.by_size[size] = torch.from_numpy(array).to(device)
            first = self.held_out[size] = len(indices_of(size, HELD_OUT))
            numbers = indices_of(size, count)[first:] if sketches else []
            hatched = [picture_of(int(number), SERIES).style == "sketch" for number in numbers]
            self.sketches[size] = first + np.flatnonzero(hatched)
        self.shares = [len(self.by_size[size]) / count for size in SIZES]

    @staticmethod
    def path(folder: Path, count: int, size: Size) -> Path:
        return folder / f"images-{count}-{name_of(size)}.npy"

    @classmethod
    def make(cls, folder: Path, count: int, workers: int) -> None:
        """Draw them, unless they are there."""
        paths = {size: cls.path(folder, count, size) for size in SIZES}
        if all(path.exists() for path in paths.values()):
            return
        folder.mkdir(parents=True, exist_ok=True)
        arrays, filled = {}, dict.fromkeys(SIZES, 0)
        for (width, height), path in paths.items():
            shape = (len(indices_of((width, height), count)), height, width, 3)
            arrays[width, height] = np.lib.format.open_memmap(path.with_suffix(".tmp"), "w+", np.uint8, shape)
        for drawn in ahead(partial(draw_pictures, series=SERIES), spans(count, CHUNK), workers):
            for size, images in drawn.items():
                arrays[size][filled[size] : filled[size] + len(images)] = images
                filled[size] += len(images)
        for size, path in paths.items():
            arrays[size].flush()
            path.with_suffix(".tmp").rename(path)

    def batch(self, rng: np.random.Generator, crops: int) -> Tensor:
        """(B, H, W, 3) uint8: `crops` pieces of 64×64 pixels, or as much of whole pictures now and then."""
        size = SIZES[rng.choice(len(SIZES), p=self.shares)]
        images, first = self.by_size[size], self.held_out[size]
        _, height, width, _ = images.shape
        if rng.random() < 0.15:
            high, wide = height, width
        else:
            high = wide = 64
        count = max(2, crops * 64 * 64 // (high * wide))
        rows = rng.integers(first, len(images), count)
        if len(own := self.sketches[size]):
            rows = np.where(rng.random(count) < self.sketch_share, rng.choice(own, count), rows)
        tops = rng.integers(0, (height - high) // 8 + 1, count) * 8
        lefts = rng.integers(0, (width - wide) // 8 + 1, count) * 8
        row, y, x = rows[:, None, None], (tops[:, None] + np.arange(high))[:, :, None], lefts[:, None] + np.arange(wide)
        place = (torch.from_numpy(i).to(images.device) for i in (row, y, x[:, None, :]))
        return images[tuple(place)]

    def held_out_batches(self) -> Iterator[tuple[list[str], Tensor]]:
        """(styles, pictures (B, H, W, 3)) that are never trained on."""
        for size in SIZES:
            numbers = indices_of(size, HELD_OUT)
            for at in range(0, len(numbers), 32):
                styles = [picture_of(int(i), SERIES).style for i in numbers[at : at + 32]]
                yield styles, self.by_size[size][at : at + len(styles)]

    def sample(self, count: int) -> list[Tensor]:
        """About `count` pictures of all sizes, in batches."""
        return [
            part for n, size in zip(self.shares, SIZES, strict=True)
            for part in self.by_size[size][: max(1, round(n * count))].split(25)
        ]  # fmt: skip


@torch.no_grad()
def quality(vae: AutoencoderKLFlux2, images: Images) -> dict[str, float]:
    """Mean dB of held-out renders, in all and by style."""
    rows: dict[str, list[float]] = {}
    for styles, batch in images.held_out_batches():
        x = to_tensor(batch)
        with mixed(x.device):
            found = psnr(reconstruct(vae, x), x).tolist()
        for style, value in zip(styles, found, strict=True):
            rows.setdefault(style, []).append(value)
    everything = [value for values in rows.values() for value in values]
    means = {f"psnr_{style}": float(np.mean(values)) for style, values in sorted(rows.items())}
    return {"held_out_psnr": float(np.mean(everything)), **means}


def loss_of(vae: AutoencoderKLFlux2, target: Tensor, extra: float) -> tuple[Tensor, Tensor]:
    """(what is trained on, mean absolute error). `extra`: noise on the latents, as a share of their spread, so that
    the decoder forgives what a diffusion model gets slightly wrong."""
    with mixed(target.device):
        posterior = vae.encode(target).latent_dist
        mean, logvar = posterior.mean.float(), posterior.logvar.float()
        noise = extra * mean.detach().std((0, 2, 3), keepdim=True)
        drawn = vae.decode(mean + (torch.exp(0.5 * logvar) + noise) * torch.randn_like(mean)).sample
    error = drawn.float() - target
    edges = (error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()) * 0.3
    divergence = 0.5 * (mean**2 + logvar.exp() - 1 - logvar).mean() * 2e-4
    absolute = error.abs().mean()
    return absolute + edges + SQUARES * (error**2).mean() + divergence, absolute


def train(replicas: Replicas, args: argparse.Namespace) -> None:
    out = Path(args.out)
    torch.manual_seed(7)
    images = Images(out, args.images, replicas.device, args.sketches)
    if args.start:
        vae = AutoencoderKLFlux2.from_pretrained(args.start, dtype=torch.float32)
    else:
        vae = make_vae()
        pca_start(vae, to_tensor(images.by_size[SIZES[0]][: min(400, args.images // 2)].cpu()))
    if args.decoder_only:
        vae.encoder.requires_grad_(False)
        vae.quant_conv.requires_grad_(False)
    vae.to(replicas.device)
    params = [p for p in vae.parameters() if p.requires_grad]
    kernels = {id(kernel) for kernel in hidden_kernels(vae)}
    optimizers = Optimizers(params, [id(p) in kernels for p in params], args.rate, decays=DECAYS, replicas=replicas)
    step, spent = 0, 0.0
    if (out / "state.pt").exists():
        state = torch.load(out / "state.pt", weights_only=True, map_location=replicas.device)
        vae.load_state_dict(state["vae"])
        optimizers.load(state)
        step, spent = state["step"], state["spent"]
    clock, journal, smooth = Clock(args, step, spent), Journal(out / "curve.jsonl"), Smooth()

    def report() -> None:
        pixels = (step - clock.first) * args.batch * 64 * 64 * replicas.world
        journal.write(
            **clock.told(step), batch=args.batch * replicas.world, machine=replicas.machine,
            images_per_second=pixels / 128**2 / clock.here, loss=float(smooth), **quality(vae, images),
        )  # fmt: skip

    def save() -> None:
        state = {"vae": vae.state_dict(), **optimizers.state()}
        save_state(out / "state.pt", {**state, "step": step, "spent": clock.spent})

    while (progress := replicas.agree(clock.progress(step))) < 1 and not replicas.agree(clock.pauses):
        rng = np.random.default_rng((replicas.rank, step))
        torch.manual_seed(step * 1000 + replicas.rank)
        target = to_tensor(images.batch(rng, args.batch))
        loss, absolute = loss_of(vae, target, 0.04 * float(rng.random()))
        loss.backward()
        step += 1
        replicas.average_gradients(params)
        decay = args.average if args.start else young(step, args.average)
        optimizers.step(warm_cosine(progress, step - 1 - clock.first, WARM_UP), decay)
        smooth.add(absolute)
        if replicas.leads and step % args.report == 0:
            optimizers.with_average(report)
            save()
    if replicas.leads:
        save()
        optimizers.with_average(report)
        optimizers.with_average(lambda: finish(vae, images, out, args.decoder_only))


def finish(vae: AutoencoderKLFlux2, images: Images, out: Path, decoder_only: bool) -> None:
    vae.eval()
    if not decoder_only:
        set_latent_statistics(vae, images.sample(1000))
    half = make_vae()
    half.load_state_dict(vae.state_dict())
    half.half().save_pretrained(out / "final")


def main() -> None:
    gpu = on_gpu()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="build/vae")
    parser.add_argument("--from", dest="start", default="", help="a VAE's folder to go on from")
    Clock.options(parser, steps=6000)
    parser.add_argument(
        "--batch", type=int, default=512 if gpu else 8, help="64x64 crops per replica and step (%(default)s)"
    )
    parser.add_argument("--sketches", type=float, default=0, help="share of each batch beside one in ten: the hardest")
    parser.add_argument("--images", type=int, default=96000 if gpu else 16128, help="renders to learn from")
    parser.add_argument("--rate", type=float, default=0.02, help="Muon's learning rate; AdamW's is an eighth")
    parser.add_argument("--average", type=float, default=0.998 if gpu else 0.995, help="decay of the averaged weights")
    parser.add_argument("--replicas", type=int, default=0, help="processes; 0: one on a GPU, else two")
    parser.add_argument("--report", type=int, default=250, help="steps between reports and saves")
    parser.add_argument(
        "--decoder-only", action="store_true", help="leave the encoder, and so the latents, as they are"
    )
    args = parser.parse_args()
    if args.decoder_only and not args.start:
        parser.error("--decoder-only: needs an encoder. Fix: give a VAE's folder with --from")
    args.images = -(-args.images // CHUNK) * CHUNK
    keep_curve(Path(args.out), "vae", args.start)
    Images.make(Path(args.out), args.images, Replicas(0, 1, 0).workers)
    run_replicas(args.replicas, train, args)


if __name__ == "__main__":
    main()
