"""FLUX.3 image klein against the stock classes, given the same noise and times."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import Flux3Transformer2DModel
from PIL import Image
from torch import Tensor

from likeness.catalog import CARDS
from likeness.families import Family
from likeness.families.base import Picture
from likeness.functional.randomness import normal
from likeness.train.loader import Batch
from likeness.train.step import losses_at
from tests.contract.bases.flux3 import draw, make, open_stock
from tests.families.compare import add_lora, furthest_apart, largest_difference

SHORT, OTHER, LONG = "tiny_char at sea", "another one", "a very long caption of tiny_char " * 7


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flux3")
    for name in ("flux3-klein-base", "flux3-klein"):
        make(CARDS[name], folder / name)
    return folder


@pytest.fixture(scope="module", params=["flux3-klein-base", "flux3-klein"])
def base(request: pytest.FixtureRequest, bases: Path) -> Path:
    return bases / request.param


@pytest.fixture
def family(open_tiny: Callable[..., Family], base: Path) -> Family:
    return open_tiny(base)


@pytest.fixture(scope="module")
def stock(base: Path) -> Any:
    return open_stock(base)


def text_by_hand(stock: Any, text: str, window: int) -> Tensor:
    """(1, window, D): three layers' states, with padding in its old place, as in training."""
    asked = f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"
    ids = stock.tokenizer.tokenizer(asked)["input_ids"]
    padding = [stock.tokenizer.tokenizer.pad_token_id] * (window - len(ids))
    mask = [1] * len(ids) + [0] * len(padding)
    states = stock.text_encoder(
        input_ids=torch.tensor([ids + padding]), attention_mask=torch.tensor([mask]), output_hidden_states=True,
        position_ids=torch.tensor([[*range(len(ids)), *(1 for _ in padding)]]),
    ).hidden_states  # fmt: skip
    return torch.cat([states[layer] for layer in (1, 2, 3)], dim=-1)


def velocity_by_hand(
    transformer: Any, x_t: Tensor, t: Tensor, embeds: Tensor, references: Sequence[tuple[int, Tensor]]
) -> Tensor:
    """Straight from the published layout: half a step from token to token, references apart, by their negative l."""

    def tokens(latents: Tensor) -> Tensor:
        return torch.stack([latents[:, :, y, x] for y in range(latents.shape[2]) for x in range(latents.shape[3])], 1)

    def ids(latents: Tensor, depth: int) -> list[list[float]]:
        return [[0, y / 2, x / 2, depth] for y in range(latents.shape[2]) for x in range(latents.shape[3])]

    extra: dict[str, Tensor] = {"target_timestep": t} if transformer.config.flow_map else {}
    if references:
        extra["image_cond_hidden_states"] = torch.cat([tokens(latents) for _, latents in references], 1)
        extra["image_cond_ids"] = torch.tensor([place for depth, r in references for place in ids(r, depth)]).float()
    out = transformer(
        hidden_states=tokens(x_t),
        encoder_hidden_states=embeds,
        timestep=t,
        img_ids=torch.tensor(ids(x_t, 0)),
        txt_ids=torch.tensor([[0.0, 0, 0, i] for i in range(embeds.shape[1])]),
        **extra,
    ).sample
    return out.permute(0, 2, 1).reshape(x_t.shape)


