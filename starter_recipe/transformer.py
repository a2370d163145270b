"""Pretrain the starter's Flux2Transformer2DModel and text encoder, text-to-image and editing together.

    python -m starter_recipe.transformer --vae build/vae/final --steps 2600

Resumes from build/transformer/state.pt when it exists. The learning rate is constant and then falls over the last
`--cooldown` share of `--steps`, so that a later run may raise `--steps` and go on.
"""

import argparse
import random
import shutil
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKLFlux2, FlowMatchEulerDiscreteScheduler, Flux2KleinPipeline, Flux2Transformer2DModel
from PIL import Image
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import AutoTokenizer, PreTrainedTokenizerBase, Qwen3ForCausalLM

from starter_recipe.pool import Pool, build, join, pair_of, picture_of
from starter_recipe.text import TEXT_LAYERS, TEXT_TOKENS, WIDTH, embed, make_text_encoder, tokenize, train_tokenizer
from starter_recipe.training import Journal, Muon, Replicas, run_replicas, save_state
from starter_recipe.world import caption, render

SIDE, CHANNELS = 8, 64  # latent tokens per side; channels of a token (16 latent channels x 2 x 2)
CAPTION_DROPOUT = 0.1
HELD_OUT = 128  # the first pictures and pairs of the pool are never trained on
SAMPLING = {"height": 128, "width": 128, "max_sequence_length": TEXT_TOKENS, "text_encoder_out_layers": TEXT_LAYERS}
PROMPTS = [
    "a girl with long pink hair and light skin wearing a red dress, smiling, half body, in a meadow, flat style",
    "a boy with spiky blue hair and brown skin in a yellow hoodie, angry, half body, in a city at night, outline style",
    "a girl with green twin tails and tan skin wearing a white t-shirt and glasses, surprised, close-up, in a forest",
    "a boy with short black hair and dark skin in a green coat, calm, half body, on a plain yellow background",
    "an orange cat wearing a crown, in a forest, outline style",
    "a white bunny, on a plain pink background, flat style",
    "a girl with curly red hair wearing blue overalls, smiling and with arms raised, full body, on a beach, flat style",
    "a girl with a purple ponytail and tan skin wearing a teal hoodie and a crown, sad, half body, in a city at sunset",
    "a boy in a purple t-shirt with a star on it, waving, half body, in the mountains, watercolor painting",
    "a blue car, in a desert at sunset, watercolor style",
    "a red mushroom, in a forest at night, pixel art",
    "a black dog wearing a red scarf, in a room, pencil sketch",
]


def make_transformer() -> Flux2Transformer2DModel:
    model = Flux2Transformer2DModel(
        patch_size=1,
        in_channels=CHANNELS,
        num_layers=2,
        num_single_layers=8,
        attention_head_dim=64,
        num_attention_heads=4,
        joint_attention_dim=len(TEXT_LAYERS) * WIDTH,
        mlp_ratio=3.0,
        axes_dims_rope=(16, 16, 16, 16),
        guidance_embeds=False,
        rope_theta=2000,
    )
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.8 * module.in_features**-0.5)
    nn.init.zeros_(model.proj_out.weight)
    nn.init.zeros_(model.norm_out.linear.weight)
    for m in (model.double_stream_modulation_img, model.double_stream_modulation_txt, model.single_stream_modulation):
        nn.init.normal_(m.linear.weight, std=0.02)
    return model


def positions(t: int) -> Tensor:
    """(tokens, 4) ids (t, h, w, l) of one picture."""
    side = torch.arange(SIDE)
    return torch.cartesian_prod(torch.tensor([t]), side, side, torch.arange(1))


IMAGE_IDS, REFERENCE_IDS = positions(0), positions(10)
TEXT_IDS = torch.cartesian_prod(torch.arange(1), torch.arange(1), torch.arange(1), torch.arange(TEXT_TOKENS))


