"""Drawn waveforms: the thumbnails of voices."""

import wave
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from likeness import durable

SIDE = 512  # pixels
_BARS, _MARGIN, _TALLEST = 32, 40, 0.62
_BACK, _TOP, _BOTTOM = (24, 26, 38), (129, 161, 255), (177, 120, 255)
_SECONDS = 4  # from the start, so that syllables can be seen
_DRAWN_AT = 2  # times the size, then made smaller: smooth edges


def draw(sound: Path, target: Path) -> bool:
    """Draw a WAV file of 16 bits as a square PNG; whether it could be."""
    loud = _loudness(sound)
    if loud is None:
        return False
    side = SIDE * _DRAWN_AT
    image = Image.new("RGB", (side, side), _BACK)
    pen = ImageDraw.Draw(image)
    margin = _MARGIN * _DRAWN_AT
    step = (side - 2 * margin) / _BARS
    for number, value in enumerate(loud):
        half = max(value * side * _TALLEST / 2, step * 0.3)
        left, share = margin + number * step + step * 0.2, number / (_BARS - 1)
        colour = tuple(round(a + (b - a) * share) for a, b in zip(_TOP, _BOTTOM, strict=True))
        pen.rounded_rectangle((left, side / 2 - half, left + step * 0.6, side / 2 + half), step * 0.3, fill=colour)
    small = image.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    durable.write_with(target, lambda partial: small.save(partial, "PNG", optimize=True))
    return True


def _loudness(sound: Path) -> list[float] | None:
    """Of each of the bars' stretches, 0 to 1; None for what is no such file, or holds nothing."""
    try:
        with wave.open(str(sound)) as opened:
            if opened.getsampwidth() != 2:
                return None
            data = opened.readframes(_SECONDS * opened.getframerate())
    except (OSError, EOFError, wave.Error, RuntimeError):
        return None
    samples = np.frombuffer(data[: len(data) // 2 * 2], "<i2").astype(np.float64)
    if len(samples) < _BARS:
        return None
    power = np.array([float(np.sqrt(np.square(part).mean())) for part in np.array_split(samples, _BARS)])
    return list((power / max(float(power.max()), 1.0)) ** 0.7)
