"""A small network that tells which traits of the cartoon world a picture shows.

It is trained on the spot, on renders alone: it has never seen a picture that a model drew, nor the example's own. The
traits that the example teaches (fins, mint, a bolt, a purple garment) are drawn into random pictures independently of
each other, so that one of them tells nothing about the next.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

SIDE = 64  # pixels; the judge sees pictures at half the starter's size
TRAITS = ("fins", "mint", "bolt", "purple")
# As in starter_recipe.world.picture, which is not imported here: it needs the renderer, a finished judge does not.
SCENES = (
    "forest", "beach", "city", "mountains", "room", "desert", "meadow", "plain",
    "snow", "farm", "castle", "space", "underwater", "kitchen", "library", "harbour", "playground",
)  # fmt: skip
TIMES = ("day", "sunset", "night")
UNKNOWN = -1  # label of what cannot be seen: no loss, and not counted
PASSES, BATCH, RATE = 8, 64, 3e-3


@dataclass(frozen=True)
class Labels:
    """What can be seen in N pictures; UNKNOWN where it cannot be told."""

    traits: Tensor  # (N, len(TRAITS)) 0 or 1
    scene: Tensor  # (N,) index into SCENES
    time: Tensor  # (N,) index into TIMES

    def __getitem__(self, rows: Tensor | slice) -> "Labels":
        return Labels(self.traits[rows], self.scene[rows], self.time[rows])


@dataclass(frozen=True)
class Verdict:
    """What the judge sees in N pictures, as probabilities."""

    traits: np.ndarray  # (N, len(TRAITS))
    scene: np.ndarray  # (N, len(SCENES))
    time: np.ndarray  # (N, len(TIMES))


class Judge(nn.Module):
    """(B, 3, 64, 64) in [-1, 1] to logits of the traits, the scenes and the times."""

    def __init__(self, width: int = 32):
        super().__init__()
        layers = [
            *_stage(3, width, 5, 2),  # 32 × 32
            *_stage(width, 2 * width, 3, 2),
            *_stage(2 * width, 2 * width, 3, 1),
            *_stage(2 * width, 3 * width, 3, 2),
            *_stage(3 * width, 4 * width, 3, 2),  # 4 × 4
        ]
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(4 * width * (SIDE // 16) ** 2, len(TRAITS) + len(SCENES) + len(TIMES))
        self.facts: dict[str, Any] = {}  # how well it did on held-out renders

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        features = functional.dropout(self.features(x).flatten(1), 0.2, self.training)
        return self.head(features).split([len(TRAITS), len(SCENES), len(TIMES)], dim=1)

    @torch.no_grad()
    def look(self, images: Sequence[Image.Image]) -> Verdict:
        """Judge pictures of any size."""
        self.eval()
        traits, scene, time = self(torch.stack([small(image) for image in images]))
        return Verdict(traits.sigmoid().numpy(), scene.softmax(1).numpy(), time.softmax(1).numpy())


def _stage(before: int, after: int, kernel: int, stride: int) -> tuple[nn.Module, ...]:
    conv = nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False)
    return conv, nn.BatchNorm2d(after), nn.SiLU()


def small(image: Image.Image) -> Tensor:
    """(3, 64, 64) in [-1, 1]."""
    pixels = np.array(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX))
    return torch.from_numpy(pixels).permute(2, 0, 1).float() / 127.5 - 1


# --- learning


def roughened(x: Tensor, draw: torch.Generator) -> Tensor:
    """Blurred, shifted, recoloured and grainy at random: what a half-trained model does to a picture."""

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand((len(x), 1, 1, 1), generator=draw)

    blurred = functional.avg_pool2d(functional.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
    x = x.lerp(blurred, uniform(0, 1))
    dx, dy = (int(torch.randint(-3, 4, (), generator=draw)) for _ in range(2))
    x = functional.pad(x, (3, 3, 3, 3), mode="replicate")[..., 3 + dy : 3 + dy + SIDE, 3 + dx : 3 + dx + SIDE]
    x = x * uniform(0.85, 1.1) + uniform(-0.1, 0.1)
    return (x + uniform(0, 0.12) * torch.randn(x.shape, generator=draw)).clamp(-1, 1)


def loss_of(outputs: tuple[Tensor, ...], labels: Labels) -> Tensor:
    traits, scene, time = outputs
    known = labels.traits != UNKNOWN
    loss = functional.binary_cross_entropy_with_logits(traits[known], labels.traits[known].float())
    loss = loss + 0.3 * functional.cross_entropy(scene, labels.scene, ignore_index=UNKNOWN)
    if (labels.time != UNKNOWN).any():
        loss = loss + 0.3 * functional.cross_entropy(time, labels.time, ignore_index=UNKNOWN)
    return loss


def fit_judge(judge: Judge, x: Tensor, labels: Labels, passes: float = PASSES, seed: int = 0) -> list[float]:
    """Train in place on (N, 3, 64, 64); returns the loss of every step."""
    draw = torch.Generator().manual_seed(seed)
    steps = max(1, round(passes * len(x) / BATCH))
    optimizer = torch.optim.AdamW(judge.parameters(), lr=RATE, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps + 1, pct_start=0.15)
    losses: list[float] = []
    order = torch.empty(0, dtype=torch.long)
    judge.train()
    for _ in range(steps):
        if len(order) < BATCH:
            order = torch.cat([order, torch.randperm(len(x), generator=draw)])
        rows, order = order[:BATCH], order[BATCH:]
        loss = loss_of(judge(roughened(x[rows], draw)), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    judge.eval()
    return losses


@dataclass
class HeadFacts:
    """How a head did on pictures it was not trained on."""

    accuracy: float
    found: float | None = None  # share of the pictures with the trait in which it is seen
    false_alarms: float | None = None  # share of the pictures without it in which it is seen
    pictures: int = 0


@torch.no_grad()
def examine(judge: Judge, x: Tensor, labels: Labels) -> dict[str, HeadFacts]:
    judge.eval()
    outputs = [torch.cat(parts) for parts in zip(*(judge(batch) for batch in x.split(256)), strict=True)]
    facts: dict[str, HeadFacts] = {}
    for i, name in enumerate(TRAITS):
        known = labels.traits[:, i] != UNKNOWN
        there, seen = labels.traits[known, i] == 1, outputs[0][known, i] > 0
        facts[name] = HeadFacts(_share(there == seen), _share(seen[there]), _share(seen[~there]), int(known.sum()))
    for name, logits, wanted in (("scene", outputs[1], labels.scene), ("time", outputs[2], labels.time)):
        known = wanted != UNKNOWN
        facts[name] = HeadFacts(_share(logits[known].argmax(1) == wanted[known]), pictures=int(known.sum()))
    return facts


def _share(flags: Tensor) -> float:
    return round(flags.float().mean().item(), 4)
