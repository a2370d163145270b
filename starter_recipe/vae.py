"""Pretrain the starter's AutoencoderKLFlux2 on renders of the world.

    python -m starter_recipe.vae --out build/vae --steps 6000

Resumes from build/vae/state.pt when it exists. Starts near a linear PCA codec (see `pca_start`), which beats a
random start by 3 dB after the same short time.
"""

import argparse
import math
import random
import time
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKLFlux2, Flux2KleinPipeline
from torch import Tensor

from starter_recipe.training import Journal, Muon, Replicas, run_replicas, save_state, warm_cosine
from starter_recipe.world import random_picture, render

ENCODER, DECODER, LATENTS, GROUPS = (16, 32, 64, 96), (16, 32, 64, 128), 16, 8
TRAIN_IMAGES, HELD_OUT_IMAGES = 16000, 200


def make_vae() -> AutoencoderKLFlux2:
    return AutoencoderKLFlux2(
        block_out_channels=ENCODER,
        decoder_block_out_channels=DECODER,
        layers_per_block=1,
        latent_channels=LATENTS,
        norm_num_groups=GROUPS,
        mid_block_add_attention=False,
        sample_size=128,
    )


def to_tensor(images: np.ndarray) -> Tensor:
    """(B, 128, 128, 3) uint8 to (B, 3, 128, 128) float in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 127.5 - 1


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB per image, for values in [-1, 1]."""
    return -10 * torch.log10(((a - b) ** 2).flatten(1).mean(1) / 4)


@torch.no_grad()
def reconstruct(vae: AutoencoderKLFlux2, x: Tensor) -> Tensor:
    return vae.decode(vae.encode(x).latent_dist.mode()).sample.float().clamp(-1, 1)


