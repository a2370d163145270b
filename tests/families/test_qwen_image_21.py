"""Qwen-Image 2.1 against the stock diffusers classes, given the same noise and times."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKLQwenImage21, QwenImage21Transformer2DModel
from PIL import Image
from torch import Tensor

from likeness.catalog import CARDS, resolve_base
from likeness.families import Family, Placement, open_family
from likeness.families.base import Condition, Picture
from likeness.functional.randomness import normal
from likeness.train.loader import Batch
from likeness.train.step import losses_at
from tests.contract.bases.qwen_image_21 import TURBO_SIGMAS, make, stock, stock_pipeline
from tests.families.compare import add_lora, furthest_apart, largest_difference, lora_gradients

NAME = "qwen-image-2.1"
SHORT, LONG = "tiny_char at sea", "tiny_char in a red hat, on a bench in a park, beside a tall tree and a small dog"
PICTURES = [Image.effect_noise(size, 90).convert("RGB") for size in ((128, 32), (64, 64))]  # at the base's area
BaseOf = Callable[[str], Path]


@pytest.fixture(scope="module")
def base_of(tmp_path_factory: pytest.TempPathFactory) -> BaseOf:
    @cache
    def made(name: str) -> Path:
        folder = tmp_path_factory.mktemp("qwen_image_21") / name
        make(CARDS[name], folder)
        return folder

    return made


@pytest.fixture
def family(base_of: BaseOf) -> Family:
    return opened(base_of(NAME))


def opened(base: Path) -> Family:
    return open_family(resolve_base(str(base)), Placement(torch.device("cpu"), torch.float32))


def answer_by_hand(transformer: Any, x_t: Tensor, t: Tensor, condition: Condition, references: list[Tensor]) -> Tensor:
    """One example, (C, h, w): text with its pictures' places, then the picture itself, a token for every latent."""
    latents = [*references, x_t]
    tokens = [torch.stack([z[:, y, x] for y in range(z.shape[1]) for x in range(z.shape[2])]) for z in latents]
    own = len(tokens[-1])
    places = torch.cat([condition["slots"], torch.ones(own // 4, dtype=torch.bool)])
    out = transformer(
        hidden_states=torch.cat(tokens)[None], encoder_hidden_states=condition["embeds"][None], timestep=t[None],
        img_shapes=[[(1, z.shape[1], z.shape[2]) for z in latents]], img_mask=places[None],
    ).sample[0, -own:]  # fmt: skip
    return out.T.reshape(x_t.shape)


@pytest.mark.parametrize("pictures", [0, 2])
def test_the_loss_and_its_gradients_are_the_published_ones(family: Family, base_of: BaseOf, pictures: int) -> None:
    theirs = QwenImage21Transformer2DModel.from_pretrained(base_of(NAME) / "transformer")
    for network in (family.networks["transformer"], theirs):
        add_lora(network, family.lora_targets("all"))
    x0, noise, t = normal((3, 8, 2, 4), 1, "x0"), normal((3, 8, 2, 4), 1, "noise"), torch.tensor([0.3, 0.8, 0.5])
    seen = PICTURES[:pictures]
    references = [normal((3, 8, p.height // 16, p.width // 16), 1, f"reference {p.size}") for p in seen]
    conditions = family.encode_text([SHORT, LONG, SHORT], seen)

    loss = losses_at(family, Batch(x0, references, conditions), t, noise).mean()
    loss.backward()
    published = torch.zeros(())
    for i in range(3):
        x_t = (1 - t[i]) * x0[i] + t[i] * noise[i]
        answer = answer_by_hand(theirs, x_t, t[i], conditions[i], [r[i] for r in references])
        published = published + ((answer - (noise[i] - x0[i])) ** 2).mean() / 3
    published.backward()

    assert loss.item() == pytest.approx(published.item(), rel=1e-5)
    assert furthest_apart(lora_gradients(family.networks["transformer"]), lora_gradients(theirs)) < 1e-5


@torch.no_grad()
def test_padding_would_move_the_picture(family: Family, base_of: BaseOf) -> None:
    """Why captions of one length go together: behind a padded and masked text the answer is another."""
    condition, x_t, t = family.encode_text([SHORT])[0], normal((1, 8, 2, 4), 1, "x"), torch.tensor([0.5])
    transformer = family.networks["transformer"]
    length, dim = condition["embeds"].shape
    padded = transformer(
        hidden_states=x_t.flatten(2).transpose(1, 2), timestep=t, img_shapes=[[(1, 2, 4)]],
        encoder_hidden_states=torch.cat([condition["embeds"], torch.zeros(20, dim)])[None],
        encoder_hidden_states_mask=torch.tensor([[1] * length + [0] * 20]),
        img_mask=torch.tensor([[False] * (length + 20) + [True] * 2]),
    ).sample[:, -8:]  # fmt: skip
    alone = family.predict(x_t, t, [condition])
    assert not torch.allclose(padded.transpose(1, 2).reshape(alone.shape), alone, atol=1e-4)


# --- text


@torch.no_grad()
@pytest.mark.parametrize("pictures", [0, 2])
def test_text_is_encoded_as_the_pipeline_does(family: Family, base_of: BaseOf, pictures: int) -> None:
    seen = PICTURES[:pictures]
    together = family.encode_text([SHORT, "", LONG], seen)
    pipeline = stock_pipeline(CARDS[NAME], base_of(NAME))
    for text, condition in zip([SHORT, "", LONG], together, strict=True):
        embeds, _, slots = pipeline.encode_prompt(text, image=seen or None)
        assert torch.equal(condition["embeds"], embeds[0]) and torch.equal(condition["slots"], slots[0])
    assert int(together[0]["slots"].sum()) * 4 == sum(p.width * p.height // 256 for p in seen)
    alone = family.encode_text([LONG], seen)[0]
    assert torch.equal(alone["embeds"], together[2]["embeds"])


@torch.no_grad()
def test_text_is_taken_before_the_last_norm(family: Family, base_of: BaseOf) -> None:
    pipeline = stock_pipeline(CARDS[NAME], base_of(NAME))
    read = pipeline.processor(pipeline.prompt_template_t2i.format(SHORT))
    normed = pipeline.text_encoder(**read, output_hidden_states=True).hidden_states[-1][0, pipeline._drop_idx :]
    ours = family.encode_text([SHORT])[0]["embeds"]
    assert not torch.allclose(ours, normed, atol=1e-2)
    norm = pipeline.text_encoder.model.language_model.norm
    assert torch.allclose(norm(ours), normed, atol=1e-5)


def test_long_captions_are_cut_and_pictures_are_not(family: Any) -> None:
    family.card = replace(family.card, text_tokens=20)
    plain, pictured = (family.encode_text([LONG], seen)[0] for seen in ([], PICTURES))
    assert len(plain["embeds"]) == 20
    slots = pictured["slots"]
    assert int(slots.sum()) == 8 and len(slots) == len(pictured["embeds"]) == int(slots.nonzero()[-1]) + 1 + 20


# --- pictures


@torch.no_grad()
def test_pictures_are_opaque_unless_they_say_otherwise(family: Family, base_of: BaseOf) -> None:
    pixels = normal((2, 3, 32, 64), 1, "pixels").clamp(-1, 1)
    vae: Any = AutoencoderKLQwenImage21.from_pretrained(base_of(NAME) / "vae")
    for alpha in (1.0, -1.0):  # opaque and clear, counted like colours
        with_alpha = torch.cat([pixels, torch.full((2, 1, 32, 64), alpha)], dim=1)
        raw = vae.encode(with_alpha[:, :, None]).latent_dist.mode()[:, :, 0]
        mean, std = (torch.tensor(v).view(1, -1, 1, 1) for v in (vae.config.latents_mean, vae.config.latents_std))
        assert torch.allclose(family.encode_images(with_alpha), (raw - mean) / std, atol=1e-5)
        same = torch.allclose(family.encode_images(pixels), family.encode_images(with_alpha))
        assert same == (alpha == 1.0)


@pytest.mark.parametrize(
    ("name", "pictures", "guidance"),
    [(NAME, 0, 1.0), (NAME, 0, 4.0), (NAME, 2, 4.0), ("qwen-image-2.1-turbo", 1, 1.0)],
)
def test_a_picture_is_the_stock_pipelines(base_of: BaseOf, name: str, pictures: int, guidance: float) -> None:
    family, references = opened(base_of(name)), PICTURES[:pictures]
    condition, negative = family.encode_text([SHORT, ""], references)
    family.release_encoders()
    torch.manual_seed(3)
    state, seen = torch.get_rng_state(), list[int]()
    width, height = references[-1].size if references else (64, 64)
    wanted = Picture(condition, negative, width, height, 2, guidance, seed=9, references=tuple(references))
    ours = family.sample(wanted, seen.append)
    assert torch.equal(torch.get_rng_state(), state) and seen == [1, 2]
    theirs = stock(replace(CARDS[name], guidance=guidance), base_of(name), None, SHORT, references, 9)
    assert ours.mode == theirs.mode == "RGBA"
    assert largest_difference(ours, theirs) <= 2
    assert largest_difference(ours.getchannel("A"), theirs.getchannel("A")) <= 2
    assert largest_difference(ours, family.sample(replace(wanted, seed=10))) > 10
    with pytest.raises(RuntimeError, match="released"):
        family.encode_text(["late"])


def test_what_is_given_is_felt(family: Family) -> None:
    condition, other, negative = family.encode_text([SHORT, LONG, "ugly"], PICTURES)
    one = Picture(condition, negative, 64, 64, 3, 4.0, seed=9, references=tuple(PICTURES))
    drawn = family.sample(one)
    assert largest_difference(drawn, family.sample(replace(one, condition=other))) > 2
    assert largest_difference(drawn, family.sample(replace(one, guidance=1.0))) > 2
    inverted = tuple(Image.eval(p, lambda v: 255 - v) for p in PICTURES)
    assert largest_difference(drawn, family.sample(replace(one, references=inverted))) > 2


def test_turbo_keeps_to_its_own_times(base_of: BaseOf) -> None:
    """Where as many steps are asked for as it has times; other numbers are spread evenly."""
    family: Any = opened(base_of("qwen-image-2.1-turbo"))
    condition = family.encode_text([SHORT])[0]
    for steps, sigmas in ((2, TURBO_SIGMAS), (4, [1.0, 0.75, 0.5, 0.25])):
        family.sample(Picture(condition, condition, 64, 64, steps, 1.0, seed=9))
        assert family._scheduler.sigmas.tolist() == pytest.approx([*sigmas, 0.0])


def test_turbo_is_known_for_what_it_is(base_of: BaseOf) -> None:
    assert resolve_base(str(base_of("qwen-image-2.1-turbo"))).distilled
    assert not resolve_base(str(base_of(NAME))).distilled
