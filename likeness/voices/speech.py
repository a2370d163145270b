"""Where in a recording somebody speaks, and how loud everything is: levels per frame, no model."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likeness.voices.filters import Floats, decibels, frames, gaussian

RATE = 16_000  # Hz, of everything that is measured here
HOP = 160  # samples; 10 ms
WINDOW = 512
BAND = (120, 5000)  # Hz, where speech is
ABOVE_FLOOR = 7.0  # dB; louder than the background by this much is speech
BELOW_PEAK = 32.0  # dB; quieter than the loudest speech by more is none
PAUSE = 25  # frames; shorter gaps belong to the speech around them
SHORTEST = 6  # frames; shorter bursts are clicks

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Activity:
    """Frames of 10 ms: their level in the band of speech (dB), and which of them are speech."""

    level: Floats
    speech: Mask  # sounds alone
    spoken: Mask  # with the short gaps between words

    @property
    def seconds(self) -> float:
        """Of speech, gaps within it included."""
        return float(self.spoken.sum()) * HOP / RATE


def find_speech(x: Floats) -> Activity:
    """Of mono sound at 16 kHz."""
    spectra = np.abs(np.fft.rfft(frames(x, WINDOW, HOP) * np.hanning(WINDOW))) ** 2
    low, high = (int(f * WINDOW / RATE) for f in BAND)
    level = decibels(gaussian(spectra[:, low:high].mean(axis=1), 1.5), 1e-10)
    floor = float(np.percentile(level, 8))
    loud = float(np.percentile(level, 97))
    threshold = max(floor + min(ABOVE_FLOOR, 0.45 * (loud - floor)), loud - BELOW_PEAK)
    speech = without_short(level > threshold, SHORTEST)
    return Activity(level, speech, ~without_short(~speech, PAUSE, edges=False))


def without_short(mask: Mask, least: int, edges: bool = True) -> Mask:
    """`mask` without runs of fewer than `least` frames; with `edges` false, runs at both ends stay."""
    out = mask.copy()
    for begin, end in runs(mask):
        at_edge = begin == 0 or end == len(mask)
        if end - begin < least and (edges or not at_edge):
            out[begin:end] = False
    return out


def runs(mask: Mask) -> list[tuple[int, int]]:
    """First and one past the last frame of each stretch that is true."""
    steps = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return [(int(a), int(b)) for a, b in zip(steps[::2], steps[1::2], strict=True)]


def loudness(x: Floats, rate: int) -> float:
    """Integrated loudness in LUFS as ITU-R BS.1770 gates it; the weighting is applied to each block's spectrum."""
    size, hop = int(0.4 * rate), int(0.1 * rate)
    if len(x) < size:
        x = np.pad(x, (0, size - len(x)))
    starts = range(0, len(x) - size + 1, hop)
    frequencies: Floats = np.fft.rfftfreq(size, 1 / rate).astype(np.float64)
    weights = _k_weighting(frequencies) / size**2 * 2
    power = np.array([float(np.abs(np.fft.rfft(x[s : s + size])) ** 2 @ weights) for s in starts])
    levels = -0.691 + decibels(power)
    kept = levels > -70
    if not kept.any():
        return -70.0
    kept &= levels > -0.691 + float(decibels(power[kept].mean())) - 10
    return -0.691 + float(decibels(power[kept].mean()))


def _k_weighting(f: Floats) -> Floats:
    """Power response of the two filters of BS.1770: a shelf above 1.7 kHz, a high-pass at 38 Hz."""
    s = 1j * np.maximum(f, 1e-3)
    f0, gain, q = 1681.97, 10 ** (3.99984 / 20), 0.70718
    mid = gain**0.49967
    shelf = (gain * s**2 + mid / q * f0 * s + f0**2) / (s**2 + f0 / q * s + f0**2)
    f1, q1 = 38.135, 0.50033
    high = s**2 / (s**2 + f1 / q1 * s + f1**2)
    return np.abs(shelf * high) ** 2
