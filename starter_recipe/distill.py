"""Distil the starter into one that draws in 4 steps without guidance.

    python -m starter_recipe.distill --from build/transformer/starter --minutes 20

The teacher draws in 16 guided steps; where it stood after every fourth is kept in a pool. The student learns to go
from each of these points straight to the next: its velocity is the mean one of the teacher's on the way. Once it can,
half of its batches start where its own steps have led it, with the teacher's next point as the aim, so that its errors
do not add up. It starts as a copy of the teacher, whose text encoder and VAE it keeps, so that LoRAs fit both.

    python -m starter_recipe.distill --from build/transformer/starter --carry --minutes 8

`--carry` is for a teacher that went on from the shipped starter: the student starts as the teacher with all that
distillation changed in the shipped one.

Goes on from build/distill/state.pt when it exists.
"""

import argparse
import json
import random
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKLFlux2, Flux2Transformer2DModel
from torch import Tensor
from torch.nn import functional
from transformers import AutoTokenizer, PreTrainedTokenizerBase, Qwen3ForCausalLM

from likeness.families.identity import folder_identity
from likeness.families.placement import best_dtype
from starter_recipe.drawings import Size, draw_pairs, indices_of, name_of, pair_of, picture_of, size_of, spans
from starter_recipe.flow import CHANNELS, Told, tokens_of, velocity, walk
from starter_recipe.pipeline import FACTS, SHIFT, draw, export
from starter_recipe.text import embed, tokenize
from starter_recipe.training import (
    DISTILLED,
    SHIPPED,
    Clock,
    Journal,
    Replicas,
    Smooth,
    ahead,
    on_gpu,
    run_replicas,
    save_state,
    warm_level,
)
from starter_recipe.vae_model import decode, encode, psnr
from starter_recipe.weights import Weights
from starter_recipe.world import SIZES, caption

STEPS = 4
TEACHER_STEPS = FACTS["steps"]
SERIES, FIRST_PAIR = 40_000_000, 1_200_000  # seeds of the pictures; number of the first pair (a multiple of 12)
HELD_OUT = 24  # the first paths of each kind and shape, at most a quarter, are never trained on
OWN_FROM, OWN_SHARE = 0.25, 0.5  # of the length; of the batches after that
WARM_UP = 20  # steps
KINDS = ("pictures", "pairs")


def sigmas(steps: int) -> list[float]:
    """The times of the pipeline's steps, from 1 to 0."""
    even = [1 - k / steps for k in range(steps)]
    return [SHIFT * s / (1 + (SHIFT - 1) * s) for s in even] + [0.0]


