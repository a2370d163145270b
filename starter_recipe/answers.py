"""Convolutional networks that name the attributes of a picture: their layers, and how their answers are counted."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

from starter_recipe.fields import COUNTS, FIELDS, UNKNOWN

CELLS = 4  # rows and columns that a picture of any shape is summed up in


class Residual(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.body = nn.Sequential(stage(width, width), stage(width, width))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


def stage(before: int, after: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(after), nn.SiLU())


class Answers(nn.Module):
    """(B, channels, h, w) to the logits of each field, in the order of FIELDS."""

    def __init__(self, channels: int, hidden: int, dropout: float):
        super().__init__()
        self.hidden = nn.Linear(channels * CELLS**2, hidden)
        self.heads = nn.Linear(hidden, sum(COUNTS))
        self.dropout = dropout

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        hidden = functional.silu(self.hidden(functional.adaptive_avg_pool2d(x, CELLS).flatten(1)))
        return self.heads(functional.dropout(hidden, self.dropout, self.training)).split(COUNTS, dim=1)


def hidden_weights(network: nn.Module) -> list[bool]:
    """Of its parameters in order, those that Muon updates: all matrices and kernels but the first and the last."""
    ends = ("features.0.0.weight", "answers.heads.weight")
    return [p.ndim > 1 and name not in ends for name, p in network.named_parameters()]


def accuracy(answered: Iterable[tuple[tuple[Tensor, ...], Tensor]]) -> dict[str, float]:
    """Share of right answers by field, from logits and labels (B, fields) of batches; of fields that some row knows."""
    right = {field: torch.zeros(2, dtype=torch.int64) for field in FIELDS}
    for logits, labels in answered:
        for field, part, wanted in zip(FIELDS, logits, labels.unbind(1), strict=True):
            known = wanted != UNKNOWN
            good = part.argmax(1)[known] == wanted[known]
            right[field] += torch.tensor([int(good.sum()), int(known.sum())])
    return {field: round(int(good) / int(known), 4) for field, (good, known) in right.items() if known}
