"""The family against the stock diffusers classes, given the same noise and times."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKLFlux2, Flux2Transformer2DModel
from PIL import Image
from torch import Tensor

from likeness.catalog import CARDS
from likeness.config.train import TrainConfig
from likeness.errors import InputError
from likeness.families import Family
from likeness.families.base import Picture
from likeness.functional.randomness import normal, uniform
from likeness.train.loader import Batch, Slot
from likeness.train.step import losses_at, micro_step
from tests.contract.bases.flux2 import amplify, make, open_stock
from tests.families.compare import add_lora, furthest_apart, largest_difference, lora_gradients

PROMPTS = ["tiny_char at sea", "another one"]


@pytest.fixture(scope="module")
def dev_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flux2") / "dev"
    make(CARDS["flux2-dev"], folder)
    return folder


@pytest.fixture(scope="module", params=["klein", "dev"])
def base(request: pytest.FixtureRequest, tiny_base: Path, dev_base: Path) -> Path:
    return dev_base if request.param == "dev" else tiny_base


@pytest.fixture
def family(open_tiny: Callable[..., Family], base: Path) -> Family:
    return open_tiny(base)


@pytest.fixture(scope="module")
def stock(base: Path) -> Any:
    return open_stock(base)


def embeds_of(stock: Any, family: Family) -> Tensor:
    return torch.cat([stock.encode_prompt(p, **family.card.pipeline_arguments)[0] for p in PROMPTS])


def velocity_by_hand(
    transformer: Flux2Transformer2DModel,
    x_t: Tensor,
    t: Tensor,
    embeds: Tensor,
    references: Sequence[tuple[int, Tensor]],
    guidance: float,
) -> Tensor:
    """Straight from the published layout: a token per latent pixel, positions (t, h, w, l), references by their t."""
    batch, _, height, width = x_t.shape

    def tokens(latents: Tensor) -> Tensor:
        return torch.stack([latents[:, :, y, x] for y in range(latents.shape[2]) for x in range(latents.shape[3])], 1)

    def ids(h: int, w: int, time: int) -> list[list[int]]:
        return [[time, y, x, 0] for y in range(h) for x in range(w)]

    hidden, positions = tokens(x_t), ids(height, width, 0)
    for time, reference in references:
        hidden = torch.cat([hidden, tokens(reference)], 1)
        positions += ids(reference.shape[2], reference.shape[3], time)
    out = transformer(
        hidden_states=hidden,
        encoder_hidden_states=embeds,
        timestep=t,
        img_ids=torch.tensor(positions),
        txt_ids=torch.tensor([[0, 0, 0, i] for i in range(embeds.shape[1])]),
        guidance=torch.tensor([guidance] * batch),
    ).sample[:, : height * width]
    rows = [torch.stack([out[:, y * width + x] for x in range(width)], 2) for y in range(height)]
    return torch.stack(rows, 2)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_the_loss_and_its_gradients_are_the_published_ones(family: Family, base: Path, stock: Any, count: int) -> None:
    theirs, ours = Flux2Transformer2DModel.from_pretrained(base / "transformer"), family.networks["transformer"]
    for network in (theirs, ours):
        amplify(network, 3)
        add_lora(network, family.lora_targets("all"))
    x0 = normal((2, 16, 2, 3), 1, "x0")
    references = [normal((2, 16, 2, side), side, "references") for side in (3, 2)][:count]
    train, slots, step = TrainConfig(seed=5), [Slot(0, 0), Slot(1, 1)], 3

    loss = micro_step(family, Batch(x0, references, family.encode_text(PROMPTS)), slots, train, step)
    loss.backward()

    noise = torch.stack([normal((16, 2, 3), 5, "noise", step, k) for k in range(2)])
    u = torch.tensor([uniform(5, "time", step, k) for k in range(2)])
    sigmoid = torch.sigmoid(torch.special.ndtri(u.double()))  # logit-normal
    shift = torch.e**0.5  # of pictures this small
    t = family.objective.draw_times(u, 6, "auto", None)  # to the last bit, which a thousandfold time makes felt
    assert torch.allclose(t.double(), shift * sigmoid / (1 + (shift - 1) * sigmoid), rtol=1e-6)
    x_t = torch.stack([(1 - t[i]) * x0[i] + t[i] * noise[i] for i in range(2)])
    with torch.no_grad():
        embeds = embeds_of(stock, family)

    def by_hand(times: Sequence[int] = (10, 20), guidance: float = 1.0) -> Tensor:
        v = velocity_by_hand(theirs, x_t, t, embeds, list(zip(times, references, strict=False)), guidance)
        return ((v - (noise - x0)) ** 2).mean()

    published = by_hand()
    published.backward()
    assert loss.item() == pytest.approx(published.item(), rel=1e-5)
    assert furthest_apart(lora_gradients(ours), lora_gradients(theirs)) < 1e-5
    with torch.no_grad():  # what is compared is felt
        others = [by_hand(times) for times in ((11, 20), (10, 10))][:count]
        others += [by_hand(guidance=4.0)] if family.card.pipeline == "Flux2Pipeline" else []
        assert all(other.item() != pytest.approx(loss.item(), rel=1e-4) for other in others)


@torch.no_grad()
def test_each_example_has_its_own_loss(family: Family) -> None:
    x0, noise, t = normal((2, 16, 2, 2), 1, "x0"), normal((2, 16, 2, 2), 1, "n"), torch.tensor([0.2, 0.9])
    conditions = family.encode_text(PROMPTS)
    both = losses_at(family, Batch(x0, [], conditions), t, noise)
    for i in range(2):
        alone = losses_at(family, Batch(x0[i : i + 1], [], conditions[i : i + 1]), t[i : i + 1], noise[i : i + 1])
        assert alone.item() == pytest.approx(both[i].item(), rel=1e-5)


@torch.no_grad()
def test_references_and_captions_matter(family: Family) -> None:
    x_t, t = normal((1, 16, 2, 2), 1, "x"), torch.tensor([0.5])
    one, two = family.encode_text(PROMPTS)
    plain = family.predict(x_t, t, [one])
    assert not torch.equal(plain, family.predict(x_t, t, [two]))
    assert not torch.equal(plain, family.predict(x_t, t, [one], [normal((1, 16, 2, 2), 1, "r")]))
    assert plain.shape == x_t.shape


def test_captions_are_encoded_as_the_pipeline_does(family: Family, stock: Any) -> None:
    together = family.encode_text(PROMPTS)
    assert all(c["embeds"].shape == (family.card.text_tokens, 48) for c in together)  # padding is attended to
    assert all(torch.equal(c["embeds"], e) for c, e in zip(together, embeds_of(stock, family), strict=True))
    assert torch.equal(family.encode_text([PROMPTS[1]])[0]["embeds"], together[1]["embeds"])


@torch.no_grad()
def test_pictures_are_encoded_as_the_pipeline_does_and_come_back(family: Family, base: Path) -> None:
    pixels = normal((2, 3, 32, 48), 1, "pixels").clamp(-1, 1)
    latents = family.encode_images(pixels)
    assert latents.shape == (2, 16, 2, 3) and latents.dtype == torch.float32
    vae: Any = AutoencoderKLFlux2.from_pretrained(base / "vae")
    raw = vae.encode(pixels).latent_dist.mode()  # (B, 4, 4, 6), each 2 x 2 pixels folded into channels
    folded = raw.reshape(2, 4, 2, 2, 3, 2).permute(0, 1, 3, 5, 2, 4).reshape(2, 16, 2, 3)
    mean, var = vae.bn.running_mean.view(1, -1, 1, 1), vae.bn.running_var.view(1, -1, 1, 1)
    assert torch.allclose(latents, (folded - mean) / torch.sqrt(var + vae.config.batch_norm_eps), atol=1e-5)


@pytest.mark.parametrize(("count", "guidance"), [(0, 2.5), (1, 1.0), (2, 2.5)])
def test_a_picture_is_the_stock_pipelines(family: Family, stock: Any, count: int, guidance: float) -> None:
    references = tuple(Image.effect_noise(size, 90).convert("RGB") for size in ((96, 64), (64, 80))[:count])
    condition, negative = family.encode_text(["tiny_char at sea", "ugly"])
    family.release_encoders()
    torch.manual_seed(3)
    state = torch.get_rng_state()
    seen: list[int] = []
    ours = family.sample(Picture(condition, negative, 96, 64, 3, guidance, 9, references), seen.append)
    assert torch.equal(torch.get_rng_state(), state)
    assert seen == [1, 2, 3]
    own: dict[str, Any] = {}
    if family.card.pipeline == "Flux2KleinPipeline":
        own = {"negative_prompt_embeds": stock.encode_prompt("ugly", **family.card.pipeline_arguments)[0]}
    theirs = stock(
        prompt="tiny_char at sea", image=list(references) or None, width=96, height=64, num_inference_steps=3,
        guidance_scale=guidance, generator=torch.Generator().manual_seed(9), **family.card.pipeline_arguments, **own,
    ).images[0]  # fmt: skip
    assert largest_difference(ours, theirs) <= 2
    other = family.sample(Picture(condition, negative, 96, 64, 3, guidance, 10, references))
    assert largest_difference(ours, other) > 10
    with pytest.raises(RuntimeError, match="released"):
        family.encode_text(["late"])


def test_references_are_no_larger_than_the_pipeline_takes(family: Family, stock: Any) -> None:
    assert family.reference_size((900, 300), (768, 512)) == (768, 512)
    target = (1184, 896)  # the bucket of a 4:3 picture at a resolution of 1024 has a little more than its square
    taken = stock.image_processor._resize_if_exceeds_area(Image.new("RGB", target))
    assert family.reference_size((900, 300), target) == tuple(side // 16 * 16 for side in taken.size)


@pytest.mark.parametrize("part", ["vae", "transformer", "text_encoder"])
def test_a_broken_base_is_refused_in_words(
    open_tiny: Callable[..., Family], tiny_base: Path, tmp_path: Path, part: str
) -> None:
    base = Path(shutil.copytree(tiny_base, tmp_path / "broken"))
    weights = next((base / part).glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:3000])
    with pytest.raises(InputError, match=r"broken.*Fix: "):
        open_tiny(base)
    shutil.rmtree(base / part)
    with pytest.raises(InputError, match="base"):
        open_tiny(base)
