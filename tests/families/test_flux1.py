"""FLUX.1 against the stock diffusers classes, given the same noise and times."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, DiffusionPipeline
from PIL import Image
from torch import Tensor

from likeness.catalog import CARDS, resolve_base
from likeness.config.train import TrainConfig
from likeness.families import Family, Placement, open_family
from likeness.families.base import Picture
from likeness.functional.randomness import normal, uniform
from likeness.train.loader import Batch, Slot
from likeness.train.step import micro_step
from tests.contract.bases.flux1 import TEXT_TOKENS, make
from tests.families.compare import add_lora, furthest_apart, largest_difference, lora_gradients

PROMPTS = ["tiny_char at sea", "tiny_char in a red hat, on a bench in a park, beside a tall tree"]
CLIP_TARGETS = r".*\.(q_proj|k_proj|v_proj|out_proj)"
Bases = Callable[[str], Path]


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Bases:
    @cache
    def base(name: str) -> Path:
        folder = tmp_path_factory.mktemp("flux1") / name
        make(CARDS[name], folder)
        return folder

    return base


def opened(base: Path, *, trained_text: bool = False, **facts: Any) -> Family:
    placement = Placement(torch.device("cpu"), torch.float32, train_text_encoder=trained_text)
    return open_family(replace(resolve_base(str(base)), **facts), placement)


def stock_of(base: Path) -> Any:
    pipeline = DiffusionPipeline.from_pretrained(base, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def tokens_of(latents: Tensor, number: int) -> tuple[Tensor, Tensor]:
    """Straight from the published layout: a token per 2 x 2 latent pixels, at (number, row, column)."""
    places = [(y, x) for y in range(latents.shape[2] // 2) for x in range(latents.shape[3] // 2)]
    tokens = [latents[:, :, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2].flatten(1) for y, x in places]
    return torch.stack(tokens, 1), torch.tensor([[number, y, x] for y, x in places]).float()


def loss_by_hand(stock: Any, x0: Tensor, references: Tensor | None, step: int, guidance: float, number: int) -> Tensor:
    noise = torch.stack([normal(tuple(x0.shape[1:]), 5, "noise", step, i) for i in range(2)])
    logit = torch.special.ndtri(torch.tensor([uniform(5, "time", step, i) for i in range(2)], dtype=torch.float64))
    shift = torch.e**0.5  # of pictures this small
    t = (shift * torch.sigmoid(logit) / (1 + (shift - 1) * torch.sigmoid(logit))).float()
    x_t = torch.stack([(1 - t[i]) * x0[i] + t[i] * noise[i] for i in range(2)])
    hidden, positions = tokens_of(x_t, 0)
    target, _ = tokens_of(noise - x0, 0)
    if references is not None:
        more, at = tokens_of(references, number)
        hidden, positions = torch.cat([hidden, more], 1), torch.cat([positions, at])
    embeds, pooled, text_ids = stock.encode_prompt(PROMPTS, max_sequence_length=TEXT_TOKENS)
    out = stock.transformer(
        hidden_states=hidden,
        encoder_hidden_states=embeds,
        pooled_projections=pooled,
        timestep=t,
        guidance=torch.tensor([guidance, guidance]) if stock.transformer.config.guidance_embeds else None,
        img_ids=positions,
        txt_ids=text_ids,
    ).sample
    return ((out[:, : target.shape[1]] - target) ** 2).mean()


@pytest.mark.parametrize(
    ("name", "trained_text"), [("flux1-dev", True), ("flux1-kontext-dev", False), ("flux1-schnell", False)]
)
def test_the_loss_and_its_gradients_are_the_published_ones(bases: Bases, name: str, trained_text: bool) -> None:
    family, stock = opened(bases(name), trained_text=trained_text), stock_of(bases(name))
    assert list(family.networks) == ["transformer", "text_encoder"][: 1 + trained_text]
    conditions = family.encode_text(PROMPTS)
    family.release_encoders()
    for which, network in family.networks.items():
        for copy in (network, getattr(stock, which)):
            add_lora(copy, CLIP_TARGETS if which == "text_encoder" else family.lora_targets("all"))
    x0, step = normal((2, 4, 4, 6), 1, "x0"), 3
    references = normal((2, 4, 6, 4), 1, "references") if name == "flux1-kontext-dev" else None
    batch = Batch(x0, [references] if references is not None else [], conditions)

    loss = micro_step(family, batch, [Slot(0, 0), Slot(1, 1)], TrainConfig(seed=5), step)
    loss.backward()
    published = loss_by_hand(stock, x0, references, step, 1.0, 1)
    published.backward()

    assert loss.item() == pytest.approx(published.item(), rel=1e-5)
    for which, network in family.networks.items():
        assert furthest_apart(lora_gradients(network), lora_gradients(getattr(stock, which))) < 1e-5
    if references is not None:
        elsewhere = loss_by_hand(stock, x0, references, step, 1.0, 0).item()
        assert elsewhere != pytest.approx(loss.item(), rel=1e-4), "positions are not felt, so nothing was shown"
    if name != "flux1-schnell":
        stronger = loss_by_hand(stock, x0, references, step, 3.5, 1).item()
        assert stronger != pytest.approx(loss.item(), rel=1e-4), "guidance is not felt, so nothing was shown"


@torch.no_grad()  # as in the pipeline's call: with gradients, other kernels round otherwise
def test_captions_are_encoded_as_the_pipeline_does(bases: Bases) -> None:
    family, stock = opened(bases("flux1-dev")), stock_of(bases("flux1-dev"))
    together = family.encode_text(PROMPTS)
    for text, row in zip(PROMPTS, together, strict=True):
        embeds, pooled, _ = stock.encode_prompt(text, max_sequence_length=TEXT_TOKENS)
        assert torch.equal(row["embeds"], embeds[0]) and torch.equal(row["pooled"], pooled[0])
        assert len(row["embeds"]) == TEXT_TOKENS  # short and long alike: padding is attended
    alone = family.encode_text(PROMPTS[1:])[0]
    assert all(torch.equal(alone[name], together[1][name]) for name in alone)


def test_trained_text_is_another_cache_entry(bases: Bases) -> None:
    frozen, trained = opened(bases("flux1-dev")), opened(bases("flux1-dev"), trained_text=True)
    assert frozen.text_identity != trained.text_identity
    assert frozen.text_identity != opened(bases("flux1-dev"), text_tokens=32).text_identity
    assert set(trained.encode_text(PROMPTS)[0]) == {"embeds", "clip_ids"}


@torch.no_grad()
def test_pictures_are_encoded_by_the_vae(bases: Bases) -> None:
    pixels = normal((2, 3, 32, 48), 1, "pixels").clamp(-1, 1)
    latents = opened(bases("flux1-dev")).encode_images(pixels)
    assert latents.shape == (2, 4, 4, 6) and latents.dtype == torch.float32
    raw = AutoencoderKL.from_pretrained(bases("flux1-dev") / "vae").encode(pixels, return_dict=False)[0].mode()
    assert torch.allclose(latents, (raw - 0.1159) * 0.3611, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "guidance"),
    [("flux1-dev", 3.5), ("flux1-dev", 1.0), ("flux1-schnell", 1.0), ("flux1-kontext-dev", 2.5)],
)
def test_a_picture_is_the_stock_pipelines(bases: Bases, name: str, guidance: float) -> None:
    family, stock = opened(bases(name)), stock_of(bases(name))
    reference = Image.effect_noise((96, 48), 90).convert("RGB") if name == "flux1-kontext-dev" else None
    condition, negative = family.encode_text([PROMPTS[0], ""])
    family.release_encoders()
    seen: list[int] = []
    references = (reference,) if reference else ()
    ours = family.sample(Picture(condition, negative, 96, 64, 3, guidance, 9, references), seen.append)
    edit = {"image": reference, "max_area": 96 * 64, "_auto_resize": False} if reference else {}
    theirs = stock(
        prompt=PROMPTS[0], width=96, height=64, num_inference_steps=3, guidance_scale=guidance,
        max_sequence_length=TEXT_TOKENS, generator=torch.Generator().manual_seed(9), **edit,
    ).images[0]  # fmt: skip
    assert seen == [1, 2, 3]
    assert largest_difference(ours, theirs) <= 2
    if reference:
        plain = family.sample(Picture(condition, negative, 96, 64, 3, guidance, 9))
        assert largest_difference(ours, plain) > 2
    with pytest.raises(RuntimeError, match="released"):
        family.encode_text(["late"])


def test_a_trained_text_encoder_is_drawn_with(bases: Bases) -> None:
    family, stock = opened(bases("flux1-dev"), trained_text=True), stock_of(bases("flux1-dev"))
    (condition,) = family.encode_text(PROMPTS[:1])
    family.release_encoders()
    picture = Picture(condition, condition, 64, 64, 2, 3.5, 9)
    before = family.sample(picture)
    for encoder in (family.networks["text_encoder"], stock.text_encoder):
        add_lora(encoder, CLIP_TARGETS)
    theirs = stock(
        prompt=PROMPTS[0], width=64, height=64, num_inference_steps=2, guidance_scale=3.5,
        max_sequence_length=TEXT_TOKENS, generator=torch.Generator().manual_seed(9),
    ).images[0]  # fmt: skip
    assert largest_difference(family.sample(picture), theirs) <= 2 < largest_difference(before, theirs)


def test_references_get_the_size_that_the_pipeline_prefers(bases: Bases, monkeypatch: pytest.MonkeyPatch) -> None:
    class Resized(Exception):
        pass

    def resize(image: Image.Image, height: int, width: int) -> None:
        raise Resized(width, height)

    stock = stock_of(bases("flux1-kontext-dev"))
    small, full = opened(bases("flux1-kontext-dev")), opened(bases("flux1-kontext-dev"), resolution=1024)
    monkeypatch.setattr(stock.image_processor, "resize", resize)
    for source in [(512, 512), (300, 200), (200, 301), (4000, 1000), (90, 600), (1184, 880)]:
        with pytest.raises(Resized) as asked:
            stock(image=Image.new("RGB", source), prompt="a")
        assert full.reference_size(source, (1024, 1024)) == asked.value.args
        assert all(side % 16 == 0 and 32 <= side <= 96 for side in small.reference_size(source, (64, 64)))


def test_the_variants_are_told_apart(bases: Bases) -> None:
    dev, schnell, kontext = (
        resolve_base(str(bases(name))) for name in ("flux1-dev", "flux1-schnell", "flux1-kontext-dev")
    )
    assert [c.guidance for c in (dev, schnell, kontext)] == [3.5, 1.0, 2.5]
    assert [c.edits for c in (dev, schnell, kontext)] == [False, False, True]
    assert schnell.distilled and schnell.training_adapter and not dev.distilled and not kontext.distilled
