"""Upscalers: the shipped one, any that transformers loads from a folder, and single files through spandrel."""

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors import SafetensorError
from torch import Tensor
from torch.nn.functional import pad
from transformers import AutoConfig, AutoModelForImageToImage

from likeness.enhance.tiling import Enlarge, enlarge_tiled
from likeness.errors import InputError

SHIPPED = Path(__file__).resolve().parent.parent / "companions" / "upscaler"
SHIPPED_NAME = "likeness/upscaler"
FILES = (".safetensors", ".pth", ".pt", ".ckpt")  # as spandrel reads them
TILE, OVERLAP = 192, 32  # pixels of the picture
SMALLEST_TILE = 64
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError)


@dataclass
class Upscaler:
    """A network that makes pictures `scale` times as wide and high."""

    name: str
    scale: int
    network: Enlarge
    device: torch.device
    tile: int = TILE

    def enlarge(self, image: Image.Image) -> Image.Image:
        """An RGB or RGBA picture, enlarged; alpha is interpolated. Where memory runs out, in smaller tiles."""
        pixels = _values(image.convert("RGB"))
        while True:
            try:
                large = enlarge_tiled(pixels, self._on_device, self.scale, self.tile, OVERLAP)
                break
            except torch.OutOfMemoryError:
                if self.tile <= SMALLEST_TILE:
                    raise
            self.tile //= 2  # outside of the handler, which holds on to the memory
        result = Image.fromarray((large * 255).round().byte().permute(1, 2, 0).contiguous().numpy())
        if image.mode == "RGBA":
            result.putalpha(image.getchannel("A").resize(result.size, Image.Resampling.LANCZOS))
        return result

    @torch.inference_mode()
    def _on_device(self, pixels: Tensor) -> Tensor:
        return self.network(pixels.to(self.device))


def open_upscaler(model: Path | None, device: torch.device) -> Upscaler:
    """The upscaler in a folder or file; the shipped one for None. Raises InputError where it cannot be loaded."""
    path = model or SHIPPED
    if not path.exists():
        hint = "reinstall likeness, or name another with --model" if model is None else "correct the path"
        raise InputError(f"--model: {path} is not there. Fix: {hint}")
    if path.is_dir() and (path / "config.json").is_file():
        return _from_transformers(path, device, path.name if model else SHIPPED_NAME)
    return _from_spandrel(_single_file(path), device)


def _from_transformers(folder: Path, device: torch.device, name: str) -> Upscaler:
    try:
        config: Any = AutoConfig.from_pretrained(folder, local_files_only=True)
        network: Any = AutoModelForImageToImage.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=torch.float32
        )
    except _UNREADABLE as e:
        raise InputError(
            f"--model: {folder} cannot be loaded by transformers as an upscaler ({_first_line(e)}). "
            "Fix: name a folder with a Swin2SR model, or a model file that spandrel reads"
        ) from e
    network = network.to(device).eval().requires_grad_(False)
    scale, window = int(config.upscale), int(getattr(config, "window_size", 1))

    def enlarge(pixels: Tensor) -> Tensor:
        """Whole windows: the model's own padding goes wrong for other sizes."""
        height, width = pixels.shape[2:]
        filled = pad(pixels, (0, -width % window, 0, -height % window), mode="replicate")
        return network(pixel_values=filled).reconstruction[..., : height * scale, : width * scale]

    return Upscaler(name, scale, enlarge, device)


def _from_spandrel(file: Path, device: torch.device) -> Upscaler:
    try:
        spandrel: Any = importlib.import_module("spandrel")
    except ImportError:
        raise InputError(
            f"--model: {file} is read by spandrel, which is not installed. Fix: pip install 'likeness[upscalers]', or "
            "name a folder with a Swin2SR model of transformers"
        ) from None
    try:
        found: Any = spandrel.ModelLoader(device=device).load_from_file(file)
    except Exception as e:  # unpicklers and architectures fail in many ways
        raise InputError(f"--model: {file} cannot be loaded by spandrel ({_first_line(e)}). Fix: name another") from e
    if not isinstance(found, spandrel.ImageModelDescriptor) or (found.input_channels, found.output_channels) != (3, 3):
        raise InputError(f"--model: {file} does not make a picture of a picture. Fix: name an upscaler")
    if found.scale < 2:
        raise InputError(f"--model: {file} does not enlarge ({found.purpose}). Fix: name an upscaler")
    found.eval()
    return Upscaler(file.name, found.scale, found, device)


def _single_file(path: Path) -> Path:
    if path.is_file():
        return path
    files = sorted(f for f in path.iterdir() if f.suffix.lower() in FILES)
    if len(files) != 1:
        raise InputError(
            f"--model: {path} holds no config.json and {len(files)} model files. Fix: name a folder of transformers, "
            f"or one file ({', '.join(FILES)})"
        )
    return files[0]


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _values(image: Image.Image) -> Tensor:
    """(3, H, W) in [0, 1]."""
    raw = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    return raw.view(image.height, image.width, 3).permute(2, 0, 1).float() / 255
