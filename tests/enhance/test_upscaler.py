"""Upscalers as people have them: shipped, a folder of transformers, a file for spandrel."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from transformers import Swin2SRConfig, Swin2SRForImageSuperResolution

from likeness.enhance import upscaler
from likeness.enhance.upscaler import Upscaler, open_upscaler
from likeness.errors import InputError

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def shipped() -> Upscaler:
    return open_upscaler(None, CPU)


def drawing(side: int) -> Image.Image:
    """Shapes with sharp edges, drawn finely and then made small."""
    image = Image.new("RGB", (side * 4, side * 4), (250, 240, 220))
    pen = ImageDraw.Draw(image)
    pen.ellipse([side * k for k in (0.5, 0.6, 2.9, 3.1)], fill=(220, 60, 70), outline=(20, 20, 30), width=side // 8)
    pen.polygon([(side * x, side * y) for x, y in ((2, 0.3), (3.7, 1.2), (2.4, 3.6))], fill=(40, 120, 190))
    return image.resize((side, side), Image.Resampling.BOX)


def error(a: Image.Image, b: Image.Image) -> float:
    return float(np.mean((np.asarray(a, float) - np.asarray(b, float)) ** 2))


def test_the_shipped_one_doubles_and_beats_interpolation(shipped: Upscaler) -> None:
    small, large = drawing(64), drawing(128)
    result = shipped.enlarge(small)
    assert result.size == (128, 128) and result.mode == "RGB" and shipped.scale == 2
    assert error(result, large) < 0.8 * error(small.resize((128, 128), Image.Resampling.BICUBIC), large)


def test_tiles_of_the_shipped_one_leave_no_seam(shipped: Upscaler) -> None:
    image = drawing(104)
    whole = Upscaler("a", 2, shipped.network, CPU, tile=104).enlarge(image)
    tiled = Upscaler("a", 2, shipped.network, CPU, tile=72).enlarge(image)
    assert np.abs(np.asarray(whole, int) - np.asarray(tiled, int)).mean() < 0.25  # levels of 255
    assert error(tiled, drawing(208)) == pytest.approx(error(whole, drawing(208)), rel=0.03)


def test_alpha_is_kept(shipped: Upscaler) -> None:
    image = drawing(33).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize((33, 33)))
    result = shipped.enlarge(image)
    assert result.mode == "RGBA" and result.size == (66, 66)
    assert np.asarray(result.getchannel("A"))[:, 5].tolist() == sorted(
        np.asarray(result.getchannel("A"))[:, 5].tolist()
    )
    assert result.convert("RGB").tobytes() == shipped.enlarge(image.convert("RGB")).tobytes()


def test_where_memory_runs_out_tiles_get_smaller() -> None:
    def network(pixels: torch.Tensor) -> torch.Tensor:
        if pixels.shape[-1] > 100:
            raise torch.OutOfMemoryError("full")
        return pixels.repeat_interleave(3, 2).repeat_interleave(3, 3)

    tripler = Upscaler("a", 3, network, CPU)
    image = drawing(200)
    assert tripler.enlarge(image).tobytes() == image.resize((600, 600), Image.Resampling.NEAREST).tobytes()
    assert tripler.tile == 96


def test_a_folder_of_transformers_with_another_scale(tmp_path: Path) -> None:
    config = Swin2SRConfig(
        embed_dim=12, depths=[1], num_heads=[2], window_size=8, upscale=4, upsampler="pixelshuffledirect"
    )
    Swin2SRForImageSuperResolution(config).save_pretrained(tmp_path / "own")
    assert open_upscaler(tmp_path / "own", CPU).enlarge(drawing(20)).size == (80, 80)


def test_a_file_goes_through_spandrel(tmp_path: Path) -> None:
    pytest.importorskip("spandrel")
    from spandrel.architectures.Compact.__arch.SRVGG import SRVGGNetCompact  # pyright: ignore

    torch.manual_seed(1)
    network = SRVGGNetCompact(num_feat=8, num_conv=1, upscale=2)
    torch.save({"params": network.state_dict()}, tmp_path / "compact.pth")
    found = open_upscaler(tmp_path / "compact.pth", CPU)
    assert found.scale == 2 and found.enlarge(drawing(40)).size == (80, 80)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (None, "is not there"),
        ({}, "0 model files"),
        ({"a.pth": "", "b.pth": ""}, "2 model files"),
        ({"config.json": "{}"}, "cannot be loaded by transformers"),
        ({"config.json": '{"model_type": "bert"}'}, "cannot be loaded by transformers"),
        ({"a.pth": "x"}, "spandrel"),
    ],
)
def test_what_cannot_be_loaded_is_told(tmp_path: Path, files: dict[str, str] | None, words: str) -> None:
    folder = tmp_path / "model"
    if files is not None:
        folder.mkdir()
    for name, text in (files or {}).items():
        (folder / name).write_text(text)
    with pytest.raises(InputError, match=words) as told:
        open_upscaler(folder, CPU)
    assert "Fix: " in str(told.value) and str(folder) in str(told.value)


def test_a_missing_shipped_one_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(upscaler, "SHIPPED", tmp_path / "nowhere")
    with pytest.raises(InputError, match="reinstall"):
        open_upscaler(None, CPU)


class FakeDescriptor:
    """As spandrel tells of a network that it has loaded."""

    def __init__(self, scale: int, channels: int = 3):
        self.scale, self.input_channels, self.output_channels = scale, channels, channels
        self.purpose = "Restoration" if scale == 1 else "SR"

    def eval(self) -> "FakeDescriptor":
        return self

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.interpolate(pixels, scale_factor=self.scale)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (FakeDescriptor(4), None),
        (FakeDescriptor(1), "does not enlarge"),
        (FakeDescriptor(2, channels=1), "does not make a picture"),
        (object(), "does not make a picture"),
        (RuntimeError("unknown architecture"), "cannot be loaded by spandrel"),
    ],
)
def test_what_spandrel_finds_is_used_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: object, words: str | None
) -> None:
    """Beside `test_a_file_goes_through_spandrel`, which runs the real one where it is installed."""

    class Loader:
        def __init__(self, device: torch.device): ...

        def load_from_file(self, _: Path) -> object:
            if isinstance(found, Exception):
                raise found
            return found

    fake = SimpleNamespace(ModelLoader=Loader, ImageModelDescriptor=FakeDescriptor)
    monkeypatch.setitem(sys.modules, "spandrel", fake)
    file = tmp_path / "a.pth"
    file.write_bytes(b"weights")
    if words is None:
        assert open_upscaler(file, CPU).enlarge(drawing(20)).size == (80, 80)
        return
    with pytest.raises(InputError, match=words):
        open_upscaler(file, CPU)
