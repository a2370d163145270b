"""The shipped companions, loaded as any user would load them, do their work on drawings that nobody saw before."""

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("skia", reason="the renderer needs the extra 'starter'")
pytest.importorskip("torch", reason="the companions need the extra 'train'")

import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModel, AutoModelForImageTextToText, AutoTokenizer
from transformers import Swin2SRForImageSuperResolution as SuperResolution

from starter_recipe.companions import NAMES, captioner, instructor, upscaler
from starter_recipe.companions.text import plain_caption, plain_instruction
from starter_recipe.companions.views import drawn, drawn_pair
from starter_recipe.world import Picture, edit_pair

FOLDER = Path(__file__).parents[2] / "likeness" / "companions"
FRESH = 9_000_000_000  # seeds that neither trainings nor the cards use
Drawings = list[tuple[Picture, Image.Image]]


@pytest.fixture(scope="module")
def drawings() -> Drawings:
    """Eight people in colour, of all shapes."""
    both = (drawn(FRESH + i) for i in range(100))
    people = ((p, Image.fromarray(pixels)) for p, pixels in both if p.is_person and not p.is_gray)
    return [next(people) for _ in range(8)]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.no_grad():
        yield
    torch.set_num_threads(threads)


def written(name: str, images: list[Image.Image]) -> list[str]:
    model = AutoModelForImageTextToText.from_pretrained(FOLDER / name, dtype="float32")
    pixels = AutoImageProcessor.from_pretrained(FOLDER / name)(images, return_tensors="pt")
    return AutoTokenizer.from_pretrained(FOLDER / name).batch_decode(model.generate(**pixels), skip_special_tokens=True)


def test_all_together_are_small_and_say_what_they_are() -> None:
    assert sum(p.stat().st_size for p in FOLDER.rglob("*") if p.is_file()) <= 25e6
    for name in NAMES:
        assert "## Measured quality" in (FOLDER / name / "README.md").read_text()


def test_clip_finds_the_caption_of_a_picture_and_the_picture_of_a_caption(drawings: Drawings) -> None:
    model = AutoModel.from_pretrained(FOLDER / "clip", dtype="float32")
    pixels = AutoImageProcessor.from_pretrained(FOLDER / "clip")([image for _, image in drawings], return_tensors="pt")
    captions = [plain_caption(p) for p, _ in drawings]
    text = AutoTokenizer.from_pretrained(FOLDER / "clip")(captions, padding=True, return_tensors="pt")
    similarity = model(**pixels, **text).logits_per_image
    assert similarity.argmax(0).tolist() == similarity.argmax(1).tolist() == list(range(8))


def test_captioner_names_colours_and_places(drawings: Drawings) -> None:
    texts = written("captioner", [image for _, image in drawings])
    for field in ("garment_colour", "scene", "hair_colour"):
        assert sum(captioner.judged(p, text)[field] for (p, _), text in zip(drawings, texts, strict=True)) >= 6


def test_instructor_names_the_kind_of_change() -> None:
    pairs = [drawn_pair(FRESH + i) for i in range(8)]
    images = [Image.fromarray(instructor.beside(*pixels)) for _, pixels in pairs]
    wanted = [plain_instruction(*pair) for pair, _ in pairs]
    kinds = [
        (instructor.kind_of(a), instructor.kind_of(b))
        for a, b in zip(written("instructor", images), wanted, strict=True)
    ]
    assert sum(a == b for a, b in kinds) >= 6


def test_upscaler_is_sharper_than_bicubic() -> None:
    model = SuperResolution.from_pretrained(FOLDER / "upscaler", dtype="float32")
    processor = AutoImageProcessor.from_pretrained(FOLDER / "upscaler")
    gains: list[float] = []
    for i in range(8):
        _, picture = upscaler.large(FRESH + i)
        height, width = picture.shape[:2]
        small = upscaler.halved(picture)
        out = model(**processor(Image.fromarray(small), return_tensors="pt")).reconstruction[0, :, :height, :width]
        ours = (out.clamp(0, 1).permute(1, 2, 0) * 255).round().byte().numpy()
        gains.append(upscaler.psnr(ours, picture) - upscaler.psnr(upscaler.doubled(small), picture))
    assert np.mean(gains) > 1  # dB


def test_plain_instructions_are_what_the_world_says_most_often() -> None:
    rng = random.Random(1)
    same: dict[str, list[bool]] = {}
    for _ in range(1500):
        before, after, said = edit_pair(rng)
        same.setdefault(instructor.changed((before, after)), []).append(said == plain_instruction(before, after))
    assert set(same) == set(instructor.FIELDS)
    assert min(sum(rows) / len(rows) for rows in same.values()) > 0.25
