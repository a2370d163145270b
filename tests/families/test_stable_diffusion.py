"""SDXL and SD 1.5 against the stock diffusers classes, given the same noise and steps."""

import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, DiffusionPipeline
from torch import Tensor

from likeness.catalog import CARDS, resolve_base
from likeness.config.train import TrainConfig
from likeness.errors import InputError
from likeness.families import Family, Placement, open_family
from likeness.families.base import Picture
from likeness.functional.randomness import normal, uniform
from likeness.train.loader import Batch, Slot
from likeness.train.step import micro_step
from tests.contract.bases.stable_diffusion import make
from tests.families.compare import add_lora, furthest_apart, largest_difference, lora_gradients

PROMPTS = ["tiny_char at sea", "tiny_char in a red hat, on a bench in a park, beside a tall tree"]
CLIP_TARGETS = r".*\.layers\.[01]\.self_attn\.(q_proj|k_proj|v_proj|out_proj)"  # SDXL looks past the first's last layer
Bases = Callable[[str], Path]


def changed(base: Path, to: Path, file: str, **values: Any) -> Path:
    """A copy of `base` with other values in one of its JSON files."""
    shutil.copytree(base, to)
    path = to / file
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    return to


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Bases:
    @cache
    def base(name: str) -> Path:
        folder = tmp_path_factory.mktemp("sd") / name
        if name == "sdxl-v":
            return changed(base("sdxl"), folder, "scheduler/scheduler_config.json", prediction_type="v_prediction")
        make(CARDS[name], folder)
        return folder

    return base


def opened(base: Path, *, trained_text: bool = False, dtype: torch.dtype = torch.float32) -> Family:
    return open_family(resolve_base(str(base)), Placement(torch.device("cpu"), dtype, train_text_encoder=trained_text))


def stock_of(base: Path, dtype: torch.dtype = torch.float32) -> Any:
    pipeline = DiffusionPipeline.from_pretrained(base, dtype=dtype)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def stock_texts(stock: Any, texts: list[str]) -> tuple[Tensor, Tensor | None]:
    embeds, _, *pooled = stock.encode_prompt(
        texts, device="cpu", num_images_per_prompt=1, do_classifier_free_guidance=False
    )
    return embeds, pooled[0] if pooled else None


def loss_by_hand(stock: Any, x0: Tensor, step: int, size: tuple[int, int]) -> Tensor:
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    kept = torch.cumprod(1 - betas, 0).float()
    noise = torch.stack([normal(tuple(x0.shape[1:]), 5, "noise", step, i) for i in range(2)])
    steps = [int(1000 * uniform(5, "time", step, i)) for i in range(2)]
    signal, spread = (torch.stack([a[k] for k in steps])[:, None, None, None].sqrt() for a in (kept, 1 - kept))
    embeds, pooled = stock_texts(stock, PROMPTS)
    added = None if pooled is None else {
        "text_embeds": pooled, "time_ids": torch.tensor([[*size, 0, 0, *size]] * 2).float()
    }  # fmt: skip
    out = stock.unet(signal * x0 + spread * noise, torch.tensor(steps), embeds, added_cond_kwargs=added).sample
    velocity = stock.scheduler.config.prediction_type == "v_prediction"
    return ((out - (signal * noise - spread * x0 if velocity else noise)) ** 2).mean()


