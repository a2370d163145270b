"""The training that all companions share: Muon and AdamW, averaged weights, a time limit, a state to go on from."""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from starter_recipe.companions import LOG, WORK
from starter_recipe.optimizers import Optimizers, young
from starter_recipe.training import Journal, Smooth, mixed, save_state, warm_level

WARM_UP, COOLDOWN = 60, 0.4  # steps; share of the time
AVERAGE = 0.995
SAVE_SECONDS = 240
# What is looked up, or maps to and from the outside: AdamW's share.
_ENDS = (
    "embed", "wte", "wpe", "lm_head", "heads", "projection.", "first_convolution", "upsample", "logit_scale",
    "bias_mlp",
)  # fmt: skip


@dataclass(frozen=True)
class Course:
    """How long and how fast to train. `rate` is Muon's; AdamW takes an eighth of it."""

    name: str
    minutes: float
    batch: int
    rate: float = 0.02
    anew: bool = False  # forget the state of an earlier run
    shipped: bool = False  # start from the weights that are shipped

    @classmethod
    def from_command_line(cls, name: str, doc: str | None, minutes: float, batch: int, rate: float = 0.02) -> "Course":
        parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("--minutes", type=float, default=minutes, help="wall time; goes on from an earlier run")
        parser.add_argument("--batch", type=int, default=batch)
        parser.add_argument("--rate", type=float, default=rate, help="Muon's learning rate; AdamW's is an eighth")
        parser.add_argument("--anew", action="store_true", help="forget the state of an earlier run")
        parser.add_argument(
            "--shipped", action="store_true", help="where no state is left, start from the weights that are shipped"
        )
        parser.add_argument("--threads", type=int, default=2)
        args = parser.parse_args()
        torch.set_num_threads(args.threads)
        torch.manual_seed(7)
        return cls(name, args.minutes, args.batch, args.rate, args.anew, args.shipped)


def state_file(name: str) -> Path:
    return WORK / name / "state.pt"


def run(
    course: Course, model: nn.Module, loss_of: Callable[[int], Tensor], export: Callable[[], dict[str, float]]
) -> None:
    """Train `model` in place for the minutes of `course`, on from its state where there is one.

    `loss_of(first)` is the loss on a fresh batch whose seeds start at index `first`. `export()` is called now and then,
    and at the end, with averaged weights in the model: it writes them out and returns figures for the curve.
    """
    params = list(model.parameters())
    hidden = [p.ndim > 1 and not any(end in n for end in _ENDS) for n, p in model.named_parameters()]
    optimizers, step = Optimizers(params, hidden, course.rate), 0
    path, log = state_file(course.name), LOG / f"{course.name}.jsonl"
    if course.anew:
        path.unlink(missing_ok=True)
        log.unlink(missing_ok=True)
    if path.exists():
        state = torch.load(path, weights_only=True)
        model.load_state_dict(state["model"])
        optimizers.load(state)
        step = state["step"]
    elif course.shipped and log.exists():  # so that it goes on to drawings it has not seen
        step = json.loads(log.read_text().splitlines()[-1])["step"]
    journal, start, saved, smooth = Journal(log), time.time(), time.time(), Smooth()
    first_step = step

    def checkpoint() -> None:
        save_state(path, {"model": model.state_dict(), **optimizers.state(), "step": step})
        model.eval()
        optimizers.with_average(tell)
        model.train()

    def tell() -> None:
        figures = export()
        seconds = time.time() - start
        journal.write(step=step, samples=step * course.batch, seconds=seconds, loss=float(smooth), **figures)

    model.train()
    while (spent := (time.time() - start) / 60) < course.minutes:
        with mixed(torch.device("cpu")):
            loss = loss_of(step * course.batch)
        loss.backward()
        factor = warm_level(spent / course.minutes, step - first_step, WARM_UP, COOLDOWN)
        step += 1
        optimizers.step(factor, young(step, AVERAGE))
        smooth.add(loss)
        if step % 25 == 0:
            print(f"step {step}  {spent:.1f} min  loss {float(smooth):.4f}", flush=True)
        if time.time() - saved > SAVE_SECONDS:
            checkpoint()
            saved = time.time()
    checkpoint()
