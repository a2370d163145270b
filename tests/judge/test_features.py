"""Pixels and encoders as pictures are compared by."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from likeness.errors import InputError
from likeness.judge import features
from likeness.judge.metrics import adherence

MIKA = Path(__file__).parents[2] / "examples" / "character" / "mika"


def mika(number: int) -> Image.Image:
    return Image.open(MIKA / f"mika-{number:02d}.png").convert("RGB")


def test_pixels_correlate_with_themselves_at_any_size_and_brightness() -> None:
    same = features.fine([mika(1), mika(1).resize((200, 200)), mika(1).point(lambda v: v * 0.8), mika(3)])
    alike = same @ same[0]
    assert alike[0] == pytest.approx(1) and alike[1] > 0.98 and alike[2] > 0.98
    assert alike[3] < 0.8
    assert features.fine([Image.new("RGB", (8, 8), "red")]).tolist() == [[0.0] * 32 * 32 * 3]


def test_a_blur_is_less_sharp() -> None:
    assert features.sharpness(mika(1).filter(ImageFilter.GaussianBlur(2))) < 0.3 * features.sharpness(mika(1))


def test_the_shipped_clip_knows_pictures_and_captions() -> None:
    """What the starter's world shows is told apart, in pictures and in words."""
    encoder = features.open_encoder("auto", "starter")
    assert encoder is not None and encoder.reads_text
    images = encoder.images([mika(1), mika(6)])
    assert images.shape == (2, 128) and np.linalg.norm(images, axis=1) == pytest.approx(1)
    right = encoder.texts(["smiling, half body, in a meadow, flat style"])
    wrong = encoder.texts(["an orange cat on a beach at night, watercolor style"])
    assert adherence(images[:1], right) > adherence(images[:1], wrong) + 0.2


def test_no_encoder_where_none_is_asked_for_or_known() -> None:
    assert features.open_encoder("none", "starter") is None
    assert features.open_encoder("auto", "flux2-dev") is None


def test_a_vision_model_without_a_text_tower(tmp_path: Path) -> None:
    from transformers import BitImageProcessorPil, Dinov2Config, Dinov2Model

    torch.manual_seed(0)
    config = Dinov2Config(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14)
    Dinov2Model(config).save_pretrained(tmp_path)
    BitImageProcessorPil(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}).save_pretrained(tmp_path)
    encoder = features.open_encoder(str(tmp_path), "anything")
    assert encoder is not None and not encoder.reads_text
    rows = encoder.images([mika(1), mika(1), mika(2)])
    assert rows.shape == (3, 16) and rows[0] @ rows[1] == pytest.approx(1) and rows[0] @ rows[2] < 0.9999
    with pytest.raises(ValueError, match="reads no texts"):
        encoder.texts(["a"])


def test_siglip_reads_padded_texts(tmp_path: Path) -> None:
    from transformers import AutoTokenizer, SiglipConfig, SiglipImageProcessorPil, SiglipModel

    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {**sizes, "vocab_size": 1400, "max_position_embeddings": 16, "projection_size": 16}
    SiglipModel(
        SiglipConfig(text_config=text, vision_config={**sizes, "image_size": 32, "patch_size": 16})
    ).save_pretrained(tmp_path)
    SiglipImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(features.SHIPPED).save_pretrained(tmp_path)
    encoder = features.open_encoder(str(tmp_path), "anything")
    assert encoder is not None and encoder.reads_text
    one, (alone, again) = encoder.images([mika(1)]), encoder.texts(["a cat", "a dog on a beach " * 9])
    assert one.shape == (1, 16) and alone.shape == (16,) and abs(alone @ again) < 0.9999
    assert encoder.texts(["a cat"])[0] @ alone == pytest.approx(1)  # whatever stands beside it


def test_a_folder_without_a_model_is_told(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match=r"scorecard\.encoder: .* cannot be loaded"):
        features.open_encoder(str(tmp_path), "starter")


def test_what_cannot_be_had_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(InputError, match=r"scorecard\.encoder: nobody/nothing cannot be had"):
        features.open_encoder("nobody/nothing", "starter", offline=True)