@torch.no_grad()
def teacher_path(model: Flux2Transformer2DModel, told: Told, empty: Tensor, noise: Tensor, guidance: float) -> Tensor:
    """Where the teacher stands at the student's times, (B, STEPS + 1, tokens, channels): noise first."""
    x, points, nothing = noise, [noise], replace(told, text=empty)
    for number, (now, after) in enumerate(pairwise(sigmas(TEACHER_STEPS)), start=1):
        t = torch.full((len(x),), now, device=x.device)
        without = velocity(model, nothing, x, t)
        v = without + guidance * (velocity(model, told, x, t) - without)
        x = x + (after - now) * v
        if number % (TEACHER_STEPS // STEPS) == 0:
            points.append(x)
    return torch.stack(points, 1)


# --- the pool of the teacher's paths


def told_in(job: tuple[str, range]) -> dict[Size, tuple[list[str], np.ndarray | None]]:
    """Texts and, for edits, sources (N, H, W, 3) of one chunk, by size."""
    kind, span = job
    texts: dict[Size, list[str]] = {}
    for i in span:
        if kind == "pairs":
            text = pair_of(FIRST_PAIR + i)[2]
        else:
            text = caption(picture_of(i, SERIES), random.Random(SERIES + i))
        texts.setdefault(size_of(i), []).append(text)
    before = draw_pairs(range(FIRST_PAIR + span.start, FIRST_PAIR + span.stop))[0] if kind == "pairs" else {}
    return {size: (said, before.get(size)) for size, said in texts.items()}


class Teacher:
    def __init__(self, folder: Path, device: torch.device):
        self.transformer = Flux2Transformer2DModel.from_pretrained(folder / "transformer", dtype=torch.float32)
        self.transformer.eval().to(device, best_dtype(device))
        self.encoder = Qwen3ForCausalLM.from_pretrained(folder / "text_encoder", dtype=best_dtype(device))
        self.encoder.eval().to(device)
        self.tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder / "tokenizer")
        self.vae = AutoencoderKLFlux2.from_pretrained(folder / "vae", dtype=torch.float32).eval().to(device)
        self.guidance = json.loads((folder / "likeness.json").read_text())["guidance"]

    @torch.no_grad()
    def paths(self, texts: list[str], sources: np.ndarray | None, size: Size, seed: int) -> dict[str, np.ndarray]:
        """Points, ids, mask and sources of the paths to these texts, as they are kept."""
        device = self.encoder.device
        ids, mask = tokenize(self.tokenizer, texts)
        text = embed(self.encoder, ids.to(device), mask.to(device))
        nothing = tokenize(self.tokenizer, [""])
        empty = embed(self.encoder, *(t.to(device) for t in nothing)).expand_as(text)
        noise = torch.randn(len(texts), tokens_of(size), CHANNELS, generator=torch.Generator().manual_seed(seed))
        reference = None if sources is None else encode(self.vae, sources).float()
        points = teacher_path(self.transformer, Told(text, size, reference), empty, noise.to(device), self.guidance)
        kept = {"points": points.half().cpu().numpy(), "ids": ids.numpy(), "mask": mask.numpy()}
        return kept if reference is None else {**kept, "before": reference.half().cpu().numpy()}


def build(replicas: Replicas, args: argparse.Namespace) -> None:
    """Walk the teacher's paths, each replica its share of the chunks; chunks that are there already are kept."""
    folder = Path(args.out) / "paths"
    folder.mkdir(parents=True, exist_ok=True)
    missing = [job for job in chunks(args) if not chunk_path(folder, *job).exists()][replicas.rank :: replicas.world]
    if not missing:
        return
    teacher = Teacher(Path(args.start), replicas.device)
    for (kind, span), by_size in zip(missing, ahead(told_in, missing, replicas.workers), strict=True):
        arrays = {
            f"{name}-{name_of(size)}": array
            for number, (size, (texts, sources)) in enumerate(by_size.items())
            for name, array in teacher.paths(texts, sources, size, span.start * 8 + number).items()
        }
        np.savez(folder / f"tmp-{replicas.rank}.npz", **arrays)
        (folder / f"tmp-{replicas.rank}.npz").rename(chunk_path(folder, kind, span))


def chunks(args: argparse.Namespace) -> list[tuple[str, range]]:
    return [(kind, span) for kind in KINDS for span in spans(getattr(args, kind), args.chunk)]


def chunk_path(folder: Path, kind: str, span: range) -> Path:
    return folder / f"{kind}-{span.start:08d}-{len(span)}.npz"


