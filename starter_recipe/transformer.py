"""Pretrain the starter's Flux2Transformer2DModel and text encoder, text-to-image and editing together, in all shapes.

    python -m starter_recipe.transformer --vae build/vae/final --steps 2600
    python -m starter_recipe.transformer --vae build/vae/final --from likeness/starter --minutes 20

Goes on from build/transformer/state.pt when it exists; `--from` starts with finished weights instead, and teaches the
tokenizer the world's new words. The learning rate is constant and then falls over the last `--cooldown` share of the
steps or minutes, so that a later run may raise them and go on. Takes a GPU where there is one: then workers write
captions ahead, and the pool's latents stay in its memory.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import torch
from diffusers import Flux2Transformer2DModel
from torch import Tensor
from transformers import AutoTokenizer, Qwen3ForCausalLM

from likeness.errors import InputError
from starter_recipe.batches import Order, Orders, batch_of
from starter_recipe.drawings import Size
from starter_recipe.flow import Told, draw_times, flow_loss, make_transformer, velocity, walk
from starter_recipe.optimizers import young
from starter_recipe.pipeline import draw, export
from starter_recipe.pool import Pool, pool_folder, pool_options, ready_pool
from starter_recipe.reader import KEPT, asked_loss, open_reader
from starter_recipe.text import make_text_encoder, train_tokenizer
from starter_recipe.training import (
    Clock,
    Journal,
    Replicas,
    Smooth,
    ahead,
    keep_curve,
    on_gpu,
    run_replicas,
    save_state,
    warm_level,
)
from starter_recipe.vocabulary import extend_tokenizer, widened
from starter_recipe.weights import Weights
from starter_recipe.world.picture import SQUARE

WARM_UP = 40  # steps
OWN_STEPS, OWN_TIMES = 3, (0.55, 0.9)
NO_END = 10**9


def transformer_of(start: str) -> Flux2Transformer2DModel:
    """A new one, or that in the folder `start`."""
    if not start:
        return make_transformer()
    return Flux2Transformer2DModel.from_pretrained(Path(start) / "transformer", dtype=torch.float32)


def prepare_text(out: Path, start: str) -> None:
    """Tokenizer and text encoder in `out`, unless they are there: new ones, or those in the folder `start` with the
    world's new words."""
    if (out / "text_encoder").exists():
        return
    torch.manual_seed(0)
    if start:
        known = AutoTokenizer.from_pretrained(Path(start) / "tokenizer")
        tokenizer = extend_tokenizer(Path(start) / "tokenizer", out / "tokenizer")
        shipped = Qwen3ForCausalLM.from_pretrained(Path(start) / "text_encoder", dtype=torch.float32)
        encoder = widened(shipped, known, tokenizer)
    else:
        tokenizer = train_tokenizer(out / "tokenizer")
        encoder = make_text_encoder(len(tokenizer))
    encoder.save_pretrained(out / "text_encoder.tmp")
    (out / "text_encoder.tmp").rename(out / "text_encoder")


@torch.no_grad()
def held_out_losses(
    model: Flux2Transformer2DModel, encoder: Qwen3ForCausalLM, orders: Orders, pool: Pool
) -> dict[str, float]:
    """Losses at fixed times and noise, also with the wrong captions or the wrong source: does it use them?"""
    sums: dict[str, list[tuple[float, int]]] = {}

    def note(name: str, loss: torch.Tensor, size: Size, count: int) -> None:
        sums.setdefault(name, []).append((loss.item(), count))
        if name == "loss_text" and size != SQUARE:
            sums.setdefault("loss_text_other_shapes", []).append((loss.item(), count))

    for kind, names in (("pictures", ("text", "text_shuffled")), ("pairs", ("edit", "edit_wrong_source"))):
        for order in orders.held_out(kind):
            count = len(order.rows)
            told, x0 = batch_of(order, pool, encoder)
            t, noise = fixed_draw(order, x0)
            other = torch.arange(count).roll(1)
            if told.reference is None:
                wrong = replace(told, text=told.text[other])
            else:
                wrong = replace(told, reference=told.reference[other])
            for name, what in zip(names, (told, wrong), strict=True):
                loss, _ = flow_loss(model, what, x0, t, noise)
                note(f"loss_{name}", loss, order.size, count)
    return {name: sum(v * n for v, n in rows) / sum(n for _, n in rows) for name, rows in sums.items()}


