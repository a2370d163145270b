"""Krea 2 against the stock diffusers classes, given the same noise and times."""

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKLQwenImage, Krea2Pipeline, Krea2Transformer2DModel
from torch import Tensor

from likeness.catalog import CARDS, resolve_base
from likeness.families import Family, Placement, open_family
from likeness.families.base import Picture
from likeness.functional.randomness import normal
from likeness.train.loader import Batch
from likeness.train.step import losses_at
from tests.contract.bases.krea2 import make
from tests.families.compare import add_lora, furthest_apart, largest_difference, lora_gradients

TEXTS = ["tiny_char at sea", "tiny_char in a red hat, on a bench in a park, beside a tall tree and a small dog"]


@pytest.fixture(scope="module", params=["krea2-raw", "krea2-turbo"])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("krea2") / request.param
    make(CARDS[request.param], folder)
    return folder


@pytest.fixture
def family(base: Path) -> Family:
    return open_family(resolve_base(str(base)), Placement(torch.device("cpu"), torch.float32))


@pytest.fixture
def stock(base: Path) -> Any:  # its annotations are narrower than what it takes and gives
    pipeline = Krea2Pipeline.from_pretrained(base, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def tokens(latents: Tensor) -> Tensor:
    """(B, C, h, w) to (B, h/2·w/2, 4·C), a token for every 2 x 2 latents."""
    _, _, height, width = latents.shape
    squares = [latents[:, :, y : y + 2, x : x + 2] for y in range(0, height, 2) for x in range(0, width, 2)]
    return torch.stack([square.flatten(1) for square in squares], dim=1)


def test_the_loss_and_its_gradients_are_the_published_ones(family: Family, base: Path, stock: Any) -> None:
    ours, theirs = family.networks["transformer"], Krea2Transformer2DModel.from_pretrained(base / "transformer")
    for network in (ours, theirs):
        add_lora(network, family.lora_targets("all"))
    x0, noise, t = normal((2, 4, 4, 6), 1, "x0"), normal((2, 4, 4, 6), 1, "noise"), torch.tensor([0.3, 0.8])

    loss = losses_at(family, Batch(x0, [], family.encode_text(TEXTS)), t, noise).mean()
    loss.backward()

    x_t = (1 - t.view(2, 1, 1, 1)) * x0 + t.view(2, 1, 1, 1) * noise
    with torch.no_grad():
        text, mask = stock.encode_prompt(TEXTS)  # with all of the padding, and without the mask it would be seen
    places = [[0, 0, 0]] * text.shape[1] + [[0, y, x] for y in range(2) for x in range(3)]
    answer = theirs(
        hidden_states=tokens(x_t), encoder_hidden_states=text, timestep=t,
        position_ids=torch.tensor(places, dtype=torch.float32), encoder_attention_mask=mask,
    ).sample  # fmt: skip
    published = ((answer - tokens(noise - x0)) ** 2).mean()
    published.backward()

    assert loss.item() == pytest.approx(published.item(), rel=1e-5)
    assert furthest_apart(lora_gradients(ours), lora_gradients(theirs)) < 1e-5


@torch.no_grad()
def test_texts_of_any_length_share_a_batch(family: Family) -> None:
    conditions = family.encode_text(TEXTS)
    assert len(conditions[0]["embeds"]) < len(conditions[1]["embeds"])
    x_t, t = normal((2, 4, 4, 6), 1, "x"), torch.tensor([0.3, 0.8])
    both = family.predict(x_t, t, conditions)
    assert both.shape == x_t.shape
    for i in range(2):
        alone = family.predict(x_t[i : i + 1], t[i : i + 1], conditions[i : i + 1])
        assert torch.allclose(alone[0], both[i], atol=1e-5)


@torch.no_grad()
def test_the_closing_words_follow_the_prompt_as_if_nothing_were_between(family: Family, stock: Any) -> None:
    """The block of fixed length has its padding in the middle, which must neither be seen nor take up positions."""
    for text, ours in zip(TEXTS, family.encode_text(TEXTS), strict=True):
        asked = stock.prompt_template_encode_prefix + text + stock.prompt_template_encode_suffix
        ids = stock.tokenizer(asked, return_tensors="pt").input_ids
        states = stock.text_encoder(ids, output_hidden_states=True).hidden_states
        tapped = torch.stack([states[1][0], states[2][0]], dim=1)[34:]  # (L, layers, D), the system's words left out
        assert ours["embeds"].shape == tapped.shape
        assert torch.allclose(ours["embeds"], tapped, atol=1e-5)
        assert torch.equal(family.encode_text([text])[0]["embeds"], ours["embeds"])


@torch.no_grad()
def test_pictures_are_encoded_with_the_statistics_of_the_vae(family: Family, base: Path) -> None:
    pixels = normal((2, 3, 32, 48), 1, "pixels").clamp(-1, 1)
    latents = family.encode_images(pixels)
    assert latents.shape == (2, 4, 4, 6) and latents.dtype == torch.float32
    vae: Any = AutoencoderKLQwenImage.from_pretrained(base / "vae")
    raw = vae.encode(pixels[:, :, None]).latent_dist.mode()[:, :, 0]
    for channel in range(4):
        mean, std = vae.config.latents_mean[channel], vae.config.latents_std[channel]
        assert torch.allclose(latents[:, channel], (raw[:, channel] - mean) / std, atol=1e-5)


@pytest.mark.parametrize("guidance", [0.0, 4.5])
def test_a_picture_is_the_stock_pipelines(family: Family, stock: Any, guidance: float) -> None:
    condition, negative, other = family.encode_text([TEXTS[0], "ugly", TEXTS[1]])
    family.release_encoders()
    seen: list[int] = []
    ours = family.sample(Picture(condition, negative, 96, 64, 3, guidance, seed=9), seen.append)
    theirs = stock(
        prompt=TEXTS[0], negative_prompt="ugly", width=96, height=64, num_inference_steps=3, guidance_scale=guidance,
        generator=torch.Generator().manual_seed(9),
    ).images[0]  # fmt: skip
    assert seen == [1, 2, 3]
    assert largest_difference(ours, theirs) <= 2
    elsewhere = family.sample(Picture(condition, other, 96, 64, 3, guidance, seed=9))
    assert (largest_difference(ours, elsewhere) > 0) == (guidance > 0)
    with pytest.raises(RuntimeError, match="released"):
        family.encode_text(["late"])


def test_times_are_drawn_for_the_number_of_tokens(family: Family) -> None:
    """At 1024 x 1024 pixels 128 x 128 latents make 4096 tokens: Raw's shift is then 2.475, Turbo's always 3.16."""
    t = family.objective.draw_times(torch.tensor([0.5]), 128 * 128, "auto", None).item()
    assert t / (1 - t) == pytest.approx(3.158 if family.card.distilled else 2.475, abs=1e-3)
