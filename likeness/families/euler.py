"""The way from noise to a picture in steps, as the stock pipelines of Qwen-Image walk it."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from diffusers.pipelines.qwenimage.pipeline_qwenimage import calculate_shift
from torch import Tensor


@torch.no_grad()
def denoise(
    scheduler: Any,
    tokens: Tensor,
    steps: int,
    velocity: Callable[[Tensor, Tensor], Tensor],
    *,
    sigmas: Sequence[float] | None = None,
    on_step: Callable[[int], None] | None = None,
) -> Tensor:
    """Noise `tokens` (1, L, C) to clean ones.

    `scheduler` is a FlowMatchEulerDiscreteScheduler, which keeps the last call's steps. `velocity` takes tokens and
    times (1,) in [0, 1]. `sigmas` are the model's own times, before the scheduler's shift and without the last 0; they
    count where there are `steps` of them, else the steps are even.
    """
    config = scheduler.config
    mu = calculate_shift(
        tokens.shape[1],
        config.get("base_image_seq_len", 256),
        config.get("max_image_seq_len", 4096),
        config.get("base_shift", 0.5),
        config.get("max_shift", 1.15),
    )
    own = sigmas if sigmas and len(sigmas) == steps else np.linspace(1.0, 1 / steps, steps)
    scheduler.set_timesteps(sigmas=list(own), device=tokens.device, mu=mu)
    scheduler.set_begin_index(0)
    for number, t in enumerate(scheduler.timesteps, start=1):
        time = t.expand(tokens.shape[0]).to(tokens.dtype) / 1000
        tokens = scheduler.step(velocity(tokens, time), t, tokens, return_dict=False)[0]
        if on_step is not None:
            on_step(number)
    return tokens