@pytest.mark.parametrize(("name", "trained_text"), [("sdxl", True), ("sdxl-v", False), ("sd15", False), ("sd15", True)])
def test_the_loss_and_its_gradients_are_the_published_ones(bases: Bases, name: str, trained_text: bool) -> None:
    # Some of the gradients are sums of what nearly cancels: in fp32 their rounding differs from CPU to CPU, to 3e-5.
    exact = torch.float64
    family, stock = opened(bases(name), trained_text=trained_text, dtype=exact), stock_of(bases(name), exact)
    encoders = ["text_encoder", "text_encoder_2"] if name == "sdxl" else ["text_encoder"]
    assert list(family.networks) == ["unet", *(encoders if trained_text else [])]
    conditions = family.encode_text(PROMPTS)
    family.release_encoders()
    for which, network in family.networks.items():
        for copy in (network, getattr(stock, which)):
            add_lora(copy, CLIP_TARGETS if which != "unet" else family.lora_targets("all"))
            copy.to(exact)
    x0, step = normal((2, 4, 8, 16), 1, "x0"), 3

    loss = micro_step(family, Batch(x0, [], conditions), [Slot(0, 0), Slot(1, 1)], TrainConfig(seed=5), step)
    loss.backward()
    published = loss_by_hand(stock, x0.to(exact), step, (64, 128))
    published.backward()

    assert loss.item() == pytest.approx(published.item(), rel=1e-6)
    for which, network in family.networks.items():
        assert furthest_apart(lora_gradients(network), lora_gradients(getattr(stock, which))) < 1e-5
    if name == "sdxl":
        sideways = loss_by_hand(stock, x0.to(exact), step, (128, 64)).item()
        assert sideways != pytest.approx(loss.item(), rel=1e-4), "sizes are not felt, so nothing was shown"


@torch.no_grad()
@pytest.mark.parametrize("name", ["sdxl", "sd15"])
def test_captions_are_encoded_as_the_pipeline_does(bases: Bases, name: str) -> None:
    family, stock = opened(bases(name)), stock_of(bases(name))
    together = family.encode_text(PROMPTS)
    for text, row in zip(PROMPTS, together, strict=True):
        embeds, pooled = stock_texts(stock, [text])
        assert torch.equal(row["embeds"], embeds[0])
        assert pooled is None or torch.equal(row["pooled"], pooled[0])
        alone = family.encode_text([text])[0]
        assert all(torch.equal(alone[part], row[part]) for part in row)
    if name == "sdxl":
        assert stock.tokenizer.pad_token != stock.tokenizer_2.pad_token, "padding by one's own rule would not show"
    assert family.text_identity != opened(bases(name), trained_text=True).text_identity


@pytest.mark.parametrize("trained_text", [False, True])
def test_no_words_are_zeros_where_the_base_says_so(bases: Bases, tmp_path: Path, trained_text: bool) -> None:
    worded = changed(bases("sdxl"), tmp_path / "worded", "model_index.json", force_zeros_for_empty_prompt=False)
    x, t = normal((1, 4, 8, 8), 1, "x"), torch.tensor([0.5])
    blank, spoken = (opened(base, trained_text=trained_text) for base in (bases("sdxl"), worded))
    with torch.no_grad():
        answers = [f.predict(x, t, f.encode_text([""])) for f in (blank, spoken)]
        stock = stock_of(bases("sdxl"))
        embeds, pooled = stock_texts(stock, [""])
        assert pooled is not None
        added = {"text_embeds": pooled, "time_ids": torch.tensor([[64.0, 64, 0, 0, 64, 64]])}
        encoded = stock.unet(x, 500, embeds, added_cond_kwargs=added).sample
        zeros = stock.unet(x, 500, embeds * 0, added_cond_kwargs=added | {"text_embeds": pooled * 0}).sample
    assert torch.allclose(answers[0], zeros, atol=1e-5) and torch.allclose(answers[1], encoded, atol=1e-5)
    assert not torch.allclose(zeros, encoded, atol=1e-4)
    assert blank.text_identity != spoken.text_identity


