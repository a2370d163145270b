"""The family against the stock diffusers classes, given the same noise and times."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKLFlux2, Flux2KleinPipeline, Flux2Transformer2DModel
from PIL import Image
from torch import Tensor

from likeness.config.train import TrainConfig
from likeness.errors import InputError
from likeness.families import Family
from likeness.families.base import Picture
from likeness.functional.randomness import normal, uniform
from likeness.train.loader import Batch, Slot
from likeness.train.step import losses_at, micro_step

PROMPTS = ["tiny_char at sea", "another one"]


@pytest.fixture
def family(open_tiny: Callable[..., Family]) -> Family:
    return open_tiny()


@pytest.fixture
def stock(tiny_base: Path) -> Flux2KleinPipeline:
    pipeline = Flux2KleinPipeline.from_pretrained(tiny_base, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def embeds_of(stock: Flux2KleinPipeline, family: Family) -> Tensor:
    return torch.cat([stock.encode_prompt(p, **family.card.pipeline_arguments)[0] for p in PROMPTS])


def velocity_by_hand(
    transformer: Flux2Transformer2DModel,
    x_t: Tensor,
    t: Tensor,
    embeds: Tensor,
    references: Tensor | None,
    reference_time: int,
) -> Tensor:
    """Straight from the published layout: a token per latent pixel, positions (t, h, w, l), references at t = 10."""
    batch, _, height, width = x_t.shape

    def tokens(latents: Tensor) -> Tensor:
        return torch.stack([latents[:, :, y, x] for y in range(latents.shape[2]) for x in range(latents.shape[3])], 1)

    def ids(h: int, w: int, time: int) -> list[list[int]]:
        return [[time, y, x, 0] for y in range(h) for x in range(w)]

    hidden, positions = tokens(x_t), ids(height, width, 0)
    if references is not None:
        hidden = torch.cat([hidden, tokens(references)], 1)
        positions += ids(references.shape[2], references.shape[3], reference_time)
    out = transformer(
        hidden_states=hidden,
        encoder_hidden_states=embeds,
        timestep=t,
        img_ids=torch.tensor(positions),
        txt_ids=torch.tensor([[0, 0, 0, i] for i in range(embeds.shape[1])]),
        guidance=None,
    ).sample[:, : height * width]
    grid = torch.empty_like(x_t)
    for y in range(height):
        for x in range(width):
            grid[:, :, y, x] = out[:, y * width + x]
    assert grid.shape[0] == batch
    return grid


@torch.no_grad()
@pytest.mark.parametrize("with_references", [False, True])
def test_the_loss_is_the_published_one(
    family: Family, tiny_base: Path, stock: Flux2KleinPipeline, with_references: bool
) -> None:
    transformer = Flux2Transformer2DModel.from_pretrained(tiny_base, subfolder="transformer")
    for network in (transformer, family.denoiser):  # strong enough that attention, and so positions, matter
        for p in network.parameters():
            p.mul_(3 if p.ndim > 1 else 1)
    x0 = normal((2, 16, 2, 3), 1, "x0")
    references = normal((2, 16, 2, 3), 1, "references") if with_references else None
    batch = Batch(x0, references, family.encode_text(PROMPTS))
    train, slots, step = TrainConfig(seed=5), [Slot(0, 0), Slot(1, 1)], 3

    loss = micro_step(family, batch, slots, train, step).item()

    noise = torch.stack([normal((16, 2, 3), 5, "noise", step, k) for k in range(2)])
    u = torch.tensor([uniform(5, "time", step, k) for k in range(2)], dtype=torch.float64)
    sigmoid = torch.sigmoid(torch.special.ndtri(u))  # logit-normal
    shift = torch.e**0.5  # of pictures this small
    t = (shift * sigmoid / (1 + (shift - 1) * sigmoid)).float()
    x_t = torch.stack([(1 - t[i]) * x0[i] + t[i] * noise[i] for i in range(2)])
    embeds = embeds_of(stock, family)

    def by_hand(reference_time: int) -> float:
        v = velocity_by_hand(transformer, x_t, t, embeds, references, reference_time)
        return ((v - (noise - x0)) ** 2).mean().item()

    assert loss == pytest.approx(by_hand(10), rel=1e-5)
    if with_references:
        assert by_hand(11) != pytest.approx(by_hand(10), rel=1e-4), "positions are not felt, so nothing was shown"


@torch.no_grad()
def test_each_example_has_its_own_loss(family: Family) -> None:
    x0, noise, t = normal((2, 16, 2, 2), 1, "x0"), normal((2, 16, 2, 2), 1, "n"), torch.tensor([0.2, 0.9])
    conditions = family.encode_text(PROMPTS)
    both = losses_at(family, Batch(x0, None, conditions), t, noise)
    for i in range(2):
        alone = losses_at(family, Batch(x0[i : i + 1], None, conditions[i : i + 1]), t[i : i + 1], noise[i : i + 1])
        assert alone.item() == pytest.approx(both[i].item(), rel=1e-5)


@torch.no_grad()
def test_references_and_captions_matter(family: Family) -> None:
    x_t, t = normal((1, 16, 2, 2), 1, "x"), torch.tensor([0.5])
    one, two = family.encode_text(PROMPTS)
    plain = family.predict_velocity(x_t, t, [one], None)
    assert not torch.equal(plain, family.predict_velocity(x_t, t, [two], None))
    assert not torch.equal(plain, family.predict_velocity(x_t, t, [one], normal((1, 16, 2, 2), 1, "r")))
    assert plain.shape == x_t.shape


def test_captions_are_encoded_as_the_pipeline_does(family: Family, stock: Flux2KleinPipeline) -> None:
    together = family.encode_text(PROMPTS)
    assert all(torch.equal(c["embeds"], e) for c, e in zip(together, embeds_of(stock, family), strict=True))
    assert torch.equal(family.encode_text([PROMPTS[1]])[0]["embeds"], together[1]["embeds"])


@torch.no_grad()
def test_pictures_are_encoded_as_the_pipeline_does_and_come_back(family: Family, tiny_base: Path) -> None:
    pixels = normal((2, 3, 32, 48), 1, "pixels").clamp(-1, 1)
    latents = family.encode_images(pixels)
    assert latents.shape == (2, 16, 2, 3) and latents.dtype == torch.float32
    vae = AutoencoderKLFlux2.from_pretrained(tiny_base, subfolder="vae")
    raw = vae.encode(pixels).latent_dist.mode()  # (B, 4, 4, 6), each 2 x 2 pixels folded into channels
    folded = raw.reshape(2, 4, 2, 2, 3, 2).permute(0, 1, 3, 5, 2, 4).reshape(2, 16, 2, 3)
    mean, var = vae.bn.running_mean.view(1, -1, 1, 1), vae.bn.running_var.view(1, -1, 1, 1)
    assert torch.allclose(latents, (folded - mean) / torch.sqrt(var + vae.config.batch_norm_eps), atol=1e-5)


@pytest.mark.parametrize("with_reference", [False, True])
def test_a_picture_is_the_stock_pipelines(family: Family, stock: Flux2KleinPipeline, with_reference: bool) -> None:
    reference = Image.effect_noise((96, 64), 90).convert("RGB") if with_reference else None
    condition, negative = family.encode_text(["tiny_char at sea", "ugly"])
    family.release_encoders()
    torch.manual_seed(3)
    state = torch.get_rng_state()
    seen: list[int] = []
    picture = Picture(condition, negative, 96, 64, 3, 2.5, seed=9, reference=reference)
    ours = family.sample(picture, seen.append)
    assert torch.equal(torch.get_rng_state(), state)
    assert seen == [1, 2, 3]
    neg = stock.encode_prompt("ugly", **family.card.pipeline_arguments)[0]
    theirs = stock(
        prompt="tiny_char at sea", negative_prompt_embeds=neg, image=reference, width=96, height=64,
        num_inference_steps=3, guidance_scale=2.5, generator=torch.Generator().manual_seed(9),
        **family.card.pipeline_arguments,
    ).images[0]  # fmt: skip
    assert largest_difference(ours, theirs) <= 2
    other = family.sample(Picture(condition, negative, 96, 64, 3, 2.5, seed=10, reference=reference))
    assert largest_difference(ours, other) > 10
    with pytest.raises(RuntimeError, match="released"):
        family.encode_text(["late"])


def largest_difference(a: Image.Image, b: Image.Image) -> int:
    assert a.size == b.size
    return max(abs(x - y) for x, y in zip(a.convert("RGB").tobytes(), b.convert("RGB").tobytes(), strict=True))


@pytest.mark.parametrize("part", ["vae", "transformer", "text_encoder"])
def test_a_broken_base_is_refused_in_words(
    open_tiny: Callable[..., Family], tiny_base: Path, tmp_path: Path, part: str
) -> None:
    base = Path(shutil.copytree(tiny_base, tmp_path / "broken"))
    weights = next((base / part).glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:3000])
    with pytest.raises(InputError, match=r"broken.*Fix: restore its files"):
        open_tiny(base)
    shutil.rmtree(base / part)
    with pytest.raises(InputError, match="base"):
        open_tiny(base)
