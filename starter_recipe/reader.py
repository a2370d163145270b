"""A network that reads the world's attributes from noisy latents, and the loss it gives: do pictures say what was said?

    python -m starter_recipe.reader --vae likeness/starter/vae --minutes 24
    python -m starter_recipe.transformer … --ask 0.05 --reader build/reader/reader.safetensors

The flow loss says little about small things: at times where the text decides, nearly all of it is where things stand,
which nobody can know. So the pretraining may also ask this reader what it makes of the picture that the transformer
has in mind. It is taught with renders of the transformer's pool; the judge of the quality table is another network,
taught in pixels and with other renders, which no training asks.

The one that is kept beside this file was taught with the latents of the shipped VAE. Goes on from build/reader/state.pt
when it exists; `--from` begins with the weights of another.
"""

import argparse
import random
import time
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from likeness.errors import InputError
from starter_recipe.answers import Answers, Residual, accuracy, hidden_weights, stage
from starter_recipe.drawings import Size, pair_of, picture_of
from starter_recipe.fields import UNKNOWN, classes_of, loss_of
from starter_recipe.flow import CHANNELS, TOKEN, noised
from starter_recipe.kept import keep, kept
from starter_recipe.named import shown_in
from starter_recipe.optimizers import Optimizers, young
from starter_recipe.pool import Pool, encoder_identity, held_out, pool_folder, pool_options, ready_pool
from starter_recipe.training import (
    Clock,
    Journal,
    Replicas,
    Smooth,
    mixed,
    on_gpu,
    run_replicas,
    save_state,
    warm_level,
)
from starter_recipe.world import SIZES

KEPT = Path(__file__).with_name("reader.safetensors")
WIDTH = 56  # of the first layers
TAUGHT_NOISE = 0.6  # the most that a lesson adds
EXAM_NOISE = 0.2
ASKED_NOISE = 0.5  # the most that a guess gets before it is read
LEAST_TIME = 0.5  # guesses at earlier times hold what the noisy picture showed already
WARM_UP, COOLDOWN, AVERAGE = 100, 0.6, 0.99


