"""Latents as tokens of 2 x 2 cells, and captions of different lengths as one batch."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

PATCH = 2  # cells per side of a token


def pack(latents: Tensor) -> Tensor:
    """(B, C, h, w) to tokens (B, h/2·w/2, C·4): channel first, then the place within the token."""
    batch, channels, height, width = latents.shape
    cells = latents.reshape(batch, channels, height // PATCH, PATCH, width // PATCH, PATCH)
    return cells.permute(0, 2, 4, 1, 3, 5).reshape(batch, -1, channels * PATCH**2)


def unpack(tokens: Tensor, height: int, width: int) -> Tensor:
    """The inverse of `pack`; `height` and `width` are those of the latents."""
    cells = tokens.reshape(tokens.shape[0], height // PATCH, width // PATCH, -1, PATCH, PATCH)
    return cells.permute(0, 3, 1, 4, 2, 5).reshape(tokens.shape[0], -1, height, width)


def padded(texts: Sequence[Tensor]) -> tuple[Tensor, Tensor | None]:
    """Texts (L, …) as one batch (B, longest, …), and the mask (B, longest) of what is not padding; None where nothing
    is, which lets attention take its fast paths."""
    lengths = torch.tensor([len(text) for text in texts])
    batch = pad_sequence(list(texts), batch_first=True)
    if (lengths == lengths[0]).all():
        return batch, None
    return batch, (torch.arange(batch.shape[1]) < lengths[:, None]).to(batch.device)
