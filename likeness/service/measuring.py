"""Whether what a run asks to be measured can be."""

import os
import re
from pathlib import Path

from likeness.config.run import RunConfig


def measuring_problems(config: RunConfig, held_out: bool) -> list[str]:
    """What is wrong with the scorecard's and the early stop's settings. `held_out`: whether a picture is."""
    problems: list[str] = []
    for key, value in (("early_stop", config.train.early_stop), ("keep_best", config.train.keep_best)):
        if value and not held_out:
            problems.append(
                f"train.{key}: goes by the loss on held-out pictures, and none is held out. Fix: set data.hold_out to "
                "1 or more, or leave it out"
            )
        elif value and not config.train.probe_every:
            problems.append(
                f"train.{key}: goes by the loss on held-out pictures, which train.probe_every: 0 never measures. Fix: "
                "set train.probe_every to 1"
            )
    if problem := encoder_problem(config.scorecard.encoder):
        problems.append(f"scorecard.encoder: {problem}")
    return problems


def encoder_problem(encoder: str) -> str | None:
    """What is wrong with the name of an encoder, as far as can be told without a network."""
    if encoder in ("auto", "none"):
        return None
    folder = Path(os.path.expanduser(encoder))
    if folder.is_dir():
        if (folder / "config.json").is_file():
            return None
        return f"{encoder} holds no config.json. Fix: give the folder of a CLIP, SigLIP or DINOv2 model"
    if re.fullmatch(r"[\w.-]+/[\w.-]+(@[\w./-]+)?", encoder):
        return None
    return f"{encoder} is no folder, and no repository 'owner/name'. Fix: correct it, or set it to none"