def fixed_draw(order: Order, x0: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The same times and noise at every report."""
    generator = torch.Generator().manual_seed(1)
    t = torch.linspace(0.05, 0.98, len(order.rows))[torch.randperm(len(order.rows), generator=generator)]
    return t.to(x0.device), torch.randn(x0.shape, generator=generator).to(x0.device)


def own_guess(model: Flux2Transformer2DModel, told: Told, noise: Tensor) -> tuple[Tensor, Tensor]:
    """The finished picture that the model has in mind where its own steps from `noise` (B, tokens, channels) have led
    it, and the times (B,) there. What it has not drawn by then it can only know from the text, as when it is used."""
    early, late = OWN_TIMES
    now = early + (late - early) * torch.rand(()).item()
    with torch.no_grad():
        x = walk(model, told, noise, torch.linspace(1, now, OWN_STEPS + 1).tolist())
    times = torch.full((len(x),), now, device=x.device)
    return x - now * velocity(model, told, x, times), times


def train(replicas: Replicas, args: argparse.Namespace) -> None:
    out = Path(args.out)
    tokenizer = AutoTokenizer.from_pretrained(out / "tokenizer")
    torch.manual_seed(0)
    transformer = transformer_of(args.start)
    encoder = Qwen3ForCausalLM.from_pretrained(out / "text_encoder", dtype=torch.float32)
    weights = Weights(transformer.to(replicas.device), encoder.to(replicas.device), args.rate, replicas)
    if args.compile:
        weights.transformer.compile_repeated_blocks(dynamic=True)
    pool, step, spent = Pool(pool_folder(out, args.vae), replicas.device), 0, 0.0
    if (out / "state.pt").exists():
        state = torch.load(out / "state.pt", weights_only=True, map_location=replicas.device)
        weights.load(state)
        step, spent = state["step"], state["spent"]
    clock, journal = Clock(args, step, spent), Journal(out / "curve.jsonl")
    smooth = {name: Smooth() for name in ("pictures", "pairs", "asked", "asked_own")}
    orders = Orders(tokenizer, pool, args.batch, replicas.rank)
    reader = open_reader(args.reader, args.vae).to(replicas.device) if args.ask else None
    began, samples, reports = time.time(), 0, 0

    def report() -> None:
        weights.use(weights.average)
        losses = held_out_losses(weights.transformer, weights.encoder, orders, pool)
        rate = samples * replicas.world / (time.time() - began)
        asked = {name: float(smooth[name]) for name in ("asked", "asked_own") if smooth[name].value is not None}
        journal.write(
            **clock.told(step), batch=args.batch * replicas.world,
            machine=replicas.machine, images_per_second=rate, train=float(smooth["pictures"]), **asked, **losses,
        )  # fmt: skip
        export(out / "starter", args.vae, weights.transformer, weights.encoder, tokenizer)
        weights.use(weights.masters)
        save_state(out / "state.pt", {**weights.state(), "step": step, "spent": clock.spent})

    def draw_sheet() -> None:
        draw(out / "starter", out / f"sheet-{step:06d}.png", replicas.device)

    for order in ahead(orders, range(step, NO_END), replicas.workers):
        progress = replicas.agree(clock.progress(step))
        if progress >= 1 or replicas.agree(clock.pauses):
            break
        torch.manual_seed(step * 64 + replicas.rank)
        told, x0 = batch_of(order, pool, weights.encoder)
        times = draw_times(len(x0), x0.device)
        noise = torch.randn_like(x0)
        own = args.own > 0 and order.kind == "pictures" and step % args.own == 0
        if own:
            guess, times = own_guess(weights.transformer, told, noise)
            loss = noise.new_zeros(())
        else:
            loss, guess = flow_loss(weights.transformer, told, x0, times, noise)
            smooth[order.kind].add(loss)
        if reader is not None:
            named = torch.from_numpy(order.named).to(replicas.device)
            asked = asked_loss(reader, guess, times, named, order.size)
            smooth["asked_own" if own else "asked"].add(asked)
            loss = loss + args.ask * asked
        loss.backward()
        factor = warm_level(progress, step - clock.first, WARM_UP, args.cooldown)
        decay = args.average if args.start else young(step + 1, args.average)
        weights.step(factor, decay)
        step, samples = step + 1, samples + len(x0)
        if replicas.leads and step % args.report == 0:
            reports += 1
            report()
            if reports % args.draw == 0:
                draw_sheet()
    if replicas.leads:
        report()
        draw_sheet()


def main() -> None:
    gpu = on_gpu()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="build/transformer")
    parser.add_argument("--vae", default="build/vae/final")
    parser.add_argument("--from", dest="start", default="", help="a pipeline's folder to go on from")
    Clock.options(parser, steps=2600)
    parser.add_argument("--cooldown", type=float, default=0.35, help="share of the length over which the rate falls")
    parser.add_argument(
        "--batch", type=int, default=1024 if gpu else 32, help="pictures per replica and step (%(default)s)"
    )
    parser.add_argument("--rate", type=float, default=0.02, help="Muon's learning rate; AdamW's is a tenth")
    parser.add_argument("--average", type=float, default=0.999 if gpu else 0.997, help="decay of the averaged weights")
    parser.add_argument("--ask", type=float, default=0, help="weight of what the reader says; 0: it is not asked")
    parser.add_argument(
        "--own", type=int, default=0, help="every so many steps it is asked where the model's own steps led; 0: never"
    )
    parser.add_argument("--reader", type=Path, default=KEPT, help="taught by starter_recipe.reader (%(default)s)")
    pool_options(parser)
    parser.add_argument("--replicas", type=int, default=0, help="processes; 0: one on a GPU, else two")
    parser.add_argument("--report", type=int, default=500 if gpu else 50, help="steps between reports and saves")
    parser.add_argument("--draw", type=int, default=4, help="reports between sheets of samples")
    parser.add_argument("--compile", action="store_true", help="compile the blocks: a minute, then faster on a GPU")
    args = parser.parse_args()
    if args.own and not args.ask:
        parser.error("--own: asks the reader. Fix: give --ask too")
    if args.ask:
        try:
            open_reader(args.reader, args.vae)
        except InputError as e:
            parser.error(str(e))
    out = Path(args.out)
    prepare_text(out, args.start)
    keep_curve(out, "transformer", args.start)
    ready_pool(args.replicas, out, args)
    run_replicas(args.replicas, train, args)


if __name__ == "__main__":
    main()