class Paths:
    """The pool in memory, on the GPU where there is one: by kind and size, arrays by name."""

    def __init__(self, args: argparse.Namespace, device: torch.device):
        self.by_kind: dict[str, dict[Size, dict[str, Tensor]]] = {}
        for kind in KINDS:
            files = [np.load(chunk_path(Path(args.out) / "paths", *job)) for job in chunks(args) if job[0] == kind]
            names = ("points", "ids", "mask", *(("before",) if kind == "pairs" else ()))
            self.by_kind[kind] = {
                size: {
                    name: torch.from_numpy(np.concatenate([f[f"{name}-{name_of(size)}"] for f in files])).to(device)
                    for name in names
                }
                for size in SIZES
                if files and len(indices_of(size, args.chunk))
            }

    def held_out(self, kind: str, size: Size) -> int:
        return min(HELD_OUT, len(self.by_kind[kind][size]["ids"]) // 4)

    @torch.no_grad()
    def take(self, encoder: Qwen3ForCausalLM, kind: str, size: Size, rows: Tensor) -> tuple[Told, Tensor]:
        """What was told, and the points (B, STEPS + 1, tokens, channels)."""
        arrays = {name: a[rows.to(a.device)] for name, a in self.by_kind[kind][size].items()}
        text = embed(encoder, arrays["ids"], arrays["mask"])
        reference = arrays["before"].float() if "before" in arrays else None
        return Told(text, size, reference), arrays["points"].float()


# --- the student


def distillation_loss(model: Flux2Transformer2DModel, told: Told, points: Tensor, interval: int, own: bool) -> Tensor:
    """Mean squared error of the velocity that leads over one interval to the teacher's next point, from its last point
    or, with `own`, from where the student's own steps have led."""
    times = sigmas(STEPS)
    x = points[:, interval]
    if own:
        with torch.no_grad():
            x = walk(model, told, points[:, 0], times[: interval + 1])
    now, after = times[interval], times[interval + 1]
    wanted = (x - points[:, interval + 1]) / (now - after)
    t = torch.full((len(x),), now, device=x.device)
    return functional.mse_loss(velocity(model, told, x, t), wanted)


@torch.no_grad()
def held_out_figures(model: Flux2Transformer2DModel, teacher: Teacher, paths: Paths) -> dict[str, float]:
    """How near the student's pictures come to the teacher's from the same noise, in dB of pixels, and how near the
    teacher itself comes in as few steps without guidance."""
    found: dict[str, list[Tensor]] = {}
    for kind, by_size in paths.by_kind.items():
        for size in by_size:
            rows = torch.arange(paths.held_out(kind, size))
            if not len(rows):
                continue
            told, points = paths.take(teacher.encoder, kind, size, rows)
            wanted = decode(teacher.vae, points[:, -1], *size)
            for who, network in (("", model), ("_teacher", teacher.transformer)):
                drawn = decode(teacher.vae, walk(network, told, points[:, 0], sigmas(STEPS)), *size)
                found.setdefault(f"psnr_{kind}{who}", []).append(psnr(drawn, wanted))
    return {name: torch.cat(rows).mean().item() for name, rows in found.items()}


@torch.no_grad()
def carry(model: Flux2Transformer2DModel, base: Path, distilled: Path) -> None:
    """Add what distillation made of the pipeline in `base` to a model that went on from it.

    Task arithmetic: Ilharco et al., "Editing models with task arithmetic", 2023 (2212.04089).
    """
    before, after = (
        Flux2Transformer2DModel.from_pretrained(folder / "transformer", dtype=torch.float32).state_dict()
        for folder in (base, distilled)
    )
    for name, weight in model.state_dict().items():
        weight += after[name] - before[name]


def train(replicas: Replicas, args: argparse.Namespace) -> None:
    out, device = Path(args.out), replicas.device
    torch.manual_seed(0)
    teacher, paths = Teacher(Path(args.start), device), Paths(args, device)
    transformer = Flux2Transformer2DModel.from_pretrained(Path(args.start) / "transformer", dtype=torch.float32)
    going_on = (out / "state.pt").exists()
    carried = args.carry and not going_on
    if carried:
        carry(transformer, SHIPPED, DISTILLED)
    weights = Weights(transformer.to(device), teacher.encoder, args.rate, replicas, frozen_text=True)
    step, spent = 0, 0.0
    if going_on:
        state = torch.load(out / "state.pt", weights_only=True, map_location=device)
        weights.load(state)
        step, spent = state["step"], state["spent"]
    clock, journal = Clock(args, step, spent), Journal(out / "curve.jsonl")
    smooth, began, samples = [Smooth() for _ in range(STEPS)], time.time(), 0
    ways = [(kind, size) for kind, by_size in paths.by_kind.items() for size in by_size]
    shares = [len(paths.by_kind[kind][size]["ids"]) for kind, size in ways]

    def report() -> None:
        weights.use(weights.average)
        losses = {f"loss_{k}": float(s) for k, s in enumerate(smooth)}
        rate = samples * replicas.world / (time.time() - began)
        figures = held_out_figures(weights.transformer, teacher, paths)
        machine = replicas.machine
        journal.write(
            **clock.told(step), batch=args.batch * replicas.world, machine=machine, images_per_second=rate,
            carried=carried, **losses, **figures,
        )  # fmt: skip
        vae = Path(args.start) / "vae"
        export(out / "starter", vae, weights.transformer, teacher.encoder, teacher.tokenizer, distilled=True)
        weights.use(weights.masters)
        save_state(out / "state.pt", {**weights.state(), "step": step, "spent": clock.spent})

    while (progress := replicas.agree(clock.progress(step))) < 1 and not replicas.agree(clock.pauses):
        rng = random.Random(step * 64 + replicas.rank)
        kind, size = rng.choices(ways, shares)[0]
        first, last = paths.held_out(kind, size), len(paths.by_kind[kind][size]["ids"])
        rows = torch.tensor([rng.randrange(first, last) for _ in range(args.batch)])
        interval, own = rng.randrange(STEPS), progress >= OWN_FROM and rng.random() < OWN_SHARE
        told, points = paths.take(teacher.encoder, kind, size, rows)
        loss = distillation_loss(weights.transformer, told, points, interval, own)
        loss.backward()
        factor = warm_level(progress, step - clock.first, WARM_UP, args.cooldown)
        weights.step(factor, args.average)
        step, samples = step + 1, samples + args.batch
        smooth[interval].add(loss)
        if replicas.leads and step % args.report == 0:
            report()
    if replicas.leads:
        report()
        draw(out / "starter", out / f"sheet-{step:06d}.png", device)


def main(arguments: Sequence[str] | None = None) -> None:
    gpu = on_gpu()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="start", default="likeness/starter", help="the teacher's folder (%(default)s)")
    parser.add_argument("--out", default="build/distill")
    Clock.options(parser, steps=1500)
    parser.add_argument("--cooldown", type=float, default=0.5, help="share of the length over which the rate falls")
    parser.add_argument("--batch", type=int, default=512 if gpu else 24, help="paths per replica and step")
    parser.add_argument("--rate", type=float, default=0.005, help="Muon's learning rate; AdamW's is a tenth")
    parser.add_argument("--average", type=float, default=0.998, help="decay of the averaged weights")
    parser.add_argument("--pictures", type=int, default=36_000 if gpu else 2400, help="paths to pictures")
    parser.add_argument("--pairs", type=int, default=12_000 if gpu else 960, help="paths to edits")
    parser.add_argument("--chunk", type=int, default=2400 if gpu else 240, help="paths in a file, a multiple of 12")
    parser.add_argument("--replicas", type=int, default=0, help="processes; 0: one on a GPU, else two")
    parser.add_argument("--report", type=int, default=250 if gpu else 50, help="steps between reports and saves")
    parser.add_argument("--anew", action="store_true", help="forget paths and state: the teacher has changed")
    parser.add_argument("--carry", action="store_true", help="start with what distillation made of the shipped one")
    args = parser.parse_args(arguments)
    if args.carry and len({folder_identity(folder / "text_encoder") for folder in (SHIPPED, DISTILLED)}) > 1:
        parser.error(
            f"--carry: {DISTILLED} was not made of {SHIPPED}, whose text encoder it has not. Fix: leave it out"
        )
    if args.anew:
        shutil.rmtree(args.out, ignore_errors=True)
    run_replicas(args.replicas, build, args)
    run_replicas(args.replicas, train, args)


if __name__ == "__main__":
    main()
