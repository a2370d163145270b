"""Where the judge is trained and kept."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import torch
from diffusers import AutoencoderKLFlux2
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from benchmarks.judge import Judge, examine, fit_judge
from likeness import durable
from likeness.catalog import STARTER_FOLDER
from likeness.errors import InputError
from likeness.families.identity import folder_identity

TRAIN_PICTURES, HELD_OUT_PICTURES = 7000, 600
TRAIN_THROUGH_VAE = 0.2  # share of the training pictures; the VAE costs more than the rest of the training
PRE_NOISE, HELD_OUT_NOISE = 0.4, 0.2  # of the latents' spread
MADE_BY = ("judge.py", "renders.py", "school.py")  # a change in one of them makes a new judge


def ready_judge(folder: Path, say: Callable[[str], None] = print) -> Judge:
    """The judge from `folder`, or a new one, trained in two or three minutes and left there.

    Its name tells what it was made from: a change of the world, of the starter's VAE or of this code makes a new one.
    """
    path = folder / f"judge-{_identity()[:16]}.safetensors"
    judge = Judge()
    if path.exists():
        judge.load_state_dict(load_file(path))
        with safe_open(path, "pt") as f:
            judge.facts = json.loads(f.metadata()["facts"])
        judge.eval()
        return judge
    try:
        from benchmarks.renders import prepared, renders
    except ImportError as e:
        raise InputError(f"the judge learns from renders ({e}). Fix: pip install -e '.[starter]'") from e
    say(f"Training a judge on {TRAIN_PICTURES} renders (once; kept in {folder}) …")
    vae = AutoencoderKLFlux2.from_pretrained(STARTER_FOLDER / "vae", dtype=torch.float32).eval()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # the first weights and the dropout
        judge = Judge()
        images, labels = renders(TRAIN_PICTURES, seed=1)
        fit_judge(judge, prepared(images, vae, TRAIN_THROUGH_VAE, PRE_NOISE), labels)
    images, labels = renders(HELD_OUT_PICTURES, seed=2)
    # Held-out pictures are all seen through the VAE, as every picture of a model is.
    facts = examine(judge, prepared(images, vae, 1.0, HELD_OUT_NOISE), labels)
    judge.facts = {name: vars(fact) for name, fact in facts.items()}
    tensors = {name: t.contiguous() for name, t in judge.state_dict().items()}
    durable.write_with(path, lambda partial: save_file(tensors, partial, {"facts": json.dumps(judge.facts)}))
    return judge


def _identity() -> str:
    digest = hashlib.sha256(folder_identity(STARTER_FOLDER / "vae").encode())
    here = Path(__file__).parent
    world = here.parent / "starter_recipe" / "world"
    for path in [*(here / name for name in MADE_BY), *sorted(world.glob("*.py"))]:
        digest.update(path.read_bytes())
    return digest.hexdigest()