def flow_loss(
    model: Flux2Transformer2DModel, text: Tensor, x0: Tensor, reference: Tensor | None, t: Tensor, noise: Tensor
) -> Tensor:
    """Mean squared error of the velocity noise - x0 at x_t = (1 - t) x0 + t noise. x0: (B, 64, 64)."""
    mix = t[:, None, None]
    tokens, ids = (1 - mix) * x0 + mix * noise, IMAGE_IDS
    if reference is not None:
        tokens, ids = torch.cat([tokens, reference], 1), torch.cat([IMAGE_IDS, REFERENCE_IDS])
    out = model(
        hidden_states=tokens.to(text.dtype),
        encoder_hidden_states=text,
        timestep=t.to(text.dtype),
        img_ids=ids,
        txt_ids=TEXT_IDS,
        guidance=None,
        return_dict=False,
    )[0]
    return F.mse_loss(out[:, : x0.shape[1]].float(), noise - x0)


def draw_times(count: int) -> Tensor:
    """Logit-normal timesteps, one in ten uniform."""
    t = torch.sigmoid(torch.randn(count) * 1.1 + 0.3)
    return torch.where(torch.rand(count) < 0.1, torch.rand(count), t).clamp(0.002, 1)


class Weights:
    """bf16 working copies of both networks, fp32 masters, their average, and the optimizers."""

    def __init__(self, transformer: Flux2Transformer2DModel, encoder: Qwen3ForCausalLM, rate: float):
        self.transformer, self.encoder = transformer.bfloat16(), encoder.bfloat16()
        named = [("transformer." + n, p) for n, p in transformer.named_parameters()]
        named += [("encoder." + n, p) for n, p in encoder.named_parameters() if "lm_head" not in n]
        self.names = [n for n, _ in named]
        self.work = [p for _, p in named]
        self.masters = [p.detach().float().clone().requires_grad_() for p in self.work]
        self.average = [m.detach().clone() for m in self.masters]
        hidden = [p.ndim == 2 and ("blocks." in n or ".layers." in n) for n, p in named]
        self.muon = Muon([m for m, h in zip(self.masters, hidden, strict=True) if h], rate, weight_decay=0.01)
        self.adam = torch.optim.AdamW(
            [m for m, h in zip(self.masters, hidden, strict=True) if not h],
            rate / 10,
            betas=(0.9, 0.98),
            weight_decay=0.01,
        )
        self.rate = rate

    def step(self, replicas: Replicas, factor: float, decay: float) -> float:
        """One update from the working copies' gradients; returns the gradient norm."""
        for p, m in zip(self.work, self.masters, strict=True):
            m.grad = torch.zeros_like(m) if p.grad is None else p.grad.float()
            p.grad = None
        replicas.average_gradients(self.masters)
        norm = torch.nn.utils.clip_grad_norm_(self.masters, 1.0)
        for opt, peak in ((self.muon, self.rate), (self.adam, self.rate / 10)):
            for group in opt.param_groups:
                group["lr"] = peak * factor
            opt.step()
        with torch.no_grad():
            torch._foreach_copy_(self.work, [m.detach() for m in self.masters])
            torch._foreach_lerp_(self.average, [m.detach() for m in self.masters], 1 - decay)
        return float(norm)

    @torch.no_grad()
    def use(self, values: list[Tensor]) -> None:
        torch._foreach_copy_(self.work, [v.detach() for v in values])

    def state(self) -> dict:
        return {
            "masters": [m.detach() for m in self.masters],
            "average": self.average,
            "muon": self.muon.state_dict(),
            "adam": self.adam.state_dict(),
        }

    @torch.no_grad()
    def load(self, state: dict) -> None:
        torch._foreach_copy_([m.detach() for m in self.masters], state["masters"])
        torch._foreach_copy_(self.average, state["average"])
        self.muon.load_state_dict(state["muon"])
        self.adam.load_state_dict(state["adam"])
        self.use(self.masters)


