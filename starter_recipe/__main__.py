"""Make the whole starter in a given time: VAE, then transformer and text encoder, then the distilled variant.

    python -m starter_recipe --minutes 20
    python -m starter_recipe --minutes 20 --from likeness/starter
    python -m starter_recipe --minutes 24 --pause 9          # three times: each goes on where the last one stopped

With `--from`, a reader is taught too, and asked in the pretraining; what that does to a model that knows nothing yet
was never tried. On a GPU where there is one. Nothing shipped is replaced; `python -m starter_recipe.card` does that.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from starter_recipe.reader import KEPT


@dataclass(frozen=True)
class Stage:
    name: str  # the module, and the folder that it works in
    share: float  # of the time


FROM_NOTHING = (Stage("vae", 0.25), Stage("transformer", 0.55), Stage("distill", 0.2))
# Whichever needs the pool first draws it in its own time: here the reader.
GOING_ON = (Stage("vae", 0.2), Stage("reader", 0.2), Stage("transformer", 0.4), Stage("distill", 0.2))
ASK = 0.05  # weight of what the reader says
LEAST = 0.5  # minutes left in which it is worth to start a stage


def command(stage: Stage, args: argparse.Namespace, left: float) -> list[str]:
    """How the stage is called; `left`: minutes until the pause, 0 for none."""
    out = args.out
    call = [sys.executable, "-m", f"starter_recipe.{stage.name}", "--out", str(out / stage.name)]
    call += ["--minutes", f"{args.minutes * stage.share:g}", "--pause", f"{left:g}"]
    if stage.name in ("reader", "transformer"):
        call += ["--vae", str(out / "vae" / "final")]
    if stage.name == "reader":
        call += ["--pool", str(out / "transformer"), "--from", str(KEPT)]  # which knows another VAE's latents by now
    if stage.name == "transformer" and args.start:
        call += ["--ask", f"{ASK:g}", "--reader", str(out / "reader" / KEPT.name)]
    if stage.name == "distill":
        call += ["--from", str(out / "transformer" / "starter")]
    elif args.start and stage.name != "reader":
        call += ["--from", str(args.start / "vae" if stage.name == "vae" else args.start)]
    return call


def finished(stage: Stage, args: argparse.Namespace) -> bool:
    """Whether its state has seen all of its minutes."""
    state = torch.load(args.out / stage.name / "state.pt", weights_only=True, map_location="cpu", mmap=True)
    return state["spent"] >= 60 * args.minutes * stage.share


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, required=True, help="for everything, over all calls")
    parser.add_argument("--pause", type=float, default=0, help="stop after so many minutes; the same command goes on")
    parser.add_argument("--from", dest="start", type=Path, help="a pipeline's folder to go on from")
    parser.add_argument("--out", type=Path, default=Path("build"))
    args = parser.parse_args(arguments)
    began, record = time.time(), args.out / "stages.json"
    done: dict[str, float] = json.loads(record.read_text()) if record.exists() else {}
    for stage in GOING_ON if args.start else FROM_NOTHING:
        if done.get(stage.name) == args.minutes:
            continue
        left = args.pause - (time.time() - began) / 60 if args.pause else 0
        if args.pause and left < LEAST:
            print(f"Paused before {stage.name}; the same command goes on.")
            return
        subprocess.run(command(stage, args, left), check=True)
        if not finished(stage, args):
            print(f"Paused in {stage.name}; the same command goes on.")
            return
        done[stage.name] = args.minutes
        record.write_text(json.dumps(done))
    print(f"Done: {args.out}/transformer/starter and {args.out}/distill/starter. Ship: python -m starter_recipe.card")


if __name__ == "__main__":
    main()
