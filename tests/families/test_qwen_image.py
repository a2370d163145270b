"""Qwen-Image and Qwen-Image-Edit against the stock diffusers classes, given the same noise and times."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKLQwenImage, QwenImageTransformer2DModel
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_plus
from PIL import Image
from torch import Tensor

from likeness.catalog import CARDS, Card, resolve_base
from likeness.families import Family, Placement, open_family
from likeness.families.base import Picture
from likeness.families.qwen_image import size_of_area
from likeness.functional.randomness import normal
from likeness.train.loader import Batch
from likeness.train.step import losses_at
from tests.contract.bases.qwen_image import areas_of, make, see_positions, stock, stock_pipeline
from tests.families.compare import add_lora, furthest_apart, largest_difference, lora_gradients

SHORT, LONG = "tiny_char at sea", "tiny_char in a red hat, on a bench in a park, beside a tall tree and a small dog"
PICTURES = [Image.effect_noise(size, 90).convert("RGB") for size in ((128, 32), (64, 64))]  # at the base's area
BaseOf = Callable[[str], Path]


@pytest.fixture(scope="module")
def base_of(tmp_path_factory: pytest.TempPathFactory) -> BaseOf:
    @cache
    def made(name: str) -> Path:
        folder = tmp_path_factory.mktemp("qwen_image") / name
        make(CARDS[name], folder)
        return folder

    return made


def opened(base: Path) -> Family:
    return open_family(resolve_base(str(base)), Placement(torch.device("cpu"), torch.float32))


def noise_like(*sizes: tuple[int, int]) -> list[Tensor]:
    """Latents (2, 4, h, w)."""
    return [normal((2, 4, *size), 1, f"latents {number}") for number, size in enumerate(sizes)]


def tokens_by_hand(latents: Tensor) -> Tensor:
    """A token is a square of 2 x 2 latents, channel by channel."""
    height, width = latents.shape[-2:]
    cells = [latents[:, :, y : y + 2, x : x + 2] for y in range(0, height, 2) for x in range(0, width, 2)]
    return torch.stack([cell.flatten(1) for cell in cells], dim=1)


def loss_by_hand(
    transformer: Any, x0: Tensor, noise: Tensor, t: Tensor, texts: Sequence[Tensor], references: Sequence[Tensor]
) -> Tensor:
    longest = max(map(len, texts))
    text = torch.stack([torch.cat([e, e.new_zeros(longest - len(e), e.shape[1])]) for e in texts])
    mask = torch.tensor([[1] * len(e) + [0] * (longest - len(e)) for e in texts])
    x_t = torch.stack([(1 - t[i]) * x0[i] + t[i] * noise[i] for i in range(2)])
    hidden = torch.cat([tokens_by_hand(latents) for latents in (x_t, *references)], dim=1)
    shapes = [(1, latents.shape[2] // 2, latents.shape[3] // 2) for latents in (x_t, *references)]
    wanted = tokens_by_hand(noise - x0)
    answer = transformer(
        hidden_states=hidden, encoder_hidden_states=text, encoder_hidden_states_mask=mask, timestep=t,
        img_shapes=[shapes, shapes],
    ).sample[:, : wanted.shape[1]]  # fmt: skip
    return ((answer - wanted) ** 2).mean()


@pytest.mark.parametrize(
    ("name", "sizes"),
    [("qwen-image", []), ("qwen-image-edit-2509", [(8, 4), (4, 4)]), ("qwen-image-edit-2511", [(4, 8)])],
)
def test_the_loss_and_its_gradients_are_the_published_ones(
    base_of: BaseOf, name: str, sizes: list[tuple[int, int]]
) -> None:
    family = opened(base_of(name))
    ours, theirs = (
        family.networks["transformer"],
        QwenImageTransformer2DModel.from_pretrained(base_of(name) / "transformer"),
    )
    for network in (ours, theirs):
        add_lora(network, family.lora_targets("all"))
    x0, noise, *references = noise_like((4, 6), (4, 6), *sizes)
    t = torch.tensor([0.3, 0.8])
    conditions = family.encode_text([SHORT, LONG])

    loss = losses_at(family, Batch(x0, references, conditions), t, noise).mean()
    loss.backward()
    published = loss_by_hand(theirs, x0, noise, t, [c["embeds"] for c in conditions], references)
    published.backward()

    assert loss.item() == pytest.approx(published.item(), rel=1e-5)
    assert furthest_apart(lora_gradients(ours), lora_gradients(theirs)) < 1e-5  # of every layer: none is idle


@torch.no_grad()
def test_captions_of_any_length_share_a_batch(base_of: BaseOf) -> None:
    family = opened(base_of("qwen-image"))
    conditions, (x_t,), t = family.encode_text([SHORT, LONG]), noise_like((4, 6)), torch.tensor([0.3, 0.8])
    both = family.predict(x_t, t, conditions)
    for i in range(2):
        alone = family.predict(x_t[i : i + 1], t[i : i + 1], conditions[i : i + 1])
        assert torch.allclose(alone[0], both[i], atol=1e-5)


@torch.no_grad()
def test_references_of_2511_are_always_clean(base_of: BaseOf) -> None:
    """The two bases have equal weights; 2511's config has the references seen at time 0."""
    (x_t, reference), t = noise_like((4, 4), (4, 4)), torch.tensor([0.9, 0.9])
    families = [opened(base_of(f"qwen-image-edit-{year}")) for year in (2509, 2511)]
    conditions = families[0].encode_text([SHORT, SHORT])
    plain = [family.predict(x_t, t, conditions) for family in families]
    edits = [family.predict(x_t, t, conditions, [reference]) for family in families]
    assert torch.allclose(plain[0], plain[1], atol=1e-5)
    assert not torch.allclose(edits[0], edits[1], atol=1e-4)


