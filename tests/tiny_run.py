"""Runs on the tiny base: made in a moment, trained in a second, compared byte by byte."""

import random
import shutil
from pathlib import Path

from PIL import Image

from likeness.events import StepDone, read_events
from likeness.service import runs

CONFIG = """\
name: tiny
base: {base}
trigger: tiny_char
data:
  datasets: [{{path: {pictures}, repeats: 2}}]
  resolution: 32
train: {{epochs: 2, batch_size: 1, probes: 4}}
optim: {{learning_rate: 0.01}}
lora: {{rank: 4, alpha: 2}}
sampling: {{prompts: ["tiny_char at sea"], width: 32, height: 32, steps: 2}}
hardware: {{device: cpu, precision: fp32, threads: 1}}
"""


def write_pictures(folder: Path, count: int, size: tuple[int, int] = (40, 36), seed: int = 0) -> Path:
    """Pictures of noise, each other than the rest, with a caption beside each."""
    folder.mkdir(parents=True)
    for number in range(count):
        noise = random.Random(seed + number).randbytes(size[0] * size[1] * 3)
        Image.frombytes("RGB", size, noise).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text(f"tiny_char in picture {number}")
    return folder


def write_pairs(folder: Path, count: int) -> Path:
    """Pairs before and after with an instruction each."""
    for side in ("before", "after"):
        write_pictures(folder / side, count, seed=1000 if side == "after" else 0)
        if side == "before":
            for text in (folder / side).glob("*.txt"):
                text.unlink()
    return folder


def write_config(path: Path, base: Path, pictures: Path) -> Path:
    path.write_text(CONFIG.format(base=base, pictures=pictures))
    return path


def start_run(config: Path, workspace: Path, overrides: list[str]) -> Path:
    return runs.start(runs.prepare(config, overrides), workspace)


def copy_run(folder: Path, name: str) -> Path:
    """A second run that is frozen alike."""
    return Path(shutil.copytree(folder, folder.with_name(name)))


def results(folder: Path) -> dict[str, bytes]:
    """What two equal runs must have equal: every checkpoint and sample, and the newest state."""
    files = [*folder.glob("checkpoints/*"), *folder.glob("samples/*/*"), newest_state(folder)]
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def newest_state(folder: Path) -> Path:
    return max(folder.glob("state/*"))


def course(folder: Path) -> dict[int, tuple[int, float, float, float]]:
    """By step, as told last: epoch, loss, learning rate, gradient norm."""
    told = [e for e in read_events(folder / "events.jsonl") if isinstance(e, StepDone)]
    return {e.step: (e.epoch, e.loss, e.learning_rate, e.gradient_norm) for e in told}


def leftovers(folder: Path) -> list[Path]:
    """What interrupted writers left."""
    return [p for p in folder.rglob("*") if p.name.startswith(".partial-") or ".tmp" in p.suffix]
