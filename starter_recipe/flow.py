"""The starter's transformer, and flow matching with it: positions by shape, times and the loss."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from diffusers import Flux2Transformer2DModel
from torch import Tensor, nn

from starter_recipe.drawings import Size
from starter_recipe.text import TEXT_LAYERS, TEXT_TOKENS, WIDTH

TOKEN = 16  # pixels to a side of a latent token
CHANNELS = 64  # of a token: 16 latent channels x 2 x 2
IMAGE, REFERENCE = 0, 10  # the first coordinate of a picture's tokens, and of those of a picture to edit
TEXT_IDS = torch.cartesian_prod(torch.arange(1), torch.arange(1), torch.arange(1), torch.arange(TEXT_TOKENS))


def make_transformer(double: int = 2, single: int = 8, heads: int = 4) -> Flux2Transformer2DModel:
    model = Flux2Transformer2DModel(
        patch_size=1,
        in_channels=CHANNELS,
        num_layers=double,
        num_single_layers=single,
        attention_head_dim=64,
        num_attention_heads=heads,
        joint_attention_dim=len(TEXT_LAYERS) * WIDTH,
        mlp_ratio=3.0,
        axes_dims_rope=(16, 16, 16, 16),
        guidance_embeds=False,
        rope_theta=2000,
    )
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.8 * module.in_features**-0.5)
    nn.init.zeros_(model.proj_out.weight)
    nn.init.zeros_(model.norm_out.linear.weight)
    for m in (model.double_stream_modulation_img, model.double_stream_modulation_txt, model.single_stream_modulation):
        nn.init.normal_(m.linear.weight, std=0.02)
    return model


def tokens_of(size: Size) -> int:
    return (size[0] // TOKEN) * (size[1] // TOKEN)


def positions(size: Size, t: int) -> Tensor:
    """(tokens, 4) ids (t, h, w, l) of one picture, row by row."""
    width, height = size[0] // TOKEN, size[1] // TOKEN
    return torch.cartesian_prod(torch.tensor([t]), torch.arange(height), torch.arange(width), torch.arange(1))


@dataclass(frozen=True)
class Told:
    """What a picture is drawn from."""

    text: Tensor  # (B, TEXT_TOKENS, 3 · width)
    size: Size
    reference: Tensor | None  # the picture before the edit, (B, tokens, channels)


def velocity(model: Flux2Transformer2DModel, told: Told, x: Tensor, t: Tensor) -> Tensor:
    """What the model says at `x` (B, tokens, channels) and times `t` (B,), in float32."""
    tokens, ids, text = x, positions(told.size, IMAGE), told.text
    if told.reference is not None:
        tokens, ids = torch.cat([x, told.reference], 1), torch.cat([ids, positions(told.size, REFERENCE)])
    out = model(
        hidden_states=tokens.to(text.dtype),
        encoder_hidden_states=text,
        timestep=t.to(text.dtype),
        img_ids=ids.to(text.device),
        txt_ids=TEXT_IDS.to(text.device),
        guidance=None,
        return_dict=False,
    )[0]
    return out[:, : x.shape[1]].float()


def walk(model: Flux2Transformer2DModel, told: Told, x: Tensor, times: Sequence[float]) -> Tensor:
    """From noise `x` through the times, without guidance."""
    for now, after in pairwise(times):
        t = torch.full((len(x),), now, device=x.device)
        x = x + (after - now) * velocity(model, told, x, t)
    return x


def noised(x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    """x_t = (1 - t) x0 + t noise, of (B, tokens, channels) at times `t` (B,)."""
    mix = t[:, None, None]
    return (1 - mix) * x0 + mix * noise


def flow_loss(
    model: Flux2Transformer2DModel, told: Told, x0: Tensor, t: Tensor, noise: Tensor
) -> tuple[Tensor, Tensor]:
    """Mean squared error of the velocity noise - x0 at x_t, and the x0 that the model guesses
    there. x0: (B, tokens, channels)."""
    x = noised(x0, noise, t)
    v = velocity(model, told, x, t)
    return F.mse_loss(v, noise - x0), x - t[:, None, None] * v


def draw_times(count: int, device: torch.device) -> Tensor:
    """Logit-normal timesteps, one in ten uniform."""
    t = torch.sigmoid(torch.randn(count, device=device) * 1.1 + 0.3)
    return torch.where(torch.rand(count, device=device) < 0.1, torch.rand(count, device=device), t).clamp(0.002, 1)