# --- text


def encoded_by_stock(card: Card, base: Path, text: str, references: Sequence[Image.Image], *, right: bool) -> Tensor:
    pipeline = stock_pipeline(card, base, edit=bool(references))
    if right:
        see_positions(pipeline)
    if not references:
        return pipeline.encode_prompt(text)[0][0]
    image: Any = list(references)
    if card.pipeline == "QwenImageEditPlusPipeline":
        sizes = [size_of_area(r.size, 24, 32) for r in references]  # 384 of 1024, for a base made for 64
        image = [pipeline.image_processor.resize(r, h, w) for r, (w, h) in zip(references, sizes, strict=True)]
    return pipeline.encode_prompt(text, image=image)[0][0]


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "pictures"),
    [("qwen-image", 0), ("qwen-image-edit", 0), ("qwen-image-edit", 1), ("qwen-image-edit-2511", 2)],
)
def test_text_is_encoded_as_the_pipeline_does(base_of: BaseOf, name: str, pictures: int) -> None:
    family, card, seen = opened(base_of(name)), CARDS[name], PICTURES[:pictures]
    together = family.encode_text([SHORT, "", LONG + " {0}"], seen)
    for text, condition in zip([SHORT, " ", LONG + " {0}"], together, strict=True):
        assert torch.equal(condition["embeds"], encoded_by_stock(card, base_of(name), text, seen, right=True))
    assert torch.equal(family.encode_text([SHORT], seen)[0]["embeds"], together[0]["embeds"])


