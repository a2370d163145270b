"""What pictures are compared by: pixels, which need no model, and encoders, which do.

An encoder comes from a folder or the hub, through transformers: CLIP and SigLIP read texts too; DINOv2 and other
vision models see pictures alone. They compute on the CPU in fp32, so that measuring takes no memory from the training
and gives the same numbers on every machine of a kind.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled
from numpy.typing import NDArray
from PIL import Image
from safetensors import SafetensorError
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

from likeness.catalog.source import cached_snapshot, hub_cache
from likeness.config.scorecard import SHIPPED_FOR
from likeness.errors import InputError
from likeness.judge.metrics import Pixels, Rows, unit

SHIPPED = Path(__file__).resolve().parent.parent / "companions" / "clip"
AT_ONCE = 8  # pictures through an encoder
FINE = 32  # pixels per side
SHARPNESS_SIDE = 128
_FILES = ("*.json", "*.txt", "*.model", "*.safetensors")
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, RuntimeError, ImportError, SafetensorError)


class Encoder(Protocol):
    """Features of pictures and, where `reads_text`, of texts in the same space. Rows are of length one."""

    name: str
    reads_text: bool

    def images(self, pictures: Sequence[Image.Image]) -> Rows: ...

    def texts(self, texts: Sequence[str]) -> Rows:
        """Raises ValueError for an encoder that reads none."""
        ...


class Transformers:
    """A vision model of transformers, with a text tower or without."""

    def __init__(self, name: str, folder: Path):
        """Raises InputError where the folder holds no such model."""
        self.name = name
        try:
            self._prepare: Any = AutoImageProcessor.from_pretrained(folder)
            load: Any = AutoModel.from_pretrained
            model, told = load(folder, dtype=torch.float32, use_safetensors=True, output_loading_info=True)
            if missing := sorted(told["missing_keys"]):
                raise ValueError(f"{len(missing)} weights are missing, such as {missing[0]}")
            self.reads_text = hasattr(model, "get_text_features")
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder) if self.reads_text else None
        except _UNREADABLE as e:
            raise InputError(
                f"scorecard.encoder: {name} cannot be loaded ({' '.join(str(e).split())[:200]}). Fix: name a CLIP, "
                "SigLIP or DINOv2 model with weights as safetensors, or set it to none"
            ) from e
        self._model: Any = model.requires_grad_(False).eval()

    @torch.inference_mode()
    def images(self, pictures: Sequence[Image.Image]) -> Rows:
        rows: list[NDArray[np.floating]] = []
        for start in range(0, len(pictures), AT_ONCE):
            shown = [p.convert("RGB") for p in pictures[start : start + AT_ONCE]]
            pixels = self._prepare(images=shown, return_tensors="pt")["pixel_values"]
            seen = self._model.get_image_features if self.reads_text else self._model
            rows.append(_pooled(seen(pixel_values=pixels)).numpy())
        return unit(np.concatenate(rows))

    @torch.inference_mode()
    def texts(self, texts: Sequence[str]) -> Rows:
        if not self.reads_text:
            raise ValueError(f"{self.name} reads no texts")
        config: Any = self._model.config
        # SigLIP was trained on padded texts alone; CLIP looks at the end of the text.
        padding = "max_length" if str(config.model_type).startswith("siglip") else True
        length = int(config.text_config.max_position_embeddings)
        tokens = self._tokenizer(list(texts), padding=padding, truncation=True, max_length=length, return_tensors="pt")
        names = set(self._tokenizer.model_input_names)
        given = {name: value for name, value in tokens.items() if name in names}
        return unit(_pooled(self._model.get_text_features(**given)).numpy())


def _pooled(out: Any) -> torch.Tensor:
    """(B, D): what the model gives as the features of a whole picture or text; its first token where it gives none."""
    if isinstance(out, torch.Tensor):
        return out.float()
    pooled = getattr(out, "pooler_output", None)
    return (out.last_hidden_state[:, 0] if pooled is None else pooled).float()


def open_encoder(setting: str, base: str, offline: bool = False) -> Encoder | None:
    """The encoder that `scorecard.encoder` asks for; None for none. `base` is the base's name in the catalogue.

    Raises InputError where it cannot be had.
    """
    if setting == "auto":
        return Transformers("shipped CLIP", SHIPPED) if base in SHIPPED_FOR else None
    if setting == "none":
        return None
    given = Path(os.path.expanduser(setting))
    return Transformers(setting, given if given.is_dir() else _from_hub(setting, offline))


def _from_hub(name: str, offline: bool) -> Path:
    repository, _, revision = name.partition("@")
    cached = cached_snapshot(repository, revision or None)
    if cached is not None and any(cached.glob("*.safetensors")):
        return cached
    try:
        return Path(
            snapshot_download(
                repository,
                revision=revision or None,
                allow_patterns=list(_FILES),
                cache_dir=hub_cache(),
                local_files_only=offline,
            )
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError, ValueError) as e:
        why = next(iter(str(e).splitlines()), "") or type(e).__name__
        raise InputError(
            f"scorecard.encoder: {name} cannot be had ({why}). Fix: fetch it once with a network, give the path of a "
            "folder with the model, or set it to none"
        ) from e


# --- pixels


def fine(pictures: Sequence[Image.Image]) -> Rows:
    """(N, 3072): the picture at 32 × 32 without its mean colour. The product of two rows is their correlation."""
    return unit(np.stack([_centred(_small(p, FINE)) for p in pictures]))


def sharpness(picture: Image.Image) -> float:
    """Variance of the Laplacian of the grey picture at 128 × 128, in squared grey levels of 0 to 1."""
    p = _grey(picture, SHARPNESS_SIDE)
    laplacian = 4 * p[1:-1, 1:-1] - p[:-2, 1:-1] - p[2:, 1:-1] - p[1:-1, :-2] - p[1:-1, 2:]
    return float(laplacian.var())


def pixels(picture: Image.Image, size: tuple[int, int]) -> Pixels:
    """(H, W, 3), 0 to 1, at `size` (width, height)."""
    shown = picture.convert("RGB").resize(size, Image.Resampling.BOX)
    return np.asarray(shown, np.float64) / 255


def _small(picture: Image.Image, side: int) -> NDArray[np.float64]:
    return pixels(picture, (side, side))


def _grey(picture: Image.Image, side: int) -> NDArray[np.float64]:
    return np.asarray(picture.convert("L").resize((side, side), Image.Resampling.BOX), np.float64) / 255


def _centred(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """Flat, without the mean of each channel."""
    return (plane - plane.mean(axis=(0, 1))).ravel()