def gradients(network: Any) -> dict[str, Tensor]:
    return {name: p.grad for name, p in network.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("count", [0, 2])
def test_the_loss_and_its_gradients_are_the_published_ones(family: Family, base: Path, stock: Any, count: int) -> None:
    theirs, ours = Flux3Transformer2DModel.from_pretrained(base / "transformer"), family.networks["transformer"]
    for network in (theirs, ours):
        add_lora(network, family.lora_targets("all"))
    x0, noise = normal((2, 16, 2, 3), 1, "x0"), normal((2, 16, 2, 3), 1, "noise")
    references = [normal((2, 16, 2, side), side, "references") for side in (3, 2)][:count]
    t = torch.tensor([0.3, 0.85])

    loss = losses_at(family, Batch(x0, references, family.encode_text([SHORT, OTHER])), t, noise).mean()
    loss.backward()

    x_t = (1 - t.view(2, 1, 1, 1)) * x0 + t.view(2, 1, 1, 1) * noise
    with torch.no_grad():
        embeds = torch.cat([text_by_hand(stock, text, 80) for text in (SHORT, OTHER)])

    def by_hand(depths: Sequence[int] = (-1, -2)) -> Tensor:
        v = velocity_by_hand(theirs, x_t, t, embeds, list(zip(depths, references, strict=False)))
        return ((v - (noise - x0)) ** 2).mean()

    published = by_hand()
    published.backward()
    assert loss.item() == pytest.approx(published.item(), rel=1e-5)
    assert furthest_apart(gradients(ours), gradients(theirs)) < 1e-5
    idle = {name for name, p in ours.named_parameters() if p.requires_grad and p.grad is None}
    apart = {name for name, p in ours.named_parameters() if p.requires_grad and "mode_blocks.image_cond" in name}
    assert idle == (set() if count else apart) and apart
    if count:  # what is compared is felt
        with torch.no_grad():
            assert by_hand((1, 2)).item() != pytest.approx(loss.item(), rel=1e-4)


@torch.no_grad()
def test_captions_have_windows_of_80_tokens_and_share_batches(family: Family, stock: Any) -> None:
    """The window's padding is attended to, so a longer caption beside it must not widen it."""
    conditions = family.encode_text([SHORT, LONG, OTHER])
    for text, window, ours in zip((SHORT, LONG, OTHER), (80, 160, 80), conditions, strict=True):
        assert ours["embeds"].shape == (window, 48)
        assert torch.allclose(ours["embeds"], text_by_hand(stock, text, window)[0], atol=1e-5)
        assert torch.equal(family.encode_text([text])[0]["embeds"], ours["embeds"])
    x_t, t = normal((3, 16, 2, 3), 1, "x"), torch.tensor([0.2, 0.5, 0.8])
    references = [normal((3, 16, 2, 2), 1, "r")]
    together = family.predict(x_t, t, conditions, references)
    assert together.shape == x_t.shape
    for i in range(3):
        alone = family.predict(x_t[i : i + 1], t[i : i + 1], conditions[i : i + 1], [references[0][i : i + 1]])
        assert torch.allclose(alone[0], together[i], atol=1e-4)


@torch.no_grad()
def test_pictures_are_encoded_with_the_statistics_of_the_vae(family: Family, stock: Any) -> None:
    pixels = normal((2, 3, 32, 48), 1, "pixels").clamp(-1, 1)
    latents = family.encode_images(pixels)
    assert latents.shape == (2, 16, 2, 3) and latents.dtype == torch.float32
    raw = stock.vae.encode(pixels).latent_dist.mode()  # (B, 4, 4, 6), each 2 x 2 pixels folded into channels
    folded = raw.reshape(2, 4, 2, 2, 3, 2).permute(0, 1, 3, 5, 2, 4).reshape(2, 16, 2, 3)
    mean, var = stock.vae.bn.running_mean.view(1, -1, 1, 1), stock.vae.bn.running_var.view(1, -1, 1, 1)
    assert torch.allclose(latents, (folded - mean) / torch.sqrt(var + stock.vae.config.batch_norm_eps), atol=1e-5)


@pytest.mark.parametrize(("count", "guidance"), [(0, 3.5), (1, 1.0), (2, 3.5)])
def test_a_picture_is_the_stock_pipelines(family: Family, stock: Any, count: int, guidance: float) -> None:
    references = tuple(Image.effect_noise(size, 90).convert("RGB") for size in ((96, 64), (64, 80))[:count])
    condition, negative, longer = family.encode_text([SHORT, "ugly", LONG])
    family.release_encoders()
    torch.manual_seed(3)
    state = torch.get_rng_state()
    seen: list[int] = []
    ours = family.sample(Picture(condition, negative, 96, 64, 3, guidance, 9, references), seen.append)
    assert torch.equal(torch.get_rng_state(), state)
    assert seen == [1, 2, 3]
    theirs = draw(
        stock, guidance, "ugly", prompt=SHORT, image=list(references) or None, width=96, height=64,
        num_inference_steps=3, generator=torch.Generator().manual_seed(9), text_encoder_out_layers=(1, 2, 3),
    )  # fmt: skip
    assert largest_difference(ours, theirs) <= 2
    guided = guidance > 1 and not family.card.distilled
    elsewhere = family.sample(Picture(condition, longer, 96, 64, 3, guidance, 9, references))
    assert (largest_difference(ours, elsewhere) > 0) == guided
    with pytest.raises(RuntimeError, match="released"):
        family.encode_text(["late"])


def test_times_are_those_of_flux2(family: Family) -> None:
    """The latents are; at 4096 tokens the shift is then 3.16, where sampling takes 6.93 at every size."""
    t = family.objective.draw_times(torch.tensor([0.5]), 4096, "auto", None).item()
    assert t / (1 - t) == pytest.approx(3.158, abs=1e-3)