@torch.no_grad()
def test_text_knows_where_pictures_are(base_of: BaseOf) -> None:
    """The stock pipeline numbers a picture's tokens like words. Its grid has rows and columns, and what follows goes
    on behind the longer side."""
    name = "qwen-image-edit"
    family, (picture,) = opened(base_of(name)), PICTURES[:1]
    ours = family.encode_text([SHORT], [picture])[0]["embeds"]
    pipeline = stock_pipeline(CARDS[name], base_of(name), edit=True)
    read: Any = pipeline.processor(pipeline.prompt_template_encode.format(SHORT), [picture])
    pictured = (read["input_ids"][0] == pipeline.text_encoder.config.image_token_id).nonzero().flatten().tolist()
    _, rows, columns = (read["image_grid_thw"][0] // torch.tensor([1, 2, 2])).tolist()
    first, count = pictured[0], read["input_ids"].shape[1]
    assert len(pictured) == rows * columns and columns != rows
    grid = [[first, first + i // columns, first + i % columns] for i in range(rows * columns)]
    after = [[first + max(rows, columns) + i] * 3 for i in range(count - first - rows * columns)]
    positions = torch.tensor([[i] * 3 for i in range(first)] + grid + after).T[:, None]
    by_hand = pipeline.text_encoder.model(**read, position_ids=positions).last_hidden_state[0, 64:]
    assert torch.equal(ours, by_hand)
    wrong = encoded_by_stock(CARDS[name], base_of(name), SHORT, [picture], right=False)
    assert not torch.allclose(ours, wrong, atol=1e-5), "positions are not felt, so nothing was shown"


def test_long_captions_are_cut_and_pictures_are_not(base_of: BaseOf) -> None:
    family: Any = opened(base_of("qwen-image-edit-2511"))
    whole = family.encode_text([LONG], PICTURES)[0]["embeds"]
    pipeline = stock_pipeline(CARDS["qwen-image-edit-2511"], base_of("qwen-image-edit-2511"), edit=True)
    closing = pipeline.tokenizer(LONG + "<|im_end|>\n<|im_start|>assistant\n")["input_ids"]
    family.card = replace(family.card, text_tokens=5)
    assert len(family.encode_text([LONG])[0]["embeds"]) == 5
    cut = family.encode_text([LONG], PICTURES)[0]["embeds"]
    behind = 1  # the end mark of the last picture is not of the picture
    assert torch.equal(cut, whole[: len(whole) - behind - len(closing) + 5])


# --- pictures


@torch.no_grad()
def test_pictures_are_encoded_as_the_pipeline_does(base_of: BaseOf) -> None:
    pixels = normal((2, 3, 32, 48), 1, "pixels").clamp(-1, 1)
    latents = opened(base_of("qwen-image")).encode_images(pixels)
    vae: Any = AutoencoderKLQwenImage.from_pretrained(base_of("qwen-image") / "vae")
    raw = vae.encode(pixels[:, :, None]).latent_dist.mode()[:, :, 0]
    for channel, (mean, std) in enumerate(zip(vae.config.latents_mean, vae.config.latents_std, strict=True)):
        assert torch.allclose(latents[:, channel], (raw[:, channel] - mean) / std, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "pictures", "guidance"),
    [
        ("qwen-image", 0, 4.0),
        ("qwen-image", 0, 1.0),
        ("qwen-image-edit", 1, 4.0),
        ("qwen-image-edit-2509", 2, 4.0),
        ("qwen-image-edit-2511", 2, 1.0),
    ],
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
    assert largest_difference(ours, theirs) <= 2
    assert largest_difference(ours, family.sample(replace(wanted, seed=10))) > 10
    with pytest.raises(RuntimeError, match="released"):
        family.encode_text(["late"])


def test_guidance_and_references_are_felt(base_of: BaseOf) -> None:
    family = opened(base_of("qwen-image-edit-2511"))
    condition, negative = family.encode_text([SHORT, "ugly"], PICTURES)
    one = Picture(condition, negative, 64, 64, 2, 4.0, seed=9, references=tuple(PICTURES))
    drawn = family.sample(one)
    assert largest_difference(drawn, family.sample(replace(one, guidance=1.0))) > 2
    assert largest_difference(drawn, family.sample(replace(one, references=tuple(PICTURES[::-1])))) > 2


@pytest.mark.parametrize("size", [(1000, 667), (3000, 500), (512, 512), (683, 1024), (64, 300)])
def test_references_have_the_pipelines_sizes(base_of: BaseOf, size: tuple[int, int]) -> None:
    """The real ones at a side of 1024."""
    family: Any = opened(base_of("qwen-image-edit-2511"))
    family.card = replace(family.card, resolution=1024)
    sized = pipeline_qwenimage_edit_plus.calculate_dimensions
    assert family.reference_size(size, (64, 64)) == sized(1024 * 1024, size[0] / size[1])
    assert family._as_seen(Image.new("RGB", size)).size == sized(384 * 384, size[0] / size[1])
    with areas_of(64):
        small = pipeline_qwenimage_edit_plus.calculate_dimensions(1024 * 1024, 1.0)
    assert small == (64, 64), "the tests' own pipelines have other sizes than their base"


@pytest.mark.parametrize("card", [c for c in CARDS.values() if c.family == "qwen_image"], ids=lambda c: c.name)
def test_a_folder_is_known_for_what_it_is(base_of: BaseOf, card: Card) -> None:
    found = resolve_base(str(base_of(card.name)))
    facts = ("family", "pipeline", "max_references", "text_sees_references", "steps", "guidance", "marks")
    same = {**vars(card), "steps": 2}
    assert {fact: getattr(found, fact) for fact in facts} == {fact: same[fact] for fact in facts}
