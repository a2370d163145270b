"""Train the starter's upscaler: twice the width and height, with edges as sharp as the world draws them.

    python -m starter_recipe.companions.upscaler --minutes 15

A Swin2SR that starts as bilinear interpolation and learns what is missing from it. It sees pieces of pictures drawn at
twice the usual size and made small again.
"""

import random
from dataclasses import replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers import Swin2SRConfig, Swin2SRForImageSuperResolution, Swin2SRImageProcessorPil

from starter_recipe.companions import FOLDER
from starter_recipe.companions.course import Course, run
from starter_recipe.companions.views import Pixels, held_out_seed, training_seed
from starter_recipe.world import random_picture, random_size, render

WIDTH, DEPTHS, HEADS, WINDOW = 48, (4, 4), 4, 8
PIECE = 32  # pixels of the small picture
PIECES = 2  # from each drawing
NOISE = 0.02
FILTERS = (Image.Resampling.BICUBIC, Image.Resampling.BOX, Image.Resampling.LANCZOS)


def make_upscaler() -> Swin2SRForImageSuperResolution:
    config = Swin2SRConfig(
        image_size=PIECE,
        embed_dim=WIDTH,
        depths=list(DEPTHS),
        num_heads=[HEADS] * len(DEPTHS),
        window_size=WINDOW,
        drop_path_rate=0.0,
        upscale=2,
        upsampler="pixelshuffledirect",
    )
    model = Swin2SRForImageSuperResolution(config)
    _start_bilinear(model)
    return model


@torch.no_grad()
def _start_bilinear(model: Swin2SRForImageSuperResolution) -> None:
    """Let three channels carry the picture past the body to a bilinear interpolation; the body adds nothing yet."""
    first, last = model.swin2sr.first_convolution, model.upsample.conv
    model.swin2sr.conv_after_body.weight.zero_()
    for convolution in (first, last, model.swin2sr.conv_after_body):
        convolution.bias.zero_()
    last.weight.mul_(0.1)
    first.weight[:3] = 0
    for channel in range(3):
        first.weight[channel, channel, 1, 1] = 1
        for part in range(4):  # of the 2 × 2 pixels, rows first
            kernel = torch.zeros(3, 3)
            near, aside = (0.75, 0.25)
            dy, dx = (2 * (part // 2), 2 * (part % 2))
            kernel[1, 1], kernel[dy, 1], kernel[1, dx], kernel[dy, dx] = near**2, near * aside, near * aside, aside**2
            last.weight[4 * channel + part] = 0
            last.weight[4 * channel + part, channel] = kernel


def large(seed: int) -> tuple[str, Pixels]:
    """A style, and a picture in it at twice the usual width and height. Pixel art keeps its blocks, twice as large."""
    rng = random.Random(seed)
    p = random_picture(rng, random_size(rng))
    if p.style == "pixel":
        return p.style, render(p, seed).repeat(2, 0).repeat(2, 1)
    return p.style, render(replace(p, width=2 * p.width, height=2 * p.height), seed)


def halved(pixels: Pixels, resample: Image.Resampling = Image.Resampling.BICUBIC) -> Pixels:
    height, width = pixels.shape[:2]
    return np.asarray(Image.fromarray(pixels).resize((width // 2, height // 2), resample))


def doubled(pixels: Pixels) -> Pixels:
    """By bicubic interpolation: what the upscaler has to beat."""
    height, width = pixels.shape[:2]
    return np.asarray(Image.fromarray(pixels).resize((width * 2, height * 2), Image.Resampling.BICUBIC))


def values(images: list[Pixels]) -> Tensor:
    """(B, 3, H, W) in [0, 1]."""
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255


def batch_of(course: Course, first: int) -> tuple[Tensor, Tensor]:
    """Small pieces (B, 3, 32, 32) and what they are pieces of (B, 3, 64, 64)."""
    small: list[Pixels] = []
    whole: list[Pixels] = []
    rng = random.Random(first)
    for i in range(course.batch // PIECES):
        _, picture = large(training_seed(course.name, first + i))
        little = halved(picture, rng.choice(FILTERS))
        for _ in range(PIECES):
            y, x = (rng.randrange(0, n - PIECE + 1) for n in little.shape[:2])
            small.append(little[y : y + PIECE, x : x + PIECE])
            whole.append(picture[2 * y : 2 * (y + PIECE), 2 * x : 2 * (x + PIECE)])
    grain = NOISE * rng.random() * torch.randn(len(small), 3, PIECE, PIECE) * (torch.rand(len(small), 1, 1, 1) < 0.5)
    return (values(small) + grain).clamp(0, 1), values(whole)


@torch.no_grad()
def upscaled(model: Swin2SRForImageSuperResolution, pixels: Pixels) -> Pixels:
    """(2H, 2W, 3) from (H, W, 3); sides must be multiples of 8."""
    out = model(pixel_values=values([pixels]).to(model.dtype)).reconstruction
    return (out[0].float().clamp(0, 1).permute(1, 2, 0) * 255).round().byte().numpy()


def psnr(a: Pixels, b: Pixels) -> float:
    """Peak signal-to-noise ratio in dB."""
    return float(-10 * np.log10(max(1e-7, np.mean((a.astype(np.float32) - b) ** 2) / 255**2)))


def main() -> None:
    course = Course.from_command_line("upscaler", __doc__, minutes=15, batch=16, rate=0.003)
    model = make_upscaler()
    held_out = [large(held_out_seed(i))[1] for i in range(24)]

    def export() -> dict[str, float]:
        folder = FOLDER / course.name
        half = Swin2SRForImageSuperResolution(model.config)
        half.load_state_dict(model.state_dict())
        half.half().save_pretrained(folder)
        Swin2SRImageProcessorPil(size_divisor=WINDOW).save_pretrained(folder)
        ours = [psnr(upscaled(model, halved(picture)), picture) for picture in held_out]
        bicubic = [psnr(doubled(halved(picture)), picture) for picture in held_out]
        return {"psnr": float(np.mean(ours)), "bicubic": float(np.mean(bicubic))}

    def loss_of(first: int) -> Tensor:
        small, whole = batch_of(course, first)
        return (model(pixel_values=small).reconstruction.float() - whole).abs().mean()

    run(course, model, loss_of, export)


if __name__ == "__main__":
    main()