class Batches:
    """Draws training batches as a pure function of (step, rank), so that resuming repeats nothing."""

    def __init__(self, pool: Pool, tokenizer: PreTrainedTokenizerBase, encoder: Qwen3ForCausalLM):
        self.pool, self.tokenizer, self.encoder = pool, tokenizer, encoder

    def text(self, captions: list[str]) -> Tensor:
        return embed(self.encoder, *tokenize(self.tokenizer, captions))

    def pictures(self, indices: list[int], rng: random.Random, dropout: float) -> tuple[Tensor, Tensor, None]:
        captions = [caption(picture_of(i), rng) if rng.random() >= dropout else "" for i in indices]
        return self.text(captions), latents(self.pool.pictures, indices), None

    def pairs(self, indices: list[int], rng: random.Random, dropout: float) -> tuple[Tensor, Tensor, Tensor]:
        texts = [pair_of(i)[2] if rng.random() >= dropout else "" for i in indices]
        return self.text(texts), latents(self.pool.after, indices), latents(self.pool.before, indices)


def latents(array, indices: list[int]) -> Tensor:
    return torch.from_numpy(array[indices]).float()


@torch.no_grad()
def held_out_losses(weights: Weights, batches: Batches) -> dict[str, float]:
    """Losses at fixed times and noise, also with the wrong captions or the wrong source: does it use them?"""
    rng, generator = random.Random(5), torch.Generator().manual_seed(1)
    indices = list(range(HELD_OUT))
    t = torch.linspace(0.05, 0.98, HELD_OUT)[torch.randperm(HELD_OUT, generator=generator)]
    noise = torch.randn(HELD_OUT, SIDE * SIDE, CHANNELS, generator=generator)
    text, x0, _ = batches.pictures(indices, rng, 0)
    wrong = torch.arange(HELD_OUT).roll(1)
    out = {"loss_text": flow_loss(weights.transformer, text, x0, None, t, noise).item()}
    out["loss_text_shuffled"] = flow_loss(weights.transformer, text[wrong], x0, None, t, noise).item()
    text, after, before = batches.pairs(indices, rng, 0)
    out["loss_edit"] = flow_loss(weights.transformer, text, after, before, t, noise).item()
    out["loss_edit_wrong_source"] = flow_loss(weights.transformer, text, after, before[wrong], t, noise).item()
    return out


def export(weights: Weights, tokenizer: PreTrainedTokenizerBase, vae_folder: str, folder: Path) -> None:
    """Write the averaged weights as a whole pipeline folder in bf16 (the VAE in fp16)."""
    pipe = Flux2KleinPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=2.0, use_dynamic_shifting=False),
        vae=AutoencoderKLFlux2.from_pretrained(vae_folder, torch_dtype=torch.float16),
        text_encoder=weights.encoder,
        tokenizer=tokenizer,
        transformer=weights.transformer,
    )
    fresh = folder.with_name(folder.name + ".new")
    pipe.save_pretrained(fresh)
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)


