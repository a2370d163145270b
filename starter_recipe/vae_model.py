"""The starter's AutoencoderKLFlux2: its size, its start near a linear PCA codec, and how it is measured and used."""

import math

import torch
from diffusers import AutoencoderKLFlux2, Flux2KleinPipeline
from numpy.typing import NDArray
from torch import Tensor

from starter_recipe.training import mixed

ENCODER, DECODER, LATENTS, GROUPS = (16, 32, 64, 96), (16, 32, 64, 128), 16, 8


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


def to_tensor(images: NDArray | Tensor) -> Tensor:
    """(B, H, W, 3) uint8 to (B, 3, H, W) float in [-1, 1]."""
    return torch.as_tensor(images).permute(0, 3, 1, 2).float() / 127.5 - 1


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


def hidden_kernels(vae: AutoencoderKLFlux2) -> list[Tensor]:
    """Weights that Muon updates: every kernel but the first and last ones."""
    ends = ("conv_out", "quant", "encoder.conv_in.weight")
    return [
        p
        for name, p in vae.named_parameters()
        if p.ndim == 4 and p.shape[0] >= 8 and p[0].numel() >= 32 and not any(e in name for e in ends)
    ]


@torch.no_grad()
def encode(vae: AutoencoderKLFlux2, images: NDArray | Tensor) -> Tensor:
    """(B, H, W, 3) uint8 to packed, normalised latents (B, H/16 * W/16, 64) float16, on the VAE's device."""
    x = to_tensor(torch.as_tensor(images).to(vae.device))  # carried over as bytes
    with mixed(x.device):
        z = vae.encode(x).latent_dist.mode().float()
    z = Flux2KleinPipeline._patchify_latents(z)
    std = (vae.bn.running_var + vae.config.batch_norm_eps).sqrt()
    z = (z - vae.bn.running_mean.view(1, -1, 1, 1)) / std.view(1, -1, 1, 1)
    return z.flatten(2).permute(0, 2, 1).half()


@torch.no_grad()
def decode(vae: AutoencoderKLFlux2, tokens: Tensor, width: int, height: int) -> Tensor:
    """Undo `encode`: (B, H/16 * W/16, 64) to (B, 3, H, W) in [-1, 1]."""
    z = tokens.float().permute(0, 2, 1).unflatten(2, (height // 16, width // 16))
    std = (vae.bn.running_var + vae.config.batch_norm_eps).sqrt()
    z = z * std.view(1, -1, 1, 1) + vae.bn.running_mean.view(1, -1, 1, 1)
    return vae.decode(Flux2KleinPipeline._unpatchify_latents(z)).sample.float().clamp(-1, 1)


@torch.no_grad()
def set_latent_statistics(vae: AutoencoderKLFlux2, batches: list[Tensor]) -> None:
    """The pipeline normalises patchified latents by the VAE's running statistics: measure them on (B, H, W, 3)."""
    rows = [vae.encode(to_tensor(images)).latent_dist.mode().float() for images in batches]
    packed = torch.cat([Flux2KleinPipeline._patchify_latents(z).transpose(0, 1).flatten(1) for z in rows], 1)
    vae.bn.running_mean.copy_(packed.mean(1))
    vae.bn.running_var.copy_(packed.var(1))
