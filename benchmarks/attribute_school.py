"""Where the attribute judge is taught. The one that is kept in the repository is taught on:

    python -m benchmarks.attribute_school --minutes 60

Every picture is drawn anew, so it never sees one twice. The rate is that of a new lesson each time. What it has learned
is saved every few minutes.
"""

import argparse
import hashlib
import random
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.attribute_judge import (
    AttributeJudge,
    Pixels,
    examine,
    labels_of,
    pixel_values,
    roughened,
    with_taught,
)
from likeness.errors import InputError
from starter_recipe.answers import hidden_weights
from starter_recipe.drawings import Size
from starter_recipe.fields import loss_of
from starter_recipe.kept import keep, kept
from starter_recipe.optimizers import Optimizers, young
from starter_recipe.training import Replicas, Smooth, ahead, mixed, warm_level
from starter_recipe.world import SIZES, random_picture, render

KEPT = Path(__file__).with_name("attribute_judge.safetensors")
WIDTH = 24  # channels of a new judge's first layer
LESSONS, EXAM = 60_000_000, 70_000_000  # where the seeds of each start
EXAM_PICTURES = 600
WARM_UP, COOLDOWN, AVERAGE = 100, 0.5, 0.995
TELL_SECONDS, SAVE_SECONDS = 60, 300


def drawn(seed: int, size: Size) -> tuple[Tensor, Pixels]:
    """Labels (fields,) and pixels of a picture, now and then with a held-out value."""
    rng = random.Random(seed)
    p = with_taught(random_picture(rng, size), rng)
    return labels_of([p])[0], render(p, seed)


def lesson(job: tuple[int, int]) -> tuple[Pixels, np.ndarray]:
    """(N, H, W, 3) and labels (N, fields) of batch number `job[0]`, of `job[1]` pictures of one size."""
    number, count = job
    size = SIZES[0] if number % 2 else SIZES[1 + number // 2 % (len(SIZES) - 1)]
    rows = [drawn(LESSONS + number * count + i, size) for i in range(count)]
    return np.stack([pixels for _, pixels in rows]), torch.stack([labels for labels, _ in rows]).numpy()


class _Lessons(Sequence[tuple[int, int]]):
    """Jobs without end."""

    def __init__(self, first: int, batch: int):
        self.first, self.batch = first, batch

    def __len__(self) -> int:
        return 10**9

    def __getitem__(self, number: int) -> tuple[int, int]:  # type: ignore[override]
        return self.first + number, self.batch


def exam(device: torch.device) -> list[tuple[Tensor, Tensor]]:
    """Renders that no lesson shows, by shape; none has a held-out value."""
    batches: list[tuple[Tensor, Tensor]] = []
    for number in range(EXAM_PICTURES // 30):
        size = SIZES[0] if number % 2 else SIZES[1 + number // 2 % (len(SIZES) - 1)]
        seeds = [EXAM + number * 30 + i for i in range(30)]
        pictures = [random_picture(random.Random(seed), size) for seed in seeds]
        images = [render(p, seed) for p, seed in zip(pictures, seeds, strict=True)]
        batches.append((pixel_values(images).to(device), labels_of(pictures).to(device)))
    return batches


def world_identity() -> str:
    """Sixteen letters for how the world draws and for what can be said of its pictures: a judge is of one world."""
    digest = hashlib.sha256()
    for path in sorted((Path(__file__).parent.parent / "starter_recipe" / "world").glob("*.py")):
        digest.update(path.read_bytes())
    rng = random.Random(0)
    pictures = [with_taught(random_picture(rng), rng) for _ in range(300)]
    digest.update(labels_of(pictures).numpy().tobytes())
    return digest.hexdigest()[:16]


def load_judge(path: Path = KEPT) -> AttributeJudge:
    """A judge of today's world. Raises InputError where there is none, and for one of another world."""
    if not path.exists():
        raise InputError(f"{path}: no judge. Fix: python -m benchmarks.attribute_school --judge {path} --minutes 60")
    judge = _opened(path)
    if judge.facts["world"] != world_identity():
        raise InputError(
            f"{path}: taught with a world that has changed since. Fix: teach it on, `python -m "
            f"benchmarks.attribute_school --judge {path} --minutes 10`, and look whether it knows as much as before"
        )
    return judge


def _opened(path: Path) -> AttributeJudge:
    tensors, facts = kept(path)
    judge = AttributeJudge(facts["width"])
    judge.load_state_dict(tensors)
    judge.facts = facts
    return judge.eval()


def teach(path: Path, minutes: float, width: int = WIDTH, batch: int = 0, rate: float = 0.02) -> AttributeJudge:
    """Teach the judge in `path` on, or a new one of `width`, for so many minutes, and leave it there."""
    replicas = Replicas(0, 1, 0)
    batch = batch or (256 if replicas.device.type == "cuda" else 32)
    device, began = replicas.device, time.time()
    torch.manual_seed(0)
    judge = (_opened(path) if path.exists() else AttributeJudge(width)).train().to(device)
    before = judge.facts.get("pictures", 0)
    optimizers = Optimizers(list(judge.parameters()), hidden_weights(judge), rate)
    step, smooth, told, saved = 0, Smooth(), began, began
    questions = exam(device)

    def save() -> AttributeJudge:
        return _save(path, judge, optimizers.average, before + step * batch, questions)

    for images, labels in ahead(lesson, _Lessons(before // batch, batch), replicas.workers):
        progress = (time.time() - began) / (60 * minutes)
        if progress >= 1 and step:
            break
        x = roughened(pixel_values(images).to(device))
        with mixed(device):
            logits = judge(x)
        loss = loss_of(logits, torch.from_numpy(labels).to(device))
        loss.backward()
        factor = warm_level(progress, step, WARM_UP, COOLDOWN)
        step += 1
        optimizers.step(factor, young(step, AVERAGE))
        smooth.add(loss)
        if time.time() - told > TELL_SECONDS:
            told = time.time()
            print(f"judge: {before + step * batch:,} pictures, loss {float(smooth):.3f}", flush=True)
        if time.time() - saved > SAVE_SECONDS:
            save()
            saved = time.time()
    return save()


def _save(
    path: Path, judge: AttributeJudge, weights: list[Tensor], pictures: int, questions: list[tuple[Tensor, Tensor]]
) -> AttributeJudge:
    """Keep the judge with these weights, and with how well that one does on held-out renders."""
    saved = AttributeJudge(judge.width).to(weights[0].device)
    saved.load_state_dict(judge.state_dict())
    with torch.no_grad():
        torch._foreach_copy_(list(saved.parameters()), weights)
    facts = {"width": judge.width, "world": world_identity(), "pictures": pictures}
    keep(path, saved, {**facts, "accuracy": examine(saved, questions)})
    return _opened(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--judge", type=Path, default=KEPT, help="the file (%(default)s)")
    parser.add_argument("--width", type=int, default=WIDTH, help="channels of a new one's first layer (%(default)s)")
    parser.add_argument("--batch", type=int, default=0, help="0: 256 on a GPU, else 32")
    args = parser.parse_args()
    judge = teach(args.judge, args.minutes, args.width, args.batch)
    print(f"{judge.facts['pictures']:,} pictures; right on held-out renders:")
    for field, share in judge.facts["accuracy"].items():
        print(f"  {field:18} {share:.1%}")


if __name__ == "__main__":
    main()