def draw(folder: Path, path: Path) -> None:
    """A sheet of sampled prompts, and of held-out edits (source, result, truth)."""
    pipe = Flux2KleinPipeline.from_pretrained(folder, torch_dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    images = pipe(
        prompt=PROMPTS,
        num_inference_steps=16,
        guidance_scale=2.5,
        generator=torch.Generator().manual_seed(3),
        **SAMPLING,
    ).images
    for i in range(8):
        before, after, instruction = pair_of(i)
        source = Image.fromarray(render(before, 50_000_000 + i))
        generator = torch.Generator().manual_seed(i)
        result = pipe(
            image=source,
            prompt=instruction,
            num_inference_steps=16,
            guidance_scale=1.5,
            generator=generator,
            **SAMPLING,
        )
        images += [source, result.images[0], Image.fromarray(render(after, 50_000_000 + i))]
    sheet = Image.new("RGB", (12 * 130, 3 * 130), "white")
    for i, image in enumerate(images):
        sheet.paste(image, ((i % 12) * 130, (i // 12) * 130))
    sheet.save(path)


def train(replicas: Replicas, args: argparse.Namespace) -> None:
    kernel = sdpa_kernel(SDPBackend.MATH)  # fastest for a hundred tokens on a CPU
    kernel.__enter__()
    out = Path(args.out)
    tokenizer = AutoTokenizer.from_pretrained(out / "tokenizer")
    torch.manual_seed(0)
    weights = Weights(make_transformer(), make_text_encoder(len(tokenizer)), args.rate)
    batches, step = Batches(Pool(out / "pool"), tokenizer, weights.encoder), 0
    if (out / "state.pt").exists():
        state = torch.load(out / "state.pt", weights_only=True)
        weights.load(state)
        step = state["step"]
    journal, smooth, began, first = Journal(out / "curve.jsonl"), {}, time.time(), step
    cooling = args.steps * (1 - args.cooldown)
    while step < args.steps:
        rng = random.Random(step * 64 + replicas.rank)
        torch.manual_seed(step * 64 + replicas.rank)
        edit = step % 4 == 3
        count = args.batch * 5 // 8 if edit else args.batch
        source = batches.pool.after if edit else batches.pool.pictures
        indices = rng.sample(range(HELD_OUT, len(source)), count)
        text, x0, reference = (batches.pairs if edit else batches.pictures)(indices, rng, CAPTION_DROPOUT)
        loss = flow_loss(weights.transformer, text, x0, reference, draw_times(count), torch.randn_like(x0))
        loss.backward()
        factor = min(1.0, (step + 1) / 40)
        factor *= 1.0 if step < cooling else max(0.02, (args.steps - step) / (args.steps - cooling))
        weights.step(replicas, factor, min(args.average, (step + 1) / (step + 20)))
        step += 1
        kind = "edit" if edit else "text"
        smooth[kind] = 0.97 * smooth.get(kind, loss.item()) + 0.03 * loss.item()
        if replicas.leads and (step % args.report == 0 or step == args.steps):
            weights.use(weights.average)
            rate = (step - first) * args.batch * (29 / 32) * replicas.world / (time.time() - began)
            losses = held_out_losses(weights, batches)
            journal.write(
                step=step, seconds=time.time() - began, images_per_second=rate, train=smooth.get("text", 0.0), **losses
            )
            export(weights, tokenizer, args.vae, out / "starter")
            weights.use(weights.masters)
            save_state(out / "state.pt", {**weights.state(), "step": step})
            if step % (args.report * args.draw) == 0 or step == args.steps:
                draw(out / "starter", out / f"sheet-{step:06d}.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="build/transformer")
    parser.add_argument("--vae", default="build/vae/final")
    parser.add_argument("--steps", type=int, default=2600)
    parser.add_argument("--cooldown", type=float, default=0.35, help="share of the steps over which the rate falls")
    parser.add_argument("--batch", type=int, default=32, help="pictures per replica and step; edits are five eighths")
    parser.add_argument("--rate", type=float, default=0.02, help="Muon's learning rate; AdamW's is a tenth")
    parser.add_argument("--average", type=float, default=0.997, help="decay of the averaged weights")
    parser.add_argument("--pictures", type=int, default=36000)
    parser.add_argument("--pairs", type=int, default=12000)
    parser.add_argument("--replicas", type=int, default=2)
    parser.add_argument("--report", type=int, default=50, help="steps between reports, saves and exports")
    parser.add_argument("--draw", type=int, default=4, help="reports between sheets of samples")
    args = parser.parse_args()
    out = Path(args.out)
    if not (out / "tokenizer").exists():
        train_tokenizer(out / "tokenizer")
    if not (out / "pool" / "after.npy").exists():
        run_replicas(args.replicas, build, out / "pool", args.vae, args.pictures, args.pairs)
        join(out / "pool")
    run_replicas(args.replicas, train, args)


if __name__ == "__main__":
    main()
