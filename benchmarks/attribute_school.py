"""Where the attribute judge is taught and kept.

    python -m benchmarks.attribute_school --minutes 60

Every picture is drawn anew, so it never sees one twice. Started again it goes on, with the rate of a new lesson.
"""

import argparse
import hashlib
import json
import random
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
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
from likeness import durable
from starter_recipe.drawings import Size
from starter_recipe.fields import loss_of
from starter_recipe.training import Muon, Replicas, Smooth, ahead, mixed, warm_level
from starter_recipe.world import SIZES, random_picture, render

FOLDER = Path("build/judge")
# A change there or of the world makes a new judge.
MADE_BY = ("benchmarks/attribute_judge.py", "starter_recipe/fields.py")
LESSONS, EXAM = 60_000_000, 70_000_000  # where the seeds of each start
EXAM_PICTURES = 600
WARM_UP, COOLDOWN, AVERAGE = 100, 0.5, 0.995
TELL_SECONDS = 60


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


def judge_path(folder: Path, width: int) -> Path:
    digest = hashlib.sha256()
    root = Path(__file__).parent.parent
    for path in [*(root / name for name in MADE_BY), *sorted((root / "starter_recipe" / "world").glob("*.py"))]:
        digest.update(path.read_bytes())
    return folder / f"attributes-{digest.hexdigest()[:16]}-w{width}.safetensors"


def load_judge(path: Path, width: int) -> AttributeJudge:
    judge = AttributeJudge(width)
    judge.load_state_dict(load_file(path))
    with safe_open(path, "pt") as f:
        judge.facts = json.loads(f.metadata()["facts"])
    return judge.eval()


def ready_judge(minutes: float, folder: Path = FOLDER, width: int = 32) -> AttributeJudge:
    """The judge of today's world from `folder`; where there is none, a new one, taught for so many minutes."""
    path = judge_path(folder, width)
    if not path.exists():
        teach(path, minutes, width)
    return load_judge(path, width)


def teach(path: Path, minutes: float, width: int = 32, batch: int = 0, rate: float = 0.02) -> AttributeJudge:
    """Teach the judge in `path` on, or a new one, for so many minutes, and leave it there."""
    replicas = Replicas(0, 1, 0)
    batch = batch or (256 if replicas.device.type == "cuda" else 32)
    device, began = replicas.device, time.time()
    torch.manual_seed(0)
    judge = load_judge(path, width) if path.exists() else AttributeJudge(width)
    judge.train().to(device)
    before = judge.facts.get("pictures", 0)
    params = list(judge.parameters())
    hidden = [
        p for name, p in judge.named_parameters() if p.ndim > 1 and name not in ("features.0.weight", "heads.weight")
    ]
    rest = [p for p in params if all(p is not h for h in hidden)]
    muon = Muon(hidden, rate, weight_decay=0.01)
    adam = torch.optim.AdamW(rest, rate / 8, betas=(0.9, 0.98))
    average, step, smooth, told = [p.detach().clone() for p in params], 0, Smooth(), began
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
        for optimizer, peak in ((muon, rate), (adam, rate / 8)):
            optimizer.param_groups[0]["lr"] = peak * factor
            optimizer.step()
        judge.zero_grad(set_to_none=True)
        step += 1
        torch._foreach_lerp_(average, [p.detach() for p in params], 1 - min(AVERAGE, step / (step + 10)))
        smooth.add(loss)
        if time.time() - told > TELL_SECONDS:
            told = time.time()
            print(f"judge: {before + step * batch:,} pictures, loss {float(smooth):.3f}", flush=True)
    with torch.no_grad():
        torch._foreach_copy_(params, average)
    accuracy = examine(judge, exam(device))
    judge.facts = {"pictures": before + step * batch, "accuracy": accuracy}
    tensors = {name: t.detach().cpu().contiguous() for name, t in judge.state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    durable.write_with(path, lambda partial: save_file(tensors, partial, {"facts": json.dumps(judge.facts)}))
    return judge.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--width", type=int, default=32, help="channels of the first layer (%(default)s)")
    parser.add_argument("--batch", type=int, default=0, help="0: 256 on a GPU, else 32")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    args = parser.parse_args()
    judge = teach(judge_path(args.folder, args.width), args.minutes, args.width, args.batch)
    print(f"{judge.facts['pictures']:,} pictures; right on held-out renders:")
    for field, share in judge.facts["accuracy"].items():
        print(f"  {field:18} {share:.1%}")


if __name__ == "__main__":
    main()