@torch.no_grad()
@pytest.mark.parametrize(("name", "scaling"), [("sdxl", 0.13025), ("sd15", 0.18215)])
def test_pictures_are_encoded_by_the_vae(bases: Bases, name: str, scaling: float) -> None:
    pixels = normal((2, 3, 32, 48), 1, "pixels").clamp(-1, 1)
    latents = opened(bases(name)).encode_images(pixels)
    assert latents.shape == (2, 4, 4, 6) and latents.dtype == torch.float32
    raw = AutoencoderKL.from_pretrained(bases(name) / "vae").encode(pixels, return_dict=False)[0].mode()
    assert torch.allclose(latents, raw * scaling, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "guidance", "negative"),
    [("sdxl", 5.0, "ugly"), ("sdxl", 5.0, ""), ("sdxl", 1.0, ""), ("sdxl-v", 5.0, ""), ("sd15", 7.5, "ugly")],
)
def test_a_picture_is_the_stock_pipelines(bases: Bases, name: str, guidance: float, negative: str) -> None:
    family, stock = opened(bases(name)), stock_of(bases(name))
    condition, avoided = family.encode_text([PROMPTS[0], negative])
    family.release_encoders()
    torch.manual_seed(3)
    state = torch.get_rng_state()
    seen: list[int] = []
    picture = Picture(condition, avoided, 128, 64, 3, guidance, seed=9)
    ours = family.sample(picture, seen.append)
    assert torch.equal(torch.get_rng_state(), state)
    theirs = stock(
        prompt=PROMPTS[0], negative_prompt=negative or None, width=128, height=64, num_inference_steps=3,
        guidance_scale=guidance, generator=torch.Generator().manual_seed(9),
    ).images[0]  # fmt: skip
    assert seen == list(range(1, 1 + len(stock.scheduler.timesteps)))
    assert largest_difference(ours, theirs) <= 2
    assert largest_difference(ours, family.sample(picture)) == 0  # the scheduler is left as it was
    with pytest.raises(RuntimeError, match="released"):
        family.encode_text(["late"])


def test_trained_text_encoders_are_drawn_with(bases: Bases) -> None:
    family, stock = opened(bases("sdxl"), trained_text=True), stock_of(bases("sdxl"))
    family.release_encoders()
    condition, negative = family.encode_text([PROMPTS[0], ""])  # words to token ids: that needs nothing that went
    picture = Picture(condition, negative, 64, 64, 2, 5.0, seed=9)
    before = family.sample(picture)
    for which in ("text_encoder", "text_encoder_2"):
        for encoder in (family.networks[which], getattr(stock, which)):
            add_lora(encoder, CLIP_TARGETS)
    theirs = stock(
        prompt=PROMPTS[0], width=64, height=64, num_inference_steps=2, guidance_scale=5.0,
        generator=torch.Generator().manual_seed(9),
    ).images[0]  # fmt: skip
    assert largest_difference(family.sample(picture), theirs) <= 2 < largest_difference(before, theirs)


@pytest.mark.parametrize(
    ("file", "values", "told"),
    [
        ("model_index.json", {"scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"]}, "is a FlowMatchEuler"),
        ("model_index.json", {"scheduler": ["diffusers", "EDMEulerScheduler"]}, "is a EDMEuler"),
        ("scheduler/scheduler_config.json", {"prediction_type": "sample"}, "predicts 'sample'"),
    ],
)
def test_a_base_of_another_kind_is_refused_in_words(
    bases: Bases, tmp_path: Path, file: str, values: dict[str, Any], told: str
) -> None:
    with pytest.raises(InputError, match=told):
        opened(changed(bases("sdxl"), tmp_path / "other", file, **values))


def test_noise_without_any_picture_left_is_trained_where_the_base_has_it(bases: Bases, tmp_path: Path) -> None:
    base = changed(bases("sdxl-v"), tmp_path / "zero", "scheduler/scheduler_config.json", rescale_betas_zero_snr=True)
    objective = opened(base).objective
    x0, noise, last = normal((1, 4, 2, 2), 1, "x0"), normal((1, 4, 2, 2), 1, "noise"), torch.tensor([1.0])
    assert torch.allclose(objective.noisy(x0, noise, last), noise, atol=1e-4)
    assert torch.allclose(objective.target(x0, noise, last), -x0, atol=1e-4)
