"""Who speaks, as a vector: networks that were trained to tell speakers apart. None is shipped; one is named.

Two kinds are read: a d-vector network of three LSTM layers (`pretrained.pt` of the package Resemblyzer, Apache-2.0),
and folders with an x-vector network of transformers.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from likeness.errors import InputError
from likeness.voices import speech
from likeness.voices.filters import Floats, frames

Encoder = Callable[[Floats], Floats]  # speech at 16 kHz -> vector of length 1

_FRAMES, _STEP = 160, 77  # of the d-vector: 1.6 s, every 0.77 s
_LEVEL = -30.0  # dBFS at least
_MELS = 40


def open_encoder(place: Path, device: str = "cpu") -> Encoder:
    """Raises InputError where `place` is no speaker encoder."""
    if place.is_file():
        return _DVector(place)
    if (place / "config.json").is_file():
        return _xvector(place, device)
    raise InputError(
        f"{place}: no speaker encoder. Fix: give a folder with an x-vector model of transformers, or the d-vector file "
        "pretrained.pt of the package Resemblyzer"
    )


class _DVector:
    """Mean of the vectors of stretches of 1.6 s, each from the last state of an LSTM over 40 mel bands."""

    def __init__(self, file: Path):
        self.lstm = nn.LSTM(_MELS, 256, 3, batch_first=True)
        self.linear = nn.Linear(256, 256)
        try:
            weights: dict[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)["model_state"]
            for name, part in (("lstm", self.lstm), ("linear", self.linear)):
                own = {k.removeprefix(f"{name}."): v for k, v in weights.items() if k.startswith(f"{name}.")}
                part.load_state_dict(own)
        except Exception as e:
            raise InputError(
                f"{file}: not a d-vector file ({type(e).__name__}). Fix: give Resemblyzer's pretrained.pt"
            ) from e

    @torch.no_grad()
    def __call__(self, x: Floats) -> Floats:
        level = 10 * np.log10(np.square(x).mean() + 1e-12)
        x = x * 10 ** (max(0.0, _LEVEL - level) / 20)
        spoken = np.repeat(speech.find_speech(x).spoken, speech.HOP)[: len(x)]
        kept = x[: len(spoken)][spoken] if spoken.sum() > speech.RATE else x
        mels = _mels(kept)
        starts = range(0, max(1, len(mels) - _FRAMES + _STEP + 1), _STEP)
        parts = [mels[s : s + _FRAMES] for s in starts]
        if len(parts) > 1 and len(parts[-1]) < 0.75 * _FRAMES:
            parts.pop()
        padded = [np.pad(p, ((0, _FRAMES - len(p)), (0, 0))) for p in parts]
        _, (hidden, _) = self.lstm(torch.tensor(np.array(padded), dtype=torch.float32))
        vectors = torch.relu(self.linear(hidden[-1]))
        vectors = vectors / vectors.norm(dim=1, keepdim=True).clamp_min(1e-6)
        return _unit(vectors.mean(0).double().numpy())


def _mels(x: Floats) -> Floats:
    """Power in 40 bands per 10 ms (frames, 40): area-normalised triangles on the scale of Slaney's toolbox."""
    power = np.abs(np.fft.rfft(frames(x, 400, 160) * np.hanning(401)[:-1])) ** 2
    f = np.fft.rfftfreq(400, 1 / speech.RATE)
    edges = _slaney(np.linspace(0, 15 + np.log(8) / (np.log(6.4) / 27), _MELS + 2))
    rise = (f - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - f) / (edges[2:] - edges[1:-1])[:, None]
    bands = np.clip(np.minimum(rise, fall), 0, None) * (2 / (edges[2:] - edges[:-2]))[:, None]
    return power @ bands.T


def _slaney(mel: Floats) -> Floats:
    """Hz: even steps of 200/3 below 1 kHz, even ratios above."""
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))


def _xvector(folder: Path, device: str) -> Encoder:
    from transformers import AutoFeatureExtractor, AutoModelForAudioXVector

    try:
        extractor: Any = AutoFeatureExtractor.from_pretrained(folder)
        network: Any = AutoModelForAudioXVector.from_pretrained(folder).to(device).eval()
    except (OSError, ValueError) as e:
        raise InputError(f"{folder}: not an x-vector model of transformers ({e}). Fix: give another folder") from e

    @torch.no_grad()
    def encode(x: Floats) -> Floats:
        inputs = extractor(x.astype(np.float32), sampling_rate=speech.RATE, return_tensors="pt").to(device)
        return _unit(network(**inputs).embeddings[0].double().cpu().numpy())

    return encode


def similarity(a: Floats, b: Floats) -> float:
    """Cosine of two vectors."""
    return float(_unit(a) @ _unit(b))


def _unit(v: Floats) -> Floats:
    return v / max(float(np.linalg.norm(v)), 1e-9)
