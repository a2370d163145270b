"""Mix the weights of the shipped starter with those of one that went on from it.

    python -m starter_recipe.mix --share 0.75
    python -m starter_recipe.card --transformer build/mix

A starter that was taught with a reader (`transformer --ask`) shows more of what it is told, and draws everything a
little less well. On the straight line between its weights and those that it began with, the held-out loss is lower than
at either end: Wortsman et al., "Robust fine-tuning of zero-shot models", 2022 (2109.01903). `--share` is how far along
it. Writes a whole pipeline, and the curve with a last line for it.
"""

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import torch
from diffusers import Flux2Transformer2DModel
from torch import nn
from transformers import AutoTokenizer, Qwen3ForCausalLM

from starter_recipe.batches import Orders
from starter_recipe.pipeline import export
from starter_recipe.pool import Pool, encoder_identity, pool_folder
from starter_recipe.training import SHIPPED, Journal
from starter_recipe.transformer import held_out_losses, transformer_of

Networks = tuple[Flux2Transformer2DModel, Qwen3ForCausalLM]


def networks(folder: Path) -> Networks:
    encoder = Qwen3ForCausalLM.from_pretrained(folder / "text_encoder", dtype=torch.float32)
    return transformer_of(str(folder)), encoder


def words(folder: Path) -> dict[str, int]:
    return AutoTokenizer.from_pretrained(folder).get_vocab()


@torch.no_grad()
def mix(first: nn.Module, second: nn.Module, share: float) -> None:
    """Move the weights of `first` by `share` of the way to those of `second`: 0 leaves them, 1 makes them the same."""
    there = dict(second.named_parameters())
    for name, weight in first.named_parameters():  # each once, where the state names tied ones twice
        weight.lerp_(there[name], share)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="start", type=Path, default=SHIPPED, help="what was gone on from (%(default)s)")
    parser.add_argument(
        "--transformer", type=Path, default=Path("build/transformer"), help="where it was gone on (%(default)s)"
    )
    parser.add_argument("--out", type=Path, default=Path("build/mix"))
    parser.add_argument("--share", type=float, required=True, help="from 0, nothing new, to 1, nothing old")
    args = parser.parse_args(arguments)
    if not 0 <= args.share <= 1:
        parser.error(f"--share: {args.share:g} is not between 0 and 1. Fix: give how far to go, as 0.75")
    finished: Path = args.transformer / "starter"
    for part, identity in (("tokenizer", words), ("vae", encoder_identity)):
        if identity(args.start / part) != identity(finished / part):
            parser.error(f"--from: {args.start} has another {part} than {finished}. Fix: give what it went on from")
    mixed = networks(args.start)
    for model, other in zip(mixed, networks(finished), strict=True):
        mix(model, other, args.share)
    tokenizer = AutoTokenizer.from_pretrained(finished / "tokenizer")
    vae = finished / "vae"
    pool = Pool(pool_folder(args.transformer, str(vae)), torch.device("cpu"))
    losses = held_out_losses(*mixed, Orders(tokenizer, pool, batch=1, rank=0), pool)
    export(args.out / "starter", vae, *mixed, tokenizer)
    shutil.copy(args.transformer / "curve.jsonl", args.out / "curve.jsonl")
    last = json.loads((args.out / "curve.jsonl").read_text().splitlines()[-1])
    Journal(args.out / "curve.jsonl").write(**last | losses, share=args.share)


if __name__ == "__main__":
    main()
