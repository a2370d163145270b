"""Z-Image against the stock diffusers classes, given the same noise and times."""

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, ZImagePipeline, ZImageTransformer2DModel

from likeness.catalog import CARDS, resolve_base
from likeness.families import Family, Placement, open_family
from likeness.families.base import Picture
from likeness.functional.randomness import normal
from likeness.train.loader import Batch
from likeness.train.step import losses_at
from tests.contract.bases.z_image import make
from tests.families.compare import add_lora, furthest_apart, largest_difference, lora_gradients

SHORT = "tiny_char at sea"
LONG = "tiny_char in a red hat, on a bench in a park, beside a tall tree and a small dog that looks at the sky"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("z_image") / "base"
    make(CARDS["z-image"], folder)
    return folder


@pytest.fixture
def family(base: Path) -> Family:
    return open_family(resolve_base(str(base)), Placement(torch.device("cpu"), torch.float32))


@pytest.fixture
def stock(base: Path) -> Any:  # its annotations are narrower than what it takes and gives
    pipeline = ZImagePipeline.from_pretrained(base, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def test_the_loss_and_its_gradients_are_the_published_ones(family: Family, base: Path, stock: Any) -> None:
    ours, theirs = family.networks["transformer"], ZImageTransformer2DModel.from_pretrained(base / "transformer")
    for network in (ours, theirs):
        add_lora(network, family.lora_targets("all"))
    x0, noise, t = normal((2, 16, 4, 6), 1, "x0"), normal((2, 16, 4, 6), 1, "noise"), torch.tensor([0.3, 0.8])

    loss = losses_at(family, Batch(x0, [], family.encode_text([SHORT, LONG])), t, noise).mean()
    loss.backward()

    published = torch.zeros(())
    for i, text in enumerate([SHORT, LONG]):  # each alone, its caption without any padding
        asked = f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"  # with thinking: no empty think block
        ids = stock.tokenizer(asked, return_tensors="pt").input_ids
        with torch.no_grad():
            caption = stock.text_encoder(ids, output_hidden_states=True).hidden_states[-2][0]
        x_t = (1 - t[i]) * x0[i] + t[i] * noise[i]
        answer = theirs([x_t[:, None]], (1 - t[i])[None], [caption]).sample[0][:, 0]
        published = published + ((answer - (x0[i] - noise[i])) ** 2).mean() / 2
    published.backward()

    assert loss.item() == pytest.approx(published.item(), rel=1e-5)
    assert furthest_apart(lora_gradients(ours), lora_gradients(theirs)) < 1e-5


@torch.no_grad()
def test_captions_of_any_length_share_a_batch(family: Family) -> None:
    conditions = family.encode_text([SHORT, LONG])
    lengths = [len(c["embeds"]) for c in conditions]
    assert lengths[0] <= 32 < lengths[1], "both would be filled up to the same length, so nothing was shown"
    x_t, t = normal((2, 16, 4, 6), 1, "x"), torch.tensor([0.3, 0.8])
    both = family.predict(x_t, t, conditions)
    assert both.shape == x_t.shape
    for i in range(2):
        alone = family.predict(x_t[i : i + 1], t[i : i + 1], conditions[i : i + 1])
        assert torch.allclose(alone[0], both[i], atol=1e-5)


def test_captions_are_encoded_as_the_pipeline_does(family: Family, stock: Any) -> None:
    texts = [SHORT, LONG]
    together, again = family.encode_text(texts), family.encode_text(texts)
    assert texts == [SHORT, LONG], "the pipeline writes its template into lists that it is given"
    for text, first, second in zip(texts, together, again, strict=True):
        (expected,) = stock.encode_prompt(text, do_classifier_free_guidance=False)[0]
        assert torch.equal(first["embeds"], expected) and torch.equal(second["embeds"], expected)
        assert torch.equal(family.encode_text([text])[0]["embeds"], expected)
        assert len(expected) < 64, "padding is left in"


@torch.no_grad()
def test_pictures_are_encoded_by_the_vae_of_flux1(family: Family, base: Path) -> None:
    pixels = normal((2, 3, 32, 48), 1, "pixels").clamp(-1, 1)
    latents = family.encode_images(pixels)
    assert latents.shape == (2, 16, 4, 6) and latents.dtype == torch.float32
    vae: Any = AutoencoderKL.from_pretrained(base / "vae")
    raw = vae.encode(pixels).latent_dist.mode()
    assert torch.allclose(latents, (raw - 0.1159) * 0.3611, atol=1e-5)


@pytest.mark.parametrize("guidance", [0.0, 1.0, 4.0])
def test_a_picture_is_the_stock_pipelines(family: Family, stock: Any, guidance: float) -> None:
    condition, negative, other = family.encode_text([SHORT, "ugly", LONG])
    family.release_encoders()
    seen: list[int] = []
    ours = family.sample(Picture(condition, negative, 96, 64, 3, guidance, seed=9), seen.append)
    theirs = stock(
        prompt=SHORT, negative_prompt="ugly", width=96, height=64, num_inference_steps=3, guidance_scale=guidance,
        generator=torch.Generator().manual_seed(9),
    ).images[0]  # fmt: skip
    assert seen == [1, 2, 3]
    assert largest_difference(ours, theirs) <= 2
    elsewhere = family.sample(Picture(condition, other, 96, 64, 3, guidance, seed=9))
    assert (largest_difference(ours, elsewhere) > 0) == (guidance > 0), "guidance is off at 0, not at 1"
    with pytest.raises(RuntimeError, match="released"):
        family.encode_text(["late"])


def test_the_variants_are_told_apart(base: Path, tmp_path: Path) -> None:
    for name in ("z-image-turbo", "z-image-de-turbo"):
        make(CARDS[name], tmp_path / name)
    found = [resolve_base(str(p)) for p in (base, tmp_path / "z-image-turbo", tmp_path / "z-image-de-turbo")]
    assert [card.guidance for card in found] == [4.0, 0.0, 2.0]
    assert [card.distilled for card in found] == [False, True, False]
    assert [bool(card.training_adapter) for card in found] == [False, True, False]
