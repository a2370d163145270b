"""Runs that a benchmark needs, trained by the product's own command."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def trained(settings: Path, run: Path, overrides: Sequence[str] = ()) -> Path:
    """The folder `run`, finished; goes on with one that was interrupted. Raises RuntimeError with the last words."""
    command = [sys.executable, "-m", "likeness", "train", str(settings), "--workspace", str(run.parent), "--json"]
    command += [word for override in overrides for word in ("--set", override)]
    resume = ["--resume"] if (run / "run.json").exists() else []
    done = subprocess.run([*command, *resume], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{run.name}: {done.stdout[-500:]}{done.stderr[-500:]}")
    return run