class Reader(nn.Module):
    """Noisy latents (B, tokens, CHANNELS) and their levels of noise (B,) to the logits of each field, as in FIELDS."""

    def __init__(self, width: int = WIDTH):
        super().__init__()
        self.features = nn.Sequential(
            stage(CHANNELS // 4 + 1, width),
            Residual(width),
            Residual(width),
            stage(width, 2 * width, stride=2),
            *(Residual(2 * width) for _ in range(3)),
        )
        self.answers = Answers(2 * width, hidden=6 * width, dropout=0.2)
        self.to(memory_format=torch.channels_last)

    def forward(self, z: Tensor, level: Tensor, size: Size) -> tuple[Tensor, ...]:
        x = functional.pixel_shuffle(z.mT.unflatten(2, (size[1] // TOKEN, size[0] // TOKEN)), 2)
        if self.training:
            x = _shifted(x)
        told = level.to(x.dtype).view(-1, 1, 1, 1).expand(-1, 1, *x.shape[-2:])
        x = torch.cat([x, told], 1).contiguous(memory_format=torch.channels_last)
        return self.answers(self.features(x))


def _shifted(x: Tensor) -> Tensor:
    """By one latent at most in each direction, its edges repeated."""
    high, wide = x.shape[-2:]
    dy, dx = torch.randint(0, 3, (2,)).tolist()
    return functional.pad(x, (1, 1, 1, 1), mode="replicate")[..., dy : dy + high, dx : dx + wide]


def noisy(x: Tensor, level: Tensor) -> Tensor:
    """`x` (B, tokens, channels) with as much noise as flow matching has at the times `level` (B,)."""
    return noised(x, torch.randn_like(x), level)


def asked_loss(reader: Reader, guess: Tensor, times: Tensor, named: Tensor, size: Size) -> Tensor:
    """Mean cross entropy of what the reader sees in a guess of the finished picture (B, tokens, channels), over the
    attributes that were `named` (B, fields) and the rows whose time (B,) is late enough; 0 without any.

    Noise is added first: what a network reads through noise is what can be seen, not a pattern made to please it.
    Clark et al. (2309.17400) and Xu et al. (2304.05977) train text-to-image models on such losses of one guess.
    """
    rows = times > LEAST_TIME
    if not bool((named[rows] != UNKNOWN).any()):
        return guess.new_zeros(())
    level = ASKED_NOISE * torch.rand(int(rows.sum()), device=guess.device)
    with mixed(guess.device):
        logits = reader(noisy(guess[rows], level), level, size)
    parts = [
        functional.cross_entropy(part.float(), wanted, ignore_index=UNKNOWN, reduction="sum")
        for part, wanted in zip(logits, named[rows].unbind(1), strict=True)
    ]
    return torch.stack(parts).sum() / (named[rows] != UNKNOWN).sum()


def open_reader(path: Path, vae_folder: str | Path) -> Reader:
    """To be asked, not to be taught. Raises InputError where there is none, and for one of another VAE's latents."""
    teach = "Fix: teach one, `python -m starter_recipe.reader --vae …`, and name it with --reader"
    if not path.exists():
        raise InputError(f"--reader: there is no {path}. {teach}")
    tensors, facts = kept(path)
    if facts["encoder"] != encoder_identity(vae_folder):
        raise InputError(f"--reader: {path} reads the latents of another VAE than {vae_folder}. {teach}")
    reader = Reader()
    reader.load_state_dict(tensors)
    return reader.eval().requires_grad_(False)


class Lessons:
    """Pictures of the pool, and the two sides of its pairs, with what they show."""

    def __init__(self, pool: Pool):
        self.pool = pool
        pictures, pairs = pool.numbers["pictures"], pool.numbers["pairs"]
        sides = {s: [pair_of(int(i)) for i in pairs[s]] for s in SIZES}
        self.labels = {
            "pictures": {s: classes_of([shown_in(picture_of(int(i))) for i in pictures[s]]) for s in SIZES},
            "before": {s: classes_of([shown_in(before) for before, _, _ in sides[s]]) for s in SIZES},
            "after": {s: classes_of([shown_in(after) for _, after, _ in sides[s]]) for s in SIZES},
        }
        found = [(name, size, len(rows)) for name, by_size in self.labels.items() for size, rows in by_size.items()]
        self.names = [(name, size) for name, size, _ in found]
        self.counts = [count for _, _, count in found]

    def batch(self, rng: random.Random, count: int) -> tuple[Tensor, Tensor, Size]:
        """Latents, labels and size of pictures that are not held out."""
        name, size = rng.choices(self.names, self.counts)[0]
        total = len(self.labels[name][size])
        return *self.rows(name, size, torch.tensor(rng.choices(range(held_out(size, total), total), k=count))), size

    def rows(self, name: str, size: Size, rows: Tensor) -> tuple[Tensor, Tensor]:
        latents = self.pool.latents[name][size]
        return latents[rows.to(latents.device)].float(), self.labels[name][size][rows].to(latents.device)

    def apart(self, name: str, size: Size) -> tuple[Tensor, Tensor]:
        return self.rows(name, size, torch.arange(held_out(size, len(self.labels[name][size]))))


@torch.no_grad()
def examine(reader: Reader, lessons: Lessons, level: float) -> dict[str, float]:
    """Share of right answers by field, on held-out pictures with so much noise."""
    reader.eval()
    answered: list[tuple[tuple[Tensor, ...], Tensor]] = []
    for size in SIZES:
        x, labels = lessons.apart("pictures", size)
        levels = torch.full((len(x),), level, device=x.device)
        answered.append((reader(noisy(x, levels), levels, size), labels))
    reader.train()
    return {f"read_{field}": share for field, share in accuracy(answered).items()}


def train(replicas: Replicas, args: argparse.Namespace) -> None:
    out, device = Path(args.out), replicas.device
    lessons = Lessons(Pool(pool_folder(Path(args.pool), args.vae), device))
    torch.manual_seed(0)
    reader = Reader().to(device)
    if args.start:
        reader.load_state_dict(kept(args.start)[0])
    optimizers = Optimizers(list(reader.parameters()), hidden_weights(reader), args.rate)
    step, spent = 0, 0.0
    if (out / "state.pt").exists():
        state = torch.load(out / "state.pt", weights_only=True, map_location=device)
        reader.load_state_dict(state["reader"])
        optimizers.load(state)
        step, spent = state["step"], state["spent"]
    clock, journal, smooth = Clock(args, step, spent), Journal(out / "curve.jsonl"), Smooth()

    def report() -> None:
        read = examine(reader, lessons, EXAM_NOISE)
        journal.write(**clock.told(step), machine=replicas.machine, train=float(smooth), **read)
        keep(out / KEPT.name, reader, {"encoder": encoder_identity(args.vae), **clock.told(step), **read})

    def save() -> None:
        state = {"reader": reader.state_dict(), **optimizers.state()}
        save_state(out / "state.pt", {**state, "step": step, "spent": clock.spent})
        optimizers.with_average(report)

    told = time.time()
    while (progress := clock.progress(step)) < 1 and not clock.pauses:
        torch.manual_seed(step)
        x, labels, size = lessons.batch(random.Random(step), args.batch)
        level = TAUGHT_NOISE * torch.rand(len(x), device=device)
        with mixed(device):
            logits = reader(noisy(x, level), level, size)
        loss = loss_of(logits, labels)
        loss.backward()
        factor = warm_level(progress, step - clock.first, WARM_UP, COOLDOWN)
        step += 1
        optimizers.step(factor, young(step, AVERAGE))
        smooth.add(loss)
        if time.time() - told > args.report:
            save()
            told = time.time()
    if step == 0 and not clock.pauses:
        raise SystemExit("--minutes: over before the pool was drawn. Fix: give more, or fewer --pictures and --pairs")
    save()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="build/reader")
    parser.add_argument("--vae", default="build/vae/final")
    parser.add_argument("--from", dest="start", type=Path, help="a reader to begin with, such as the one kept here")
    parser.add_argument("--pool", default="build/transformer", help="the transformer's folder")
    Clock.options(parser, steps=8000)
    parser.add_argument("--batch", type=int, default=1024 if on_gpu() else 64, help="pictures (%(default)s)")
    parser.add_argument("--rate", type=float, default=0.02, help="Muon's learning rate; AdamW's is an eighth")
    parser.add_argument("--report", type=float, default=60, help="seconds between reports and saves")
    pool_options(parser)
    args = parser.parse_args()
    ready_pool(0, Path(args.pool), args)
    run_replicas(1, train, args)


if __name__ == "__main__":
    main()