@torch.no_grad()
def pca_start(vae: AutoencoderKLFlux2, x: Tensor) -> None:
    """Set the encoder to a cascade of 2x2 PCA steps and the decoder near the identity.

    Residual branches start at zero; constant "anchor" channels keep the last GroupNorm and SiLU in their linear
    range. `x`: (B, 3, 128, 128) example images.
    """
    enc, dec = vae.encoder, vae.decoder
    for module in [*enc.modules(), *dec.modules()]:
        if module.__class__.__name__ == "ResnetBlock2D":
            module.conv2.weight.zero_()
            module.conv2.bias.zero_()

    def pass_through(weight: Tensor, channels: int) -> None:
        weight *= 0.1
        middle = weight.shape[-1] // 2
        for i in range(channels):
            weight[i] = 0
            weight[i, i, middle, middle] = 1

    enc.conv_in.bias.zero_()
    pass_through(enc.conv_in.weight, 3)
    features, scale, n = x, torch.ones(3), 3
    for level in range(3):
        block = enc.down_blocks[level]
        if (shortcut := block.resnets[0].conv_shortcut) is not None:
            shortcut.bias.zero_()
            pass_through(shortcut.weight, n)
        taps = torch.nn.functional.pixel_unshuffle(features, 2)  # channel order (c, dy, dx)
        flat = taps.permute(1, 0, 2, 3).flatten(1)
        flat = flat[:, torch.randperm(flat.shape[1])[:40000]]
        mean = flat.mean(1, keepdim=True)
        values, vectors = torch.linalg.eigh((flat - mean) @ (flat - mean).T / flat.shape[1])
        values, vectors = values.flip(0), vectors.flip(1)
        k = min(ENCODER[level], vectors.shape[1])
        vectors = vectors[:, :k]
        spread = values[:k].clamp_min(1e-6).sqrt()
        gain = spread.clamp_min(spread[0] * 0.02) ** -0.7
        conv = block.downsamplers[0].conv
        conv.weight *= 0.1
        conv.bias.zero_()
        kernel = torch.zeros(k, conv.weight.shape[1], 3, 3)
        kernel[:, :n, :2, :2] = gain.view(-1, 1, 1, 1) * vectors.T.reshape(k, n, 2, 2) / scale.view(1, -1, 1, 1)
        conv.weight[:k] = kernel
        conv.bias[:k] = -(gain * (vectors.T @ mean).squeeze(1))
        features = torch.einsum("ck,bchw->bkhw", vectors, taps - mean.view(1, -1, 1, 1))
        scale, n = gain, k

    spread = features.permute(1, 0, 2, 3).flatten(1).std(1) * scale
    shortcut = enc.down_blocks[3].resnets[0].conv_shortcut
    shortcut.weight *= 0.05
    shortcut.bias.zero_()
    width, used = ENCODER[3] // GROUPS, math.ceil(n / GROUPS)
    slots = [(k % GROUPS) * width + k // GROUPS for k in range(n)]
    for k, slot in enumerate(slots):
        shortcut.weight[slot] = 0
        shortcut.weight[slot, k, 0, 0] = 1 / spread[k]
    for group in range(GROUPS):
        for q in range(used, width):
            shortcut.bias[group * width + q] = 2.0 if q % 2 else -2.0
    enc.conv_norm_out.bias.fill_(3.0)
    group_std = math.sqrt((used + (width - used) * 4) / width)
    silu3 = 3 / (1 + math.exp(-3.0))
    target = spread[:LATENTS] / spread[:LATENTS].mean()
    weight, bias = enc.conv_out.weight, enc.conv_out.bias
    weight *= 0.1
    bias.zero_()
    for k in range(LATENTS):
        weight[k] = 0
        weight[k, slots[k], 1, 1] = target[k] * group_std / 1.06
        bias[k] = -weight[k, :, 1, 1].sum() * silu3
    weight[LATENTS:] *= 0.1
    bias[LATENTS:] = -6.0  # log variance: almost no sampling noise at first
    vae.quant_conv.weight.copy_(torch.eye(2 * LATENTS).view(2 * LATENTS, 2 * LATENTS, 1, 1))
    vae.quant_conv.bias.zero_()
    vae.post_quant_conv.weight.copy_(torch.eye(LATENTS).view(LATENTS, LATENTS, 1, 1))
    vae.post_quant_conv.bias.zero_()

    dec.conv_norm_out.bias.fill_(1.5)
    dec.conv_out.bias.zero_()
    for group in range(GROUPS):
        dec.up_blocks[3].resnets[0].conv_shortcut.bias[group * (DECODER[0] // GROUPS)] = 1.5 if group % 2 else -1.5


def world_images(folder: Path, count: int) -> np.ndarray:
    """`count` renders, made once and kept as one memory-mapped array."""
    path = folder / f"world-{count}.npy"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        rng = random.Random(11)
        images = np.stack([render(random_picture(rng), i) for i in range(count)])
        np.save(path.with_suffix(".tmp.npy"), images)
        path.with_suffix(".tmp.npy").rename(path)
    return np.load(path, mmap_mode="r")


def hidden_kernels(vae: AutoencoderKLFlux2) -> list[Tensor]:
    """Weights that Muon updates: every kernel but the first and last ones."""
    ends = ("conv_out", "quant", "encoder.conv_in.weight")
    return [
        p
        for name, p in vae.named_parameters()
        if p.ndim == 4 and p.shape[0] >= 8 and p[0].numel() >= 32 and not any(e in name for e in ends)
    ]


@torch.no_grad()
def set_latent_statistics(vae: AutoencoderKLFlux2, images: np.ndarray) -> None:
    """The pipeline normalises patchified latents by the VAE's running statistics: measure them here."""
    rows = [vae.encode(to_tensor(images[i : i + 25])).latent_dist.mode() for i in range(0, 1000, 25)]
    packed = Flux2KleinPipeline._patchify_latents(torch.cat(rows).float())
    vae.bn.running_mean.copy_(packed.mean((0, 2, 3)))
    vae.bn.running_var.copy_(packed.var((0, 2, 3)))


def train(replicas: Replicas, args: argparse.Namespace) -> None:
    out = Path(args.out)
    torch.manual_seed(7)
    images = (
        world_images(out, TRAIN_IMAGES + HELD_OUT_IMAGES)
        if replicas.world == 1
        else np.load(out / f"world-{TRAIN_IMAGES + HELD_OUT_IMAGES}.npy", mmap_mode="r")
    )
    held_out = to_tensor(images[TRAIN_IMAGES:])
    if args.start:
        vae = AutoencoderKLFlux2.from_pretrained(args.start, torch_dtype=torch.float32)
    else:
        vae = make_vae()
        pca_start(vae, to_tensor(images[:400]))
    params = list(vae.parameters())
    kernels = hidden_kernels(vae)
    rest = [p for p in params if all(p is not k for k in kernels)]
    muon, adam = Muon(kernels, args.rate), torch.optim.AdamW(rest, args.rate / 8, betas=(0.9, 0.98), weight_decay=1e-5)
    peaks = [g["lr"] for opt in (muon, adam) for g in opt.param_groups]
    average = [p.detach().clone() for p in params]
    step, journal = 0, Journal(out / "curve.jsonl")
    if (out / "state.pt").exists():
        state = torch.load(out / "state.pt", weights_only=True)
        vae.load_state_dict(state["vae"])
        muon.load_state_dict(state["muon"])
        adam.load_state_dict(state["adam"])
        average, step = state["average"], state["step"]

    def with_average(action) -> None:
        kept = [p.detach().clone() for p in params]
        with torch.no_grad():
            torch._foreach_copy_(params, average)
            action()
            torch._foreach_copy_(params, kept)

    def report() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            rows = [psnr(reconstruct(vae, held_out[i : i + 25]), held_out[i : i + 25]) for i in range(0, 100, 25)]
        seconds = time.time() - journal.start
        journal.write(step=step, seconds=seconds, loss=smooth, held_out_psnr=torch.cat(rows).mean().item())

    def checkpoint() -> None:
        save_state(
            out / "state.pt",
            {
                "vae": vae.state_dict(),
                "muon": muon.state_dict(),
                "adam": adam.state_dict(),
                "average": average,
                "step": step,
            },
        )

    smooth = 0.0
    while step < args.steps:
        rng = np.random.default_rng((replicas.rank, step))
        torch.manual_seed(step * 1000 + replicas.rank)
        side = 128 if rng.random() < 0.15 else 64
        count = max(2, args.batch * 64 * 64 // (side * side))
        crops = np.empty((count, side, side, 3), np.uint8)
        for i in range(count):
            y, x = rng.integers(0, (128 - side) // 8 + 1, 2) * 8
            crops[i] = images[rng.integers(TRAIN_IMAGES), y : y + side, x : x + side]
        target = to_tensor(crops)
        with torch.autocast("cpu", torch.bfloat16):
            posterior = vae.encode(target).latent_dist
            mean, logvar = posterior.mean.float(), posterior.logvar.float()
            # A little extra noise, so that the decoder forgives what a diffusion model gets slightly wrong.
            extra = 0.04 * float(rng.random()) * mean.detach().std((0, 2, 3), keepdim=True)
            drawn = vae.decode(mean + (torch.exp(0.5 * logvar) + extra) * torch.randn_like(mean)).sample
        error = drawn.float() - target
        edges = (error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()) * 0.3
        divergence = 0.5 * (mean**2 + logvar.exp() - 1 - logvar).mean() * 2e-4
        absolute = error.abs().mean()
        (absolute + edges + (error**2).mean() + divergence).backward()
        replicas.average_gradients(params)
        torch.nn.utils.clip_grad_norm_(rest, 1.0)
        factor = warm_cosine(step, args.steps, 30)
        for group, peak in zip([g for o in (muon, adam) for g in o.param_groups], peaks, strict=True):
            group["lr"] = peak * factor
        muon.step()
        adam.step()
        for p in params:
            p.grad = None
        step += 1
        torch._foreach_lerp_(average, [p.detach() for p in params], 1 - min(0.995, step / (step + 10)))
        smooth = absolute.item() if not smooth else 0.97 * smooth + 0.03 * absolute.item()
        if replicas.leads and step % args.report == 0:
            with_average(report)
            checkpoint()
    if replicas.leads:
        checkpoint()
        with_average(lambda: finish(vae, images, out))


def finish(vae: AutoencoderKLFlux2, images: np.ndarray, out: Path) -> None:
    vae.eval()
    set_latent_statistics(vae, images)
    half = make_vae()
    half.load_state_dict(vae.state_dict())
    half.half().save_pretrained(out / "final")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="build/vae")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--batch", type=int, default=8, help="64x64 crops per replica and step")
    parser.add_argument("--rate", type=float, default=0.02, help="Muon's learning rate; AdamW's is an eighth")
    parser.add_argument("--start", default="", help="a diffusers folder to go on from instead of the PCA start")
    parser.add_argument("--replicas", type=int, default=2)
    parser.add_argument("--report", type=int, default=250, help="steps between reports and saves")
    args = parser.parse_args()
    world_images(Path(args.out), TRAIN_IMAGES + HELD_OUT_IMAGES)
    run_replicas(args.replicas, train, args)


if __name__ == "__main__":
    main()
